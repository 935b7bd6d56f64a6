//! Which servers are out for failing again and again, and how they come back.
//!
//! ```text
//!        `eject_after` errors in a row          time is up
//!   in ────────────────────────────────► out ──────────────► one request as a probe
//!   ▲                                     ▲                      │            │
//!   │                                     └── error: twice as long            │
//!   └──────────────────────────── success ────────────────────────────────────┘
//! ```

use super::settings::Settings;
use crate::control::rng::Rng;

/// One server's ejections. Times are in seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Ejection {
    /// Errors in a row.
    run: u32,
    /// Ejections without a quiet time between them.
    times: u32,
    out: Option<Out>,
    /// When the last ejection ended.
    returned: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Out {
    since: f64,
    until: f64,
    probed: bool,
}

/// Whether an ejection lets a request through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    /// For one request, whose answer decides.
    Probe,
    Shut,
}

impl Ejection {
    pub(super) fn gate(&self, now: f64) -> Gate {
        match self.out {
            None => Gate::Open,
            Some(out) if now >= out.until && !out.probed => Gate::Probe,
            Some(_) => Gate::Shut,
        }
    }

    pub(super) fn is_out(&self) -> bool {
        self.out.is_some()
    }

    /// Until when, and for the how manyth time.
    pub(super) fn until(&self) -> Option<(f64, u32)> {
        self.out.map(|out| (out.until, self.times))
    }

    /// The probe is on its way.
    pub(super) fn probe(&mut self) {
        if let Some(out) = &mut self.out {
            out.probed = true;
        }
    }

    /// The probe came to nothing.
    pub(super) fn unprobe(&mut self) {
        if let Some(out) = &mut self.out {
            out.probed = false;
        }
    }

    /// A request sent at `sent` succeeded. What was sent before the ejection says nothing about its end.
    pub(super) fn succeeded(&mut self, sent: f64, now: f64) {
        self.run = 0;
        if self.out.is_some_and(|out| sent >= out.since) {
            self.out = None;
            self.returned = now;
        }
    }

    /// A request sent at `sent` failed; `may` tells whether servers may be ejected now.
    pub(super) fn failed(&mut self, sent: f64, now: f64, may: bool, settings: &Settings, rng: &mut Rng) {
        self.run = self.run.saturating_add(1);
        match self.out {
            Some(out) if sent >= out.until => self.eject(now, settings, rng),
            Some(_) => {}
            None if may && settings.eject_after > 0 && self.run >= settings.eject_after => {
                if now - self.returned >= settings.eject_forget.as_secs_f64() {
                    self.times = 0;
                }
                self.eject(now, settings, rng);
            }
            None => {}
        }
    }

    fn eject(&mut self, now: f64, settings: &Settings, rng: &mut Rng) {
        let doubled = settings.eject_least.saturating_mul(1 << self.times.min(30));
        let time = rng.jitter(doubled.min(settings.eject_most)).as_secs_f64();
        self.times = self.times.saturating_add(1);
        self.out = Some(Out { since: now, until: now + time, probed: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(ejection: &mut Ejection, now: f64) {
        ejection.failed(now, now, true, &Settings::default(), &mut Rng::new(1));
    }

    fn assert_lasts(ejection: &Ejection, now: f64, expected: f64) {
        let (until, _) = ejection.until().unwrap();
        assert!(((until - now) / expected - 1.0).abs() <= 0.1, "{} s, expected {expected}", until - now);
    }

    #[test]
    fn each_ejection_lasts_twice_as_long_up_to_the_cap() {
        let mut ejection = Ejection::default();
        let mut now = 0.0;
        for error in 1..=5 {
            assert!(!ejection.is_out(), "out after {} errors", error - 1);
            fail(&mut ejection, now);
        }
        for expected in [5.0, 10.0, 20.0, 40.0, 60.0, 60.0] {
            assert_lasts(&ejection, now, expected);
            assert_eq!(ejection.gate(now + expected * 0.89), Gate::Shut);
            now += expected * 1.11;
            assert_eq!(ejection.gate(now), Gate::Probe);
            ejection.probe();
            assert_eq!(ejection.gate(now), Gate::Shut, "one probe at a time");
            fail(&mut ejection, now);
        }
    }

    #[test]
    fn a_quiet_time_makes_the_next_ejection_short_again() {
        for (quiet, expected) in [(59.0, 10.0), (60.0, 5.0)] {
            let mut ejection = Ejection::default();
            (0..5).for_each(|_| fail(&mut ejection, 0.0));
            ejection.succeeded(6.0, 6.0);
            assert_eq!(ejection.gate(6.0), Gate::Open);
            (0..5).for_each(|_| fail(&mut ejection, 6.0 + quiet));
            assert_lasts(&ejection, 6.0 + quiet, expected);
        }
    }

    #[test]
    fn successes_between_errors_keep_a_server_in() {
        let mut ejection = Ejection::default();
        for second in 0..100 {
            fail(&mut ejection, f64::from(second));
            if second % 4 == 3 {
                ejection.succeeded(f64::from(second), f64::from(second));
            }
        }
        assert!(!ejection.is_out());
    }

    #[test]
    fn answers_from_before_the_ejection_do_not_move_it() {
        let mut ejection = Ejection::default();
        (0..5).for_each(|_| fail(&mut ejection, 1.0));
        let until = ejection.until();
        ejection.succeeded(0.5, 2.0);
        ejection.failed(0.5, 9.0, true, &Settings::default(), &mut Rng::new(1));
        assert_eq!(ejection.until(), until);
    }

    #[test]
    fn nobody_is_ejected_where_the_pool_as_a_whole_fails() {
        let mut ejection = Ejection::default();
        for _ in 0..50 {
            ejection.failed(0.0, 0.0, false, &Settings::default(), &mut Rng::new(1));
        }
        assert!(!ejection.is_out());
    }
}
