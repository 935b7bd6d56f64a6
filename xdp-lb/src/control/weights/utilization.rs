//! U: what a server's reports say of its capacity, beside the others', and a brake when it is nearly full.
//!
//! `c = rate / (utilization + errors / rate)` is the rate that a server would take when full (the weight of gRPC's
//! proposal A58), averaged over `smoothing`. It does not depend on the server's share, so it says what the share should
//! be: weights in proportion to `c` bring all to the same utilization.
//!
//! The configured weight is part of the product already. Were `c` taken as it is, a server twice as big, and configured
//! so, would get four times the share. So what is compared is `c / configured`: by how much a server is bigger than its
//! configured weight says. With `U = (c / configured) / median`, the weight `configured × U` is in proportion to `c`
//! whatever is configured, and a fleet whose configured weights are right has `U = 1` throughout.
//!
//! A server whose reports cease to come is braked no more, for nobody knows how full it is, and neither is anybody where
//! most have ceased. What is known of its capacity is forgotten slowly, over `fade`: it says more than nothing, and all
//! at base would bring a fleet of unequal servers down (simulated: 3.7 % of all requests failed, where half of the
//! servers were 2.5 times slower; with `fade` of three minutes, as gRPC's A58 keeps weights, hardly any).

use std::time::{Duration, Instant};

use super::Rules;
use super::grid::MOST;
use crate::config::Utilization;
use crate::control::Report;
use crate::control::curves::{brake, median};

/// Time constant of the utilization that the brake looks at: a single report does not decide.
const BRAKE_SMOOTHING: Duration = Duration::from_secs(3);

/// Below so much in use a server says nothing of its capacity: what runs on it anyway counts for more.
const LEAST_UTILIZATION: f64 = 0.02;

/// Nor below so many requests a second.
const LEAST_RATE: f64 = 1.0;

/// A capacity counts in full once it has been measured for this part of `smoothing`; before, by as much of it as has
/// passed. A first sample may be far off.
const TRUSTED_AFTER: f64 = 1.0 / 3.0;

/// What the reports of one backend have come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::control) struct Capacity {
    /// Mean of `c`.
    pub(in crate::control) mean: Option<Mean>,
    /// Whether that is of connections, which the data path counts, and not of requests, which the server does.
    pub(in crate::control) counts_connections: bool,
    /// Utilization, averaged briefly.
    pub(in crate::control) load: Option<Mean>,
    /// Factor that it asks for.
    pub(in crate::control) asked: Option<f64>,
    /// When the last report came that counts.
    pub(in crate::control) reported: Option<Instant>,
}

/// A mean in which older values count less and less.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::control) struct Mean {
    pub(in crate::control) value: f64,
    /// For how long it has been measured.
    pub(in crate::control) span: Duration,
    pub(in crate::control) at: Instant,
}

impl Mean {
    fn add(mean: Option<Self>, value: f64, smoothing: Duration, now: Instant) -> Self {
        let Some(Self { value: before, span, at }) = mean else {
            return Self { value, span: Duration::ZERO, at: now };
        };
        let passed = now.saturating_duration_since(at);
        let part = 1.0 - (-passed.as_secs_f64() / smoothing.as_secs_f64().max(f64::EPSILON)).exp();
        Self { value: before + (value - before) * part, span: span.saturating_add(passed), at: now }
    }
}

/// Why the factor is what it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::control) enum Why {
    /// It has never reported.
    Silent,
    /// Too few are healthy.
    Panic,
    /// It asks for this factor.
    Asked { factor: f64, stale: Option<Duration> },
    /// Its capacity is so many times the median's, and it is so full.
    Measured { ratio: Option<f64>, load: Option<f64>, brake: f64, stale: Option<Duration> },
}

/// What the members of one VIP are compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::control) struct Fleet {
    /// Of capacities, each beside its configured weight.
    median: Option<f64>,
    /// What they are of: a server's requests are not compared with another's connections.
    counts_connections: bool,
    /// Whether servers are known to have room left that braked ones could leave their load to.
    has_room: bool,
}

impl Fleet {
    /// Those that take new connections, with their configured weights.
    pub(super) fn of<'a>(
        members: impl Iterator<Item = (&'a Capacity, f64)>,
        rules: Rules<'_>,
        now: Instant,
    ) -> Self {
        let spec = rules.utilization;
        let (mut reporters, mut stale) = (0usize, 0usize);
        let (mut requests, mut connections) = (Vec::new(), Vec::new());
        let (mut loads, mut loaded) = (0.0, 0usize);
        for (capacity, configured) in members {
            if capacity.reported.is_none() {
                continue;
            }
            reporters += 1;
            if capacity.left(spec, now) > 0.0 {
                let of = if capacity.counts_connections { &mut connections } else { &mut requests };
                of.extend(capacity.beside(configured));
            }
            if capacity.is_stale(spec, now) {
                stale += 1;
                continue;
            }
            if let Some(load) = capacity.load {
                loads += load.value;
                loaded += 1;
            }
        }
        let mean = if loaded > 0 { loads / loaded as f64 } else { 0.0 };
        let counts_connections = connections.len() > requests.len();
        Self {
            median: median(if counts_connections { &mut connections } else { &mut requests }),
            counts_connections,
            has_room: mean <= spec.brake_off.get() && 2 * stale <= reporters,
        }
    }
}

impl Capacity {
    /// A report that counts. `seen` is the rate of new connections that the data path sees, for servers that do not
    /// report one.
    pub(in crate::control) fn report(
        &mut self,
        report: &Report,
        seen: Option<f64>,
        spec: &Utilization,
        now: Instant,
    ) {
        self.reported = Some(now);
        if let Some(weight) = report.weight {
            self.asked = Some(weight.clamp(0.0, MOST));
        }
        let Some(utilization) = report.utilization else { return };
        self.load = Some(Mean::add(self.load, utilization, BRAKE_SMOOTHING, now));
        let counts_connections = report.rate.is_none();
        let Some(rate) = report.rate.or(seen).filter(|rate| *rate >= LEAST_RATE) else { return };
        if utilization < LEAST_UTILIZATION {
            return;
        }
        if self.counts_connections != counts_connections {
            // Who gives its rate and leaves it out now and then is judged by what it gives.
            let is_fresh = |mean: Mean| now.saturating_duration_since(mean.at) <= spec.stale_after;
            if counts_connections && self.mean.is_some_and(is_fresh) {
                return;
            }
            (self.counts_connections, self.mean) = (counts_connections, None);
        }
        let errors = report.errors.unwrap_or(0.0) / rate;
        let capacity = rate / (utilization + errors);
        if capacity.is_finite() && capacity > 0.0 {
            self.mean = Some(Mean::add(self.mean, capacity, spec.smoothing, now));
        }
    }

    /// How old the last report is, if that is too old.
    pub(in crate::control) fn stale(&self, spec: &Utilization, now: Instant) -> Option<Duration> {
        let age = now.saturating_duration_since(self.reported?);
        (age > spec.stale_after).then_some(age)
    }

    fn is_stale(&self, spec: &Utilization, now: Instant) -> bool {
        self.stale(spec, now).is_some()
    }

    /// How much its last report still counts, 0 to 1.
    fn left(&self, spec: &Utilization, now: Instant) -> f64 {
        let age = self.stale(spec, now).unwrap_or_default();
        let over = age.saturating_sub(spec.stale_after).as_secs_f64();
        (1.0 - over / spec.fade.as_secs_f64().max(f64::EPSILON)).max(0.0)
    }

    /// The capacity beside the configured weight.
    fn beside(&self, configured: f64) -> Option<f64> {
        Some(self.mean?.value / configured).filter(|beside| beside.is_finite() && *beside > 0.0)
    }

    /// The factor, and why.
    pub(super) fn factor(
        &self,
        configured: f64,
        fleet: &Fleet,
        spec: &Utilization,
        now: Instant,
    ) -> (f64, Why) {
        if self.reported.is_none() {
            return (1.0, Why::Silent);
        }
        let (stale, left) = (self.stale(spec, now), self.left(spec, now));
        let faded = |factor: f64| factor.max(f64::MIN_POSITIVE).powf(left);
        if let Some(factor) = self.asked {
            return (faded(factor), Why::Asked { factor, stale });
        }
        let own = self.beside(configured).filter(|_| self.counts_connections == fleet.counts_connections);
        let ratio = fleet.median.zip(own).map(|(median, own)| {
            let trusted = spec.smoothing.as_secs_f64() * TRUSTED_AFTER;
            let span = self.mean.map_or(0.0, |mean| mean.span.as_secs_f64());
            let trust = if trusted > 0.0 { (span / trusted).min(1.0) } else { 1.0 };
            (own / median).powf(trust).clamp(spec.least.get(), spec.most.get())
        });
        let load = self.load.map(|load| load.value);
        let brake = match load {
            Some(load) if fleet.has_room && stale.is_none() => {
                brake(load, spec.brake_from.get(), spec.brake_floor.get())
            }
            _ => 1.0,
        };
        (faded(ratio.unwrap_or(1.0) * brake), Why::Measured { ratio, load, brake, stale })
    }
}

impl Why {
    pub(in crate::control) fn words(&self) -> String {
        let with_age = |words: String, stale: Option<Duration>| match stale {
            Some(age) => format!("no report for {} s: fading", age.as_secs()),
            None => words,
        };
        match *self {
            Self::Silent => "no report yet".into(),
            Self::Panic => "not counted: too few backends are healthy".into(),
            Self::Asked { factor, stale } => {
                with_age(format!("asks for {:.0} % of its weight", factor * 100.0), stale)
            }
            Self::Measured { ratio, load, brake, stale } => {
                let mut words: Vec<String> = Vec::new();
                let braking = if brake < 1.0 { format!(": brake {brake:.2}") } else { String::new() };
                words.extend(load.map(|load| format!("utilization {load:.2}{braking}")));
                words.extend(ratio.map(|ratio| format!("capacity {ratio:.2} × what its weight says")));
                if words.is_empty() {
                    words.push("its reports say nothing of its load".into());
                }
                with_age(words.join(", "), stale)
            }
        }
    }
}
