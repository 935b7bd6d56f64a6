//! Keys and values of the BPF maps. Layouts are asserted at compile time, since two programs read them.

use crate::ids::{BackendId, VipId};
use crate::limits::{BUCKET_WORDS, MAX_TABLE_SIZE};

/// Version of the layouts in this file. A pinned map of another version is not adopted.
pub const LAYOUT_VERSION: u32 = 2;

/// An address in network byte order; IPv4 as v4-mapped IPv6 (RFC 4291 section 2.5.5.2). Two words as they lie in
/// memory, so that comparing takes two instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(C)]
pub struct Address(pub [u64; 2]);

impl Address {
    /// The IPv4 address whose four bytes in network order, read natively, are `word`.
    #[inline(always)]
    pub const fn from_v4_word(word: u32) -> Self {
        Self([0, 0x0000_0000_ffff_0000 | (word as u64) << 32])
    }

    /// The IPv4 address `octets`.
    #[inline(always)]
    pub const fn from_v4(octets: [u8; 4]) -> Self {
        Self::from_v4_word(u32::from_ne_bytes(octets))
    }

    /// The IPv6 address `octets`.
    #[inline(always)]
    pub const fn from_v6(octets: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = octets;
        Self([u64::from_ne_bytes([a, b, c, d, e, f, g, h]), u64::from_ne_bytes([i, j, k, l, m, n, o, p])])
    }

    /// The sixteen bytes in network order.
    pub const fn octets(self) -> [u8; 16] {
        let [a, b, c, d, e, f, g, h] = self.0[0].to_ne_bytes();
        let [i, j, k, l, m, n, o, p] = self.0[1].to_ne_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }

    /// The IPv4 word, where this is a v4-mapped address.
    #[inline(always)]
    pub const fn v4_word(self) -> u32 {
        (self.0[1] >> 32) as u32
    }

    /// Whether this is an IPv4 address.
    #[inline(always)]
    pub const fn is_v4(self) -> bool {
        self.0[0] == 0 && self.0[1] as u32 == 0xffff_0000
    }
}

#[cfg(not(target_endian = "little"))]
compile_error!("the map layouts assume a little-endian host, as every NIC with XDP support has");

/// What a packet is for: port in network order as it lies in memory (low 16 bits), protocol number (bits 16–23).
/// The word 0 marks an address that has at least one VIP, for packets without a port (echo, fragments).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Service(pub u32);

impl Service {
    /// Marks an address, whatever the port and protocol.
    pub const ADDRESS: Self = Self(0);

    /// From a port in network order read natively, and an IP protocol number.
    #[inline(always)]
    pub const fn from_wire(port: u16, protocol: u8) -> Self {
        Self(port as u32 | (protocol as u32) << 16)
    }

    /// From a port as a number; 0 stands for any port.
    pub const fn new(port: u16, protocol: u8) -> Self {
        Self::from_wire(port.to_be(), protocol)
    }

    /// The port as a number.
    pub const fn port(self) -> u16 {
        u16::from_be(self.0 as u16)
    }

    /// The IP protocol number.
    pub const fn protocol(self) -> u8 {
        (self.0 >> 16) as u8
    }
}

/// One entry of the VIP directory: key and value together, found at one of two positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct DirectoryEntry {
    /// The VIP's address. All zero: the position is empty.
    pub address: Address,
    /// Port and protocol, or [`Service::ADDRESS`].
    pub service: Service,
    /// [`VIP_AFFINITY`], [`VIP_P2C`].
    pub flags: u16,
    /// Which table and counters.
    pub vip: u16,
    /// Slots of the VIP's table in use, at most [`MAX_TABLE_SIZE`].
    pub table_size: u32,
    /// With [`VIP_P2C`], by how many thousandths the second candidate's load must be lower.
    pub margin: u32,
}

const _: () = assert!(size_of::<DirectoryEntry>() == 32 && align_of::<DirectoryEntry>() == 8);

/// Every flow of the VIP is recorded (UDP with `affinity = "flow"`).
pub const VIP_AFFINITY: u16 = 1;
/// A new connection chooses between two candidates, see [`crate::choice`].
pub const VIP_P2C: u16 = 1 << 1;

impl DirectoryEntry {
    /// The VIP's id.
    #[inline(always)]
    pub const fn vip_id(&self) -> VipId {
        VipId::new(self.vip)
    }
}

/// Where the directory in force lies and how it is hashed: one word, so that a swap is one store.
/// Bits 0–31 seed, 32–39 log2 of its positions, 40 which half, 41 whether any VIP takes any port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct DirectoryWord(pub u64);

impl DirectoryWord {
    /// A directory of `1 << log2_positions` positions in `half` 0 or 1 of the map.
    pub const fn new(seed: u32, log2_positions: u8, half: u8, any_port: bool) -> Self {
        Self(
            seed as u64 | (log2_positions as u64) << 32 | ((half & 1) as u64) << 40 | (any_port as u64) << 41,
        )
    }

    /// The hash seed.
    #[inline(always)]
    pub const fn seed(self) -> u32 {
        self.0 as u32
    }

    /// log2 of the number of positions.
    #[inline(always)]
    pub const fn log2_positions(self) -> u32 {
        (self.0 >> 32 & 0x1f) as u32
    }

    /// Which half of the map.
    #[inline(always)]
    pub const fn half(self) -> u32 {
        (self.0 >> 40 & 1) as u32
    }

    /// Whether a lookup without the port is worth making.
    #[inline(always)]
    pub const fn any_port(self) -> bool {
        self.0 & 1 << 41 != 0
    }
}

/// Run-time settings and the agent's clock: the one entry of its map, written through a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Settings {
    /// The [`DirectoryWord`] in force.
    pub directory: u64,
    /// Seed of the flow hash; balancers that shall agree have the same.
    pub hash_seed: u64,
    /// Secret by which flows are placed into buckets; every machine has its own.
    pub flow_seed: u64,
    /// Buckets of the flow table minus one; a power of two minus one.
    pub flow_mask: u32,
    /// Seconds counted by the agent, of which flow words keep the low 16 bits. Stands still while no agent runs,
    /// and so does ageing.
    pub epoch: u32,
    /// Flows recorded per CPU and second.
    pub insert_limit: u32,
    /// ICMP errors sent per CPU and second.
    pub icmp_limit: u32,
    /// Seconds after which an idle flow's word may be taken.
    pub idle_seconds: u32,
    /// Seconds after which a closed flow's word may be taken.
    pub closing_seconds: u32,
    /// [`LAYOUT_VERSION`] of the maps beside this one.
    pub layout: u32,
    /// Zero, which the verifier does not know.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Settings>() == 56);

/// Room of [`Backend::head`]: Ethernet (14) and an outer IPv6 header (40), in whole words.
pub const HEAD_WORDS: usize = 7;

/// A backend as the kernel forwards to it: everything that a packet needs, prebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Backend {
    /// [`BACKEND_PRESENT`], [`BACKEND_DOWN`], [`BACKEND_RESOLVED`].
    pub flags: u16,
    /// A [`Tunnel`] as a number.
    pub tunnel: u8,
    /// Zero.
    pub reserved: u8,
    /// Interface index that leads to the backend.
    pub egress: u32,
    /// Bytes of IP packet that the way to the backend takes, tunnel header included.
    pub mtu: u32,
    /// Ones' complement sum over the outer IPv4 header with length, TOS, protocol and the hashed source bits left
    /// out, as native words.
    pub outer_sum: u32,
    /// Which bits of the last four bytes of the outer source are taken from the flow hash (network order, native).
    pub source_mask: u32,
    /// The VIP this backend belongs to.
    pub vip: u32,
    /// Ethernet header, then the outer IP header with what the packet decides left zero: length, TOS, protocol,
    /// checksum, flow label and hashed source bits.
    pub head: [u64; HEAD_WORDS],
    /// The backend's own address: the tunnel's far end, or the next hop's owner in `l2`.
    pub address: Address,
    /// A number that names the backend across agents: hash of VIP key and backend address.
    pub identity: u64,
    /// Zero.
    pub reserved2: [u64; 3],
}

const _: () = assert!(size_of::<Backend>() == 128);

/// The entry is in use.
pub const BACKEND_PRESENT: u16 = 1;
/// Hard down: flows recorded to it are ignored.
pub const BACKEND_DOWN: u16 = 1 << 1;
/// `egress` and the Ethernet header are those of a resolved next hop.
pub const BACKEND_RESOLVED: u16 = 1 << 2;

/// How packets reach a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Tunnel {
    /// MAC addresses are rewritten; the backend is on the same segment.
    None = 0,
    /// Outer IPv4 header (RFC 2003; RFC 4213 for IPv6 inside).
    Ipv4 = 1,
    /// Outer IPv6 header (RFC 2473).
    Ipv6 = 2,
}

impl Backend {
    /// Whether the entry names a backend that is not hard down.
    #[inline(always)]
    pub const fn is_usable(&self) -> bool {
        self.flags & (BACKEND_PRESENT | BACKEND_DOWN) == BACKEND_PRESENT
    }

    /// Whether the next hop is known.
    #[inline(always)]
    pub const fn is_resolved(&self) -> bool {
        self.flags & BACKEND_RESOLVED != 0
    }
}

/// A VIP's table. Only the first `table_size` slots are in use.
pub type SlotTable = [u32; MAX_TABLE_SIZE as usize];

/// One bucket of the flow table: one cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Bucket(pub [u64; BUCKET_WORDS]);

const _: () = assert!(size_of::<Bucket>() == 64);

/// A recorded flow: bits 0–14 backend, 15 closing, 16–31 epoch last seen, 32–63 tag (upper half of the flow hash).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct FlowWord(pub u64);

impl FlowWord {
    /// A free place.
    pub const FREE: Self = Self(0);

    /// A flow with `tag` seen in `epoch`, that belongs to `backend`.
    #[inline(always)]
    pub const fn new(tag: u32, backend: BackendId, epoch: u16, closing: bool) -> Self {
        Self((tag as u64) << 32 | (epoch as u64) << 16 | (closing as u64) << 15 | backend.raw() as u64)
    }

    /// Upper half of the flow hash, which also tells the slot.
    #[inline(always)]
    pub const fn tag(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The backend; `None` in a free place.
    #[inline(always)]
    pub const fn backend(self) -> Option<BackendId> {
        BackendId::new((self.0 & 0x7fff) as u16)
    }

    /// Whether a FIN or RST was seen.
    #[inline(always)]
    pub const fn is_closing(self) -> bool {
        self.0 & 1 << 15 != 0
    }

    /// A flow that so far is a single packet, opened in `epoch`: written as if last seen long ago, so that it is
    /// forgotten after [`UNANSWERED_SECONDS`] unless another packet refreshes it. What a flood of SYNs fills is free
    /// again a minute later, not after the whole idle time.
    #[inline(always)]
    pub const fn opened(tag: u32, backend: BackendId, settings: &Settings) -> Self {
        let lead = settings.idle_seconds.saturating_sub(UNANSWERED_SECONDS);
        Self::new(tag, backend, (settings.epoch as u16).wrapping_sub(lead as u16), false)
    }

    /// Low 16 bits of the epoch in which the flow was last seen.
    #[inline(always)]
    pub const fn epoch(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// Seconds since the flow was last seen, modulo 2^16.
    #[inline(always)]
    pub const fn age(self, epoch: u16) -> u16 {
        epoch.wrapping_sub(self.epoch())
    }

    /// Whether the place may be taken by another flow. Idle times end below half of the 16 bits, so that a word which
    /// another CPU has just written with the next second is not taken for one from long ago.
    #[inline(always)]
    pub const fn is_expired(self, settings: &Settings) -> bool {
        let limit = if self.is_closing() { settings.closing_seconds } else { settings.idle_seconds };
        let age = self.age(settings.epoch as u16) as i16;
        self.0 as u16 == 0 || age > 0 && age as u32 > limit
    }
}

/// Seconds for which a closed flow is remembered: twice TIME-WAIT of common hosts, since a client that has closed its
/// half may wait for an answer.
pub const CLOSED_SECONDS: u32 = 120;

/// Seconds for which a flow of a single packet is remembered: longer than the second retransmission of a SYN
/// (RFC 6298: after 1 and 3 seconds, then 7, 15, 31), and than hosts remember an unanswered one.
pub const UNANSWERED_SECONDS: u32 = 64;

/// What passed to a backend, per CPU. A VIP's totals are the sum of its backends': each belongs to one VIP only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Traffic {
    /// Packets forwarded.
    pub packets: u64,
    /// Bytes forwarded, from the Ethernet header, as received.
    pub bytes: u64,
    /// TCP SYNs, and first packets of recorded UDP flows.
    pub new_flows: u64,
    /// FINs and RSTs.
    pub closes: u64,
    /// Flows that should have been recorded and were not (table full or insert limit).
    pub unrecorded: u64,
    /// Zero.
    pub reserved: [u64; 3],
}

const _: () = assert!(size_of::<Traffic>() == 64);

impl core::ops::Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            packets: self.packets + other.packets,
            bytes: self.bytes + other.bytes,
            new_flows: self.new_flows + other.new_flows,
            closes: self.closes + other.closes,
            unrecorded: self.unrecorded + other.unrecorded,
            reserved: [0; 3],
        }
    }
}

/// A budget per CPU and second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Budget {
    /// Epoch the count belongs to.
    pub epoch: u32,
    /// Spent so far.
    pub spent: u32,
    /// Kernel time in ns when counting began, looked at only when the budget is spent.
    pub since: u64,
}

/// Names of the maps, as the object declares them and the agent finds them.
pub mod names {
    /// `Array<Settings, 1>`, mapped.
    pub const SETTINGS: &str = "SETTINGS";
    /// `Array<DirectoryEntry>`, two halves.
    pub const DIRECTORY: &str = "DIRECTORY";
    /// `Array<SlotTable>`, mapped, one per VIP.
    pub const SLOTS: &str = "SLOTS";
    /// `Array<Backend>`, mapped, by backend id.
    pub const BACKENDS: &str = "BACKENDS";
    /// `Array<BackendLoad>`, mapped, by backend id.
    pub const LOADS: &str = "LOADS";
    /// `Array<Bucket>`, mapped.
    pub const FLOWS: &str = "FLOWS";
    /// `PerCpuArray<Traffic>` by backend id.
    pub const BACKEND_TRAFFIC: &str = "BACKEND_TRAFFIC";
    /// `PerCpuArray<[u64; Reason::ROOM], 1>`.
    pub const REASONS: &str = "REASONS";
    /// `PerCpuArray<[Budget; 2], 1>`.
    pub const BUDGETS: &str = "BUDGETS";
}
