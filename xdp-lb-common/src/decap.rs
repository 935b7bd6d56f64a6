//! The backend's side: takes the balancer's tunnel headers off and leaves the inner packet to the host.

use crate::checksum;
use crate::maps::Address;
use crate::packet::PacketMut;
use crate::parse::parse_link;
use crate::reason::Reason;
use crate::wire::{ETHERNET_LEN, IPV4_LEN, IPV6_LEN, VLAN_LEN, ethertype, ip_protocol};

/// Most tunnel addresses, and most source prefixes, of a backend.
pub const MAX_DECAP_ENTRIES: usize = 16;

/// What is terminated: the one entry of its map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct DecapSettings {
    /// Outer destinations; unused ones are all zero.
    pub addresses: [Address; MAX_DECAP_ENTRIES],
    /// Outer sources; unused ones have a network that the mask excludes.
    pub sources: [SourcePrefix; MAX_DECAP_ENTRIES],
}

/// A prefix: addresses of which the bits under `mask` are those of `network`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct SourcePrefix {
    /// The network's address.
    pub network: Address,
    /// Ones where it counts.
    pub mask: Address,
}

impl Default for SourcePrefix {
    /// The prefix of no address.
    fn default() -> Self {
        Self { network: Address([1, 1]), mask: Address([0, 0]) }
    }
}

impl SourcePrefix {
    /// Whether the prefix holds `address`.
    #[inline(always)]
    pub const fn contains(&self, address: Address) -> bool {
        address.0[0] & self.mask.0[0] == self.network.0[0]
            && address.0[1] & self.mask.0[1] == self.network.0[1]
    }
}

/// Takes the tunnel header off, where there is one of ours. The reason's outcome says what becomes of the frame.
#[inline(always)]
pub fn decapsulate<P: PacketMut>(packet: &mut P, settings: &DecapSettings) -> Reason {
    let (Ok(reason) | Err(reason)) = terminate(packet, settings);
    reason
}

/// An outer header.
struct Outer {
    source: Address,
    destination: Address,
    protocol: u8,
    /// Bytes of it.
    len: usize,
    /// Bytes of IP packet, by its own header.
    ip_len: usize,
    /// ECN field: 3 is "congestion experienced" (RFC 3168).
    ecn: u8,
    is_fragment: bool,
}

const CONGESTION_EXPERIENCED: u8 = 3;

#[inline(always)]
fn terminate<P: PacketMut>(packet: &mut P, settings: &DecapSettings) -> Result<Reason, Reason> {
    let (l3, kind) = parse_link(packet).map_err(|_| Reason::DecapNotTunnel)?;
    let outer = match kind {
        ethertype::IPV4 => outer_ipv4(packet, l3),
        ethertype::IPV6 => outer_ipv6(packet, l3),
        _ => None,
    };
    let outer = outer.ok_or(Reason::DecapNotTunnel)?;
    let inner_kind = match outer.protocol {
        ip_protocol::IPV4 => ethertype::IPV4,
        ip_protocol::IPV6 => ethertype::IPV6,
        _ => return Err(Reason::DecapNotTunnel),
    };
    let is_ours = settings.addresses.contains(&outer.destination);
    // Unused places hold the unspecified address.
    if !is_ours || outer.destination == Address::default() {
        return Err(Reason::DecapNotTunnel);
    }
    if !settings.sources.iter().any(|prefix| prefix.contains(outer.source)) {
        return Err(Reason::DecapForeignSource);
    }
    if outer.is_fragment {
        return Err(Reason::DecapFragment);
    }
    let inner = l3 + outer.len;
    check_inner(packet, inner, inner_kind, l3 + outer.ip_len).ok_or(Reason::DecapBadInner)?;
    if outer.ecn == CONGESTION_EXPERIENCED {
        mark_congestion(packet, inner, inner_kind)?;
    }
    strip(packet, l3, outer.len, inner_kind).ok_or(Reason::DecapBadInner)?;
    Ok(Reason::DecapTerminated)
}

#[inline(always)]
fn outer_ipv4<P: PacketMut>(packet: &P, l3: usize) -> Option<Outer> {
    let header: [u32; 5] = packet.load(l3)?;
    // The balancer sends no options.
    if header[0] as u8 != 0x45 {
        return None;
    }
    Some(Outer {
        source: Address::from_v4_word(header[3]),
        destination: Address::from_v4_word(header[4]),
        protocol: (header[2] >> 8) as u8,
        len: IPV4_LEN,
        ip_len: u16::from_be((header[0] >> 16) as u16) as usize,
        ecn: (header[0] >> 8) as u8 & 3,
        is_fragment: u16::from_be((header[1] >> 16) as u16) & 0x3fff != 0,
    })
}

#[inline(always)]
fn outer_ipv6<P: PacketMut>(packet: &P, l3: usize) -> Option<Outer> {
    let header: [u64; 5] = packet.load(l3)?;
    let source = Address([header[1], header[2]]);
    let destination = Address([header[3], header[4]]);
    // An IPv4 address in an IPv6 header is none of those that are configured.
    if header[0] as u8 >> 4 != 6 || source.is_v4() || destination.is_v4() {
        return None;
    }
    Some(Outer {
        source,
        destination,
        protocol: (header[0] >> 48) as u8,
        len: IPV6_LEN,
        ip_len: IPV6_LEN + u16::from_be((header[0] >> 32) as u16) as usize,
        ecn: (header[0] >> 12) as u8 & 3,
        is_fragment: false,
    })
}

/// Whether a whole packet of the told version lies at `offset`, within the outer packet's end.
#[inline(always)]
fn check_inner<P: PacketMut>(packet: &P, offset: usize, kind: u16, end: usize) -> Option<()> {
    let header: [u8; 20] = packet.load(offset)?;
    let (version, len) = if kind == ethertype::IPV4 {
        (4, u16::from_be_bytes([header[2], header[3]]) as usize)
    } else {
        (6, IPV6_LEN + u16::from_be_bytes([header[4], header[5]]) as usize)
    };
    let fits = len >= IPV4_LEN && offset + len <= end && end <= packet.len();
    (header[0] >> 4 == version && fits).then_some(())
}

/// Carries a congestion mark of the way over to the inner header (RFC 6040 section 4.2).
#[inline(always)]
fn mark_congestion<P: PacketMut>(packet: &mut P, offset: usize, kind: u16) -> Result<(), Reason> {
    let word: u16 = packet.load(offset).ok_or(Reason::DecapBadInner)?;
    // ECN: the low two bits of IPv4's second byte, bits 4 and 5 of IPv6's second byte.
    let shift = if kind == ethertype::IPV4 { 8 } else { 12 };
    if word >> shift & 3 == 0 {
        return Err(Reason::DecapCongestion);
    }
    let marked = word | 3 << shift;
    packet.store(offset, marked).ok_or(Reason::DecapBadInner)?;
    if kind == ethertype::IPV4 {
        let sum: u16 = packet.load(offset + 10).ok_or(Reason::DecapBadInner)?;
        packet.store(offset + 10, checksum::update(sum, word, marked)).ok_or(Reason::DecapBadInner)?;
    }
    Ok(())
}

/// Moves the link header, tags included, over the outer header.
#[inline(always)]
fn strip<P: PacketMut>(packet: &mut P, l3: usize, outer_len: usize, kind: u16) -> Option<()> {
    let macs: [u32; 3] = packet.load(0)?;
    let tags: [u32; 2] = packet.load(12)?;
    if outer_len == IPV4_LEN {
        packet.pull(IPV4_LEN)?;
    } else {
        packet.pull(IPV6_LEN)?;
    }
    packet.store(0, macs)?;
    match l3 - ETHERNET_LEN {
        0 => {}
        VLAN_LEN => packet.store(12, tags[0])?,
        _ => packet.store(12, tags)?,
    }
    packet.store(l3 - 2, kind)
}
