//! What a valid configuration is. Only the validator builds these: the private fields keep others from it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use xdp_lb_common::limits::MAX_TABLE_SIZE;

/// A whole, consistent configuration. Made by [`Config::from_toml`] and [`Config::load`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The agent and its data path.
    pub agent: Agent,
    /// Metrics, where wanted.
    pub admin: Option<Admin>,
    /// The services balanced; no two have the same address, port and protocol, nor the same name.
    pub vips: Vec<Vip>,
    pub(super) valid: Valid,
}

impl Utilization {
    /// What a VIP has unless told otherwise: nobody reports.
    pub const DEFAULT: Self = Self {
        kind: UtilizationKind::None,
        interval: Duration::from_secs(1),
        timeout: Duration::from_millis(500),
        stale_after: Duration::from_secs(10),
        smoothing: Duration::from_secs(30),
        least: Ratio::thousandths(250),
        most: Ratio::thousandths(4000),
        brake_from: Ratio::thousandths(800),
        brake_floor: Ratio::thousandths(300),
        brake_off: Ratio::thousandths(850),
    };
}

impl Warmup {
    /// What a VIP has unless told otherwise.
    pub const DEFAULT: Self = Self {
        window: Duration::from_secs(90),
        floor: Ratio::thousandths(100),
        step: Duration::from_secs(10),
    };
}

impl Weights {
    /// What a VIP has unless told otherwise.
    pub const DEFAULT: Self = Self {
        failure_window: Duration::from_secs(10),
        failure_fade: Duration::from_secs(30),
        failure_floor: Ratio::thousandths(50),
        publish_interval: Duration::from_secs(5),
        publish_limit: Ratio::thousandths(20),
        minute_limit: Ratio::thousandths(100),
        steps_per_doubling: 6,
        hysteresis: Ratio::thousandths(750),
        derated_most: Ratio::thousandths(333),
        panic_below: Ratio::thousandths(500),
        quiet: Duration::from_secs(10),
    };
}

/// Proof that the validator was here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Valid;

/// `[agent]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Agent {
    /// Interfaces the XDP program is attached to; at least one, each named once.
    pub interfaces: Vec<String>,
    /// How it is attached.
    pub xdp_mode: XdpMode,
    /// For state that is to outlive the machine's next start; not used yet.
    pub state_dir: PathBuf,
    /// Where `status` and `explain` ask.
    pub control_socket: PathBuf,
    /// A folder in a BPF file system, where program and maps outlive the agent.
    pub pin_dir: PathBuf,
    /// Room for VIPs: 256 KiB each.
    pub max_vips: u32,
    /// Room for backends over all VIPs.
    pub max_backends: u32,
    /// Slots of each table.
    pub table_size: TableSize,
    /// Room for recorded flows: 8 bytes each, a power of two.
    pub flow_entries: u32,
    /// How long a recorded flow may be silent.
    pub flow_idle: Duration,
    /// Flows recorded per CPU and second.
    pub flow_insert_limit: u32,
    /// ICMP errors sent per CPU and second.
    pub icmp_limit: u32,
    /// Seed of the flow hash; equal on all balancers that shall agree.
    pub hash_seed: u64,
    /// Outer source addresses of IPv4 tunnels: host bits come from the flow hash.
    pub tunnel_source_v4: Ipv4Net,
    /// Outer source addresses of IPv6 tunnels: up to 32 host bits come from the flow hash.
    pub tunnel_source_v6: Ipv6Net,
}

/// How the XDP program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver, or not at all.
    Native,
    /// In the stack, for drivers without XDP.
    Generic,
    /// Native, else generic.
    Auto,
}

/// `[admin]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Admin {
    /// Address and port of `/metrics`.
    pub listen: std::net::SocketAddr,
}

/// Slots in a table: a prime from 251 to 65537.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSize(u32);

impl TableSize {
    /// The largest, and the default.
    pub const MAX: Self = Self(MAX_TABLE_SIZE);

    /// A table of `slots` slots; `None` unless a prime from 251 to 65537.
    pub fn new(slots: u32) -> Option<Self> {
        let prime = slots >= 2 && (2..).take_while(|d| d * d <= slots).all(|d| !slots.is_multiple_of(d));
        (prime && (251..=MAX_TABLE_SIZE).contains(&slots)).then_some(Self(slots))
    }

    /// The number of slots.
    pub const fn slots(self) -> u32 {
        self.0
    }
}

/// `[[vip]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vip {
    /// Unique.
    pub name: String,
    /// Where clients connect to.
    pub address: IpAddr,
    /// 0 = any port.
    pub port: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// How packets reach the backends.
    pub forward: Forward,
    /// Whether every flow is recorded (UDP only; TCP flows are recorded where slots moved).
    pub affinity: Affinity,
    /// How a new connection's backend is chosen.
    pub scheduler: Scheduler,
    /// How long unrecorded connections of a moved slot keep going to where they were.
    pub drain: Duration,
    /// How backends are checked.
    pub health: Health,
    /// Where the servers' own reports come from, and what they do to weights.
    pub utilization: Utilization,
    /// How young servers get their share.
    pub warmup: Warmup,
    /// How weights are moved.
    pub weights: Weights,
    /// The servers; no two have the same name or the same address. May be empty.
    pub backends: Vec<Backend>,
}

/// Transport protocol of a VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Protocol number 6.
    Tcp,
    /// Protocol number 17.
    Udp,
}

impl Protocol {
    /// The IP protocol number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }

    /// As the configuration spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// How packets reach a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// MAC rewrite on the same segment. VIP and backends are of one address family.
    L2,
    /// IP in IP, any family in any.
    Ipip,
}

impl Forward {
    /// As the configuration spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::L2 => "l2",
            Self::Ipip => "ipip",
        }
    }
}

/// Which flows of a UDP VIP stay with their backend when the table changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affinity {
    /// Each packet follows the table as it is.
    None,
    /// Every flow is recorded.
    Flow,
}

/// How a new connection's backend is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduler {
    /// By its slot in the table.
    Maglev,
    /// By the better of its slots under two hashes.
    P2c {
        /// By how much the second's load must be lower for it to be taken: 0.25 means by a quarter.
        margin: Ratio,
    },
}

/// A number from 0 to 1000 in thousandths, so that configurations can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio(u32);

impl Ratio {
    /// So many thousandths.
    pub const fn thousandths(count: u32) -> Self {
        Self(count)
    }

    /// In thousandths.
    pub const fn in_thousandths(self) -> u32 {
        self.0
    }

    /// The number.
    pub fn get(self) -> f64 {
        f64::from(self.0) / 1000.0
    }
}

/// `[vip.utilization]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Utilization {
    /// Who is asked, and how.
    pub kind: UtilizationKind,
    /// Between two reports of one backend; jittered by a tenth.
    pub interval: Duration,
    /// How long a report may take.
    pub timeout: Duration,
    /// From this age on a report counts less and less.
    pub stale_after: Duration,
    /// Time constant by which capacities are averaged.
    pub smoothing: Duration,
    /// Least that a weight is multiplied by for a server's capacity.
    pub least: Ratio,
    /// Most, at most 4.
    pub most: Ratio,
    /// Utilization from which on a server is braked.
    pub brake_from: Ratio,
    /// What the brake of a server at utilization 1 is.
    pub brake_floor: Ratio,
    /// Mean utilization of the fleet from which on nobody is braked, as there is nowhere to go.
    pub brake_off: Ratio,
}

/// Who reports, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UtilizationKind {
    /// Nobody.
    None,
    /// A line of text over TCP, as HAProxy's `agent-check` reads it.
    AgentCheck {
        /// Port on the backend's own address.
        port: u16,
        /// What is sent before the answer is read; may be empty.
        send: String,
        /// What a percentage means.
        percent: Percent,
    },
    /// `endpoint-load-metrics` in an answer to `GET path`.
    OrcaHttp {
        /// Port on the backend's own address.
        port: u16,
        /// Path and query.
        path: String,
        /// `Host` header.
        host: String,
    },
    /// `xds.service.orca.v3.OpenRcaService/StreamCoreMetrics`.
    OrcaGrpc {
        /// Port on the backend's own address.
        port: u16,
    },
}

impl UtilizationKind {
    /// As the configuration spells it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::AgentCheck { .. } => "agent-check",
            Self::OrcaHttp { .. } => "orca-http",
            Self::OrcaGrpc { .. } => "orca-grpc",
        }
    }
}

/// What an agent's percentage means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Percent {
    /// The share of its configured weight, as in HAProxy: it multiplies the weight directly.
    Weight,
    /// How much of the server is idle: utilization is the rest.
    Idle,
}

/// `[vip.warmup]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warmup {
    /// Age at which a server takes its whole share; zero: at once.
    pub window: Duration,
    /// Least factor, of the very young.
    pub floor: Ratio,
    /// The factor grows in steps of so long.
    pub step: Duration,
}

/// `[vip.weights]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Weights {
    /// Failures within so long speak against a backend.
    pub failure_window: Duration,
    /// Without an outcome for so long, they are forgotten.
    pub failure_fade: Duration,
    /// Least factor for failures of a backend that is not down.
    pub failure_floor: Ratio,
    /// Between two publishings of soft changes.
    pub publish_interval: Duration,
    /// Share of the table's slots that one publishing may move.
    pub publish_limit: Ratio,
    /// Share of the table's slots that a minute's publishings may move.
    pub minute_limit: Ratio,
    /// Steps to the double weight: weights are rounded to a geometric grid.
    pub steps_per_doubling: u32,
    /// How many steps off a published weight has to be to be published anew.
    pub hysteresis: Ratio,
    /// Share of the backends that may be derated at once (but always one): more is taken for an error of the measure.
    pub derated_most: Ratio,
    /// Share of healthy backends below which health and utilization are ignored.
    pub panic_below: Ratio,
    /// After a start on top of an earlier agent's table, nothing soft is published for so long.
    pub quiet: Duration,
}

/// `[vip.health]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// What is asked.
    pub kind: HealthKind,
    /// By which way.
    pub via: CheckVia,
    /// Between two checks of one backend, while nothing changes; jittered by a tenth.
    pub interval: Duration,
    /// Between two checks while a backend is on its way up or down.
    pub fast_interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Successes in a row that bring a backend up.
    pub rise: u32,
    /// Failures in a row that bring a backend down.
    pub fall: u32,
}

impl Health {
    /// From the beginning of the first failed check to hard down, at most, where a backend answers nothing: every
    /// check takes its whole `timeout`, and the next begins `fast_interval` after the last began, if that is over.
    pub fn silent_time(&self) -> Duration {
        let pace = self.timeout.max(jittered(self.fast_interval));
        self.timeout.saturating_add(pace.saturating_mul(self.fall.saturating_sub(1)))
    }

    /// From when a backend falls silent to hard down, at most: as long, and the time to the next check.
    pub fn longest_unnoticed(&self) -> Duration {
        jittered(self.interval).saturating_add(self.silent_time())
    }
}

/// The longest that jitter makes of a time between checks.
fn jittered(between: Duration) -> Duration {
    between.saturating_add(between / 10)
}

/// By which way a check reaches its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckVia {
    /// To the backend's own address.
    Direct,
    /// To the VIP's address, forwarded as the VIP's packets are: a tunnel that is broken is found out.
    DataPath,
}

/// What a health check asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthKind {
    /// Nothing: the backend is up.
    None,
    /// A connection to `port`.
    Tcp {
        /// Port on the backend's own address.
        port: u16,
    },
    /// `GET path`.
    Http {
        /// Port on the backend's own address.
        port: u16,
        /// Path and query.
        path: String,
        /// `Host` header.
        host: String,
        /// Status codes that count as healthy.
        expect: std::ops::RangeInclusive<u16>,
        /// Text that the beginning of the body has to contain.
        body: Option<String>,
        /// Over TLS.
        tls: Option<CheckTls>,
    },
    /// An ICMP or ICMPv6 echo.
    Icmp,
    /// A datagram to `port`, and its answer. A UDP port that is closed says so; one that is silent is down.
    Udp {
        /// Port on the backend's own address.
        port: u16,
        /// What is sent.
        request: Vec<u8>,
        /// What the answer has to contain; any answer will do where this is empty.
        expect: Vec<u8>,
    },
}

/// How a check speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckTls {
    /// Name sent (SNI) and looked for in the certificate.
    pub server_name: String,
    /// Whether the certificate is looked at.
    pub verify: bool,
    /// Certificates that are trusted, PEM, as read from `ca`; the system's where this is `None`.
    pub ca: Option<std::sync::Arc<[u8]>>,
}

/// `[[vip.backend]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backend {
    /// Unique in the VIP.
    pub name: String,
    /// The server's own address, unique in the VIP.
    pub address: IpAddr,
    /// Share of new connections relative to the other backends. 0 takes none and lets old ones finish.
    pub weight: Weight,
    /// Takes no new connections, old ones finish.
    pub drain: bool,
}

/// A configured weight: 0 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(u16);

impl From<u16> for Weight {
    /// Any 16 bits are a weight.
    fn from(weight: u16) -> Self {
        Self(weight)
    }
}

impl Weight {
    /// What a backend has unless told otherwise.
    pub const DEFAULT: Self = Self(100);

    /// `None` above 65535.
    pub fn new(weight: u32) -> Option<Self> {
        u16::try_from(weight).ok().map(Self)
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// The backend's side, `xdp-lb decap`. Made by [`DecapConfig::from_toml`] and [`DecapConfig::load`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecapConfig {
    /// Interfaces the XDP program is attached to; at least one, each named once.
    pub interfaces: Vec<String>,
    /// How it is attached.
    pub xdp_mode: XdpMode,
    /// A folder in a BPF file system, where the program outlives the command.
    pub pin_dir: PathBuf,
    /// This backend's own addresses, at which tunnels end: 1 to 16, each named once.
    pub addresses: Vec<IpAddr>,
    /// Outer source addresses that are accepted: 1 to 16 prefixes, each named once, at least one of the family of
    /// each address.
    pub sources: Vec<IpNet>,
    pub(super) valid: Valid,
}
