//! How long a server takes, compared with the rest of its pool.

use super::settings::Settings;

/// Latency of a server's successes, fading, and what its unanswered requests already say. Times are in seconds.
///
/// The mean is that of Epstein and Sobel for exponential times some of which are still running ("Life testing", JASA
/// 1953): all time waited so far over the number of answers. So a server that stops answering looks slow before it
/// answers again.
#[derive(Clone, Debug, Default)]
pub(super) struct Latency {
    answers: f64,
    sum: f64,
    squares: f64,
    at: f64,
    waiting: u32,
    /// Sum of the times at which those were sent.
    sent: f64,
}

impl Latency {
    pub(super) fn sent(&mut self, now: f64) {
        self.waiting = self.waiting.saturating_add(1);
        self.sent += now;
    }

    /// No longer waited for, with or without success.
    pub(super) fn answered(&mut self, sent: f64) {
        self.waiting = self.waiting.saturating_sub(1);
        // Rounding does not add up: it ends with each idle moment.
        self.sent = if self.waiting == 0 { 0.0 } else { self.sent - sent };
    }

    /// The same requests, waited for from a server of which nothing is known.
    pub(super) fn restarted(&self) -> Self {
        Self { waiting: self.waiting, sent: self.sent, ..Self::default() }
    }

    /// A success took so long.
    pub(super) fn record(&mut self, latency: f64, now: f64, settings: &Settings) {
        let silence = (now - self.at).max(0.0);
        let passed = silence / settings.latency_window.as_secs_f64().max(f64::EPSILON);
        let kept = self.kept(now, settings) * (1.0 - passed.min(1.0 / settings.latency_samples.max(1.0)));
        self.answers = self.answers * kept + 1.0;
        self.sum = self.sum * kept + latency;
        self.squares = self.squares * kept + latency * latency;
        self.at = now;
    }

    /// Mean of the successes that still count.
    pub(super) fn mean(&self) -> Option<f64> {
        (self.answers > 0.0).then(|| self.sum / self.answers)
    }

    /// Answers that still count.
    pub(super) fn answers(&self, now: f64, settings: &Settings) -> f64 {
        self.answers * self.kept(now, settings)
    }

    /// Ratio to `typical`, within the bounds set, and as near to 1 as the evidence allows.
    pub(super) fn ratio(&self, typical: f64, now: f64, settings: &Settings) -> f64 {
        if typical <= 0.0 {
            return 1.0;
        }
        let kept = self.kept(now, settings);
        let answers = settings.latency_prior + self.answers * kept;
        if answers <= 0.0 {
            return 1.0;
        }
        let waited = (f64::from(self.waiting) * now - self.sent).max(0.0);
        let mean = (settings.latency_prior * typical + self.sum * kept + waited) / answers;
        let mut ratio = mean / typical;
        if settings.latency_doubt > 0.0 {
            let doubt = 1.0 + settings.latency_doubt * self.spread() / answers.sqrt();
            ratio = if ratio > 1.0 { (ratio / doubt).max(1.0) } else { (ratio * doubt).min(1.0) };
        }
        ratio.max(settings.latency_least).min(settings.latency_most)
    }

    /// Standard deviation over mean: that of exponential times until enough was seen.
    fn spread(&self) -> f64 {
        const ENOUGH: f64 = 8.0;
        if self.answers < ENOUGH || self.sum <= 0.0 {
            return 1.0;
        }
        let mean = self.sum / self.answers;
        (self.squares / self.answers - mean * mean).max(0.0).sqrt() / mean
    }

    fn kept(&self, now: f64, settings: &Settings) -> f64 {
        let silence = now - self.at;
        // What is exact to a thousandth is exact enough here, and the usual case.
        let share = silence / settings.latency_fade.as_secs_f64().max(f64::EPSILON);
        if share <= 0.0 {
            1.0
        } else if share < 0.03 {
            1.0 - share
        } else {
            (-share).exp()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Settings {
        Settings { latency_prior: 0.0, latency_doubt: 0.0, ..Settings::default() }
    }

    /// Successes of so many milliseconds a tenth of a second apart, against a median of 10 ms.
    #[test]
    fn ratios_follow_the_successes_and_stay_within_bounds() {
        for (latencies, prior, doubt, expected) in [
            (vec![], 0.0, 0.0, 1.0),
            (vec![20.0; 50], 0.0, 0.0, 2.0),
            (vec![0.01; 50], 0.0, 0.0, 0.25),
            (vec![900.0; 50], 0.0, 0.0, 8.0),
            (vec![30.0], 1.0, 0.0, 2.0),
            // The standard error of one exponential time is as large as the time.
            (vec![30.0], 0.0, 1.0, 1.5),
            (vec![15.0], 0.0, 1.0, 1.0),
            (vec![6.0], 0.0, 1.0, 1.0),
        ] {
            let settings = Settings { latency_prior: prior, latency_doubt: doubt, ..Settings::default() };
            let mut latency = Latency::default();
            let mut now = 0.0;
            for milliseconds in &latencies {
                now += 0.1;
                latency.record(milliseconds / 1e3, now, &settings);
            }
            let ratio = latency.ratio(0.010, now, &settings);
            assert!(
                (ratio - expected).abs() < 1e-9,
                "{latencies:?} {prior} {doubt}: {ratio}, not {expected}"
            );
        }
    }

    #[test]
    fn unanswered_requests_make_a_server_look_slow() {
        let settings = plain();
        let mut latency = Latency::default();
        (0..100).for_each(|i| latency.record(0.010, f64::from(i) / 100.0, &settings));
        let before = latency.ratio(0.010, 1.0, &settings);
        (0..4).for_each(|_| latency.sent(1.0));
        let after = latency.ratio(0.010, 1.2, &settings);
        assert!((before - 1.0).abs() < 0.01 && after > 4.0, "{before}, then {after}");
        (0..4).for_each(|_| latency.answered(1.0));
        assert!((latency.ratio(0.010, 1.2, &settings) - 1.0).abs() < 0.01);
    }

    #[test]
    fn a_change_is_seen_after_a_few_dozen_answers() {
        let settings = plain();
        let mut latency = Latency::default();
        (0..1000).for_each(|i| latency.record(0.010, f64::from(i), &settings));
        (0..48).for_each(|i| latency.record(0.060, 1000.0 + f64::from(i) / 10.0, &settings));
        let ratio = latency.ratio(0.010, 1005.0, &settings);
        assert!((5.5..=6.0).contains(&ratio), "{ratio}");
    }
}
