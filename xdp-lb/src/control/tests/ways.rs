//! The ways to the backends.

use super::*;

const BEHIND_GATEWAY: &str =
    "next hop: not on the same segment: reached through a gateway; use forward = \"ipip\"";

fn through(via_gateway: bool, mac: u8) -> Result<NextHop, String> {
    Ok(NextHop { egress: 2, source_mac: [2; 6], destination_mac: [mac; 6], mtu: 1500, via_gateway })
}

fn l2() -> Vip {
    Vip { forward: Forward::L2, ..vip(unchecked(), vec![backend(1, 1), backend(2, 1)]) }
}

fn tell(control: &mut Control, last: u8, hop: Result<NextHop, String>) -> Vec<Command> {
    control.handle(Event::NextHop { address: address(last), hop }, at(1))
}

fn configure(control: &mut Control, vips: Vec<Vip>) -> Vec<Command> {
    control.handle(Event::Configured(Box::new(config(vips))), at(2))
}

#[test]
fn a_backend_behind_a_gateway_gets_nothing_by_mac_rewriting() {
    let (mut control, _) = Control::new(config(vec![l2()]), None, None, 1, at(0));
    assert_eq!(names(&tell(&mut control, 1, through(false, 4))), ["backend 1"]);
    let commands = tell(&mut control, 2, through(true, 6));
    assert_eq!(names(&commands), [BEHIND_GATEWAY, "down 2", "slots of 0"]);
    assert!(matches!(&commands[0], Command::Announce(Announcement { warning: true, .. })));
    assert!(matches!(&commands[1], Command::WriteBackend(record) if record.next_hop.is_none()));
    assert!(slots(&commands).iter().all(|(_, slot)| slot.base() == Some(id(1))), "not even old connections");
    let state = &status(&control).backends[1];
    assert_eq!((state.state.as_str(), state.share), ("down", 0.0));
    let said = BEHIND_GATEWAY.trim_start_matches("next hop: ");
    assert_eq!((state.next_hop.as_str(), state.reason.as_str()), (said, said));

    let said = |commands: Vec<Command>| {
        let mut said = names(&commands);
        said.retain(|name| name != "down 2");
        said
    };
    assert_eq!(said(tell(&mut control, 2, through(true, 7))), [""; 0], "warned of once");
    let lost = tell(&mut control, 2, Err("no answer to ARP".into()));
    assert_eq!(said(lost), ["next hop: no answer to ARP"], "the gateway may answer again");
    assert_eq!(said(tell(&mut control, 2, through(true, 6))), [BEHIND_GATEWAY]);
    assert_eq!(status(&control).backends[1].share, 0.0);

    let commands = tell(&mut control, 2, through(false, 8));
    assert_eq!(names(&commands), ["next hop: resolved", "purge 2", "backend 2", "slots of 0"]);
    assert_eq!(status(&control).backends[1].state, "up");
}

#[test]
fn a_tunnel_may_lead_through_a_gateway() {
    let ipip = || Vip { forward: Forward::Ipip, ..l2() };
    let (mut control, _) = Control::new(config(vec![ipip()]), None, None, 1, at(0));
    assert_eq!(names(&tell(&mut control, 2, through(true, 6))), ["backend 2"]);
    let commands = configure(&mut control, vec![l2()]);
    assert_eq!(names(&commands), [BEHIND_GATEWAY, "down 2", "backend 1", "slots of 0"]);
    let commands = configure(&mut control, vec![ipip()]);
    assert_eq!(names(&commands), ["next hop: resolved", "backend 1", "purge 2", "backend 2", "slots of 0"]);
}

#[test]
fn what_one_vip_knows_of_a_way_another_knows_too() {
    let ipip = || vip(unchecked(), vec![backend(1, 1)]);
    let other = || Vip { port: 81, name: "other".into(), ..l2() };
    let (mut control, _) = Control::new(config(vec![ipip()]), None, None, 1, at(0));
    tell(&mut control, 1, through(true, 6));
    let commands = configure(&mut control, vec![ipip(), other()]);
    assert_eq!(names(&commands)[..3], ["added", BEHIND_GATEWAY, "down 2"]);
    assert!(slots(&commands).iter().all(|(_, slot)| *slot == Slot::stable(id(3))));
    assert_eq!(status(&control).backends[0].state, "up", "in the tunnel");
}

#[test]
fn a_removed_backend_behind_a_gateway_is_forgotten_at_once() {
    let (mut control, _) = Control::new(config(vec![l2()]), None, None, 1, at(0));
    configure(&mut control, vec![Vip { backends: vec![backend(1, 1)], ..l2() }]);
    let commands = names(&tell(&mut control, 2, through(true, 6)));
    let expected = [BEHIND_GATEWAY, "down 2", "slots of 0", "purge 2", "clear 2", "unwatch 10.0.0.2"];
    assert_eq!(commands, expected);
}
