//! Status and explanations.

use xdp_lb_common::choice::BackendLoad;

use super::*;
use crate::config::{Ratio, Scheduler};

#[test]
fn counters_become_totals_and_rates() {
    let (mut control, _) = start_with(vec![backend(1, 1)]);
    for (second, packets) in [(1, 100), (3, 500)] {
        let traffic = Traffic { packets, ..Traffic::default() };
        let counters =
            Counters { vips: vec![traffic], backends: vec![Traffic::default(), traffic], reasons: vec![] };
        control.handle(Event::Counted(counters), at(second));
    }
    let vip = control.status(at(3)).vips.remove(0);
    assert_eq!((vip.traffic.packets, vip.traffic.packet_rate), (500, 200.0));
    assert_eq!((vip.backends[0].traffic.packets, vip.backends[0].share), (500, 1.0));
}

#[test]
fn a_connection_is_explained() {
    let (mut control, _) = start_with(vec![backend(1, 1)]);
    let key = |port| (vip(health(), vec![]).address, port, Protocol::Tcp);
    let hash = u64::MAX / 2;
    let stable = control.explain(key(80), hash, None, |_| None).expect("a VIP");
    assert_eq!((stable.slot, stable.why.as_str()), (125, "Slot 125 is stable: packets go to web-1."));
    reload(&mut control, vec![backend(2, 1)], 1);
    let moved = control.explain(key(80), hash, Some(id(1)), |_| None).expect("a VIP");
    assert_eq!(
        (moved.base.as_deref(), moved.current.as_deref(), moved.tracked),
        (Some("web-1"), Some("web-2"), true)
    );
    assert!(
        moved.why.starts_with("This connection is recorded and stays at web-1. Slot 125 moved"),
        "{}",
        moved.why
    );
    let error = control.explain(key(8080), hash, None, |_| None).expect_err("no such VIP");
    assert_eq!(error.to_string(), "no VIP 203.0.113.10 port 8080 tcp; there are: 203.0.113.10 port 80 tcp");
}

#[test]
fn a_choice_of_two_is_explained_with_both_loads() {
    let margin = Ratio::thousandths(250);
    let backends = (1..=4).map(|last| backend(last, 1)).collect();
    let p2c = Vip { scheduler: Scheduler::P2c { margin }, ..vip(unchecked(), backends) };
    let (control, _) = Control::new(config(vec![p2c]), None, None, 1, at(0));
    let key = (vip(health(), vec![]).address, 80, Protocol::Tcp);
    let load = |in_flight| BackendLoad { standing: 0, per_flow: 10, in_flight, reserved: 0 };
    let (mut taken, mut same) = (0, 0);
    for hash in (0..64).map(|n: u64| n << 58) {
        // Those with the higher ids are the busier ones.
        let loads = |id: BackendId| Some(load(i32::from(id.raw()) * 10));
        let explained = control.explain(key, hash, None, loads).expect("a VIP");
        let choice = explained.choice.expect("a choice");
        let (first, second) = (choice.first.expect("a candidate"), choice.second.expect("a candidate"));
        assert_eq!(Some(&first.backend), explained.current.as_ref());
        assert_eq!(first.load, u64::from(first.in_flight) * 10);
        let wins = second.load * 5 < first.load * 4;
        assert_eq!(choice.takes_second, wins, "{first:?} {second:?}");
        let words = match first.backend == second.backend {
            true => format!("both are {}.", first.backend),
            false if wins => format!("{} is the better one by more than the margin, if", second.backend),
            false => format!("{}, as {} is not better by", first.backend, second.backend),
        };
        assert!(explained.why.contains(&words), "{words:?} missing in {}", explained.why);
        taken += u32::from(wins);
        same += u32::from(first.backend == second.backend);
    }
    assert!(taken > 10 && same > 5, "{taken} {same}");
}

#[test]
fn a_vip_for_any_port_answers_for_all() {
    let any = Vip { port: 0, ..vip(unchecked(), vec![backend(1, 1)]) };
    let (control, _) = Control::new(config(vec![any]), None, None, 1, at(0));
    assert!(control.explain((vip(health(), vec![]).address, 1234, Protocol::Tcp), 0, None, |_| None).is_ok());
    assert!(
        control.explain((vip(health(), vec![]).address, 1234, Protocol::Udp), 0, None, |_| None).is_err()
    );
}
