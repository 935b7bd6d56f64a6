//! What control is told and what it orders. Values only: nothing here does anything.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::maps::Traffic;
use xdp_lb_common::slot::Slot;

use crate::config::{Affinity, Config, Forward, HealthKind, Protocol};

/// Something that happened outside.
#[derive(Clone, Debug)]
pub enum Event {
    /// A new, valid configuration.
    Configured(Box<Config>),
    /// A health check ended.
    Probed {
        /// Who was checked.
        backend: BackendId,
        /// `Err` says why in words: "connection refused", "status 503".
        outcome: Result<(), String>,
    },
    /// The way to an address became known, changed or was lost.
    NextHop {
        /// A backend's address.
        address: IpAddr,
        /// `Err` says why in words: "no route", "no answer to ARP on eth0".
        hop: Result<NextHop, String>,
    },
    /// One whole sweep over the flow table ended.
    Swept(Sweep),
    /// New totals of the kernel's counters.
    Counted(Counters),
    /// A deadline passed.
    Tick,
}

/// Something to be done outside. Carried out in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make these the VIPs, all at once.
    WriteDirectory(Vec<VipRecord>),
    /// Write a backend's entry.
    WriteBackend(BackendRecord),
    /// The backend is gone for good: clear its entry and its counters.
    ClearBackend(BackendId),
    /// Remove every recorded flow to the backend before going on.
    PurgeFlows(BackendId),
    /// Store these slots of a VIP's table, each at its position.
    WriteSlots {
        /// Whose table.
        vip: VipId,
        /// Position and new word.
        changes: Vec<(u32, Slot)>,
    },
    /// Check a backend now, once; answered by [`Event::Probed`].
    Probe {
        /// Who.
        backend: BackendId,
        /// Where.
        address: IpAddr,
        /// What.
        kind: HealthKind,
        /// How long at most.
        timeout: Duration,
    },
    /// Keep telling the way to `address` by [`Event::NextHop`].
    WatchNextHop(IpAddr),
    /// No longer.
    UnwatchNextHop(IpAddr),
    /// Tell the operator.
    Announce(Announcement),
}

/// A change of state, in words, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// VIP's name; empty where it is about the agent.
    pub vip: String,
    /// Backend's name, where it is about one.
    pub backend: Option<String>,
    /// "up", "down: connection refused (3 checks failed)", "removed: 12 flows left".
    pub what: String,
    /// Whether somebody should look at it.
    pub warning: bool,
}

/// The way to a backend on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Interface index the packet leaves by.
    pub egress: u32,
    /// That interface's MAC address.
    pub source_mac: [u8; 6],
    /// The neighbour's MAC address.
    pub destination_mac: [u8; 6],
    /// Bytes of IP packet that the way takes.
    pub mtu: u32,
    /// Whether the neighbour is a gateway and not the backend itself.
    pub via_gateway: bool,
}

/// A VIP as the data path needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VipRecord {
    /// Which table and counters.
    pub vip: VipId,
    /// Where clients connect to.
    pub address: IpAddr,
    /// 0 = any port.
    pub port: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Slots in use.
    pub table_size: u32,
    /// Whether every flow is recorded.
    pub affinity: Affinity,
}

/// A backend as the data path needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendRecord {
    /// Position in the map.
    pub backend: BackendId,
    /// Whose.
    pub vip: VipId,
    /// The server's own address.
    pub address: IpAddr,
    /// How packets reach it.
    pub forward: Forward,
    /// Whether it is hard down: its recorded flows are ignored.
    pub down: bool,
    /// The way there; without it the kernel asks its own routing table, packet by packet.
    pub next_hop: Option<NextHop>,
}

/// What one whole pass over the flow table found.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sweep {
    /// When the pass began: tracked slots that became so later are not judged by it.
    pub began: Option<std::time::Instant>,
    /// Every slot in which a live flow is recorded, sorted, without repetition.
    pub live_slots: Vec<(VipId, u32)>,
    /// Live flows by backend, sorted by backend.
    pub flows: Vec<(BackendId, u64)>,
}

/// Totals since the maps were made.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Indexed by VIP id.
    pub vips: Vec<Traffic>,
    /// Indexed by backend id; position 0 is unused.
    pub backends: Vec<Traffic>,
    /// Indexed by reason.
    pub reasons: Vec<u64>,
}

/// What an earlier agent left in the maps.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Adopted {
    /// The directory.
    pub vips: Vec<VipRecord>,
    /// Every entry in use; `forward` and `down` are as pinned, `next_hop` is not carried over.
    pub backends: Vec<BackendRecord>,
    /// Each VIP's table, `table_size` long.
    pub tables: Vec<(VipId, Vec<Slot>)>,
}

/// Answer to `status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// In configured order.
    pub vips: Vec<VipStatus>,
    /// Interfaces and how the program is attached; filled by the agent.
    pub interfaces: Vec<InterfaceStatus>,
    /// What happened to packets, by reason, zeros left out; filled by the agent.
    pub reasons: Vec<ReasonStatus>,
    /// Recorded flows that are live.
    pub flows: u64,
    /// Room for recorded flows.
    pub flow_capacity: u64,
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterfaceStatus {
    /// As in the configuration.
    pub name: String,
    /// "native" or "generic".
    pub mode: String,
}

/// One reason and its packets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReasonStatus {
    /// Short name: "truncated_ipv4".
    pub name: String,
    /// "forward", "pass", "reply" or "drop".
    pub outcome: String,
    /// In words.
    pub description: String,
    /// Packets.
    pub packets: u64,
}

/// One VIP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VipStatus {
    /// As configured.
    pub name: String,
    /// As configured.
    pub address: IpAddr,
    /// 0 = any.
    pub port: u16,
    /// "tcp" or "udp".
    pub protocol: String,
    /// "l2" or "ipip".
    pub forward: String,
    /// Slots of the table.
    pub slots: u32,
    /// Slots whose old and new backend differ.
    pub moved_slots: u32,
    /// Slots in which flows are looked up.
    pub tracked_slots: u32,
    /// Totals.
    pub traffic: TrafficStatus,
    /// In configured order; removed ones that still finish connections come last.
    pub backends: Vec<BackendStatus>,
}

/// One backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackendStatus {
    /// As configured.
    pub name: String,
    /// As configured.
    pub address: IpAddr,
    /// "up", "down", "checking", "draining", "removed".
    pub state: String,
    /// Why, in words: "last check: connection refused".
    pub reason: String,
    /// As configured.
    pub weight: u16,
    /// Share of the VIP's slots that take new connections there, 0 to 1.
    pub share: f64,
    /// "resolved", or why not.
    pub next_hop: String,
    /// Live recorded flows.
    pub flows: u64,
    /// Totals.
    pub traffic: TrafficStatus,
}

/// Totals and rates.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct TrafficStatus {
    /// Packets forwarded.
    pub packets: u64,
    /// Bytes forwarded.
    pub bytes: u64,
    /// New connections.
    pub new_flows: u64,
    /// FINs and RSTs.
    pub closes: u64,
    /// Packets a second, over the last count.
    pub packet_rate: f64,
    /// Bytes a second.
    pub byte_rate: f64,
    /// New connections a second.
    pub new_flow_rate: f64,
}

/// Answer to `explain`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The VIP's name.
    pub vip: String,
    /// Position in the table.
    pub slot: u32,
    /// The flow hash.
    pub hash: u64,
    /// Backend of new connections.
    pub current: Option<String>,
    /// Backend of unrecorded old connections.
    pub base: Option<String>,
    /// Whether flows are looked up in this slot.
    pub tracked: bool,
    /// Backend of the recorded flow, where there is one.
    pub recorded: Option<String>,
    /// Why, in a sentence or two.
    pub why: String,
}
