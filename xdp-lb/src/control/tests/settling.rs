//! When moved slots settle.

use super::*;

const DRAIN_SECONDS: u64 = DRAIN.as_secs();

/// The backends by weight, from the first on.
fn weights(weights: &[u16]) -> Vec<Backend> {
    (1..).zip(weights).map(|(last, weight)| backend(last, *weight)).collect()
}

/// How many slots are moved away from a backend.
fn moved(control: &Control, base: u16) -> usize {
    let table = &control.vips[&VIP].table;
    (0..SLOTS).map(|slot| table.slot(slot)).filter(|s| s.is_moved() && s.base() == Some(id(base))).count()
}

#[test]
fn settling_waits_while_flows_go_unrecorded() {
    let (mut control, _) = start_with(weights(&[1, 1]));
    count(&mut control, &[], 5);
    reload(&mut control, weights(&[1, 0]), 10);
    // Description, unrecorded so far, second, whether slots settle.
    let rows = [
        ("too early", 0, 39, false),
        ("due, but one was not recorded", 1, 40, false),
        ("not long enough ago", 1, 69, false),
        ("again", 2, 70, false),
        ("still", 2, 99, false),
        ("a drain time without", 2, 100, true),
    ];
    for (what, unrecorded, second, settles) in rows {
        assert_eq!(!count(&mut control, &[0, unrecorded], second).is_empty(), settles, "{what}");
    }
}

#[test]
fn slots_that_move_after_a_failure_do_not_wait_for_it() {
    let (mut control, _) = start_with(weights(&[1, 1, 1]));
    reload(&mut control, weights(&[1, 1, 0]), 10);
    count(&mut control, &[0, 0, 1], 20);
    reload(&mut control, weights(&[1, 0, 0]), 21);
    assert_eq!(count(&mut control, &[0, 0, 1], 20 + DRAIN_SECONDS - 1), []);
    // Those of backend 3 that stayed where they had moved, then those that moved twice and those of backend 2.
    let first = slots(&count(&mut control, &[0, 0, 1], 20 + DRAIN_SECONDS));
    assert!(!first.is_empty() && first.len() < SLOTS as usize / 3, "{}", first.len());
    let second = slots(&count(&mut control, &[0, 0, 1], 21 + DRAIN_SECONDS));
    assert!(!second.is_empty());
    assert_eq!((moved(&control, 2), moved(&control, 3)), (0, 0));
}

#[test]
fn a_failure_restarts_only_the_slots_moved_by_then() {
    let (mut control, _) = start_with(weights(&[1, 1, 1]));
    reload(&mut control, weights(&[1, 1, 0]), 10);
    count(&mut control, &[0, 0, 1], 25);
    reload(&mut control, weights(&[1, 0, 0]), 30);
    // A backend of the second move: the first move's slots that are its own wait on, the others do not.
    count(&mut control, &[0, 1, 1], 35);
    count(&mut control, &[0, 1, 1], 30 + DRAIN_SECONDS);
    assert!(moved(&control, 2) > 0 && moved(&control, 3) == 0, "backend 3's are not concerned");
    count(&mut control, &[0, 1, 1], 35 + DRAIN_SECONDS);
    assert_eq!(moved(&control, 2), 0);
}

#[test]
fn a_failure_at_a_backend_whose_slots_did_not_move_restarts_nothing() {
    let (mut control, _) = start_with(weights(&[1, 1, 1]));
    reload(&mut control, weights(&[1, 1, 0]), 10);
    count(&mut control, &[1, 1, 0], 10 + DRAIN_SECONDS);
    assert_eq!(moved(&control, 3), 0);
}

#[test]
fn flows_that_follow_current_hold_nothing_up() {
    let udp = |backends| {
        let udp = Vip { protocol: Protocol::Udp, affinity: Affinity::Flow, ..vip(unchecked(), backends) };
        config(vec![udp])
    };
    let (mut control, _) = Control::new(udp(weights(&[1, 1])), None, None, 1, at(0));
    control.handle(Event::Configured(Box::new(udp(weights(&[1, 0])))), at(10));
    assert!(moved(&control, 2) > 0);
    count(&mut control, &[7, 7], 10 + DRAIN_SECONDS);
    assert_eq!(moved(&control, 2), 0, "a full flow table is no reason to wait");
}

#[test]
fn a_backend_that_takes_over_an_id_is_counted_from_nothing() {
    let mut two = config(vec![vip(unchecked(), weights(&[1, 1]))]);
    two.agent.max_backends = 2;
    let (mut control, _) = Control::new(two, None, None, 1, at(0));
    reload(&mut control, weights(&[1]), 10);
    count(&mut control, &[0, 5], 20);
    count(&mut control, &[0, 5], 20 + DRAIN_SECONDS);
    sweep(&mut control, &[], &[], 60);
    reload(&mut control, vec![backend(1, 1), backend(3, 1)], 70);
    assert_eq!(control.vips[&VIP].members[&address(3)], id(2));
    count(&mut control, &[], 70 + DRAIN_SECONDS);
    reload(&mut control, weights(&[1]), 110);
    count(&mut control, &[0, 3], 110 + DRAIN_SECONDS);
    assert!(moved(&control, 2) > 0, "three of its own went unrecorded");
}
