//! What is counted of a run.

use super::histogram::Histogram;
use super::time::Time;

/// What one run of a policy in a scenario gave. Only requests that came within the measured window count.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Of requests that were answered well.
    pub latencies: Histogram,
    /// Requests that were answered with an error, refused or not sent at all.
    pub errors: u64,
    /// Requests of which the client gave up waiting.
    pub timeouts: u64,
    /// Requests sent, by server.
    pub sent: Vec<u64>,
    /// Slots of the table that took new connections elsewhere, as a share of the table; the mean over all balancers.
    /// `None` of policies without a table.
    pub moved: Option<f64>,
    /// Events simulated.
    pub events: u64,
}

/// How a request ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Answered well.
    Success,
    /// Answered with an error, or refused.
    Error,
    /// Not answered in time.
    TimedOut,
}

impl Measured {
    pub(super) fn new(servers: usize) -> Self {
        Self {
            latencies: Histogram::default(),
            errors: 0,
            timeouts: 0,
            sent: vec![0; servers],
            moved: None,
            events: 0,
        }
    }

    pub(super) fn count(&mut self, ended: Ended, latency: Time) {
        match ended {
            Ended::Success => self.latencies.add(latency),
            Ended::Error => self.errors += 1,
            Ended::TimedOut => self.timeouts += 1,
        }
    }

    /// Requests that came within the window.
    pub fn requests(&self) -> u64 {
        self.latencies.total() + self.errors + self.timeouts
    }

    /// Share of the requests that failed or were given up.
    pub fn error_share(&self) -> f64 {
        (self.errors + self.timeouts) as f64 / self.requests().max(1) as f64
    }

    /// Share of the requests that the server with the most of them had.
    pub fn largest_share(&self) -> f64 {
        let most = self.sent.iter().max().copied().unwrap_or(0);
        most as f64 / self.sent.iter().sum::<u64>().max(1) as f64
    }

    /// What p99 and errors cost together, in milliseconds: p99 of the good answers times `1 + errors / 1 %`, so that a
    /// percent of errors is as bad as the double p99. A quantile over both, errors taken as long as the time-out, would
    /// not see errors up to 1 % at all, nor any difference from there on.
    pub fn cost_ms(&self, timeout_ms: f64) -> f64 {
        // Where nothing succeeds there is no p99 to speak of.
        let p99 = if self.latencies.total() == 0 { timeout_ms } else { self.latencies.quantile_ms(0.99) };
        p99 * (1.0 + self.error_share() / 0.01)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::time::MILLISECOND;

    fn run(latency_ms: u64, errors: u64) -> Measured {
        let mut measured = Measured::new(2);
        (0..10_000 - errors).for_each(|_| measured.count(Ended::Success, latency_ms * MILLISECOND));
        (0..errors / 2).for_each(|_| measured.count(Ended::Error, 0));
        (errors / 2..errors).for_each(|_| measured.count(Ended::TimedOut, 0));
        measured
    }

    #[test]
    fn errors_and_p99_are_judged_together() {
        for (latency, errors, expected) in
            [(50, 0, 50.0), (50, 100, 100.0), (50, 10, 55.0), (100, 500, 600.0), (0, 10_000, 2000.0 * 101.0)]
        {
            let cost = run(latency, errors).cost_ms(2000.0);
            assert!((cost / expected - 1.0).abs() < 0.002, "{latency} ms, {errors}: {cost}");
        }
        assert!(run(10, 500).cost_ms(2000.0) > run(50, 10).cost_ms(2000.0), "fast failures do not win");
    }

    #[test]
    fn shares() {
        let mut measured = run(1, 4);
        measured.sent = vec![30, 10];
        assert!((measured.largest_share() - 0.75).abs() < 1e-9);
        assert!((measured.error_share() - 0.0004).abs() < 1e-9);
        assert_eq!(measured.requests(), 10_000);
    }
}
