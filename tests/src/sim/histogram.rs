//! Latencies, counted in classes that are a fixed share wide.

use super::time::Time;

/// Classes to the double: a quantile is off by 1/512 at most, and by the half of that as a rule.
const CLASSES: u32 = 512;

/// A histogram of times from a microsecond on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u32>,
    total: u64,
}

impl Histogram {
    /// Counts a time.
    #[inline]
    pub fn add(&mut self, time: Time) {
        let class = class_of(time);
        if class >= self.counts.len() {
            self.counts.resize(class + 1, 0);
        }
        self.counts[class] += 1;
        self.total += 1;
    }

    /// How many were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The least time that `share` of the times do not exceed, in milliseconds; 0 of none.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let rank = ((share * self.total as f64).ceil() as u64).max(1);
        let mut below = 0;
        for (class, count) in self.counts.iter().enumerate() {
            below += u64::from(*count);
            if below >= rank {
                return middle_of(class) / 1e6;
            }
        }
        0.0
    }
}

/// A whole number of 1.024 µs in binary: the exponent and the nine bits after the first.
fn class_of(time: Time) -> usize {
    let units = (time >> 10).max(1);
    let exponent = units.ilog2();
    let mantissa = if exponent >= 9 { units >> (exponent - 9) } else { units << (9 - exponent) };
    (exponent * CLASSES) as usize + (mantissa as usize - CLASSES as usize)
}

/// The middle of a class, in nanoseconds.
fn middle_of(class: usize) -> f64 {
    let exponent = (class / CLASSES as usize) as i32;
    let mantissa = (class % CLASSES as usize) as f64 + 0.5;
    (1.0 + mantissa / f64::from(CLASSES)) * 2f64.powi(exponent + 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_near() {
        let mut histogram = Histogram::default();
        assert!(histogram.quantile_ms(0.5).abs() < f64::EPSILON);
        for millisecond in 1..=1000u64 {
            histogram.add(millisecond * 1_000_000);
        }
        for (share, expected) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0), (0.001, 1.0)] {
            let got = histogram.quantile_ms(share);
            assert!((got / expected - 1.0).abs() < 0.002, "{share}: {got}, expected {expected}");
        }
        assert_eq!(histogram.total(), 1000);
    }
}
