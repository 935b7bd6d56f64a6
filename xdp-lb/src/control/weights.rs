//! What a backend is worth: its configured weight times one factor for each thing that is known of it.
//!
//! ```text
//! weight = configured × H × U × P × A
//! H  health: how many of its checks, and of its connections, failed lately
//! U  utilization: its capacity beside the others', and a brake when it is nearly full
//! P  probation: the smallest share until its first success
//! A  age: a young server warms up
//! ```
//!
//! Numbers in, numbers out, `now` as an argument. What is published, and when, is decided by `publish`; that a measure
//! which speaks against too many is not believed, by `failopen`. Nothing here changes a table.

pub(super) mod age;
pub(super) mod failopen;
pub(super) mod grid;
pub(super) mod health;
pub(super) mod passive;
pub(super) mod probation;
pub(super) mod publish;
#[cfg(test)]
mod tests;
pub(super) mod utilization;

use std::time::Instant;

use self::age::Age;
use self::failopen::Verdict;
use self::grid::{LEAST, MOST, Multiplier};
use self::health::Outcomes;
use self::probation::Probation;
use self::utilization::Capacity;
use crate::config::{Utilization, Warmup, Weights};

/// All that is known of a backend and moves its weight.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    pub(super) outcomes: Outcomes,
    pub(super) capacity: Capacity,
    pub(super) probation: Probation,
    pub(super) age: Age,
    /// What its configured weight is multiplied by in the table; `None` while it has no part in it.
    pub(super) published: Option<Multiplier>,
    /// Ticks in a row for which that has been off.
    pub(super) off_for: u8,
}

impl Evidence {
    /// Of a backend that is seen for the first time; `founding` ones are there from the VIP's beginning.
    pub(super) fn new(founding: bool, now: Instant) -> Self {
        Self {
            outcomes: Outcomes::default(),
            capacity: Capacity::default(),
            probation: if founding { Probation::PROVEN } else { Probation::BEGUN },
            age: Age::new(founding, now),
            published: None,
            off_for: 0,
        }
    }
}

/// Whether a backend has a part in its VIP's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// It takes new connections.
    Takes,
    /// It would, were it not hard down.
    Down,
    /// It is to take none: it drains, is removed, is not known yet, or cannot be reached.
    None,
}

/// A backend among the others of its VIP.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'a> {
    /// As configured.
    pub(super) configured: f64,
    pub(super) part: Part,
    pub(super) evidence: &'a Evidence,
}

/// How a VIP's weights are moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) utilization: &'a Utilization,
    pub(super) warmup: &'a Warmup,
    pub(super) weights: &'a Weights,
}

/// The factors of one backend, and why they are what they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Factors {
    pub(super) health: f64,
    pub(super) health_why: health::Why,
    pub(super) utilization: f64,
    pub(super) utilization_why: utilization::Why,
    pub(super) probation: f64,
    pub(super) age: f64,
    pub(super) age_why: age::Why,
}

impl Factors {
    /// Their product: no less than the smallest share, and no more than four times the configured weight, whatever a
    /// server says of itself.
    pub(super) fn product(&self) -> f64 {
        let product = self.health * self.utilization * self.probation * self.age;
        if product.is_nan() { 1.0 } else { product.clamp(LEAST, MOST) }
    }
}

/// What the members of one VIP are worth now, in their order.
pub(super) fn assess(members: &[Member<'_>], rules: Rules<'_>, now: Instant) -> Vec<Factors> {
    let taking = || members.iter().filter(|member| member.part == Part::Takes);
    let fleet = utilization::Fleet::of(taking().map(|m| (&m.evidence.capacity, m.configured)), rules, now);
    let eldest = age::eldest(taking().map(|m| &m.evidence.age), rules.warmup, now);
    let mut factors: Vec<Factors> = members
        .iter()
        .map(|member| {
            let Evidence { outcomes, capacity, probation, age, .. } = member.evidence;
            let (health, health_why) = match member.part {
                Part::Down => (0.0, health::Why::Down),
                _ => outcomes.factor(rules.weights, now),
            };
            let (utilization, utilization_why) =
                capacity.factor(member.configured, &fleet, rules.utilization, now);
            let (age, age_why) = age.factor(eldest, rules.warmup, now);
            Factors {
                health,
                health_why,
                utilization,
                utilization_why,
                probation: probation.factor(),
                age,
                age_why,
            }
        })
        .collect();
    let parts: Vec<(Part, f64)> =
        members.iter().zip(&factors).map(|(member, factors)| (member.part, factors.health)).collect();
    for (factors, verdict) in factors.iter_mut().zip(failopen::judge(&parts, rules.weights)) {
        match verdict {
            Verdict::AsMeasured => {}
            _ if factors.health_why == health::Why::Down => {}
            Verdict::Released => {
                (factors.health, factors.health_why) = (1.0, health::Why::Released);
            }
            Verdict::Panic => {
                (factors.health, factors.health_why) = (1.0, health::Why::Panic);
                (factors.utilization, factors.utilization_why) = (1.0, utilization::Why::Panic);
            }
        }
    }
    factors
}
