//! What happens: steps of the operator, the servers, the clients and the machine, as values and as words.

use std::fmt;

use proptest::prelude::*;

use crate::plan::{LONG_DRAIN, SERVERS, SHORT_DRAIN, VIPS};

/// A whole history: the machine, then what happens on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct History {
    /// Decides what is not said: which client sends when, and what the checks' jitter is.
    pub(crate) seed: u64,
    /// Room for recorded flows.
    pub(crate) flow_entries: u32,
    /// Seconds a recorded flow may be silent.
    pub(crate) idle: u64,
    /// Flows recorded a second.
    pub(crate) insert_limit: u32,
    /// Parts of one sweep.
    pub(crate) sweep_parts: u32,
    /// Room for backends.
    pub(crate) max_backends: u32,
    pub(crate) steps: Vec<Step>,
}

/// One step. VIPs are numbered from 0, servers from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The operator changes the file and has it read.
    Reload(Vec<Edit>),
    /// A server begins or ceases to answer its checks.
    Healthy(u8, bool),
    /// A server reports from now on that so many percent of it are in use; nothing any more above 100.
    Load(u8, u8),
    /// New connections, from ports that are new.
    Open(usize, u8),
    /// New connections, from ports of closed ones.
    Reopen(u8),
    /// So many percent of the connections end.
    Close(Ending, u8),
    /// SYNs of clients that never say more.
    Flood(usize, u8),
    /// Packets of connections that nobody knows.
    Stray(usize, u8),
    /// Seconds pass.
    Wait(u8),
    /// Seconds pass while the agent hangs; it then goes on.
    Stall(u8),
    /// The agent dies after so many more commands and is started again so many seconds later; dies again after so
    /// many commands of its start, unless 0.
    Kill { after: u8, dead: u8, again: u8 },
}

/// A change of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    Weight(usize, u8, u16),
    Drain(usize, u8, bool),
    Server(usize, u8, bool),
    Vip(usize, bool),
    DrainTime(usize, u64),
    Checks(usize, bool),
    /// New connections choose between two, or follow the table.
    P2c(usize, bool),
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// FIN, and nothing after it.
    Fin,
    /// RST.
    Rst,
    /// FIN, and the client goes on acknowledging what the server sends.
    Half,
}

/// Histories of up to `length` steps.
pub(crate) fn histories(length: usize) -> impl Strategy<Value = History> {
    let machine = (
        any::<u64>(),
        prop::sample::select(vec![8, 16, 32, 64]),
        prop::sample::select(vec![10, 10, 100]),
        prop::sample::select(vec![0, 1, 5, 1000, 1000, 1000]),
        prop::sample::select(vec![1, 3]),
        prop::sample::select(vec![20, 20, 10]),
    );
    (machine, prop::collection::vec(steps(), 1..length)).prop_map(
        |((seed, flow_entries, idle, insert_limit, sweep_parts, max_backends), steps)| History {
            seed,
            flow_entries,
            idle,
            insert_limit,
            sweep_parts,
            max_backends,
            steps: steps.concat(),
        },
    )
}

/// One step, or some that take long to come together by chance.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let second = || 0u8..4;
    // A server leaves, is back while connections begin, and leaves again before slots have settled.
    let flap = (0..VIPS.len(), 1..=SERVERS, 1u8..20, (second(), second(), second())).prop_map(
        |(vip, server, count, (first, back, last))| {
            let drain = |on| Step::Reload(vec![Edit::Drain(vip, server, on)]);
            let steps =
                [drain(true), Step::Wait(first), drain(false), Step::Open(vip, count), Step::Wait(back)];
            [&steps[..], &[drain(true), Step::Wait(last)]].concat()
        },
    );
    prop_oneof![30 => step().prop_map(|step| vec![step]), 1 => flap]
}

fn step() -> impl Strategy<Value = Step> {
    let vip = || 0..VIPS.len();
    prop_oneof![
        9 => prop::collection::vec(edit(), 1..4).prop_map(Step::Reload),
        2 => (1..=SERVERS, prop::bool::weighted(0.6)).prop_map(|(s, on)| Step::Healthy(s, on)),
        3 => (1..=SERVERS, 0u8..110).prop_map(|(s, percent)| Step::Load(s, percent)),
        5 => (vip(), 1u8..12).prop_map(|(v, n)| Step::Open(v, n)),
        2 => (1u8..12).prop_map(Step::Reopen),
        3 => (prop::sample::select(vec![Ending::Fin, Ending::Rst, Ending::Half]), 10u8..60)
            .prop_map(|(how, percent)| Step::Close(how, percent)),
        1 => (vip(), 1u8..60).prop_map(|(v, n)| Step::Flood(v, n)),
        1 => (vip(), 1u8..20).prop_map(|(v, n)| Step::Stray(v, n)),
        8 => (1u8..9).prop_map(Step::Wait),
        1 => (1u8..40).prop_map(Step::Stall),
        1 => (0u8..10, prop::sample::select(vec![0, 0, 3, 40]), prop::sample::select(vec![0, 0, 1, 2, 5]))
            .prop_map(|(after, dead, again)| Step::Kill { after, dead, again }),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    let vip = || 0..VIPS.len();
    let server = || 1..=SERVERS;
    prop_oneof![
        4 => (vip(), server(), prop::sample::select(vec![0, 1, 50, 100, 300]))
            .prop_map(|(v, s, w)| Edit::Weight(v, s, w)),
        3 => (vip(), server(), any::<bool>()).prop_map(|(v, s, on)| Edit::Drain(v, s, on)),
        6 => (vip(), server(), any::<bool>()).prop_map(|(v, s, on)| Edit::Server(v, s, on)),
        1 => (vip(), prop::bool::weighted(0.7)).prop_map(|(v, on)| Edit::Vip(v, on)),
        1 => (vip(), prop::sample::select(vec![SHORT_DRAIN, LONG_DRAIN]))
            .prop_map(|(v, seconds)| Edit::DrainTime(v, seconds)),
        1 => (vip(), prop::bool::weighted(0.7)).prop_map(|(v, on)| Edit::Checks(v, on)),
        3 => (vip(), prop::bool::weighted(0.7)).prop_map(|(v, on)| Edit::P2c(v, on)),
    ]
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        writeln!(f, "flow-entries {}", self.flow_entries)?;
        writeln!(f, "idle {}", self.idle)?;
        writeln!(f, "insert-limit {}", self.insert_limit)?;
        writeln!(f, "sweep-parts {}", self.sweep_parts)?;
        writeln!(f, "max-backends {}", self.max_backends)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reload(edits) => {
                let words: Vec<String> = edits.iter().map(Edit::to_string).collect();
                write!(f, "reload {}", words.join(", "))
            }
            Self::Healthy(server, on) => write!(f, "healthy {server} {}", on_off(*on)),
            Self::Load(server, percent) => write!(f, "load {server} {percent}"),
            Self::Open(vip, count) => write!(f, "open {} {count}", name(*vip)),
            Self::Reopen(count) => write!(f, "reopen {count}"),
            Self::Close(how, percent) => write!(f, "close {} {percent}", how.word()),
            Self::Flood(vip, count) => write!(f, "flood {} {count}", name(*vip)),
            Self::Stray(vip, count) => write!(f, "stray {} {count}", name(*vip)),
            Self::Wait(seconds) => write!(f, "wait {seconds}"),
            Self::Stall(seconds) => write!(f, "stall {seconds}"),
            Self::Kill { after, dead, again } => write!(f, "kill {after} dead {dead} again {again}"),
        }
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weight(vip, server, weight) => write!(f, "weight {} {server} {weight}", name(*vip)),
            Self::Drain(vip, server, on) => write!(f, "drain {} {server} {}", name(*vip), on_off(*on)),
            Self::Server(vip, server, on) => write!(f, "server {} {server} {}", name(*vip), on_off(*on)),
            Self::Vip(vip, on) => write!(f, "vip {} {}", name(*vip), on_off(*on)),
            Self::DrainTime(vip, seconds) => write!(f, "drain-time {} {seconds}", name(*vip)),
            Self::Checks(vip, on) => write!(f, "checks {} {}", name(*vip), on_off(*on)),
            Self::P2c(vip, on) => write!(f, "p2c {} {}", name(*vip), on_off(*on)),
        }
    }
}

impl Ending {
    pub(crate) const ALL: [Self; 3] = [Self::Fin, Self::Rst, Self::Half];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Fin => "fin",
            Self::Rst => "rst",
            Self::Half => "half",
        }
    }
}

fn name(vip: usize) -> &'static str {
    VIPS[vip].name
}

const fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
