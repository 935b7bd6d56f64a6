//! The checks of one backend, at their times.

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
        assert!((0.125..=1.0).contains(&gap), "away from those that began in the same fast interval: {gap}");
        let (third, _) = step(&mut check, &mut rng, true);
        let gap = (third - second).as_secs_f64() / INTERVAL.as_secs_f64();
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
        assert!(next >= INTERVAL / 8, "down: no haste, {next:?}");
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
            // The pause after the first may be shorter.
            step(&mut check, &mut rng, true);
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
