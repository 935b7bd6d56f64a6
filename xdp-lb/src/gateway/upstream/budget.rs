//! How many retries a pool may send: a share of its requests, so that a failing pool is not buried under second tries.
//! Pure: `now` is an argument.

use std::time::Instant;

use crate::config::Ratio;
use crate::config::gateway::Retry;

/// Requests and retries of the last ten seconds, in buckets of one.
#[derive(Debug)]
pub(super) struct Budget {
    ratio: Ratio,
    least: u32,
    epoch: Instant,
    /// Whole seconds since the epoch that the newest bucket is of.
    second: u64,
    buckets: [Bucket; WINDOW],
    /// The buckets' sum.
    total: Bucket,
    /// Retries of this second that were had beside the share.
    beside: u32,
}

/// What happened in one second.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    requests: u64,
    /// Retries that were taken from the share.
    retries: u64,
}

/// Seconds that are looked back.
const WINDOW: usize = 10;

impl Budget {
    pub(super) fn new(retry: &Retry, now: Instant) -> Self {
        Self {
            ratio: retry.budget,
            least: retry.least,
            epoch: now,
            second: 0,
            buckets: [Bucket::default(); WINDOW],
            total: Bucket::default(),
            beside: 0,
        }
    }

    /// Goes by these limits from now on; what was counted stays.
    pub(super) fn limit(&mut self, retry: &Retry) {
        self.ratio = retry.budget;
        self.least = retry.least;
    }

    /// A request was sent for the first time.
    pub(super) fn request(&mut self, now: Instant) {
        let bucket = self.bucket(now);
        bucket.requests += 1;
        self.total.requests += 1;
    }

    /// Whether a retry may be sent; if so, it counts as sent.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.bucket(now);
        if self.beside < self.least {
            self.beside += 1;
            return true;
        }
        if self.share() == 0 {
            return false;
        }
        self.bucket(now).retries += 1;
        self.total.retries += 1;
        true
    }

    /// Retries that could be sent now.
    pub(super) fn left(&mut self, now: Instant) -> u64 {
        self.bucket(now);
        self.share() + u64::from(self.least.saturating_sub(self.beside))
    }

    /// What is left of the share.
    fn share(&self) -> u64 {
        let all = self.total.requests * u64::from(self.ratio.in_thousandths()) / 1000;
        all.saturating_sub(self.total.retries)
    }

    /// The bucket of `now`, after those too old were emptied.
    fn bucket(&mut self, now: Instant) -> &mut Bucket {
        let second = now.saturating_duration_since(self.epoch).as_secs();
        if second > self.second {
            self.beside = 0;
            for old in self.second + 1..=second.min(self.second + WINDOW as u64) {
                let bucket = std::mem::take(&mut self.buckets[old as usize % WINDOW]);
                self.total.requests -= bucket.requests;
                self.total.retries -= bucket.retries;
            }
            self.second = second;
        }
        // A `now` from before the newest bucket counts there.
        &mut self.buckets[self.second as usize % WINDOW]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::gateway::upstream::fixtures::{self, start};

    fn budget(percent: u32, least: u32) -> Budget {
        let retry =
            Retry { budget: Ratio::thousandths(percent * 10), least, ..fixtures::pool("web", &[]).retry };
        Budget::new(&retry, start())
    }

    fn at(seconds: f64) -> Instant {
        start() + Duration::from_secs_f64(seconds)
    }

    fn taken(budget: &mut Budget, now: Instant) -> usize {
        (0..10_000).take_while(|_| budget.take(now)).count()
    }

    #[test]
    fn retries_are_a_share_of_the_requests_of_ten_seconds() {
        let mut budget = budget(20, 0);
        assert_eq!(taken(&mut budget, at(0.0)), 0, "nothing was asked yet");
        (0..100).for_each(|_| budget.request(at(0.5)));
        assert_eq!(budget.left(at(0.5)), 20);
        assert_eq!(taken(&mut budget, at(0.9)), 20);
        (0..10).for_each(|_| budget.request(at(5.0)));
        assert_eq!(taken(&mut budget, at(5.0)), 2);
        assert_eq!(taken(&mut budget, at(9.99)), 0);
        // The first second's requests are forgotten, and its retries with them: 10 requests, 2 retries are left.
        assert_eq!(taken(&mut budget, at(10.0)), 0);
        (0..10).for_each(|_| budget.request(at(10.0)));
        assert_eq!(taken(&mut budget, at(10.0)), 2);
        assert_eq!(taken(&mut budget, at(1000.0)), 0, "all is forgotten");
    }

    #[test]
    fn some_retries_a_second_are_allowed_beside_the_share() {
        let mut budget = budget(20, 3);
        for second in 0..30 {
            assert_eq!(budget.left(at(f64::from(second))), 3, "second {second}");
            assert_eq!(taken(&mut budget, at(f64::from(second))), 3, "second {second}");
            assert_eq!(taken(&mut budget, at(f64::from(second) + 0.9)), 0, "second {second}");
        }
        (0..50).for_each(|_| budget.request(at(30.0)));
        assert_eq!(taken(&mut budget, at(30.0)), 13);
    }

    #[test]
    fn steady_traffic_has_a_steady_share() {
        let mut budget = budget(20, 0);
        let mut retries = 0;
        for tick in 0..60_000 {
            let now = at(f64::from(tick) / 1000.0);
            budget.request(now);
            retries += u32::from(budget.take(now));
        }
        assert!((11_900..=12_100).contains(&retries), "{retries} of 60000");
    }

    #[test]
    fn a_clock_that_stands_or_goes_back_breaks_nothing() {
        let mut budget = budget(100, 0);
        budget.request(at(20.0));
        budget.request(at(3.0));
        assert_eq!(taken(&mut budget, at(1.0)), 2);
    }

    #[test]
    fn limits_change_while_counts_stay() {
        let mut budget = budget(20, 0);
        (0..100).for_each(|_| budget.request(at(0.0)));
        assert_eq!(taken(&mut budget, at(0.0)), 20);
        let retry = Retry { budget: Ratio::thousandths(300), least: 1, ..fixtures::pool("web", &[]).retry };
        budget.limit(&retry);
        assert_eq!(taken(&mut budget, at(0.0)), 11);
    }
}
