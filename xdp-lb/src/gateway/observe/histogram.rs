//! Durations, counted by size.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the buckets in seconds, but for the last, which takes the rest.
pub(super) const BOUNDS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The same in microseconds.
const MICROSECONDS: [u64; BOUNDS.len()] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// How many durations there were of which size. Written by one thread, read by others.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

/// The sum of several.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Totals {
    /// By bucket, not added up.
    pub buckets: [u64; BOUNDS.len() + 1],
    pub microseconds: u64,
}

impl Histogram {
    pub(super) fn record(&self, duration: Duration) {
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = MICROSECONDS.iter().position(|bound| microseconds <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.microseconds.fetch_add(microseconds, Relaxed);
    }

    pub(super) fn add_to(&self, totals: &mut Totals) {
        for (total, bucket) in totals.buckets.iter_mut().zip(&self.buckets) {
            *total += bucket.load(Relaxed);
        }
        totals.microseconds = totals.microseconds.wrapping_add(self.microseconds.load(Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_the_first_bucket_that_holds_them() {
        for (microseconds, bucket) in
            [(0, 0), (500, 0), (501, 1), (1_000_000, 10), (30_000_000, 14), (30_000_001, 15)]
        {
            let histogram = Histogram::default();
            histogram.record(Duration::from_micros(microseconds));
            let mut totals = Totals::default();
            histogram.add_to(&mut totals);
            assert_eq!(totals.buckets.iter().position(|count| *count == 1), Some(bucket));
            assert_eq!(totals.microseconds, microseconds);
        }
    }

    #[test]
    fn bounds_are_the_same_in_both_units() {
        for (seconds, microseconds) in BOUNDS.iter().zip(MICROSECONDS) {
            assert_eq!((seconds * 1e6).round() as u64, microseconds);
        }
    }
}
