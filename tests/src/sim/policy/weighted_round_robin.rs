//! gRPC's weighted round robin (gRFC A58) with reports on each answer: `weight = rate / (utilization + errors/rate ×
//! penalty)`, blackout 10 s, expiration 3 min, update every second, penalty 1; a server without a weight counts as the
//! mean of the others; fewer than two weights: round robin. Scheduled by gRPC's static stride scheduler
//! (grpc-go `balancer/weightedroundrobin/scheduler.go`).

use anyhow::Result;

use super::members::Members;
use super::{Io, Policy, Reply, Report, Request, Start};
use crate::sim::rng::Rng;
use crate::sim::time::{SECOND, Time};

const BLACKOUT: Time = 10 * SECOND;
const EXPIRATION: Time = 180 * SECOND;
const UPDATE: Time = SECOND;
const ERROR_PENALTY: f64 = 1.0;
const LARGEST: u64 = u16::MAX as u64;
/// Weights are held within these multiples of their mean.
const MOST_OF_MEAN: f64 = 10.0;
const LEAST_OF_MEAN: f64 = 0.01;

struct WeightedRoundRobin {
    members: Members<Endpoint>,
    /// Of each present server.
    strides: Vec<u64>,
    sequence: u64,
    next_update: Time,
}

#[derive(Clone, Copy, Debug, Default)]
struct Endpoint {
    weight: f64,
    updated: Time,
    non_empty_since: Option<Time>,
}

/// An instance.
pub(super) fn make(start: &Start) -> Result<Box<dyn Policy>> {
    Ok(Box::new(WeightedRoundRobin {
        members: Members::new(start.servers),
        strides: Vec::new(),
        sequence: start.seed % 1000,
        next_update: start.now,
    }))
}

/// The formula; 0 where it says nothing.
fn weight_of(report: &Report) -> f64 {
    if report.rate <= 0.0 || report.utilization <= 0.0 {
        return 0.0;
    }
    report.rate / (report.utilization + report.errors / report.rate * ERROR_PENALTY)
}

impl Endpoint {
    fn learn(&mut self, report: &Report, now: Time) {
        let weight = weight_of(report);
        if weight > 0.0 {
            self.non_empty_since.get_or_insert(now);
            (self.weight, self.updated) = (weight, now);
        }
    }

    fn weight(&mut self, now: Time) -> f64 {
        let Some(since) = self.non_empty_since else { return 0.0 };
        if now >= self.updated + EXPIRATION {
            self.non_empty_since = None;
            return 0.0;
        }
        if now < since + BLACKOUT { 0.0 } else { self.weight }
    }
}

/// Whole numbers in proportion to the weights, the largest as large as can be; equal ones without two weights.
fn strides(weights: &[f64]) -> Vec<u64> {
    let known: Vec<f64> = weights.iter().copied().filter(|weight| *weight > 0.0).collect();
    if known.len() < 2 {
        return vec![LARGEST; weights.len()];
    }
    let mean = known.iter().sum::<f64>() / known.len() as f64;
    let most = known.iter().copied().fold(0.0, f64::max).min(mean * MOST_OF_MEAN);
    let scale = LARGEST as f64 / most;
    let least = (mean * LEAST_OF_MEAN * scale).round().max(1.0);
    let stride = |weight: &f64| {
        let weight = if *weight > 0.0 { *weight } else { mean };
        (weight * scale).round().clamp(least, LARGEST as f64) as u64
    };
    weights.iter().map(stride).collect()
}

impl WeightedRoundRobin {
    fn update(&mut self, now: Time) {
        let present = self.members.present().to_vec();
        let weights: Vec<f64> = present.iter().map(|server| self.members[*server].weight(now)).collect();
        self.strides = strides(&weights);
    }

    /// In each round a server is taken or passed over, so that it is taken in `stride / LARGEST` of the rounds, evenly
    /// spread and at other rounds than its neighbours.
    fn next(&mut self) -> Option<usize> {
        let count = self.strides.len() as u64;
        loop {
            let (place, round) = (self.sequence.checked_rem(count)?, self.sequence / count);
            self.sequence += 1;
            let stride = self.strides[place as usize];
            if (stride * round + LARGEST / 2 * place) % LARGEST >= LARGEST - stride {
                return Some(place as usize);
            }
        }
    }
}

impl Policy for WeightedRoundRobin {
    fn pick(&mut self, _: &Request, _: Time, _: &mut Rng, _: &mut Io) -> Option<usize> {
        let place = self.next()?;
        self.members.present().get(place).copied()
    }

    fn done(&mut self, server: usize, reply: &Reply, now: Time) {
        if let Some(report) = &reply.report {
            self.members[server].learn(report, now);
        }
    }

    fn joined(&mut self, server: usize, now: Time) {
        self.members.add(server);
        self.update(now);
    }

    fn tick(&mut self, now: Time, _: &mut Io) {
        if now >= self.next_update {
            self.next_update = now + UPDATE;
            self.update(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_by_the_formula() {
        let report = |rate, utilization, errors| Report { rate, utilization, errors, ..Report::default() };
        for (report, expected) in [
            (report(100.0, 0.5, 0.0), 200.0),
            (report(100.0, 0.5, 50.0), 100.0),
            (report(0.0, 0.5, 0.0), 0.0),
            (report(100.0, 0.0, 0.0), 0.0),
        ] {
            assert!((weight_of(&report) - expected).abs() < 1e-9, "{report:?}");
        }
    }

    #[test]
    fn blackout_and_expiration() {
        let mut endpoint = Endpoint::default();
        let report = Report { rate: 100.0, utilization: 0.5, ..Report::default() };
        endpoint.learn(&report, SECOND);
        for (second, expected) in [(2, 0.0), (10, 0.0), (11, 200.0), (180, 200.0), (181, 0.0), (182, 0.0)] {
            let got = endpoint.weight(second * SECOND);
            assert!((got - expected).abs() < 1e-9, "{second} s: {got}");
        }
    }

    #[test]
    fn servers_without_a_weight_count_as_the_mean() {
        assert_eq!(strides(&[0.0, 5.0, 0.0]), [LARGEST; 3]);
        assert_eq!(strides(&[1.0, 3.0, 0.0]), [21845, 65535, 43690]);
        assert_eq!(strides(&[1.0, 0.001, 1.0])[1], 437, "held at 1 % of the mean");
    }

    #[test]
    fn shares_are_those_of_the_strides() {
        let mut policy = WeightedRoundRobin {
            members: Members::new(3),
            strides: vec![LARGEST, LARGEST / 2, LARGEST / 4],
            sequence: 0,
            next_update: 0,
        };
        let mut counts = [0u32; 3];
        (0..7000).for_each(|_| counts[policy.next().unwrap()] += 1);
        for (count, expected) in counts.iter().zip([4000u32, 2000, 1000]) {
            assert!(count.abs_diff(expected) <= 2, "{counts:?}");
        }
    }
}
