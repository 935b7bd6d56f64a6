//! More than half of the backends down.

use super::*;

const DOWN: &str = "down: connection refused (3 checks failed)";

fn start(count: u8) -> Control {
    let backends = (1..=count).map(|last| backend(last, 1)).collect();
    let (mut control, _) = Control::new(config(vec![vip(health(), backends)]), None, None, 1, at(0));
    run_checks(&mut control, None, at(0), 10);
    control
}

/// Lets the checks due up to `second` end, those of backends up to `failing` with a failure.
fn checks(control: &mut Control, failing: u16, from: u64, second: u64) -> Vec<Command> {
    let mut out = Vec::new();
    let mut now = at(from);
    while let Some(deadline) = control.next_deadline().filter(|deadline| *deadline <= at(second)) {
        now = now.max(deadline);
        for command in control.handle(Event::Tick, now) {
            let Command::Probe { backend, .. } = command else { panic!("{command:?} by a tick") };
            let outcome = if backend.raw() <= failing { Err("connection refused".into()) } else { Ok(()) };
            out.extend(control.handle(Event::Probed { backend, outcome }, now));
        }
    }
    out
}

fn shares(control: &Control) -> Vec<bool> {
    status(control).backends.iter().map(|backend| backend.share > 0.1).collect()
}

#[test]
fn the_only_one_is_tried_though_it_is_down() {
    let mut control = start(1);
    let commands = checks(&mut control, 1, 10, 15);
    assert_eq!(names(&commands), [DOWN, "1 of 1 backends are down: more than half, so all are tried"]);
    let state = &status(&control).backends[0];
    assert_eq!((state.state.as_str(), state.share), ("down", 1.0));
    assert_eq!(
        state.reason,
        "last check: connection refused; tried all the same, as more than half are down"
    );
    let commands = checks(&mut control, 0, 15, 20);
    assert_eq!(names(&commands), ["up", "no more than half of the backends are down: those get nothing"]);
}

#[test]
fn with_more_than_half_down_all_are_forwarded_to() {
    let mut control = start(4);
    let before: Vec<Slot> = (0..SLOTS).map(|slot| control.vips[&VIP].table.slot(slot)).collect();
    checks(&mut control, 2, 10, 20);
    assert_eq!(shares(&control), [false, false, true, true]);
    let commands = checks(&mut control, 3, 20, 30);
    let what = names(&commands);
    assert!(what.contains(&"3 of 4 backends are down: more than half, so all are tried".into()), "{what:?}");
    // Entries say that they are not down before slots lead there, and the third never was.
    let records = commands.iter().filter_map(|command| match command {
        Command::WriteBackend(record) => Some((record.backend, record.down)),
        _ => None,
    });
    assert_eq!(records.collect::<Vec<_>>(), [(id(1), false), (id(2), false)]);
    assert_eq!(shares(&control), [true; 4]);
    let targets = |slots: &[Slot]| slots.iter().map(|slot| slot.current()).collect::<Vec<_>>();
    let after: Vec<Slot> = (0..SLOTS).map(|slot| control.vips[&VIP].table.slot(slot)).collect();
    assert_eq!(targets(&before), targets(&after), "all at their configured weights");

    // The third returns: it has been tried all the time. The others leave at once.
    let commands = checks(&mut control, 2, 30, 40);
    let downs = ["down 1", "down 2"].map(String::from);
    assert!(downs.iter().all(|down| names(&commands).contains(down)), "{:?}", names(&commands));
    assert_eq!(shares(&control), [false, false, true, true]);
}

#[test]
fn who_drains_or_cannot_be_reached_is_not_counted_nor_tried() {
    let mut backends: Vec<Backend> = (1..=3).map(|last| backend(last, 1)).collect();
    backends[0].drain = true;
    let (mut control, _) = Control::new(config(vec![vip(health(), backends)]), None, None, 1, at(0));
    run_checks(&mut control, None, at(0), 10);
    // One of the two that count is down: half.
    checks(&mut control, 2, 10, 20);
    assert_eq!(shares(&control), [false, false, true]);
}
