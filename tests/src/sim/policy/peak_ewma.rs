//! Peak EWMA as in Finagle (`com.twitter.finagle.loadbalancer.PeakEwma`) and linkerd: of two servers by chance the one
//! with the lower `latency × (in flight + 1)`, where latency is an exponential average over 10 s that jumps to each
//! higher value at once. Failures are observed as any answer is.

use anyhow::Result;

use super::members::Members;
use super::{Io, Policy, Reply, Request, Start};
use crate::sim::rng::Rng;
use crate::sim::time::{SECOND, Time};

const DECAY: f64 = 10.0 * SECOND as f64;
/// Load of a server that has requests in flight and has never answered.
const PENALTY: f64 = f64::MAX / 2.0;

struct PeakEwma(Members<Metric>);

#[derive(Clone, Copy, Debug, Default)]
struct Metric {
    in_flight: u32,
    cost: f64,
    stamp: Time,
}

/// An instance.
pub(super) fn make(start: &Start) -> Result<Box<dyn Policy>> {
    Ok(Box::new(PeakEwma(Members::new(start.servers))))
}

impl Metric {
    fn observe(&mut self, latency: f64, now: Time) {
        let elapsed = now.saturating_sub(self.stamp) as f64;
        self.stamp = now;
        if latency > self.cost {
            self.cost = latency;
        } else {
            let kept = (-elapsed / DECAY).exp();
            self.cost = self.cost * kept + latency * (1.0 - kept);
        }
    }

    /// Looking at it lets it fade, so that a server that was once slow is tried again.
    fn load(&mut self, now: Time) -> f64 {
        self.observe(0.0, now);
        if self.cost == 0.0 && self.in_flight != 0 {
            return PENALTY + f64::from(self.in_flight);
        }
        self.cost * f64::from(self.in_flight + 1)
    }
}

impl Policy for PeakEwma {
    fn pick(&mut self, _: &Request, now: Time, rng: &mut Rng, _: &mut Io) -> Option<usize> {
        let (first, second) = self.0.random_two(rng)?;
        let server = if self.0[first].load(now) <= self.0[second].load(now) { first } else { second };
        self.0[server].in_flight += 1;
        Some(server)
    }

    fn done(&mut self, server: usize, reply: &Reply, now: Time) {
        let metric = &mut self.0[server];
        metric.in_flight -= 1;
        metric.observe(reply.latency as f64, now);
    }

    fn joined(&mut self, server: usize, now: Time) {
        self.0.add(server);
        self.0[server].stamp = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_are_taken_at_once_and_fade() {
        let mut metric = Metric::default();
        metric.observe(100.0, 0);
        assert!((metric.cost - 100.0).abs() < 1e-9);
        metric.observe(50.0, 10 * SECOND);
        let faded = 100.0 * (-1f64).exp() + 50.0 * (1.0 - (-1f64).exp());
        assert!((metric.cost - faded).abs() < 1e-9, "{}", metric.cost);
        metric.in_flight = 2;
        assert!((metric.load(10 * SECOND) - 3.0 * faded).abs() < 1e-9);
        metric.observe(500.0, 10 * SECOND);
        assert!((metric.cost - 500.0).abs() < 1e-9);
    }

    #[test]
    fn one_that_never_answered_waits_for_its_first_answer() {
        let mut metric = Metric::default();
        assert!(metric.load(0) == 0.0);
        metric.in_flight = 1;
        assert!(metric.load(0) >= PENALTY);
    }
}
