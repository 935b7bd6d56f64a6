//! What control is told and what it orders. Values only: nothing here does anything.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::maps::Traffic;
use xdp_lb_common::slot::Slot;

use crate::config::{Affinity, Config, Forward, HealthKind, Protocol, Scheduler, Utilization};

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
    /// A backend reported how it is, or failed to.
    Reported {
        /// Who was asked.
        backend: BackendId,
        /// Where: an answer that comes after the id has passed to another backend is known by it.
        address: IpAddr,
        /// What it said, or why that does not count.
        report: Result<Report, NoReport>,
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
        /// Where: the backend's own address, or the VIP's where the check goes by the data path.
        address: IpAddr,
        /// Mark of the check's packets (`SO_MARK`), by which they are forwarded to this backend as the VIP's are.
        mark: Option<u32>,
        /// What.
        kind: HealthKind,
        /// How long at most.
        timeout: Duration,
    },
    /// Keep asking a backend for reports, each told by [`Event::Reported`].
    WatchReports {
        /// Who.
        backend: BackendId,
        /// Its own address.
        address: IpAddr,
        /// How it is asked.
        utilization: Utilization,
    },
    /// No longer.
    UnwatchReports(BackendId),
    /// Publish what backends of `p2c` VIPs are worth to the kernel's choice.
    WriteLoads(Vec<(BackendId, Load)>),
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

/// What a server says of itself. Every number is finite and within the bounds told here: who builds one has checked.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Report {
    /// How much of it is in use, 0 to 1.
    pub utilization: Option<f64>,
    /// Requests a second, from 0.
    pub rate: Option<f64>,
    /// Errors a second, from 0.
    pub errors: Option<f64>,
    /// Time since the server's process started.
    pub age: Option<std::time::Duration>,
    /// Factor on the configured weight that it asks for, 0 to 4 (an agent's percentage).
    pub weight: Option<f64>,
    /// Whether its operator wants it in service.
    pub admin: Option<AdminState>,
    /// Whether it says it works; `Err` says why not.
    pub operational: Option<Result<(), String>>,
}

/// What a server's own operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminState {
    /// In service.
    Ready,
    /// No new connections.
    Drain,
    /// Out of service: as down.
    Maint,
}

/// Why a report does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoReport {
    /// What kind of thing went wrong, for counting.
    pub kind: NoReportKind,
    /// In words, with the value: "cpu_utilization = 1.7: expected 0 to 1".
    pub detail: String,
}

/// What can go wrong with a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoReportKind {
    /// No connection.
    Unreachable,
    /// Not within the time limit.
    Late,
    /// Longer than any report is.
    TooLong,
    /// Not of this form.
    Garbage,
    /// Something that should be a number and is none.
    NotANumber,
    /// An infinite number.
    Infinite,
    /// A negative number.
    Negative,
    /// A share above 1.
    AboveOne,
    /// The same thing said twice.
    Duplicated,
    /// An answer without a report.
    Missing,
}

impl NoReportKind {
    /// Short name, as metrics and `status` show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Late => "late",
            Self::TooLong => "too_long",
            Self::Garbage => "garbage",
            Self::NotANumber => "not_a_number",
            Self::Infinite => "infinite",
            Self::Negative => "negative",
            Self::AboveOne => "above_one",
            Self::Duplicated => "duplicated",
            Self::Missing => "missing",
        }
    }
}

/// What a backend of a `p2c` VIP is worth to the kernel's choice: the smaller, the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Load {
    /// Load that is there without any of this balancer's connections in flight.
    pub standing: u32,
    /// What each connection in flight adds.
    pub per_flow: u32,
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
    /// How new connections choose.
    pub scheduler: Scheduler,
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
    /// What the table was made with: the configured weight times the factors, as published.
    pub effective_weight: f64,
    /// What moves the weight, in the order of multiplication.
    pub factors: Vec<FactorStatus>,
    /// The server's reports, where it is asked for any.
    pub reports: Option<ReportsStatus>,
    /// Share of the VIP's slots that take new connections there, 0 to 1.
    pub share: f64,
    /// "resolved", or why not.
    pub next_hop: String,
    /// Live recorded flows.
    pub flows: u64,
    /// Totals.
    pub traffic: TrafficStatus,
}

/// One factor of a weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FactorStatus {
    /// "health", "utilization", "probation", "age".
    pub name: String,
    /// What the weight is multiplied by.
    pub value: f64,
    /// Why, in words: "warming up: 40 s of 90".
    pub reason: String,
}

/// What came of asking a server for reports.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct ReportsStatus {
    /// "agent-check", "orca-http" or "orca-grpc".
    pub source: String,
    /// Utilization last reported, 0 to 1.
    pub utilization: Option<f64>,
    /// Seconds since the last report that counted.
    pub age_seconds: Option<f64>,
    /// Reports that counted.
    pub accepted: u64,
    /// Those that did not, by reason, zeros left out.
    pub refused: Vec<RefusedStatus>,
    /// Why the last one did not count; empty if it did.
    pub problem: String,
}

/// Reports that did not count for one reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefusedStatus {
    /// Short name of the reason.
    pub reason: String,
    /// How many.
    pub reports: u64,
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
    /// The choice between two, if the VIP's new connections make one.
    pub choice: Option<Box<ChoiceExplanation>>,
    /// Why, in a sentence or two.
    pub why: String,
}

/// What a new connection chooses between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChoiceExplanation {
    /// Position of the second candidate in the table.
    pub second_slot: u32,
    /// Where the slot leads new connections.
    pub first: Option<CandidateExplanation>,
    /// Where the second slot leads them.
    pub second: Option<CandidateExplanation>,
    /// By how many thousandths the second's load must be lower.
    pub margin: u32,
    /// Whether the second would be taken now.
    pub takes_second: bool,
}

/// One of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateExplanation {
    /// The backend's name.
    pub backend: String,
    /// Its load without connections in flight.
    pub standing: u32,
    /// What each of those adds; 0 while nothing is published.
    pub per_flow: u32,
    /// The kernel's estimate of them.
    pub in_flight: u32,
    /// Its load.
    pub load: u64,
}
