//! What control knows of the backends and the kernel does not, so that the next agent goes on where this one ended:
//! what was published, how old servers are, what they said. Times are ages, in seconds.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use xdp_lb_common::ids::VipId;

use super::backends::Backend;
use super::reports::Words;
use super::vip::{Key, key_of};
use super::weights::age::Age;
use super::weights::grid::Multiplier;
use super::weights::health::{Outcomes, Sample, Source};
use super::weights::probation::Probation;
use super::weights::utilization::{Capacity, Mean};
use super::weights::{Evidence, Part};
use super::{AdminState, Control};
use crate::config::{Percent, Protocol, UtilizationKind};

/// What is to outlive the agent besides the maps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remembered {
    vips: Vec<VipMemory>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct VipMemory {
    address: IpAddr,
    port: u16,
    protocol: String,
    /// Age and slots of what was published within the last minute.
    #[serde(default)]
    moved: Vec<(f64, u32)>,
    backends: Vec<BackendMemory>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct BackendMemory {
    address: Option<IpAddr>,
    /// What the configured weight is multiplied by in the table, in millionths.
    #[serde(default)]
    published: Option<u32>,
    #[serde(default)]
    proven: bool,
    /// How long ago it was first seen, or returned.
    #[serde(default)]
    seen: f64,
    #[serde(default)]
    founding: bool,
    /// Age as it reported it, and how long ago.
    #[serde(default)]
    reported_age: Option<(f64, f64)>,
    /// Value, time measured, age.
    #[serde(default)]
    capacity: Option<(f64, f64, f64)>,
    #[serde(default)]
    load: Option<(f64, f64, f64)>,
    #[serde(default)]
    counts_connections: bool,
    /// How it was asked. What it said holds only while it is asked so: otherwise it could not take it back.
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    asked: Option<f64>,
    /// How long ago its last report came.
    #[serde(default)]
    reported: Option<f64>,
    #[serde(default)]
    utilization: Option<f64>,
    /// Age, whether seen by traffic, failures, count.
    #[serde(default)]
    outcomes: Vec<(f64, Source, f64, f64)>,
    /// How long ago it went down, each time.
    #[serde(default)]
    downs: Vec<f64>,
    #[serde(default)]
    hold: f64,
    #[serde(default)]
    admin: Option<String>,
    #[serde(default)]
    failure: Option<String>,
    #[serde(default)]
    asks_for_none: bool,
}

/// What is remembered, by VIP and backend.
#[derive(Debug, Default)]
pub(super) struct Memory {
    vips: BTreeMap<Key, Known>,
}

/// What is remembered of one VIP.
#[derive(Debug)]
struct Known {
    /// Age and slots of what was published within the last minute.
    moved: Vec<(f64, u32)>,
    backends: BTreeMap<IpAddr, BackendMemory>,
}

impl Remembered {
    /// The same, so much later.
    #[must_use]
    pub fn aged(mut self, by: Duration) -> Self {
        let by = by.as_secs_f64();
        for vip in &mut self.vips {
            vip.moved.iter_mut().for_each(|(age, _)| *age += by);
            for backend in &mut vip.backends {
                backend.seen += by;
                let last =
                    [&mut backend.capacity, &mut backend.load].into_iter().flatten().map(|(.., age)| age);
                let ages = last.chain(backend.reported_age.as_mut().map(|(_, ago)| ago));
                ages.chain(backend.reported.as_mut()).for_each(|age| *age += by);
                backend.outcomes.iter_mut().for_each(|(age, ..)| *age += by);
                backend.downs.iter_mut().for_each(|age| *age += by);
            }
        }
        self
    }
}

impl Control {
    /// What the next agent should know.
    pub fn remember(&self, now: Instant) -> Remembered {
        let vips = self.vips.values().map(|vip| {
            let (address, port, protocol) = key_of(&vip.config);
            let members = vip.members.values().filter_map(|id| self.backends.get(*id));
            VipMemory {
                address,
                port,
                protocol: protocol.name().into(),
                moved: vip.publisher.moved().map(|(at, slots)| (ago(at, now), slots)).collect(),
                backends: members.map(|backend| BackendMemory::of(backend, now)).collect(),
            }
        });
        Remembered { vips: vips.collect() }
    }

    /// What is known of a backend that becomes known to control.
    pub(super) fn evidence_of(&self, vip: VipId, address: IpAddr, now: Instant) -> Evidence {
        let Some(vip) = self.vips.get(&vip) else { return Evidence::new(true, now) };
        match self.memory.vips.get(&key_of(&vip.config)) {
            Some(Known { backends, .. }) => match backends.get(&address) {
                Some(memory) => memory.evidence(&vip.config.utilization.kind, now),
                None => Evidence::new(backends.is_empty(), now),
            },
            // From the beginning: at the agent's first start, or when the VIP is new.
            None => Evidence::new(!self.started || !vip.was_filled(), now),
        }
    }

    /// Gives a backend that becomes known what it said and did when an earlier agent knew it.
    pub(super) fn recall(&self, backend: &mut Backend, now: Instant) {
        let Some(vip) = self.vips.get(&backend.vip) else { return };
        let Some(known) = self.memory.vips.get(&key_of(&vip.config)) else { return };
        if let Some(memory) = known.backends.get(&backend.address) {
            memory.give(backend, &vip.config.utilization.kind, now);
        }
    }

    /// The table of an earlier agent stays as it is: what it was made with is what is published. Where that is not
    /// remembered, shares of the slots tell it.
    pub(super) fn adopt_weights(&mut self, id: VipId, now: Instant) {
        let Some(vip) = self.vips.get_mut(&id) else { return };
        vip.publisher.quiet_until(now.checked_add(vip.config.weights.quiet));
        let steps = vip.config.weights.steps_per_doubling;
        let memory = self.memory.vips.get(&key_of(&vip.config));
        for (age, slots) in memory.into_iter().flat_map(|known| &known.moved) {
            vip.publisher.remember(before(*age, now), *slots);
        }
        let remembered =
            |address: &IpAddr| memory?.backends.get(address)?.published.map(Multiplier::from_millionths);
        let mut slots = Vec::new();
        for member in vip.members.values() {
            let Some(backend) = self.backends.get(*member).filter(|b| b.part() == Part::Takes) else {
                continue;
            };
            let held = f64::from(vip.table.held(*member).current);
            if held > 0.0 {
                slots.push((*member, held, f64::from(backend.weight.get())));
            }
        }
        let mut ratios: Vec<f64> = slots.iter().map(|(_, held, weight)| held / weight).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let Some(&usual) = ratios.get(ratios.len() / 2) else { return };
        for (member, held, weight) in slots {
            let Some(backend) = self.backends.get_mut(member) else { continue };
            // Shares are whole slots: one more or less is none.
            let by_share = if (held - usual * weight).abs() <= 1.0 {
                Multiplier::ONE
            } else {
                Multiplier::on_grid(held / weight / usual, steps)
            };
            backend.evidence.published = Some(remembered(&backend.address).unwrap_or(by_share));
        }
    }
}

impl Memory {
    pub(super) fn new(remembered: Option<Remembered>) -> Self {
        let vips = remembered.map(|remembered| remembered.vips).unwrap_or_default();
        let known = vips.into_iter().filter_map(|vip| {
            let protocol = [Protocol::Tcp, Protocol::Udp].into_iter().find(|p| p.name() == vip.protocol)?;
            let backends = vip.backends.into_iter().filter_map(|backend| Some((backend.address?, backend)));
            let known = Known { moved: vip.moved, backends: backends.collect() };
            Some(((vip.address, vip.port, protocol), known))
        });
        Self { vips: known.collect() }
    }
}

impl BackendMemory {
    fn of(backend: &Backend, now: Instant) -> Self {
        let Evidence { outcomes, capacity, probation, age, published, .. } = &backend.evidence;
        let (seen, founding, reported_age) = age.parts();
        let mean = |mean: Mean| (mean.value, mean.span.as_secs_f64(), ago(mean.at, now));
        let (downs, hold) = backend.damping.memory();
        let Words { admin, failure, asks_for_none } = &backend.reports.words;
        let sample = |s: &Sample| (ago(s.at, now), s.source, s.failures, s.count);
        Self {
            address: Some(backend.address),
            published: published.map(Multiplier::millionths),
            proven: probation.is_proven(),
            seen: ago(seen, now),
            founding,
            reported_age: reported_age.map(|(age, at)| (age.as_secs_f64(), ago(at, now))),
            capacity: capacity.mean.map(mean),
            counts_connections: capacity.counts_connections,
            source: backend.reports.asked.as_ref().and_then(|spec| source_of(&spec.kind)).map(Into::into),
            load: capacity.load.map(mean),
            asked: capacity.asked,
            reported: capacity.reported.map(|at| ago(at, now)),
            utilization: backend.reports.utilization(),
            outcomes: outcomes.samples().map(sample).collect(),
            downs: downs.map(|at| ago(at, now)).collect(),
            hold: hold.as_secs_f64(),
            admin: admin.map(|admin| admin_name(admin).into()),
            failure: failure.clone(),
            asks_for_none: *asks_for_none,
        }
    }

    fn evidence(&self, asked: &UtilizationKind, now: Instant) -> Evidence {
        let mean = |(value, span, age): (f64, f64, f64)| {
            (value.is_finite() && value >= 0.0).then(|| Mean {
                value,
                span: seconds(span),
                at: before(age, now),
            })
        };
        let mut outcomes = Outcomes::default();
        for &(age, source, failures, count) in &self.outcomes {
            if (0.0..=count).contains(&failures) && count.is_finite() {
                outcomes.add(Sample { at: before(age, now), source, failures, count }, Duration::MAX);
            }
        }
        let reported = self.reported_age.map(|(age, ago)| (seconds(age), before(ago, now)));
        let capacity = Capacity {
            mean: self.capacity.and_then(mean),
            counts_connections: self.counts_connections,
            load: self.load.and_then(mean),
            asked: self.asked.filter(|asked| (0.0..=super::weights::grid::MOST).contains(asked)),
            reported: self.reported.map(|age| before(age, now)),
        };
        Evidence {
            outcomes,
            capacity: if self.is_asked_so(asked) { capacity } else { Capacity::default() },
            probation: if self.proven { Probation::PROVEN } else { Probation::BEGUN },
            age: Age::restored(before(self.seen, now), self.founding, reported),
            published: None,
            off_for: 0,
        }
    }

    /// Whether its server is asked as it was.
    fn is_asked_so(&self, asked: &UtilizationKind) -> bool {
        self.source.as_deref() == source_of(asked)
    }

    fn give(&self, backend: &mut Backend, asked: &UtilizationKind, now: Instant) {
        backend.damping.remember(self.downs.iter().map(|age| before(*age, now)), seconds(self.hold));
        if self.is_asked_so(asked) {
            self.give_words(backend, now);
        }
        // It counts as up only if both its checks and its words say so.
        if backend.damping.is_up() && !backend.passes() {
            backend.damping.begin_down();
        }
    }

    fn give_words(&self, backend: &mut Backend, now: Instant) {
        let admins = [AdminState::Ready, AdminState::Drain, AdminState::Maint];
        let admin = admins.into_iter().find(|admin| self.admin.as_deref() == Some(admin_name(*admin)));
        let words = Words { admin, failure: self.failure.clone(), asks_for_none: self.asks_for_none };
        let last = self.reported.map(|age| before(age, now));
        backend.reports.remember(words, last, self.utilization);
    }
}

/// What names a way of asking whose answers mean the same; `None`: nobody is asked.
fn source_of(kind: &UtilizationKind) -> Option<&'static str> {
    match kind {
        UtilizationKind::None => None,
        UtilizationKind::AgentCheck { percent: Percent::Idle, .. } => Some("agent-check, idle"),
        kind => Some(kind.name()),
    }
}

fn admin_name(admin: AdminState) -> &'static str {
    match admin {
        AdminState::Ready => "ready",
        AdminState::Drain => "drain",
        AdminState::Maint => "maint",
    }
}

/// Seconds since `at`.
fn ago(at: Instant, now: Instant) -> f64 {
    now.saturating_duration_since(at).as_secs_f64()
}

/// The longest time that is remembered: ten years.
const LONGEST: f64 = 3e8;

/// So many seconds, of a number from a file.
fn seconds(number: f64) -> Duration {
    let number = if number.is_nan() { 0.0 } else { number.clamp(0.0, LONGEST) };
    Duration::try_from_secs_f64(number).unwrap_or_default()
}

/// So many seconds before `now`.
fn before(age: f64, now: Instant) -> Instant {
    now.checked_sub(seconds(age)).unwrap_or(now)
}
