//! Drain and removal, to the last connection.

use super::*;

#[test]
fn a_removed_backend_finishes_its_connections_and_is_forgotten() {
    let drain = DRAIN.as_secs();
    let (mut control, _) = start_with(vec![backend(1, 1), backend(2, 1)]);
    let commands = reload(&mut control, vec![backend(1, 1)], 10);
    assert_eq!(names(&commands), ["removed: takes no new connections, old ones finish", "slots of 0"]);
    let moved = slots(&commands);
    assert!(moved.iter().all(|(_, slot)| *slot == Slot::tracked(id(2), id(1))));
    assert_eq!(status(&control).backends[1].state, "removed");

    assert_eq!(count(&mut control, &[], 9 + drain), []);
    let settled = count(&mut control, &[], 10 + drain);
    assert_eq!(slots(&settled).len(), moved.len());
    assert_eq!(
        sweep(&mut control, &[(2, 1)], &[moved[0].0], 10 + drain),
        [],
        "began no later than it settled"
    );
    let commands = sweep(&mut control, &[(2, 1)], &[moved[0].0], 50);
    assert_eq!(slots(&commands).len(), moved.len() - 1, "one slot has a live flow");
    let commands = sweep(&mut control, &[], &[], 60);
    let expected = [
        "slots of 0",
        "removed: no connections left, forgotten",
        "down 2",
        "purge 2",
        "clear 2",
        "unwatch 10.0.0.2",
    ];
    assert_eq!(names(&commands), expected);
    assert_eq!((status(&control).backends.len(), status(&control).tracked_slots), (1, 0));

    let commands = reload(&mut control, vec![backend(1, 1), backend(2, 1)], 70);
    assert!(names(&commands).contains(&"backend 3".into()), "the freed id rests");
}

#[test]
fn a_draining_backend_is_kept_and_told_when_it_is_done() {
    let (mut control, _) = start_with(vec![backend(1, 1), backend(2, 1)]);
    let draining = || vec![backend(1, 1), Backend { drain: true, ..backend(2, 1) }];
    let commands = reload(&mut control, draining(), 10);
    assert_eq!(names(&commands), ["draining: takes no new connections, old ones finish", "slots of 0"]);
    count(&mut control, &[], 40);
    sweep(&mut control, &[(2, 7)], &[], 50);
    let state = status(&control).backends.remove(1);
    assert_eq!(
        (state.state.as_str(), state.reason.as_str()),
        ("draining", "7 recorded flows, 0 slots with older connections")
    );
    assert_eq!(names(&sweep(&mut control, &[], &[], 60)), ["drained: no connections left"]);
    assert_eq!(sweep(&mut control, &[], &[], 70), [], "told once");
    let commands = reload(&mut control, vec![backend(1, 1), backend(2, 1)], 80);
    assert_eq!(names(&commands), ["no longer draining", "slots of 0"]);
}

#[test]
fn the_last_backend_drains_by_refusing_new_connections() {
    let (mut control, _) = start_with(vec![backend(1, 1)]);
    let commands = reload(&mut control, vec![], 10);
    let refusing = Slot::tracked_or_none(Some(id(1)), None);
    assert!(slots(&commands).iter().all(|(_, slot)| *slot == refusing));
    assert!(names(&commands).contains(&"no backend takes new connections".into()));
    count(&mut control, &[], 40);
    assert_eq!(slots(&sweep(&mut control, &[(1, 1)], &[3], 50)).len(), SLOTS as usize - 1);
    let commands = sweep(&mut control, &[], &[], 60);
    assert_eq!(slots(&commands), [(3, Slot::EMPTY)]);
    assert!(names(&commands).contains(&"clear 1".into()));
}

#[test]
fn a_removed_backend_that_is_down_is_forgotten_at_once() {
    let both = config(vec![vip(health(), vec![backend(1, 1), backend(2, 1)])]);
    let one = config(vec![vip(health(), vec![backend(1, 1)])]);
    let (mut control, _) = Control::new(both, None, None, 1, at(0));
    run_checks(&mut control, None, at(0), 60);
    count(&mut control, &[], 60);
    let commands = control.handle(Event::Configured(Box::new(one)), at(60));
    assert!(!names(&commands).contains(&"clear 2".into()));
    let commands = run_checks(&mut control, Some(2), at(60), 64);
    let expected = [
        "down: connection refused (3 checks failed)",
        "down 2",
        "slots of 0",
        "purge 2",
        "clear 2",
        "unwatch 10.0.0.2",
    ];
    assert_eq!(names(&commands), expected);
}

#[test]
fn the_id_of_a_backend_rests_while_a_check_is_under_way() {
    let (mut control, _) =
        Control::new(config(vec![vip(health(), vec![backend(1, 1)])]), None, None, 1, at(0));
    assert_eq!(names(&control.handle(Event::Tick, at(1))), ["probe 1"]);
    let commands = control.handle(Event::Configured(Box::new(config(vec![]))), at(1));
    assert!(names(&commands).contains(&"clear 1".into()));
    let sixteen = config(vec![vip(health(), (1..=16).map(|last| backend(last, 1)).collect())]);
    let commands = control.handle(Event::Configured(Box::new(sixteen)), at(1));
    assert!(
        names(&commands).contains(&"waits for room: all 16 places of agent.max_backends are taken".into())
    );
    assert!(status(&control).backends[15].reason.starts_with("waits for room"));
    let commands = control.handle(Event::Probed { backend: id(1), outcome: Ok(()) }, at(1));
    assert!(names(&commands).starts_with(&["watch 10.0.0.16".into(), "down 1".into(), "added".into()]));
    assert_eq!(status(&control).backends[0].state, "checking", "the stale answer says nothing");
}

#[test]
fn a_removed_vip_leaves_the_directory_first() {
    let web = || vip(unchecked(), vec![backend(1, 1)]);
    let other = || Vip { port: 81, name: "other".into(), ..web() };
    let (mut control, _) = Control::new(config(vec![web(), other()]), None, None, 1, at(0));
    let commands = control.handle(Event::Configured(Box::new(config(vec![other()]))), at(1));
    assert_eq!(names(&commands), ["directory 1", "removed", "slots of 0", "down 1", "purge 1", "clear 1"]);
    assert!(slots(&commands).iter().all(|(_, slot)| *slot == Slot::EMPTY));
    let commands = control.handle(Event::Configured(Box::new(config(vec![web(), other()]))), at(2));
    assert_eq!(
        names(&commands),
        ["added", "backend 3", "added", "slots of 2", "takes new connections", "directory 2"]
    );
}
