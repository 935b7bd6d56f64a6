//! Status and explanations.

use super::*;

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
    let stable = control.explain(key(80), hash, None).expect("a VIP");
    assert_eq!((stable.slot, stable.why.as_str()), (125, "Slot 125 is stable: packets go to web-1."));
    reload(&mut control, vec![backend(2, 1)], 1);
    let moved = control.explain(key(80), hash, Some(id(1))).expect("a VIP");
    assert_eq!(
        (moved.base.as_deref(), moved.current.as_deref(), moved.tracked),
        (Some("web-1"), Some("web-2"), true)
    );
    assert!(
        moved.why.starts_with("This connection is recorded and stays at web-1. Slot 125 moved"),
        "{}",
        moved.why
    );
    let error = control.explain(key(8080), hash, None).expect_err("no such VIP");
    assert_eq!(error.to_string(), "no VIP 203.0.113.10 port 8080 tcp; there are: 203.0.113.10 port 80 tcp");
}

#[test]
fn a_vip_for_any_port_answers_for_all() {
    let any = Vip { port: 0, ..vip(unchecked(), vec![backend(1, 1)]) };
    let (control, _) = Control::new(config(vec![any]), None, None, 1, at(0));
    assert!(control.explain((vip(health(), vec![]).address, 1234, Protocol::Tcp), 0, None).is_ok());
    assert!(control.explain((vip(health(), vec![]).address, 1234, Protocol::Udp), 0, None).is_err());
}
