//! Whether a backend is up: counts the outcomes of its checks and says when the next is due.
//!
//! ```text
//!              first success                  `fall` failures in a row
//!   checking ────────────────► up ◄───┬───────────────────────────────► down
//!      │                              └────── `rise` successes ◄──────── ▲
//!      └──────────────────────── `fall` failures ───────────────────────┘
//! ```

#[cfg(test)]
mod spread;
#[cfg(test)]
mod tests;

use std::time::Instant;

use super::rng::Rng;
use crate::config::{Health, HealthKind};

/// What is known of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Never seen up nor down: takes no traffic yet.
    Checking,
    /// Takes traffic.
    Up,
    /// Hard down: takes none, and its connections are lost.
    Down,
}

/// A change of condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Now up, after having been down or for the first time.
    Up,
    /// Now down, after this many failures in a row, the last for this reason.
    Down { reason: String, failures: u32 },
}

/// The checks of one backend.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    spec: Health,
    since: Instant,
    condition: Condition,
    successes: u32,
    failures: u32,
    last: Option<Result<(), String>>,
    outstanding: Option<Outstanding>,
    due: Option<Instant>,
    /// Began together with those of other backends, in less than an interval, and has not left them since.
    bunched: bool,
}

/// A check under way.
#[derive(Clone, Copy, Debug)]
struct Outstanding {
    began: Instant,
    /// It asks what is no longer configured: its outcome says nothing.
    void: bool,
}

impl Check {
    /// The checks of a backend in this condition; the first falls somewhere within the first `fast_interval`.
    pub(crate) fn new(spec: Health, condition: Condition, now: Instant, rng: &mut Rng) -> Self {
        let mut check = Self {
            spec,
            since: now,
            condition,
            successes: 0,
            failures: 0,
            last: None,
            outstanding: None,
            due: None,
            bunched: true,
        };
        check.start(now, rng);
        check
    }

    pub(super) fn spec(&self) -> &Health {
        &self.spec
    }

    pub(crate) fn condition(&self) -> Condition {
        self.condition
    }

    pub(super) fn is_up(&self) -> bool {
        self.condition == Condition::Up
    }

    /// Whether the last check failed, if there was any.
    pub(crate) fn has_failed_last(&self) -> bool {
        matches!(self.last, Some(Err(_)))
    }

    /// By when the first outcome is to be waited for; `None` once it is there.
    pub(super) fn first_outcome_by(&self) -> Option<Instant> {
        let awaited = self.condition == Condition::Checking && self.last.is_none();
        let grace = self.spec.timeout + self.spec.fast_interval * self.spec.fall;
        if awaited { self.since.checked_add(grace) } else { None }
    }

    /// When the next check is to begin; `None` while one is under way and if there is nothing to check.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn is_outstanding(&self) -> bool {
        self.outstanding.is_some()
    }

    /// Whether the outcome of the check under way will count.
    pub(super) fn is_awaited(&self) -> bool {
        self.outstanding.is_some_and(|outstanding| !outstanding.void)
    }

    /// A check begins.
    pub(crate) fn begin(&mut self, now: Instant) {
        // So late, it begins with all others that were due while the agent stood still.
        self.bunched |=
            self.due.is_some_and(|due| now.saturating_duration_since(due) > self.spec.fast_interval);
        self.outstanding = Some(Outstanding { began: now, void: false });
        self.due = None;
    }

    /// A check ended.
    pub(crate) fn judge(
        &mut self,
        outcome: Result<(), String>,
        now: Instant,
        rng: &mut Rng,
    ) -> Option<Change> {
        let ended = self.outstanding.take()?;
        if ended.void {
            self.due = (self.spec.kind != HealthKind::None).then_some(now);
            return None;
        }
        self.last = Some(outcome.clone());
        let change = match outcome {
            Ok(()) => self.succeed(),
            Err(reason) => self.fail(reason),
        };
        self.due = self.next(ended.began, now, rng);
        change
    }

    /// When the check after one that ended `now` is to begin. A tenth of jitter alone would keep those together that
    /// began together, for dozens of intervals.
    fn next(&mut self, began: Instant, now: Instant, rng: &mut Rng) -> Option<Instant> {
        if !self.is_settled() {
            return Some(began.checked_add(rng.jitter(self.spec.fast_interval))?.max(now));
        }
        if !std::mem::take(&mut self.bunched) {
            return Some(began.checked_add(rng.jitter(self.spec.interval))?.max(now));
        }
        let earliest = began.checked_add(self.spec.interval / 8)?.max(now);
        let latest = began.checked_add(self.spec.interval)?;
        earliest.checked_add(latest.saturating_duration_since(earliest).mul_f64(rng.unit()))
    }

    /// The configuration says something else now. What is known stays, what was being counted starts anew.
    pub(super) fn respecify(&mut self, spec: &Health, now: Instant, rng: &mut Rng) -> Option<Change> {
        if self.spec == *spec {
            return None;
        }
        self.spec = spec.clone();
        self.successes = 0;
        self.failures = 0;
        let before = self.condition;
        self.start(now, rng);
        (self.is_up() && before != Condition::Up).then_some(Change::Up)
    }

    /// The last outcome and the count that matters, in words.
    pub(crate) fn reason(&self) -> String {
        if self.spec.kind == HealthKind::None {
            return "not checked".into();
        }
        match (&self.last, self.condition) {
            (None, Condition::Down) => "found down by an earlier agent, not checked yet".into(),
            (None, Condition::Up) => "found up by an earlier agent, not checked yet".into(),
            (None, Condition::Checking) => "not checked yet".into(),
            (Some(Err(reason)), Condition::Down) => format!("last check: {reason}"),
            (Some(Err(reason)), _) => {
                format!("last check: {reason} ({} of {} failures)", self.failures, self.spec.fall)
            }
            (Some(Ok(())), Condition::Down) => {
                format!("last check passed ({} of {} successes)", self.successes, self.spec.rise)
            }
            (Some(Ok(())), _) => "last check passed".into(),
        }
    }

    fn start(&mut self, now: Instant, rng: &mut Rng) {
        self.bunched = true;
        if let Some(outstanding) = &mut self.outstanding {
            outstanding.void = true;
        }
        if self.spec.kind == HealthKind::None {
            self.condition = Condition::Up;
            self.due = None;
        } else if self.outstanding.is_none() {
            self.due = now.checked_add(self.spec.fast_interval.mul_f64(rng.unit()));
        }
    }

    fn succeed(&mut self) -> Option<Change> {
        self.failures = 0;
        self.successes = self.successes.saturating_add(1);
        let enough = match self.condition {
            Condition::Up => return None,
            Condition::Checking => true,
            Condition::Down => self.successes >= self.spec.rise,
        };
        enough.then(|| {
            self.condition = Condition::Up;
            Change::Up
        })
    }

    fn fail(&mut self, reason: String) -> Option<Change> {
        self.successes = 0;
        self.failures = self.failures.saturating_add(1);
        (self.condition != Condition::Down && self.failures >= self.spec.fall).then(|| {
            self.condition = Condition::Down;
            Change::Down { reason, failures: self.failures }
        })
    }

    /// Whether nothing is about to change.
    fn is_settled(&self) -> bool {
        match self.condition {
            Condition::Checking => false,
            Condition::Up => self.failures == 0,
            Condition::Down => self.successes == 0,
        }
    }
}
