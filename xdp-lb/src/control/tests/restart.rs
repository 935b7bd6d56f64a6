//! The next agent goes on where the last one ended.

use super::live::{large, live, report, second};
use super::*;
use crate::config::{Percent, UtilizationKind};

/// What the kernel holds after these commands.
#[derive(Default)]
struct Kept {
    vips: Vec<VipRecord>,
    backends: std::collections::BTreeMap<BackendId, BackendRecord>,
    slots: std::collections::BTreeMap<u32, Slot>,
}

impl Kept {
    fn obey(&mut self, commands: &[Command]) {
        for command in commands {
            match command {
                Command::WriteDirectory(vips) => self.vips.clone_from(vips),
                Command::WriteBackend(record) => drop(self.backends.insert(record.backend, record.clone())),
                Command::WriteSlots { changes, .. } => self.slots.extend(changes.iter().copied()),
                _ => {}
            }
        }
    }

    fn adopted(&self) -> Adopted {
        let size = self.vips[0].table_size;
        let slots = (0..size).map(|slot| self.slots.get(&slot).copied().unwrap_or(Slot::EMPTY)).collect();
        Adopted {
            vips: self.vips.clone(),
            backends: self.backends.values().cloned().collect(),
            tables: vec![(VIP, slots)],
        }
    }
}

const SERVERS: u8 = 10;

fn config_of_ten() -> Config {
    large(vec![live(unchecked(), SERVERS)])
}

/// The first server is slower than the others.
fn reports(now: u64) -> Vec<Event> {
    assert!(now > 0);
    (1..=SERVERS).map(|last| report(last, if last == 1 { 0.9 } else { 0.5 }, 100.0)).collect()
}

/// After so many seconds.
fn ran_for(seconds: u64) -> (Control, Kept) {
    let mut kept = Kept::default();
    let (mut control, commands) = Control::new(config_of_ten(), None, None, 1, at(0));
    kept.obey(&commands);
    for now in 1..=seconds {
        kept.obey(&control.handle_all(reports(now), at(now)));
        kept.obey(&second(&mut control, now));
    }
    (control, kept)
}

/// As it comes back from a file.
fn through_a_file(remembered: &Remembered) -> Remembered {
    serde_json::from_str(&serde_json::to_string(remembered).expect("text")).expect("the same")
}

fn weights(control: &Control) -> Vec<f64> {
    status(control).backends.iter().map(|backend| backend.effective_weight).collect()
}

#[test]
fn with_its_state_nothing_moves_and_nothing_soft_is_published_for_a_while() {
    // In the midst of a step, and at rest.
    for seconds in [22, 26, 300] {
        let (control, kept) = ran_for(seconds);
        let remembered = through_a_file(&control.remember(at(seconds))).aged(Duration::from_secs(3));
        let began = seconds + 3;
        let (mut next, commands) =
            Control::new(config_of_ten(), Some(kept.adopted()), Some(remembered.clone()), 2, at(began));
        assert_eq!(slots(&commands), [], "after {seconds} s");
        assert_eq!(weights(&next), weights(&control));
        for now in began + 1..began + 10 {
            next.handle_all(reports(now), at(now));
            let moved = slots(&second(&mut next, now)).iter().any(|(_, slot)| slot.is_moved());
            assert!(!moved, "{} s after the start", now - began);
        }
        let again = next.remember(at(began + 9));
        let published = |remembered: &Remembered| {
            let json = serde_json::to_value(remembered).expect("json");
            json["vips"][0]["backends"]
                .as_array()
                .expect("backends")
                .iter()
                .map(|b| b["published"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(published(&again), published(&remembered));
    }
}

#[test]
fn without_state_shares_of_the_slots_tell_what_was_published() {
    let (control, kept) = ran_for(300);
    let before = weights(&control);
    assert!(before[0] < 60.0, "{before:?}");
    let (next, commands) = Control::new(config_of_ten(), Some(kept.adopted()), None, 2, at(301));
    assert_eq!(weights(&next), before);
    assert!(slots(&commands).len() <= 4, "rounding at most: {}", slots(&commands).len());
}

#[test]
fn ages_words_and_damping_come_back() {
    let mut warm = live(health(), 4);
    warm.warmup = crate::config::Warmup::DEFAULT;
    let warm = || large(vec![warm.clone()]);
    let (mut control, commands) = Control::new(warm(), None, None, 1, at(0));
    let mut kept = Kept::default();
    kept.obey(&commands);
    kept.obey(&run_checks(&mut control, None, at(0), 10));
    kept.obey(&run_checks(&mut control, Some(2), at(10), 20));
    kept.obey(&run_checks(&mut control, None, at(20), 30));
    let drain = Report { admin: Some(AdminState::Drain), utilization: Some(0.25), ..Report::default() };
    let said = Event::Reported { backend: id(3), address: address(3), report: Ok(drain) };
    kept.obey(&control.handle(said, at(30)));
    let remembered = through_a_file(&control.remember(at(40))).aged(Duration::from_secs(20));
    let (next, commands) = Control::new(warm(), Some(kept.adopted()), Some(remembered), 2, at(60));
    assert_eq!(slots(&commands), []);
    let backends = next.status(at(60)).vips.remove(0).backends;
    let age = &backends[1].factors[3].reason;
    assert!(
        ["warming up: 36 s of 90", "warming up: 37 s of 90", "warming up: 38 s of 90"]
            .contains(&age.as_str()),
        "{age}"
    );
    assert_eq!(backends[0].factors[3].reason, "there from the beginning: taken as warm");
    assert_eq!(backends[2].state, "draining");
    let reports = backends[2].reports.as_ref().expect("it is asked");
    assert_eq!((reports.utilization, reports.age_seconds), (Some(0.25), Some(30.0)));
}

#[test]
fn a_server_that_the_state_does_not_know_is_new() {
    let three = || config(vec![vip(unchecked(), (1..=3).map(|last| backend(last, 100)).collect())]);
    let (control, _) = start_with(vec![backend(1, 100), backend(2, 100)]);
    let remembered = control.remember(at(10));
    let (next, _) = Control::new(three(), None, Some(remembered), 2, at(10));
    assert_eq!(weights(&next), [100.0, 100.0, 1.0]);
}

#[test]
fn numbers_that_make_no_sense_are_none() {
    let (control, _) = start_with(vec![backend(1, 100), backend(2, 100)]);
    let mut json = serde_json::to_value(control.remember(at(10))).expect("json");
    let first = &mut json["vips"][0]["backends"][0];
    for (key, value) in [
        ("seen", serde_json::json!(-1e300)),
        ("published", serde_json::json!(u32::MAX)),
        ("capacity", serde_json::json!([-1.0, 1e300, 1e300])),
        ("asked", serde_json::json!(1e9)),
        ("reported_age", serde_json::json!([1e300, -5.0])),
        ("outcomes", serde_json::json!([[0.0, "traffic", 7.0, 1.0]])),
        ("hold", serde_json::json!(1e300)),
        ("downs", serde_json::json!([1e300, -1.0])),
        ("reported", serde_json::json!(1e300)),
    ] {
        first[key] = value;
    }
    let remembered: Remembered = serde_json::from_value(json).expect("of the form");
    let backends = || vec![backend(1, 100), backend(2, 100)];
    let (mut next, _) =
        Control::new(config(vec![vip(unchecked(), backends())]), None, Some(remembered), 2, at(10));
    assert!(weights(&next).iter().all(|weight| (1.0..=400.0).contains(weight)), "{:?}", weights(&next));
    second(&mut next, 11);
}

/// What an agent says holds until it says otherwise, which it can only while it is asked.
#[test]
fn what_a_server_said_ends_where_it_is_asked_otherwise() {
    let failing = Report { operational: Some(Err("disk full".into())), ..Report::default() };
    let admin = |admin| Report { admin: Some(admin), ..Report::default() };
    let percent = |weight| Report { weight: Some(weight), ..Report::default() };
    let said = [admin(AdminState::Drain), admin(AdminState::Maint), failing, percent(0.0), percent(0.5)];
    let as_before = live(unchecked(), 4);
    let mut by_orca = as_before.clone();
    by_orca.utilization.kind = UtilizationKind::OrcaGrpc { port: 9709 };
    let mut percent = as_before.clone();
    percent.utilization.kind =
        UtilizationKind::AgentCheck { port: 9707, send: String::new(), percent: Percent::Weight };
    let unasked = vip(unchecked(), as_before.backends.clone());
    for report in said {
        let mut kept = Kept::default();
        let (mut control, commands) = Control::new(large(vec![as_before.clone()]), None, None, 1, at(0));
        kept.obey(&commands);
        let event = Event::Reported { backend: id(1), address: address(1), report: Ok(report.clone()) };
        kept.obey(&control.handle(event, at(1)));
        let remembered = through_a_file(&control.remember(at(2)));
        for (vip, ends) in [(&as_before, false), (&by_orca, true), (&percent, true), (&unasked, true)] {
            let config = large(vec![vip.clone()]);
            let (mut next, _) =
                Control::new(config, Some(kept.adopted()), Some(remembered.clone()), 2, at(2));
            second(&mut next, 3);
            let backend = next.status(at(3)).vips.remove(0).backends.remove(0);
            let is_over = backend.state == "up" && backend.factors[1].value == 1.0;
            assert_eq!(is_over, ends, "{report:?}, asked by {:?}: {backend:?}", vip.utilization.kind);
        }
    }
}

#[test]
fn who_was_down_before_the_start_returns_cold() {
    let mut warming = vip(health(), (1..=4).map(|last| backend(last, 100)).collect());
    warming.warmup = crate::config::Warmup::DEFAULT;
    let config = || large(vec![warming.clone()]);
    let mut kept = Kept::default();
    let (mut control, commands) = Control::new(config(), None, None, 1, at(0));
    kept.obey(&commands);
    kept.obey(&run_checks(&mut control, None, at(0), 200));
    kept.obey(&run_checks(&mut control, Some(2), at(200), 210));
    let remembered = through_a_file(&control.remember(at(210)));
    for remembered in [Some(remembered), None] {
        let (mut next, _) = Control::new(config(), Some(kept.adopted()), remembered, 2, at(210));
        run_checks(&mut next, None, at(210), 215);
        second(&mut next, 215);
        let backends = next.status(at(215)).vips.remove(0).backends;
        assert_eq!(backends[1].state, "up");
        if backends[0].factors[3].reason == "there from the beginning: taken as warm" {
            assert!(backends[1].factors[3].reason.contains("s of 90"), "{:?}", backends[1].factors[3]);
        }
    }
}

#[test]
fn no_number_of_a_server_spoils_what_is_written() {
    let (mut control, _) = Control::new(large(vec![live(unchecked(), 2)]), None, None, 1, at(0));
    for now in [1, 1, 2, 4] {
        let huge = Report { errors: Some(f64::MAX), ..Report::default() };
        for report in [huge.clone(), Report { errors: Some(0.0), ..huge }] {
            let report = Report { utilization: Some(0.02), rate: Some(f64::MAX), ..report };
            let event = Event::Reported { backend: id(1), address: address(1), report: Ok(report) };
            control.handle(event, at(now));
        }
    }
    let remembered = control.remember(at(5));
    assert_eq!(through_a_file(&remembered), remembered);
}
