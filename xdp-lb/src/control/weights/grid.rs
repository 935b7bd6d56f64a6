//! The grid that weights are rounded to: so many steps to the double, both ways from 1.

/// The smallest share of its configured weight that a backend gets while it takes any.
pub(in crate::control) const LEAST: f64 = 0.01;

/// No backend is worth more than so many times its configured weight.
pub(in crate::control) const MOST: f64 = 4.0;

/// What a configured weight is multiplied by, in millionths, from [`LEAST`] to [`MOST`]. A whole number, so that it
/// comes back from a file as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::control) struct Multiplier(u32);

impl Multiplier {
    /// The configured weight itself.
    pub(in crate::control) const ONE: Self = Self(1_000_000);

    /// `value`, or the nearest that there is.
    pub(in crate::control) fn nearest(value: f64) -> Self {
        let value = if value.is_nan() { 1.0 } else { value.clamp(LEAST, MOST) };
        Self((value * 1e6).round() as u32)
    }

    /// The nearest on the grid.
    pub(in crate::control) fn on_grid(value: f64, steps_per_doubling: u32) -> Self {
        let steps = f64::from(steps_per_doubling.max(1));
        let step = (Self::nearest(value).get().log2() * steps).round();
        Self::nearest((step / steps).exp2())
    }

    pub(in crate::control) fn get(self) -> f64 {
        f64::from(self.0) / 1e6
    }

    pub(in crate::control) fn millionths(self) -> u32 {
        self.0
    }

    pub(in crate::control) fn from_millionths(millionths: u32) -> Self {
        Self::nearest(f64::from(millionths) / 1e6)
    }

    /// Whether it lies on the grid, and is not on its way from one point to another.
    pub(in crate::control) fn is_on_grid(self, steps_per_doubling: u32) -> bool {
        self == Self::on_grid(self.get(), steps_per_doubling)
    }

    /// How many steps of the grid `value` is away.
    pub(in crate::control) fn steps_to(self, value: f64, steps_per_doubling: u32) -> f64 {
        let value = Self::nearest(value).get();
        ((value / self.get()).log2() * f64::from(steps_per_doubling.max(1))).abs()
    }

    /// So much of the way to `goal`, 0 to 1.
    pub(in crate::control) fn toward(self, goal: Self, part: f64) -> Self {
        if part >= 1.0 {
            return goal;
        }
        Self::nearest(self.get() * (goal.get() / self.get()).powf(part.max(0.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rounded_to_the_nearest_step() {
        // Value, steps to the double, what it becomes.
        for (value, steps, expected) in [
            (1.0, 6, 1.0),
            (1.05, 6, 1.0),
            (1.07, 6, 1.122_462),
            (0.5, 6, 0.5),
            (0.1, 6, 0.099_213),
            (4.0, 6, 4.0),
            (9.0, 6, 4.0),
            (0.0, 6, LEAST),
            (-3.0, 6, LEAST),
            (f64::NAN, 6, 1.0),
            (f64::INFINITY, 1, 4.0),
            (1.4, 1, 1.0),
            (1.5, 1, 2.0),
        ] {
            let rounded = Multiplier::on_grid(value, steps).get();
            assert!((rounded - expected).abs() < 1e-3 * expected, "{value}: {rounded}, expected {expected}");
        }
    }

    #[test]
    fn what_is_on_the_grid_stays() {
        for steps in [1, 2, 6, 12] {
            for point in -30..=(2 * steps as i32) {
                let value = (f64::from(point) / f64::from(steps)).exp2();
                let rounded = Multiplier::on_grid(value, steps);
                assert!(rounded.is_on_grid(steps), "{rounded:?}, {steps} steps");
                assert_eq!(Multiplier::from_millionths(rounded.millionths()), rounded);
            }
        }
        assert!(!Multiplier::nearest(1.06).is_on_grid(6));
    }

    #[test]
    fn ways_are_measured_in_steps_and_gone_in_parts() {
        let (one, two) = (Multiplier::ONE, Multiplier::nearest(2.0));
        assert!((one.steps_to(2.0, 6) - 6.0).abs() < 1e-6 && (two.steps_to(1.0, 6) - 6.0).abs() < 1e-6);
        assert_eq!(one.toward(two, 0.5), Multiplier::nearest(2f64.sqrt()));
        assert_eq!((one.toward(two, 0.0), one.toward(two, 1.0)), (one, two));
    }
}
