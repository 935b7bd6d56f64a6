//! What makes weights live: where reports come from, how servers warm up, how weights are moved.

use std::time::Duration;

/// How a new connection's backend is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduler {
    /// By its slot in the table.
    Maglev,
    /// By the better of its slots under two hashes.
    P2c {
        /// How much higher the first's load must be for the second to be taken: 0.25 means by a quarter.
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
    /// How long what is known of a capacity takes to be forgotten from then on.
    pub fade: Duration,
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

impl Utilization {
    /// What a VIP has unless told otherwise: nobody reports.
    pub const DEFAULT: Self = Self {
        kind: UtilizationKind::None,
        interval: Duration::from_secs(1),
        timeout: Duration::from_millis(500),
        stale_after: Duration::from_secs(10),
        fade: Duration::from_secs(180),
        smoothing: Duration::from_secs(5),
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
    /// What a VIP has unless told otherwise. How often and how much is published was found by `cargo xtask simulate`:
    /// with 2 % of the slots every 5 s and 10 % a minute, half of a fleet that becomes 2.5 times slower costs 3.8 % of
    /// the requests in two minutes, with these figures 0.2 %; and it takes 5 s of smoothing rather than 30 for a fleet of
    /// equal servers to move no slots at all. A tracked slot costs a packet half as much again, no more.
    pub const DEFAULT: Self = Self {
        failure_window: Duration::from_secs(10),
        failure_fade: Duration::from_secs(30),
        failure_floor: Ratio::thousandths(50),
        publish_interval: Duration::from_secs(1),
        publish_limit: Ratio::thousandths(100),
        minute_limit: Ratio::thousandths(1000),
        steps_per_doubling: 6,
        hysteresis: Ratio::thousandths(750),
        derated_most: Ratio::thousandths(333),
        panic_below: Ratio::thousandths(500),
        quiet: Duration::from_secs(10),
    };
}
