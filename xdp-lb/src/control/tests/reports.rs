//! What servers say, and what of it counts.

use super::live::{large, live, second};
use super::*;
use crate::config::{UtilizationKind, Warmup};

fn say(control: &mut Control, last: u8, report: Report, now: u64) -> Vec<Command> {
    control.handle(
        Event::Reported { backend: id(last.into()), address: address(last), report: Ok(report) },
        at(now),
    )
}

fn refuse(control: &mut Control, kind: NoReportKind, detail: &str, now: u64) -> Vec<Command> {
    let report = Err(NoReport { kind, detail: detail.into() });
    control.handle(Event::Reported { backend: id(1), address: address(1), report }, at(now))
}

fn admin(admin: AdminState) -> Report {
    Report { admin: Some(admin), ..Report::default() }
}

fn operational(operational: Result<(), &str>) -> Report {
    Report { operational: Some(operational.map_err(Into::into)), ..Report::default() }
}

fn start(count: u8) -> Control {
    Control::new(large(vec![live(unchecked(), count)]), None, None, 1, at(0)).0
}

#[test]
fn servers_are_asked_as_configured_until_they_are_gone() {
    let (mut control, commands) = Control::new(config(vec![live(unchecked(), 2)]), None, None, 1, at(0));
    assert!(
        names(&commands).contains(&"reports of 1".into())
            && names(&commands).contains(&"reports of 2".into())
    );
    let told = |control: &mut Control, vip: Vip, now| {
        let mut said = names(&control.handle(Event::Configured(Box::new(config(vec![vip]))), at(now)));
        said.retain(|name| name.contains("reports"));
        said
    };
    assert_eq!(told(&mut control, live(unchecked(), 2), 1), [""; 0]);
    assert_eq!(told(&mut control, live(unchecked(), 3), 2), ["reports of 3"]);
    let mut slower = live(unchecked(), 3);
    slower.utilization.interval *= 2;
    assert_eq!(told(&mut control, slower, 3), ["reports of 1", "reports of 2", "reports of 3"]);
    let mut silent = live(unchecked(), 3);
    silent.utilization.kind = UtilizationKind::None;
    assert_eq!(told(&mut control, silent, 4), ["no reports of 1", "no reports of 2", "no reports of 3"]);
    assert_eq!(status(&control).backends[0].reports, None);
    told(&mut control, live(unchecked(), 1), 5);
    let commands = control.handle(Event::Configured(Box::new(config(vec![]))), at(6));
    assert!(names(&commands).contains(&"no reports of 1".into()));
}

#[test]
fn what_does_not_count_is_counted_by_its_reason() {
    let mut control = start(2);
    say(&mut control, 1, Report { utilization: Some(0.5), ..Report::default() }, 1);
    let number = |utilization| Report { utilization: Some(utilization), ..Report::default() };
    for value in [f64::NAN, f64::INFINITY, -0.1, 1.1] {
        assert_eq!(say(&mut control, 1, number(value), 2), []);
    }
    refuse(&mut control, NoReportKind::Garbage, "\"hello\": no report", 3);
    refuse(&mut control, NoReportKind::Garbage, "\"hello\": no report", 4);
    // Not its address: an answer for whoever had the id before.
    let stray = Event::Reported { backend: id(1), address: address(9), report: Ok(number(0.9)) };
    assert_eq!(control.handle(stray, at(4)), []);
    second(&mut control, 20);
    second(&mut control, 21);
    let reports = control.status(at(21)).vips.remove(0).backends.remove(0).reports.expect("it is asked");
    let refused: Vec<(&str, u64)> = reports.refused.iter().map(|r| (r.reason.as_str(), r.reports)).collect();
    let expected = [
        ("garbage", 2),
        ("not_a_number", 1),
        ("infinite", 1),
        ("negative", 1),
        ("above_one", 1),
        ("stale", 1),
    ];
    assert_eq!(refused, expected);
    assert_eq!((reports.accepted, reports.utilization, reports.age_seconds), (1, Some(0.5), Some(20.0)));
    assert_eq!((reports.source.as_str(), reports.problem.as_str()), ("agent-check", "\"hello\": no report"));
}

#[test]
fn words_hold_until_others_are_said() {
    // Description, what is said one after the other, the state after each.
    type Say = Option<Report>;
    let (ready, drain, maint) = (
        || Some(admin(AdminState::Ready)),
        || Some(admin(AdminState::Drain)),
        || Some(admin(AdminState::Maint)),
    );
    let (up, down) = (|| Some(operational(Ok(()))), || Some(operational(Err("disk full"))));
    let percent = |weight| Some(Report { weight: Some(weight), ..Report::default() });
    let rows: Vec<(&str, Vec<(Say, &str)>)> = vec![
        ("drain", vec![(drain(), "draining"), (None, "draining"), (up(), "draining"), (ready(), "up")]),
        ("maint", vec![(maint(), "down"), (None, "down"), (up(), "down"), (ready(), "up")]),
        ("down", vec![(down(), "down"), (None, "down"), (ready(), "down"), (up(), "up")]),
        (
            "nothing of its weight",
            vec![(percent(0.0), "draining"), (ready(), "draining"), (percent(0.5), "up")],
        ),
        ("maint, then drain", vec![(maint(), "down"), (drain(), "draining"), (ready(), "up")]),
    ];
    for (what, said) in rows {
        let mut control = start(4);
        for (step, (report, state)) in said.into_iter().enumerate() {
            let now = step as u64 + 1;
            match report {
                Some(report) => say(&mut control, 1, report, now),
                None => refuse(&mut control, NoReportKind::Unreachable, "connection refused", now),
            };
            let backend = status(&control).backends.remove(0);
            assert_eq!(backend.state, state, "{what}: step {step}, {}", backend.reason);
            assert_eq!(backend.share > 0.0, state == "up", "{what}: step {step}");
        }
    }
}

#[test]
fn a_server_that_says_it_is_down_is_so_at_once_and_in_its_words() {
    let mut control = start(4);
    let commands = say(&mut control, 1, operational(Err("disk full")), 1);
    assert_eq!(names(&commands), ["down: its agent says: disk full", "down 1", "slots of 0"]);
    assert_eq!(status(&control).backends[0].reason, "its agent says: disk full");
    assert_eq!(say(&mut control, 1, operational(Err("disk full")), 2), [], "told once");
    let commands = say(&mut control, 1, operational(Ok(())), 3);
    assert_eq!(names(&commands), ["up", "purge 1", "backend 1", "slots of 0"]);
    let commands = say(&mut control, 1, admin(AdminState::Maint), 4);
    assert_eq!(names(&commands), ["down: its agent says maintenance", "down 1", "slots of 0"]);
    assert_eq!(status(&control).backends[0].reason, "its agent says maintenance");
}

#[test]
fn up_is_who_passes_its_checks_and_says_so() {
    let (mut control, _) = Control::new(large(vec![live(health(), 4)]), None, None, 1, at(0));
    run_checks(&mut control, None, at(0), 5);
    say(&mut control, 1, operational(Err("warming its disks")), 5);
    run_checks(&mut control, None, at(5), 10);
    assert_eq!(status(&control).backends[0].state, "down", "checks alone do not bring it up");
    run_checks(&mut control, Some(1), at(10), 20);
    say(&mut control, 1, operational(Ok(())), 20);
    assert_eq!(status(&control).backends[0].state, "down", "nor do words");
    run_checks(&mut control, None, at(20), 30);
    assert_eq!(status(&control).backends[0].state, "up");
}

#[test]
fn a_percentage_is_a_factor_of_the_weight() {
    let mut control = start(20);
    for now in 1..=300 {
        say(&mut control, 1, Report { weight: Some(0.5), ..Report::default() }, now);
        say(&mut control, 2, Report { weight: Some(1e9), ..Report::default() }, now);
        second(&mut control, now);
    }
    let weights: Vec<f64> = status(&control).backends.iter().map(|b| b.effective_weight).collect();
    assert_eq!((weights[0], weights[2]), (50.0, 100.0));
    assert_eq!(weights[1], 400.0, "never above four times its weight");
}

#[test]
fn a_restart_that_a_report_tells_of_is_said() {
    let mut control = start(2);
    let aged = |seconds| Report { age: Some(Duration::from_secs(seconds)), ..Report::default() };
    assert_eq!(say(&mut control, 1, aged(500), 1), []);
    assert_eq!(names(&say(&mut control, 1, aged(1), 10)), ["started again: it was 509 s old, and is 1 s"]);
}

/// Whoever answers in several servers' place is as old as the youngest of them.
#[test]
fn ages_that_contradict_each_other_move_nothing_and_are_told_once() {
    let mut vip = live(unchecked(), 4);
    vip.warmup = Warmup::DEFAULT;
    let (mut control, _) = Control::new(large(vec![vip]), None, None, 1, at(0));
    let aged = |seconds| Report { age: Some(Duration::from_secs(seconds)), ..Report::default() };
    let (mut said, mut factors) = (Vec::new(), Vec::new());
    for now in 1..=200 {
        for last in 2..=4 {
            say(&mut control, last, aged(5000 + now), now);
        }
        let age = if now % 2 == 0 { now } else { 3000 + now };
        said.extend(names(&say(&mut control, 1, aged(age), now)));
        second(&mut control, now);
        factors.push(control.status(at(now)).vips[0].backends[0].factors[3].value);
    }
    assert_eq!(said, ["started again: it was 3002 s old, and is 2 s"]);
    assert!(factors[1..].is_sorted(), "{factors:?}");
    assert_eq!(factors.last(), Some(&1.0));
    let mut said = Vec::new();
    for now in 201..=400 {
        said.extend(names(&say(&mut control, 2, aged(now % 5), now)));
    }
    assert_eq!(said.len(), 1, "one that starts again and again: {said:?}");
}

#[test]
fn a_reason_that_changes_all_the_time_is_told_once() {
    let mut control = start(4);
    say(&mut control, 1, operational(Err("load 23.1")), 1);
    for now in 2..10 {
        assert_eq!(say(&mut control, 1, operational(Err(&format!("load 2{now}.0"))), now), []);
    }
    assert_eq!(status(&control).backends[0].reason, "its agent says: load 29.0");
}

/// A percentage is a measure, and a measure that speaks against all of them is no reason to serve nobody.
#[test]
fn servers_that_all_ask_for_nothing_are_served_all_the_same() {
    let percent = |weight| Report { weight: Some(weight), ..Report::default() };
    let shares = |control: &Control| -> Vec<bool> {
        status(control).backends.iter().map(|backend| backend.share > 0.0).collect()
    };
    let (mut control, _) = Control::new(large(vec![live(health(), 3)]), None, None, 1, at(0));
    run_checks(&mut control, None, at(0), 10);
    run_checks(&mut control, Some(3), at(10), 20);
    say(&mut control, 1, percent(0.0), 20);
    assert_eq!(shares(&control), [false, true, false]);
    let commands = say(&mut control, 2, percent(0.0), 21);
    let what = "all that could take new connections ask for none: they get them all the same";
    assert!(names(&commands).contains(&what.into()), "{:?}", names(&commands));
    assert_eq!(shares(&control), [true, true, false], "who is down gets none");
    assert_eq!(status(&control).backends[0].state, "up");
    let commands = say(&mut control, 2, percent(0.5), 22);
    assert!(names(&commands).contains(&"who asks for no new connections gets none again".into()));
    assert_eq!(shares(&control), [false, true, false]);
    say(&mut control, 2, admin(AdminState::Drain), 23);
    assert_eq!(shares(&control), [true, false, false]);
    say(&mut control, 1, admin(AdminState::Drain), 24);
    assert_eq!(shares(&control)[..2], [false, false], "what an operator wants is no measure");
}

#[test]
fn requests_that_fail_speak_against_a_server_that_says_so() {
    let mut control = start(4);
    for now in 1..=10 {
        for last in 1..=4 {
            let errors = Some(if last == 1 { 50.0 } else { 0.0 });
            let report = Report { utilization: Some(0.5), rate: Some(100.0), errors, ..Report::default() };
            say(&mut control, last, report, now);
        }
        second(&mut control, now);
    }
    let backends = status(&control).backends;
    let health = &backends[0].factors[0];
    // Half of a thousand requests: hardly a doubt, so that the factor is close to (1 - ½)³.
    assert!((0.125..0.15).contains(&health.value), "{health:?}");
    assert_eq!(health.reason, "derated: 500 of 1000 requests failed, as it reports");
    assert!(backends[1..].iter().all(|backend| backend.factors[0].value == 1.0), "{backends:?}");
    assert!(backends[0].share < 0.1, "{:?}", backends[0]);
}
