//! A VIP's first table.

use super::*;

/// Grace: a timeout of 400 ms and three fast intervals of 500 ms.
const GRACE: Duration = Duration::from_millis(1900);

fn checked(backends: Vec<Backend>) -> Config {
    config(vec![vip(health(), backends)])
}

fn both() -> Vec<Backend> {
    vec![backend(1, 1), backend(2, 1)]
}

/// Begins the first checks, half a second after the start.
fn begin(control: &mut Control) {
    control.handle(Event::Tick, later(500));
}

fn later(milliseconds: u64) -> Instant {
    at(0) + Duration::from_millis(milliseconds)
}

fn answer(control: &mut Control, backend: u16, outcome: Result<(), String>, now: Instant) -> Vec<String> {
    names(&control.handle(Event::Probed { backend: id(backend), outcome }, now))
}

const FILLED: [&str; 2] = ["slots of 0", "takes new connections"];

#[test]
fn it_waits_for_the_first_outcome_of_every_backend() {
    let refused = || Err("connection refused".to_string());
    for (outcome, commands, each) in
        [(Ok(()), &["up", "backend 2"][..], SLOTS as usize / 2), (refused(), &[], SLOTS as usize)]
    {
        let (mut control, _) = Control::new(checked(both()), None, None, 1, at(0));
        begin(&mut control);
        assert_eq!(answer(&mut control, 1, Ok(()), later(510)), ["up", "backend 1"]);
        assert_eq!(answer(&mut control, 2, outcome, later(900)), [commands, &FILLED].concat());
        let table = &control.vips[&VIP].table;
        assert_eq!((table.moved_slots(), table.tracked_slots()), (0, 0), "nothing had to move");
        assert!(table.held(id(1)).current as usize >= each);
    }
}

#[test]
fn it_does_not_wait_for_ever() {
    let (mut control, _) = Control::new(checked(both()), None, None, 1, at(0));
    begin(&mut control);
    answer(&mut control, 1, Ok(()), later(510));
    let mut wake = control.next_deadline().expect("the end of the wait");
    while wake < at(0) + GRACE {
        assert_eq!(slots(&control.handle(Event::Tick, wake)), [], "{:?}", wake - at(0));
        answer(&mut control, 1, Ok(()), wake);
        wake = control.next_deadline().expect("the end of the wait");
    }
    assert_eq!(wake, at(0) + GRACE, "the second never answers");
    assert_eq!(names(&control.handle(Event::Tick, wake)), FILLED);
    assert_eq!(answer(&mut control, 2, Ok(()), wake), ["up", "backend 2", "slots of 0"]);
}

#[test]
fn it_does_not_wait_for_who_would_take_no_part() {
    let drained = vec![backend(1, 1), Backend { drain: true, ..backend(2, 1) }, backend(3, 0)];
    let (mut control, _) = Control::new(checked(drained), None, None, 1, at(0));
    begin(&mut control);
    assert_eq!(answer(&mut control, 1, Ok(()), later(510)), [&["up", "backend 1"][..], &FILLED].concat());
}

#[test]
fn it_ends_when_the_last_awaited_backend_is_removed() {
    let (mut control, _) = Control::new(checked(both()), None, None, 1, at(0));
    begin(&mut control);
    answer(&mut control, 1, Ok(()), later(510));
    let commands = control.handle(Event::Configured(Box::new(checked(vec![backend(1, 1)]))), later(600));
    assert!(names(&commands).contains(&"slots of 0".into()));
    assert!(names(&commands).contains(&"clear 2".into()));
}

#[test]
fn a_table_that_was_emptied_is_filled_at_once() {
    let by_mac = |backends| config(vec![Vip { forward: Forward::L2, ..vip(health(), backends) }]);
    let (mut control, _) = Control::new(by_mac(both()), None, None, 1, at(0));
    run_checks(&mut control, None, at(0), 10);
    let way = |last: u8, via_gateway| {
        let hop =
            NextHop { egress: 2, source_mac: [2; 6], destination_mac: [last; 6], mtu: 1500, via_gateway };
        Event::NextHop { address: address(last), hop: Ok(hop) }
    };
    control.handle_all([way(1, true), way(2, true)], at(20));
    assert!(control.vips[&VIP].table.is_empty());
    let three = by_mac([both(), vec![backend(3, 1)]].concat());
    control.handle(Event::Configured(Box::new(three)), at(50));
    let mut commands = names(&control.handle(way(1, false), at(51)));
    commands.retain(|name| !name.starts_with("probe"));
    assert!(commands.ends_with(&FILLED.map(String::from)), "{commands:?}: without a word from the third");
}
