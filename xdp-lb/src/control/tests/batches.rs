//! Several events at once.

use super::*;

/// Seven checked backends that are up.
fn seven() -> Control {
    let backends = (1..=7).map(|last| backend(last, 1)).collect();
    let (mut control, _) = Control::new(config(vec![vip(health(), backends)]), None, None, 1, at(0));
    run_checks(&mut control, None, at(0), 10);
    control
}

/// Rounds of checks from 10 s on, each answered as a whole: those of backends 2 to 4 end so, the others pass.
fn round(control: &mut Control, passes: bool, second: u64, answer: Answer) -> Vec<Command> {
    let mut out = Vec::new();
    let answers = answers(control.handle(Event::Tick, at(second)), passes);
    assert_eq!(answers.len(), 7, "all are due at {second}");
    match answer {
        Answer::Together => out.extend(control.handle_all(answers, at(second))),
        Answer::OneByOne => {
            answers.into_iter().for_each(|event| out.extend(control.handle(event, at(second))));
        }
    }
    out
}

/// How the checks end that began.
fn answers(began: Vec<Command>, passes: bool) -> Vec<Event> {
    let answer = |command| {
        let Command::Probe { backend, .. } = command else { panic!("{command:?}, where only checks begin") };
        let passes = passes || !(id(2)..=id(4)).contains(&backend);
        Event::Probed { backend, outcome: if passes { Ok(()) } else { Err("timed out".into()) } }
    };
    began.into_iter().map(answer).collect()
}

#[derive(Clone, Copy)]
enum Answer {
    Together,
    OneByOne,
}

/// Where new connections go, slot by slot.
fn currents(control: &Control) -> Vec<Option<BackendId>> {
    (0..SLOTS).map(|slot| control.vips[&VIP].table.slot(slot).current()).collect()
}

#[test]
fn backends_that_change_together_cost_one_table() {
    let (mut together, mut one_by_one) = (seven(), seven());
    for second in [20, 30] {
        assert_eq!(round(&mut together, false, second, Answer::Together), []);
        round(&mut one_by_one, false, second, Answer::OneByOne);
    }
    let down = "down: timed out (3 checks failed)";
    let commands = round(&mut together, false, 40, Answer::Together);
    assert_eq!(names(&commands), [down, down, down, "down 2", "down 3", "down 4", "slots of 0"]);
    round(&mut one_by_one, false, 40, Answer::OneByOne);
    assert_eq!(currents(&together), currents(&one_by_one));

    assert_eq!(round(&mut together, true, 50, Answer::Together), []);
    round(&mut one_by_one, true, 50, Answer::OneByOne);
    let commands = round(&mut together, true, 60, Answer::Together);
    let expected = [
        "up",
        "up",
        "up",
        "purge 2",
        "backend 2",
        "purge 3",
        "backend 3",
        "purge 4",
        "backend 4",
        "slots of 0",
    ];
    assert_eq!(names(&commands), expected);
    round(&mut one_by_one, true, 60, Answer::OneByOne);
    assert_eq!(currents(&together), currents(&one_by_one));
}

#[test]
fn an_entry_that_changes_several_times_is_written_once() {
    let mut control = seven();
    for second in [20, 30, 40] {
        round(&mut control, false, second, Answer::Together);
    }
    round(&mut control, true, 50, Answer::Together);
    control.handle(Event::Tick, at(60));
    let hop =
        NextHop { egress: 2, source_mac: [2; 6], destination_mac: [4; 6], mtu: 1500, via_gateway: false };
    let events = [
        Event::Probed { backend: id(2), outcome: Ok(()) },
        Event::NextHop { address: address(2), hop: Ok(hop) },
        Event::NextHop { address: address(2), hop: Err("no route".into()) },
    ];
    let commands = names(&control.handle_all(events, at(60)));
    assert_eq!(commands, ["up", "next hop: no route", "purge 2", "backend 2", "slots of 0"], "written once");
}

#[test]
fn a_backend_that_no_flow_can_be_recorded_to_is_not_purged() {
    // Description, when the sweep began, flows it found, whether a purge is needed.
    let rows = [
        ("no sweep since it is down", 39, 0, true),
        ("a sweep that began with it", 40, 0, true),
        ("some are left", 41, 1, true),
        ("none is left", 41, 0, false),
    ];
    for (what, began, flows, purged) in rows {
        let mut control = seven();
        for second in [20, 30, 40] {
            round(&mut control, false, second, Answer::Together);
        }
        let flows = vec![(id(2), flows)];
        let swept = Sweep { began: Some(at(began)), live_slots: vec![], flows };
        let began = control.handle(Event::Swept(swept), at(41));
        control.handle_all(answers(began, false), at(41));
        round(&mut control, true, 50, Answer::Together);
        let commands = names(&round(&mut control, true, 60, Answer::Together));
        assert!(commands.contains(&"backend 2".into()), "{what}");
        assert_eq!(commands.contains(&"purge 2".into()), purged, "{what}");
    }
}
