//! Random numbers from a seed, the same on every machine. Never for secrets.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA'14).
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// From 0 to below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// `duration` longer or shorter by up to a tenth.
    pub(crate) fn jitter(&mut self, duration: Duration) -> Duration {
        Duration::try_from_secs_f64(duration.as_secs_f64() * (0.9 + 0.2 * self.unit())).unwrap_or(duration)
    }
}

/// A bijection of 64-bit words in which each input bit flips half of the output bits.
pub(super) fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_a_tenth_and_uses_the_whole_range() {
        let mut rng = Rng::new(7);
        let all: Vec<f64> = (0..10_000).map(|_| rng.jitter(Duration::from_secs(10)).as_secs_f64()).collect();
        let (least, most) = all.iter().fold((f64::MAX, 0f64), |(l, m), &v| (l.min(v), m.max(v)));
        assert!((9.0..9.01).contains(&least) && (10.99..=11.0).contains(&most), "{least} to {most}");
    }

    #[test]
    fn equal_seeds_give_equal_numbers() {
        let (mut a, mut b, mut c) = (Rng::new(1), Rng::new(1), Rng::new(2));
        assert_eq!(a.next(), b.next());
        assert_ne!(a.next(), c.next());
    }
}
