//! Whether a backend is up: counts the outcomes of its checks and says when the next is due.
//!
//! ```text
//!              first success                  `fall` failures in a row
//!   checking ────────────────► up ◄───┬───────────────────────────────► down
//!      │                              └────── `rise` successes ◄──────── ▲
//!      └──────────────────────── `fall` failures ───────────────────────┘
//! ```

use std::time::Instant;

use super::rng::Rng;
use crate::config::{Health, HealthKind};

/// What is known of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Never seen up nor down: takes no traffic yet.
    Checking,
    /// Takes traffic.
    Up,
    /// Hard down: takes none, and its connections are lost.
    Down,
}

/// A change of condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Now up, after having been down or for the first time.
    Up,
    /// Now down, after this many failures in a row, the last for this reason.
    Down { reason: String, failures: u32 },
}

/// The checks of one backend.
#[derive(Clone, Debug)]
pub(super) struct Check {
    spec: Health,
    since: Instant,
    condition: Condition,
    successes: u32,
    failures: u32,
    last: Option<Result<(), String>>,
    outstanding: Option<Outstanding>,
    due: Option<Instant>,
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
    pub(super) fn new(spec: Health, condition: Condition, now: Instant, rng: &mut Rng) -> Self {
        let mut check = Self {
            spec,
            since: now,
            condition,
            successes: 0,
            failures: 0,
            last: None,
            outstanding: None,
            due: None,
        };
        check.start(now, rng);
        check
    }

    pub(super) fn spec(&self) -> &Health {
        &self.spec
    }

    pub(super) fn condition(&self) -> Condition {
        self.condition
    }

    pub(super) fn is_up(&self) -> bool {
        self.condition == Condition::Up
    }

    /// By when the first outcome is to be waited for; `None` once it is there.
    pub(super) fn first_outcome_by(&self) -> Option<Instant> {
        let awaited = self.condition == Condition::Checking && self.last.is_none();
        let grace = self.spec.timeout + self.spec.fast_interval * self.spec.fall;
        if awaited { self.since.checked_add(grace) } else { None }
    }

    /// When the next check is to begin; `None` while one is under way and if there is nothing to check.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn is_outstanding(&self) -> bool {
        self.outstanding.is_some()
    }

    /// A check begins.
    pub(super) fn begin(&mut self, now: Instant) {
        self.outstanding = Some(Outstanding { began: now, void: false });
        self.due = None;
    }

    /// A check ended.
    pub(super) fn judge(
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
        let pace = if self.is_settled() { self.spec.interval } else { self.spec.fast_interval };
        self.due = ended.began.checked_add(rng.jitter(pace)).map(|due| due.max(now));
        change
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
    pub(super) fn reason(&self) -> String {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixtures::{self, start};
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(2);
    const FAST: Duration = Duration::from_millis(500);

    fn spec() -> Health {
        Health { interval: INTERVAL, fast_interval: FAST, rise: 2, fall: 3, ..fixtures::health() }
    }

    /// Runs the due check at its time, answered at once; says when, and what changed.
    fn step(check: &mut Check, rng: &mut Rng, ok: bool) -> (Instant, Option<Change>) {
        let now = check.due().expect("a check is due");
        check.begin(now);
        assert_eq!(check.due(), None, "one check at a time");
        let outcome = if ok { Ok(()) } else { Err("connection refused".to_string()) };
        (now, check.judge(outcome, now, rng))
    }

    #[test]
    fn conditions_follow_the_outcomes() {
        use Condition::{Checking, Down, Up};
        // Description, condition at first, outcomes (+ passed, - failed), condition after each.
        let rows = [
            ("new: the first success is enough", Checking, "+", vec![Up]),
            ("new: failures before a success", Checking, "--+", vec![Checking, Checking, Up]),
            ("new: down after `fall`", Checking, "---", vec![Checking, Checking, Down]),
            ("adopted up: stays so until `fall`", Up, "--+--", vec![Up, Up, Up, Up, Up]),
            ("up: down after `fall` in a row", Up, "--+---", vec![Up, Up, Up, Up, Up, Down]),
            ("down: up after `rise` in a row", Down, "+-++", vec![Down, Down, Down, Up]),
        ];
        for (what, condition, outcomes, expected) in rows {
            let mut rng = Rng::new(1);
            let mut check = Check::new(spec(), condition, start(), &mut rng);
            for (position, (outcome, expected)) in outcomes.chars().zip(expected).enumerate() {
                let before = check.condition();
                let (_, change) = step(&mut check, &mut rng, outcome == '+');
                assert_eq!(check.condition(), expected, "{what}: after {position}");
                assert_eq!(change.is_some(), before != expected, "{what}: change told at {position}");
            }
        }
    }

    #[test]
    fn the_last_reason_is_told() {
        let mut rng = Rng::new(1);
        let mut check = Check::new(spec(), Condition::Up, start(), &mut rng);
        step(&mut check, &mut rng, false);
        step(&mut check, &mut rng, false);
        let (_, change) = step(&mut check, &mut rng, false);
        assert_eq!(change, Some(Change::Down { reason: "connection refused".into(), failures: 3 }));
        assert_eq!(check.reason(), "last check: connection refused");
    }

    #[test]
    fn checks_are_spread_and_jittered() {
        let mut rng = Rng::new(3);
        for _ in 0..1000 {
            let mut check = Check::new(spec(), Condition::Up, start(), &mut rng);
            let (first, _) = step(&mut check, &mut rng, true);
            assert!(first >= start() && first < start() + FAST, "spread over the first fast interval");
            let (second, _) = step(&mut check, &mut rng, true);
            let gap = (second - first).as_secs_f64() / INTERVAL.as_secs_f64();
            assert!((0.9..=1.1).contains(&gap), "interval, jittered by a tenth: {gap}");
        }
    }

    #[test]
    fn a_failing_backend_is_down_within_an_interval_of_its_first_failure() {
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let mut check = Check::new(spec(), Condition::Up, start(), &mut rng);
            let (first, _) = step(&mut check, &mut rng, false);
            step(&mut check, &mut rng, false);
            let (last, change) = step(&mut check, &mut rng, false);
            assert!(change.is_some() && last - first <= INTERVAL, "{:?}", last - first);
            let next = check.due().expect("goes on checking") - last;
            assert!(next >= INTERVAL.mul_f64(0.9), "down: no haste, {next:?}");
            let (_, none) = step(&mut check, &mut rng, true);
            assert_eq!(none, None);
            let (up, change) = step(&mut check, &mut rng, true);
            assert_eq!(change, Some(Change::Up), "at {up:?}");
        }
    }

    #[test]
    fn a_backend_that_falls_silent_is_down_in_the_time_that_the_configuration_promises() {
        for (timeout, fast) in [(100, 500), (500, 500), (666, 500), (1000, 500), (3000, 500)] {
            let spec = Health {
                timeout: Duration::from_millis(timeout),
                fast_interval: Duration::from_millis(fast),
                ..spec()
            };
            let mut longest = Duration::ZERO;
            for seed in 0..200 {
                let mut rng = Rng::new(seed);
                let mut check = Check::new(spec.clone(), Condition::Up, start(), &mut rng);
                let (silent, _) = step(&mut check, &mut rng, true);
                let down = loop {
                    let began = check.due().expect("a check is due");
                    check.begin(began);
                    let ended = began + spec.timeout;
                    if check.judge(Err("timed out".into()), ended, &mut rng).is_some() {
                        break ended;
                    }
                };
                longest = longest.max(down - silent);
            }
            let promised = spec.longest_unnoticed();
            let close = promised.mul_f64(0.95)..=promised;
            assert!(close.contains(&longest), "timeout {timeout} ms: {longest:?} of {promised:?}");
        }
    }

    #[test]
    fn a_slow_check_is_not_doubled() {
        let mut rng = Rng::new(1);
        let mut check = Check::new(spec(), Condition::Up, start(), &mut rng);
        let began = check.due().expect("due");
        check.begin(began);
        let ended = began + INTERVAL * 3;
        check.judge(Err("timed out".into()), ended, &mut rng);
        assert_eq!(check.due(), Some(ended), "the next begins when the last has ended");
        assert_eq!(check.judge(Ok(()), ended, &mut rng), None, "an answer to no question says nothing");
    }

    #[test]
    fn changed_configuration_voids_the_check_under_way() {
        let mut rng = Rng::new(1);
        let mut check = Check::new(spec(), Condition::Checking, start(), &mut rng);
        check.begin(start());
        let other = Health { fall: 1, ..spec() };
        assert_eq!(check.respecify(&other, start(), &mut rng), None);
        assert_eq!(check.judge(Err("old port".into()), start() + FAST, &mut rng), None);
        assert_eq!((check.condition(), check.due()), (Condition::Checking, Some(start() + FAST)));
    }

    #[test]
    fn without_checks_a_backend_is_up() {
        let mut rng = Rng::new(1);
        let none = Health { kind: HealthKind::None, ..spec() };
        let check = Check::new(none.clone(), Condition::Checking, start(), &mut rng);
        assert_eq!((check.condition(), check.due()), (Condition::Up, None));
        let mut down = Check::new(spec(), Condition::Down, start(), &mut rng);
        assert_eq!(down.respecify(&none, start(), &mut rng), Some(Change::Up));
        assert_eq!(down.due(), None);
        assert_eq!(down.respecify(&spec(), start(), &mut rng), None, "known up until shown otherwise");
        assert!(down.is_up() && down.due().is_some());
    }
}
