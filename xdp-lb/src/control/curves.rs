//! The curves by which observations become factors: numbers in, numbers out. The kernel's tables and the gateway's
//! choice are made with the same ones.

/// Lower end of the Wilson score interval of a rate of which `failures` in `samples` were seen, at `z` standard
/// deviations (E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 1927).
/// 0 without samples. Counts may be fractions, where samples fade.
pub fn wilson_lower(failures: f64, samples: f64, z: f64) -> f64 {
    if samples <= 0.0 {
        return 0.0;
    }
    let rate = (failures / samples).clamp(0.0, 1.0);
    let square = z * z;
    let middle = rate + square / (2.0 * samples);
    let half = z * (rate * (1.0 - rate) / samples + square / (4.0 * samples * samples)).sqrt();
    ((middle - half) / (1.0 + square / samples)).clamp(0.0, 1.0)
}

/// Standard deviations of the Wilson bound: one-sided 95 %.
pub const WILSON_Z: f64 = 1.64;

/// Factor of a server that fails at rate `errors`: `(1 - errors)³`, at least `floor`.
pub fn derated(errors: f64, floor: f64) -> f64 {
    (1.0 - errors.clamp(0.0, 1.0)).powi(3).max(floor)
}

/// Factor of a server at `utilization`: 1 up to `from`, falling straight to `floor` at 1.
pub fn brake(utilization: f64, from: f64, floor: f64) -> f64 {
    if utilization <= from {
        return 1.0;
    }
    let over = ((utilization - from) / (1.0 - from).max(f64::EPSILON)).min(1.0);
    1.0 - over * (1.0 - floor)
}

/// Factor of a server `age` seconds old that is warm at `window`: in steps of `step` seconds, at least `floor`.
pub fn warmth(age: f64, window: f64, step: f64, floor: f64) -> f64 {
    if age >= window {
        return 1.0;
    }
    let whole = if step > 0.0 { (age / step).floor() * step } else { age };
    (whole / window).max(floor)
}

/// The middle of `values`, which are reordered; of an even count the mean of the two in the middle. `None` of none.
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { values[middle - 1].midpoint(upper) })
}

/// The value that the share `at` (0 to 1) of `values`, which are reordered, lies below: the nearest rank. `None` of
/// none.
pub fn quantile(values: &mut [f64], at: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let rank = (at.clamp(0.0, 1.0) * last as f64).round() as usize;
    Some(*values.select_nth_unstable_by(rank.min(last), f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(got: f64, expected: f64) {
        assert!((got - expected).abs() < 5e-4, "{got}, expected {expected}");
    }

    /// Figures by hand from Wilson's formula.
    #[test]
    fn few_failures_are_little_evidence() {
        for (failures, samples, expected) in
            [(0.0, 0.0, 0.0), (0.0, 50.0, 0.0), (1.0, 1.0, 0.2710), (1.0, 5.0, 0.0461), (50.0, 100.0, 0.4191)]
        {
            assert_near(wilson_lower(failures, samples, WILSON_Z), expected);
        }
    }

    #[test]
    fn the_brake_falls_from_where_it_begins_to_its_floor() {
        for (utilization, expected) in [(0.0, 1.0), (0.8, 1.0), (0.9, 0.65), (1.0, 0.3), (7.0, 0.3)] {
            assert_near(brake(utilization, 0.8, 0.3), expected);
        }
    }

    #[test]
    fn warmth_grows_in_steps() {
        for (age, expected) in [(0.0, 0.1), (9.9, 0.1), (40.0, 0.444), (49.9, 0.444), (90.0, 1.0), (1e9, 1.0)]
        {
            assert_near(warmth(age, 90.0, 10.0, 0.1), expected);
        }
        assert_near(warmth(0.0, 0.0, 10.0, 0.1), 1.0);
    }

    #[test]
    fn medians() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0]), Some(3.0));
        assert_eq!(median(&mut [9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn quantiles() {
        assert_eq!(quantile(&mut [], 0.5), None);
        assert_eq!(quantile(&mut [3.0], 0.84), Some(3.0));
        for (at, expected) in [(0.0, 1.0), (0.5, 3.0), (0.84, 4.0), (1.0, 9.0)] {
            assert_eq!(quantile(&mut [9.0, 1.0, 4.0, 3.0, 2.0], at), Some(expected), "{at}");
        }
    }

    #[test]
    fn failing_servers_are_worth_little() {
        assert_near(derated(0.0, 0.05), 1.0);
        assert_near(derated(0.5, 0.05), 0.125);
        assert_near(derated(1.0, 0.05), 0.05);
    }
}
