//! The policies compared: what they are told, what they may ask, and the list of them.

mod l4;
mod least_connections;
mod maglev;
mod members;
mod outlier;
mod p2c;
mod peak_ewma;
mod prequal;
mod random;
mod round_robin;
mod weighted_round_robin;
mod xdp_lb;

use anyhow::Result;

use super::measure::Ended;
use super::rng::Rng;
use super::time::Time;

/// A balancer's way to choose a server for each request. There is one instance per balancer, and it sees that
/// balancer's requests only.
pub trait Policy {
    /// The server that the request goes to; `None` refuses it. Whoever is chosen is sent the request.
    fn pick(&mut self, request: &Request, now: Time, rng: &mut Rng, io: &mut Io) -> Option<usize>;

    /// A request that went to `server` has ended.
    fn done(&mut self, _server: usize, _reply: &Reply, _now: Time) {}

    /// A server has been added.
    fn joined(&mut self, server: usize, now: Time);

    /// Called every tenth of a second.
    fn tick(&mut self, _now: Time, _io: &mut Io) {}

    /// What was asked by [`Io`] is answered.
    fn answered(&mut self, _server: usize, _answer: Answer, _now: Time) {}

    /// The balancer restarts and keeps what outlives that. `false`: nothing does, and it is made anew.
    fn restart(&mut self, _now: Time) -> bool {
        false
    }

    /// Share of the table's slots that took new connections elsewhere up to now, counted anew after each call.
    fn take_moved(&mut self) -> Option<f64> {
        None
    }
}

/// A policy of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Short.
    pub name: &'static str,
    /// Where its definition is published.
    pub source: &'static str,
    /// xdp-lb's own.
    pub own: bool,
    /// Makes an instance for a balancer.
    pub make: fn(&Start) -> Result<Box<dyn Policy>>,
    /// Whether servers have to remember latencies for its probes.
    pub(super) probes: bool,
}

impl Row {
    const fn peer(
        name: &'static str,
        source: &'static str,
        make: fn(&Start) -> Result<Box<dyn Policy>>,
    ) -> Self {
        Self { name, source, own: false, make, probes: false }
    }

    const fn own(
        name: &'static str,
        source: &'static str,
        make: fn(&Start) -> Result<Box<dyn Policy>>,
    ) -> Self {
        Self { own: true, ..Self::peer(name, source, make) }
    }

    /// The policy of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        ROWS.iter().find(|row| row.name == name)
    }
}

/// Every policy, in the order of the table.
pub const ROWS: [Row; 12] = [
    Row::peer("round-robin", "each server in turn", round_robin::make),
    Row::peer("random", "a server by chance", random::make),
    Row::peer("least-conn", "fewest own requests in flight, as nginx's least_conn", least_connections::make),
    Row::peer("p2c", "Envoy's LEAST_REQUEST, choice_count 2", p2c::make),
    Row::peer("p2c-eject", "the same with Envoy's outlier detection at its defaults", p2c::make_ejecting),
    Row::peer("peak-ewma", "Finagle's and linkerd's peak EWMA, decay 10 s", peak_ewma::make),
    Row::peer("grpc-wrr", "gRPC A58, weighted round robin by reports", weighted_round_robin::make),
    Row { probes: true, ..Row::peer("prequal", "Prequal's hot-cold rule, NSDI'24", prequal::make) },
    Row::peer("maglev", "Maglev's static table, NSDI'16", maglev::make),
    Row::own("xdp-lb", "the shipped choice per request, as the gateway runs it", xdp_lb::make),
    Row::own("xdp-lb-l4", "the shipped control over its table, a connection per request", l4::make),
    Row::own("xdp-lb-l4-p2c", "the same with scheduler = \"p2c\"", l4::make_p2c),
];

/// What a policy starts with.
#[derive(Clone, Debug)]
pub struct Start {
    /// Now.
    pub now: Time,
    /// Servers there are, those that join later too.
    pub servers: usize,
    /// A number for whatever this instance draws by itself.
    pub seed: u64,
}

/// A request that has come.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Of its addresses and ports: a new one with each request.
    pub hash: u64,
}

/// How a request has ended.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    /// From being sent to this.
    pub latency: Time,
    /// How.
    pub ended: Ended,
    /// What the server says of itself with each of its answers, while it reports at all.
    pub report: Option<Report>,
}

/// What a server says of itself, as an average over about a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    /// Share of its workers that are busy.
    pub utilization: f64,
    /// Requests ended a second.
    pub rate: f64,
    /// Requests failed a second.
    pub errors: f64,
    /// Requests that it holds, running or waiting; at the moment.
    pub in_flight: u32,
    /// Seconds since its process started.
    pub age: f64,
}

/// What a policy asks servers apart from requests. Answers take the network's time there and back.
#[derive(Debug, Default)]
pub struct Io {
    pub(super) asked: Vec<(usize, Question)>,
}

/// What a server may be asked. Asking costs it nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Prequal's probe.
    Probe,
    /// A report out of band.
    Report,
    /// A health check.
    Check,
}

/// What a server answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    /// Its load at that moment.
    Probe {
        /// Requests that it holds.
        in_flight: u32,
        /// What a request is expected to take there.
        latency: Time,
    },
    /// `None` if it does not answer.
    Report(Option<Report>),
    /// Whether it is well.
    Check(bool),
}

impl Io {
    /// Asks `server`; the answer comes by [`Policy::answered`].
    pub fn ask(&mut self, server: usize, question: Question) {
        self.asked.push((server, question));
    }
}
