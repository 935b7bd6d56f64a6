//! The rate at which a server fails.

use super::settings::Settings;
use crate::control::curves::wilson_lower;

/// Answers and failures among them, fading. Times are in seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Errors {
    answers: f64,
    failures: f64,
    at: f64,
    rate: f64,
}

impl Errors {
    pub(super) fn record(&mut self, failed: bool, now: f64, settings: &Settings) {
        let kept = self.kept(now, settings);
        self.answers = self.answers * kept + 1.0;
        self.failures = self.failures * kept + if failed { 1.0 } else { 0.0 };
        self.at = now;
        self.refresh(now, settings);
    }

    /// What the rate is at least, 0 to 1, as of the last answer or refreshment.
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    /// Lets time pass for the rate.
    pub(super) fn refresh(&mut self, now: f64, settings: &Settings) {
        self.rate = self.rate_at(now, settings);
    }

    fn rate_at(&self, now: f64, settings: &Settings) -> f64 {
        /// What is left of a failure when it is forgotten: else it would decide among servers that are alike.
        const FORGOTTEN: f64 = 0.05;
        if self.failures < FORGOTTEN {
            return 0.0;
        }
        let kept = self.kept(now, settings);
        if self.failures * kept < FORGOTTEN {
            return 0.0;
        }
        wilson_lower(self.failures * kept, self.answers * kept, settings.error_z)
    }

    /// Failures and answers that still count.
    pub(super) fn seen(&self, now: f64, settings: &Settings) -> (f64, f64) {
        let kept = self.kept(now, settings);
        (self.failures * kept, self.answers * kept)
    }

    fn kept(&self, now: f64, settings: &Settings) -> f64 {
        (-(now - self.at).max(0.0) / settings.error_window.as_secs_f64().max(f64::EPSILON)).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers all at once, then so many seconds of silence.
    #[test]
    fn the_rate_is_a_lower_bound_that_fades() {
        let settings = Settings::default();
        for (failures, successes, silence, least, most) in [
            (0, 0, 0.0, 0.0, 0.0),
            (0, 50, 0.0, 0.0, 0.0),
            (1, 0, 0.0, 0.27, 0.28),
            (1, 99, 0.0, 0.0, 0.01),
            (5, 0, 0.0, 0.64, 0.66),
            (50, 50, 0.0, 0.41, 0.43),
            (50, 50, 20.0, 0.29, 0.30),
            (50, 50, 100.0, 0.0, 0.01),
        ] {
            let mut errors = Errors::default();
            for failed in std::iter::repeat_n(true, failures).chain(std::iter::repeat_n(false, successes)) {
                errors.record(failed, 7.0, &settings);
            }
            errors.refresh(7.0 + silence, &settings);
            let rate = errors.rate();
            assert!(
                (least..=most).contains(&rate),
                "{failures} of {}, {silence} s on: {rate}",
                failures + successes
            );
        }
    }
}
