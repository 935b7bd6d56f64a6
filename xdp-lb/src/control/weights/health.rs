//! H: how many of a backend's checks, connections and requests failed lately.
//!
//! A server's own reports of errors count as well, each error and each request: who fails fast has room, and would
//! otherwise be taken for a good one. Whoever sees the most failures is believed: a thousand requests that a server
//! counts as good say nothing of the way to it.
//!
//! Connections speak through the data path's counters (see `passive`). What cannot be seen is a single SYN without an
//! answer: answers go past the balancer, directly from the server to the client.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::config::Weights;
use crate::control::curves::{WILSON_Z, derated, wilson_lower};

/// Outcomes within so long are counted as one sample.
const MERGED: Duration = Duration::from_secs(1);

/// Who saw an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::control) enum Source {
    /// A check.
    Check,
    /// The counters of the data path.
    Traffic,
    /// The server itself, of its requests.
    Report,
}

/// Outcomes seen at about the same time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::control) struct Sample {
    pub(in crate::control) at: Instant,
    pub(in crate::control) source: Source,
    pub(in crate::control) failures: f64,
    pub(in crate::control) count: f64,
}

/// The outcomes of one backend, oldest first: those within `failure_window` of the last.
#[derive(Clone, Debug, Default)]
pub(in crate::control) struct Outcomes(VecDeque<Sample>);

/// Why the factor is what it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::control) enum Why {
    /// Hard down.
    Down,
    /// Nothing failed that still counts.
    Sound,
    /// So many outcomes of so many were failures, the last seen so long ago.
    Derated { failures: f64, count: f64, source: Source, ago: Duration },
    /// It would be derated, but too many would be at once.
    Released,
    /// Too few are healthy for health to be believed.
    Panic,
}

impl Outcomes {
    /// So many of `count` outcomes were failures.
    pub(in crate::control) fn add(&mut self, sample: Sample, window: Duration) {
        match self.0.back_mut() {
            Some(last)
                if last.source == sample.source && sample.at.saturating_duration_since(last.at) < MERGED =>
            {
                last.failures += sample.failures;
                last.count += sample.count;
            }
            _ => self.0.push_back(sample),
        }
        let is_old = |old: &Sample| sample.at.saturating_duration_since(old.at) > window;
        while self.0.front().is_some_and(is_old) {
            self.0.pop_front();
        }
    }

    /// What was is over: it was down and returns.
    pub(in crate::control) fn clear(&mut self) {
        self.0.clear();
    }

    pub(in crate::control) fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.0.iter()
    }

    /// The factor, and why.
    pub(in crate::control) fn factor(&self, weights: &Weights, now: Instant) -> (f64, Why) {
        let Some(last) = self.0.back() else { return (1.0, Why::Sound) };
        let ago = now.saturating_duration_since(last.at);
        let left = 1.0 - ago.as_secs_f64() / weights.failure_fade.as_secs_f64().max(f64::EPSILON);
        let seen_by = |source| {
            let samples = self.0.iter().filter(|sample| sample.source == source);
            let (failures, count) = samples.fold((0.0, 0.0), |(failures, count), sample| {
                (failures + sample.failures, count + sample.count)
            });
            (source, failures, count, wilson_lower(failures, count, WILSON_Z))
        };
        let all = [Source::Check, Source::Traffic, Source::Report].map(seen_by);
        let worst = all.into_iter().max_by(|(.., a), (.., b)| a.total_cmp(b));
        let Some((source, failures, count, errors)) = worst.filter(|(_, failures, ..)| *failures > 0.0)
        else {
            return (1.0, Why::Sound);
        };
        if left <= 0.0 {
            return (1.0, Why::Sound);
        }
        (derated(errors * left, weights.failure_floor.get()), Why::Derated { failures, count, source, ago })
    }
}

impl Why {
    pub(in crate::control) fn words(&self) -> String {
        match *self {
            Self::Down => "down".into(),
            Self::Sound => "no failures".into(),
            Self::Derated { failures, count, source, ago } => {
                let what = match source {
                    Source::Check => "checks failed",
                    Source::Traffic => "connections failed",
                    Source::Report => "requests failed, as it reports",
                };
                let ago = ago.as_secs();
                let when = if ago > 2 { format!(", the last {ago} s ago: fading") } else { String::new() };
                format!("derated: {failures:.0} of {count:.0} {what}{when}")
            }
            Self::Released => "failures not counted: too many backends would be derated at once".into(),
            Self::Panic => "not counted: too few backends are healthy".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::fixtures::{at, start};

    const WINDOW: Duration = Duration::from_secs(10);

    fn check(second: f64, failures: f64, count: f64) -> Sample {
        Sample { at: start() + Duration::from_secs_f64(second), source: Source::Check, failures, count }
    }

    fn outcomes(samples: &[(f64, f64, f64)]) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for &(second, failures, count) in samples {
            outcomes.add(check(second, failures, count), WINDOW);
        }
        outcomes
    }

    #[test]
    fn failures_derate_and_fade() {
        let three_of_five =
            &[(10.0, 1.0, 1.0), (12.0, 0.0, 1.0), (14.0, 1.0, 1.0), (16.0, 0.0, 1.0), (18.0, 1.0, 1.0)][..];
        let all = &[(10.0, 0.0, 5.0), (12.0, 0.0, 5.0)][..];
        let forgotten = &[(1.0, 9.0, 9.0), (20.0, 0.0, 1.0)][..];
        let dead = &[(18.0, 1000.0, 1000.0)][..];
        // Description, samples, second, factor by hand from Wilson's formula.
        let rows = [
            ("nothing known", &[][..], 20, 1.0),
            ("all passed", all, 12, 1.0),
            ("one of one: little evidence", &[(18.0, 1.0, 1.0)][..], 18, 0.387),
            ("three of five", three_of_five, 18, 0.384),
            ("the same, half faded", three_of_five, 33, 0.644),
            ("the same, faded", three_of_five, 48, 1.0),
            ("out of the window", forgotten, 20, 1.0),
            ("dead: no less than the floor", dead, 18, 0.05),
        ];
        for (what, samples, second, expected) in rows {
            let (factor, _) = outcomes(samples).factor(&Weights::DEFAULT, at(second));
            assert!((factor - expected).abs() < 2e-3, "{what}: {factor}, expected {expected}");
        }
    }

    #[test]
    fn who_sees_the_most_failures_is_believed() {
        let good = [(Source::Check, 0.0, 1.0), (Source::Traffic, 0.0, 0.0), (Source::Report, 0.0, 1000.0)];
        // Description, who sees failures, of what they see each second, what is said.
        let rows = [
            ("checks", Source::Check, 1.0, 1.0, "derated: 5 of 5 checks failed"),
            ("clients", Source::Traffic, 10.0, 10.0, "derated: 50 of 50 connections failed"),
            ("itself", Source::Report, 500.0, 1000.0, "derated: 2500 of 5000 requests failed, as it reports"),
        ];
        for (what, who, failures, count, expected) in rows {
            let mut outcomes = Outcomes::default();
            for second in 0..5 {
                for (source, fine, all) in good {
                    let (failures, count) = if source == who { (failures, count) } else { (fine, all) };
                    outcomes
                        .add(Sample { source, failures, count, ..check(second.into(), 0.0, 0.0) }, WINDOW);
                }
            }
            let (factor, why) = outcomes.factor(&Weights::DEFAULT, at(4));
            assert!(factor < 0.3, "{what}: {factor}");
            assert_eq!(why.words(), expected);
        }
    }

    #[test]
    fn the_reason_names_the_counts() {
        let outcomes =
            outcomes(&[(0.0, 1.0, 1.0), (2.0, 0.0, 1.0), (4.0, 1.0, 1.0), (4.5, 0.0, 1.0), (6.0, 1.0, 1.0)]);
        let words = |second| outcomes.factor(&Weights::DEFAULT, at(second)).1.words();
        assert_eq!(words(6), "derated: 3 of 5 checks failed");
        assert_eq!(words(16), "derated: 3 of 5 checks failed, the last 10 s ago: fading");
        assert_eq!(words(40), "no failures");
    }

    #[test]
    fn samples_do_not_pile_up() {
        let mut outcomes = Outcomes::default();
        for tick in 0..100_000 {
            outcomes.add(check(f64::from(tick) / 1000.0, 0.0, 1.0), WINDOW);
        }
        assert!(outcomes.samples().count() <= 11);
    }
}
