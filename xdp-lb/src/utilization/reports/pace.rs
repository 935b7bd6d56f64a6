//! When the next exchange begins: never many at once.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// Longest pause between two tries to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Some time into the interval, anywhere.
pub(super) fn phase(interval: Duration) -> Duration {
    interval.mul_f64(unit())
}

/// `interval` longer or shorter by up to a tenth.
pub(super) fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(0.9 + 0.2 * unit())
}

/// Pauses that double with every failure in a row, up to half a minute.
pub(super) struct Backoff {
    first: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration) -> Self {
        let first = first.min(LONGEST_PAUSE);
        Self { first, next: first }
    }

    /// How long to wait now: from a half to one and a half of its turn, so that servers that failed together are not
    /// tried together.
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.next.mul_f64(0.5 + unit());
        self.next = (self.next * 2).min(LONGEST_PAUSE);
        pause
    }

    /// It went well.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// From 0 to below 1, from the standard library's random keys.
fn unit() -> f64 {
    (RandomState::new().build_hasher().finish() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn phases_are_spread_evenly() {
        let mut tenths = [0; 10];
        for _ in 0..10_000 {
            tenths[(phase(SECOND).as_secs_f64() * 10.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (850..1150).contains(count)), "{tenths:?}");
    }

    #[test]
    fn jitter_stays_within_a_tenth() {
        for _ in 0..1000 {
            let pause = jittered(SECOND).as_secs_f64();
            assert!((0.9..=1.1).contains(&pause), "{pause}");
        }
    }

    #[test]
    fn pauses_double_up_to_half_a_minute_and_begin_anew() {
        let mut backoff = Backoff::new(SECOND);
        for turn in [1, 2, 4, 8, 16, 30, 30] {
            let pause = backoff.next().as_secs_f64() / f64::from(turn);
            assert!((0.5..=1.5).contains(&pause), "{pause} of {turn} s");
        }
        backoff.reset();
        assert!(backoff.next() <= SECOND.mul_f64(1.5));
    }
}
