//! A: a young server gets less, until its caches are warm.
//!
//! Its age is what it reports, else the time since it was first seen up, or returned. Factors are normalised by the
//! fleet's largest: a fleet that is cold as a whole is not starved.

use std::time::{Duration, Instant};

use crate::config::Warmup;
use crate::control::curves::warmth;

/// By how much a reported age may fall short of the one expected before it counts as that of another process.
const SLACK: Duration = Duration::from_secs(3);

/// How old a server is, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::control) struct Age {
    /// When it was first seen, or returned.
    seen: Instant,
    /// It is there from the VIP's beginning: it may be much older than that.
    founding: bool,
    /// Whether `seen` is when it was first up, and not only when it was first heard of.
    settled: bool,
    /// As last reported, and when.
    reported: Option<(Duration, Instant)>,
}

/// Why the factor is what it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::control) enum Why {
    /// Servers are taken as warm from the start.
    Off,
    Warm,
    /// So old, of so many seconds.
    Warming {
        age: Duration,
        window: Duration,
    },
    /// The same, but no other is older.
    AsTheFleet {
        age: Duration,
        window: Duration,
    },
    /// It is there from the VIP's beginning, and does not say how old it is.
    Unknown,
}

/// A fleet's largest warmth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::control) struct Eldest(f64);

impl Age {
    pub(in crate::control) fn new(founding: bool, now: Instant) -> Self {
        Self { seen: now, founding, settled: founding, reported: None }
    }

    /// As it was remembered.
    pub(in crate::control) fn restored(
        seen: Instant,
        founding: bool,
        reported: Option<(Duration, Instant)>,
    ) -> Self {
        Self { seen, founding, settled: true, reported }
    }

    pub(in crate::control) fn parts(&self) -> (Instant, bool, Option<(Duration, Instant)>) {
        (self.seen, self.founding, self.reported)
    }

    /// What the server says. The age it was thought to have, if it must have been started again since. Nobody grows
    /// older than by the time that passes: where another answers in its place now and then, the youngest age holds, so
    /// that its weight does not go back and forth.
    pub(in crate::control) fn report(&mut self, age: Duration, now: Instant) -> Option<Duration> {
        let before = self.reported.map(|_| self.at(now));
        if before.is_none_or(|before| age < before) {
            self.reported = Some((age, now));
        }
        before.filter(|before| age.saturating_add(SLACK) < *before)
    }

    /// It returns from having been down: a new process, unless its report, no older than `fresh`, says otherwise.
    pub(in crate::control) fn return_at(&mut self, fresh: Duration, now: Instant) {
        self.seen = now;
        (self.founding, self.settled) = (false, true);
        self.reported = self.reported.filter(|(_, at)| now.saturating_duration_since(*at) <= fresh);
    }

    /// It is down. One that was never up either has yet to be started, whatever its VIP's age.
    pub(in crate::control) fn is_down(&mut self) {
        (self.founding, self.settled) = (false, false);
    }

    /// It is seen up for the first time. Who is there from the beginning is as old as the VIP.
    pub(in crate::control) fn begin_at(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.settled, true) {
            self.seen = now;
        }
    }

    /// Its age; of one that does not report it the least that it can be.
    fn at(&self, now: Instant) -> Duration {
        match self.reported {
            Some((age, at)) => age.saturating_add(now.saturating_duration_since(at)),
            None => now.saturating_duration_since(self.seen),
        }
    }

    fn warmth(&self, warmup: &Warmup, now: Instant) -> f64 {
        let [age, window, step] = [self.at(now), warmup.window, warmup.step].map(|d| d.as_secs_f64());
        warmth(age, window, step, warmup.floor.get())
    }

    /// The factor, and why.
    pub(in crate::control) fn factor(&self, eldest: Eldest, warmup: &Warmup, now: Instant) -> (f64, Why) {
        if warmup.window.is_zero() {
            return (1.0, Why::Off);
        }
        let warmth = self.warmth(warmup, now);
        let (age, window) = (self.at(now), warmup.window);
        if warmth >= 1.0 {
            (1.0, Why::Warm)
        } else if self.founding && self.reported.is_none() {
            (1.0, Why::Unknown)
        } else if warmth >= eldest.0 {
            (1.0, Why::AsTheFleet { age, window })
        } else {
            (warmth / eldest.0, Why::Warming { age, window })
        }
    }
}

/// The largest warmth of these.
pub(in crate::control) fn eldest<'a>(
    ages: impl Iterator<Item = &'a Age>,
    warmup: &Warmup,
    now: Instant,
) -> Eldest {
    Eldest(ages.map(|age| age.warmth(warmup, now)).fold(0.0, f64::max))
}

impl Why {
    pub(in crate::control) fn words(&self) -> String {
        match self {
            Self::Off => "warm-up is off".into(),
            Self::Warm => "warm".into(),
            Self::Warming { age, window } => {
                format!("warming up: {} s of {}", age.as_secs(), window.as_secs())
            }
            Self::AsTheFleet { age, window } => {
                format!("{} s of {}, and no other is warmer", age.as_secs(), window.as_secs())
            }
            Self::Unknown => "there from the beginning: taken as warm".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::fixtures::at;

    const WARMUP: Warmup = Warmup::DEFAULT;

    fn reporting(age: u64, second: u64) -> Age {
        let mut reporting = Age::new(true, at(0));
        reporting.report(Duration::from_secs(age), at(second));
        reporting
    }

    #[test]
    fn factors_are_those_of_the_age_beside_the_eldest() {
        let founding = Age::new(true, at(0));
        let joined = |second| Age::new(false, at(second));
        // Description, the fleet, second, factors.
        let rows = [
            ("all there from the beginning", vec![founding; 2], 1, vec![1.0, 1.0]),
            ("one joins an old fleet", vec![founding, joined(1000)], 1000, vec![1.0, 0.1]),
            ("it warms up in steps", vec![founding, joined(1000)], 1047, vec![1.0, 40.0 / 90.0]),
            ("it is warm", vec![founding, joined(1000)], 1090, vec![1.0, 1.0]),
            ("one joins a young fleet", vec![founding, joined(30)], 30, vec![1.0, 0.3]),
            ("all joined together", vec![joined(0); 3], 20, vec![1.0; 3]),
            ("reported ages", vec![reporting(3600, 0), reporting(5, 0)], 10, vec![1.0, 10.0 / 90.0]),
            ("a whole fleet started anew", vec![reporting(12, 0), reporting(15, 0)], 0, vec![1.0; 2]),
            ("one does not say how old it is", vec![reporting(3600, 0), founding], 5, vec![1.0; 2]),
        ];
        for (what, ages, second, expected) in rows {
            let eldest = eldest(ages.iter(), &WARMUP, at(second));
            for (age, expected) in ages.iter().zip(expected) {
                let (factor, _) = age.factor(eldest, &WARMUP, at(second));
                assert!((factor - expected).abs() < 1e-9, "{what}: {factor}, expected {expected}");
            }
        }
    }

    #[test]
    fn a_reported_age_that_falls_tells_of_a_restart() {
        let mut age = reporting(100, 0);
        assert_eq!(age.report(Duration::from_secs(109), at(10)), None, "a second lost on the way");
        assert_eq!(age.report(Duration::from_secs(2), at(20)), Some(Duration::from_secs(119)));
        let (factor, why) = age.factor(Eldest(1.0), &WARMUP, at(58));
        assert_eq!((factor, why.words().as_str()), (40.0 / 90.0, "warming up: 40 s of 90"));
    }

    #[test]
    fn a_return_begins_anew_unless_the_report_says_otherwise() {
        let fresh = Duration::from_secs(10);
        let mut silent = Age::new(true, at(0));
        silent.return_at(fresh, at(500));
        assert_eq!(silent.factor(Eldest(1.0), &WARMUP, at(500)).0, 0.1);
        let mut says = reporting(900, 495);
        says.return_at(fresh, at(500));
        assert_eq!(
            says.factor(Eldest(1.0), &WARMUP, at(500)).0,
            1.0,
            "the way there was broken, not the server"
        );
        let mut said = reporting(900, 400);
        said.return_at(fresh, at(500));
        assert_eq!(said.factor(Eldest(1.0), &WARMUP, at(500)).0, 0.1);
    }

    #[test]
    fn without_a_window_all_are_warm() {
        let off = Warmup { window: Duration::ZERO, ..WARMUP };
        assert_eq!(Age::new(false, at(9)).factor(Eldest(1.0), &off, at(9)), (1.0, Why::Off));
    }
}
