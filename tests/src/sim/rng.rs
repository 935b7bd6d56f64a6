//! Random numbers from a seed, the same on every machine.

/// xoshiro256++ (Blackman, Vigna: "Scrambled linear pseudorandom number generators", 2021), seeded by SplitMix64.
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
    spare_normal: Option<f64>,
}

impl Rng {
    /// The stream called `stream` of a seed: streams have nothing to do with each other.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut word = mix(seed) ^ mix(stream.wrapping_add(0x517c_c1b7_2722_0a95));
        let state = std::array::from_fn(|_| {
            word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(word)
        });
        Self { state, spare_normal: None }
    }

    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// From 0 to below 1.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// From 0 to below `bound`, which is not 0.
    #[inline]
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// Two different numbers below `bound`; 0 twice where there is only that.
    #[inline]
    pub fn two_below(&mut self, bound: usize) -> (usize, usize) {
        if bound < 2 {
            return (0, 0);
        }
        let first = self.below(bound);
        let second = self.below(bound - 1);
        (first, second + usize::from(second >= first))
    }

    /// Exponentially distributed with mean 1.
    #[inline]
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// Normally distributed with mean 0 and deviation 1 (Box and Muller, 1958).
    #[inline]
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare_normal.take() {
            return spare;
        }
        let radius = (2.0 * self.exponential()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * self.unit()).sin_cos();
        self.spare_normal = Some(radius * sine);
        radius * cosine
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
    fn streams_are_repeatable_and_different() {
        let draw =
            |seed, stream| (0..4).map(|_| 0).map(|_| Rng::new(seed, stream).bits()).collect::<Vec<_>>();
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
        assert_ne!(draw(1, 0), draw(2, 0));
    }

    #[test]
    fn moments_are_right() {
        let mut rng = Rng::new(3, 0);
        let n = 200_000;
        let mean = |draw: &mut dyn FnMut() -> f64| (0..n).map(|_| draw()).sum::<f64>() / f64::from(n);
        assert!((mean(&mut || rng.exponential()) - 1.0).abs() < 0.01);
        assert!(mean(&mut || rng.normal()).abs() < 0.01);
        assert!((mean(&mut || rng.normal().powi(2)) - 1.0).abs() < 0.02);
        assert!((mean(&mut || rng.below(7) as f64) - 3.0).abs() < 0.02);
    }

    #[test]
    fn two_are_different_and_any_two_come() {
        let mut rng = Rng::new(4, 0);
        let mut seen = [[false; 3]; 3];
        for _ in 0..200 {
            let (a, b) = rng.two_below(3);
            seen[a][b] = true;
        }
        for (a, row) in seen.iter().enumerate() {
            for (b, seen) in row.iter().enumerate() {
                assert_eq!(*seen, a != b, "{a} {b}");
            }
        }
    }
}
