//! What an earlier agent left.

use super::*;

/// What a control that ran for a while has left in the maps.
fn leave(backends: Vec<Backend>, change: impl FnOnce(&mut Adopted)) -> Adopted {
    let (control, commands) = start_with(backends);
    let written = commands.iter().filter_map(|command| match command {
        Command::WriteBackend(record) => Some(record.clone()),
        _ => None,
    });
    let table = (0..SLOTS).map(|slot| control.vips[&VIP].table.slot(slot)).collect();
    let mut adopted = Adopted {
        vips: control.directory.clone().expect("written"),
        backends: written.collect(),
        tables: vec![(VIP, table)],
    };
    change(&mut adopted);
    adopted
}

#[test]
fn adoption_rewrites_nothing_that_is_unchanged() {
    let adopted = leave(vec![backend(1, 1), backend(2, 1)], |_| {});
    let same = config(vec![vip(health(), vec![backend(1, 1), backend(2, 1)])]);
    let (mut control, commands) = Control::new(same, Some(adopted), None, 9, at(0));
    assert_eq!(names(&commands), ["watch 10.0.0.1", "watch 10.0.0.2", "directory 1"]);
    assert_eq!(status(&control).backends[0].reason, "found up by an earlier agent, not checked yet");
    let unresolved = Event::NextHop { address: address(1), hop: Err("no route".into()) };
    assert_eq!(names(&control.handle(unresolved, at(0))), ["next hop: no route", "backend 1"]);
    assert_eq!(run_checks(&mut control, None, at(0), 5), [], "up it was, up it is");
}

#[test]
fn the_new_configuration_applies_to_what_was_adopted() {
    let adopted = leave(vec![backend(1, 1), backend(2, 1)], |_| {});
    let other = config(vec![vip(unchecked(), vec![backend(1, 1), backend(3, 1)])]);
    let (mut control, commands) = Control::new(other, Some(adopted), None, 9, at(0));
    let expected = [
        "watch 10.0.0.1",
        "watch 10.0.0.2",
        "watch 10.0.0.3",
        "backend 3",
        "removed: takes no new connections, old ones finish",
        "slots of 0",
        "directory 1",
    ];
    assert_eq!(names(&commands), expected);
    let slots = slots(&commands);
    let of_two = slots.iter().filter(|(_, slot)| slot.base() == Some(id(2)) && slot.is_moved());
    assert_eq!(of_two.count(), 125);
    assert_eq!(count(&mut control, &[], DRAIN.as_secs() - 1), []);
    assert!(!count(&mut control, &[], DRAIN.as_secs()).is_empty());
}

#[test]
fn a_backend_adopted_as_down_returns_after_rise_successes() {
    let adopted = leave(vec![backend(1, 1), backend(2, 1)], |adopted| {
        adopted.backends[1].down = true;
        adopted.tables[0].1.fill(Slot::stable(id(1)));
    });
    let same = config(vec![vip(health(), vec![backend(1, 1), backend(2, 1)])]);
    let (mut control, commands) = Control::new(same, Some(adopted), None, 9, at(0));
    assert_eq!(names(&commands), ["watch 10.0.0.1", "watch 10.0.0.2", "directory 1"]);
    assert_eq!(run_checks(&mut control, None, at(0), 0), []);
    let commands = run_checks(&mut control, None, at(0), 3);
    assert_eq!(names(&commands), ["up", "purge 2", "backend 2", "slots of 0"]);
}

#[test]
fn what_a_killed_agent_left_half_done_is_mended() {
    let half = leave(vec![backend(1, 1), backend(2, 1)], |adopted| {
        // It was about to clear the slots of a backend found down, and a VIP that had left the directory.
        adopted.backends[1].down = true;
        let stray = BackendRecord { backend: id(7), vip: VipId::new(3), ..adopted.backends[0].clone() };
        adopted.backends.push(stray);
        adopted.tables.push((VipId::new(3), vec![Slot::EMPTY, Slot::stable(id(7))]));
    });
    let same = config(vec![vip(health(), vec![backend(1, 1), backend(2, 1)])]);
    let (_, commands) = Control::new(same, Some(half), None, 9, at(0));
    let expected = [
        "slots of 3",
        "watch 10.0.0.1",
        "watch 10.0.0.2",
        "down 7",
        "purge 7",
        "clear 7",
        "slots of 0",
        "directory 1",
    ];
    assert_eq!(names(&commands), expected);
    let [Command::WriteSlots { changes, .. }, ..] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!(changes[..], [(1, Slot::EMPTY)]);
}
