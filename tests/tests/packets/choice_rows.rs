//! The choice of two: who takes the second candidate, that it stays taken, and what is counted as in flight.
//!
//! Every row's client has its first candidate in one slot and its second in all others.

use xdp_lb::control::{Command, Load};
use xdp_lb_common::flow::{second_slot_of, slot_of};
use xdp_lb_common::ids::VipId;
use xdp_lb_common::reason::Reason;
use xdp_lb_common::slot::Slot;
use xdp_lb_tests::packet::{ACK, FIN, Packet, RST, SYN, icmp, tcp, udp};
use xdp_lb_tests::world::services::*;

use crate::given::*;
use crate::hash::flow_hash;
use crate::row::{Row, row};

const TWO4_AT: &str = "203.0.113.30:80";
const TWO6_AT: &str = "[2001:db8::30]:80";
const TWO_SIP4_AT: &str = "203.0.113.30:5060";

pub(crate) fn rows() -> Vec<Row> {
    [chosen(), kept(), no_room(), in_flight(), others()].concat()
}

fn syn() -> Packet {
    tcp(CLIENT4, TWO4_AT).flags(SYN)
}

fn ack() -> Packet {
    syn().flags(ACK)
}

/// Others of the same VIP.
fn other(n: u16, flags: u8) -> Packet {
    tcp(&format!("198.51.100.8:{}", 1000 + n), TWO4_AT).flags(flags)
}

/// Leads the flow's own slot to `first` and all others to `second`.
fn slots(vip: VipId, client: &str, at: &str, protocol: u8, first: Slot, second: Slot) -> Command {
    let hash = flow_hash(client.parse().unwrap(), at.parse().unwrap(), protocol);
    let own = slot_of(hash, TABLE_SIZE);
    assert_ne!(second_slot_of(hash, TABLE_SIZE), own, "{client} has no second slot");
    let slot = |position| (position, if position == own { first } else { second });
    Command::WriteSlots { vip, changes: (0..TABLE_SIZE).map(slot).collect() }
}

/// A row of TCP over IPv4, with the first candidate's slot and the second server.
fn slot_row(description: &'static str, packet: &Packet, first: Slot, second: Server) -> Row {
    let second = Slot::stable(second.id());
    row(description, packet).order(slots(TWO4, CLIENT4, TWO4_AT, 6, first, second))
}

/// The same with the two that most rows have: `BACK`, then `ACROSS`.
fn two(description: &'static str, packet: &Packet) -> Row {
    slot_row(description, packet, Slot::stable(BACK.id()), ACROSS)
}

/// Publishes standing loads of `BACK` and `ACROSS`.
fn standing(back: u32, across: u32) -> Command {
    let load = |standing| Load { standing, per_flow: 10 };
    Command::WriteLoads(vec![(BACK.id(), load(back)), (ACROSS.id(), load(across)), (SMALL.id(), load(back))])
}

fn chosen() -> Vec<Row> {
    vec![
        two("nothing published: the first", &syn()).reaches(BACK).new_flow(),
        two("both the same: the first", &syn()).order(standing(100, 100)).reaches(BACK).new_flow(),
        two("not better by the margin: the first", &syn()).order(standing(125, 100)).reaches(BACK).new_flow(),
        two("better by the margin: the second", &syn()).order(standing(126, 100)).reaches(ACROSS).new_flow(),
        two("better, but down: the first", &syn())
            .order(standing(1000, 0))
            .down(ACROSS)
            .reaches(BACK)
            .new_flow(),
        two("better, and nothing is published of the first", &syn())
            .order(Command::WriteLoads(vec![(ACROSS.id(), Load { standing: 0, per_flow: 1 })]))
            .reaches(BACK)
            .new_flow(),
        slot_row("the second slot leads nowhere", &syn(), Slot::stable(BACK.id()), BACK)
            .order(slots(TWO4, CLIENT4, TWO4_AT, 6, Slot::stable(BACK.id()), Slot::EMPTY))
            .order(standing(1000, 0))
            .reaches(BACK)
            .new_flow(),
        two("only a SYN chooses", &ack()).order(standing(1000, 0)).reaches(BACK),
        slot_row("a moved slot's new connections choose as well", &syn(), moved(), ACROSS)
            .order(standing(1000, 0))
            .reaches(ACROSS)
            .new_flow(),
        slot_row("a moved slot's first is where it moved to", &syn(), moved(), ACROSS)
            .order(standing(0, 1000))
            .reaches(SMALL)
            .new_flow(),
        slot_row("a moved slot's older connections do not choose", &ack(), moved(), ACROSS)
            .order(standing(1000, 0))
            .reaches(BACK),
    ]
}

/// From `BACK` to `SMALL`.
fn moved() -> Slot {
    Slot::tracked(BACK.id(), SMALL.id())
}

fn kept() -> Vec<Row> {
    let second = |description, packet| two(description, packet).order(standing(1000, 0)).after(&syn());
    vec![
        second("a connection to the second stays there", &ack()).reaches(ACROSS),
        second("also when the loads have changed", &ack()).order(standing(0, 1000)).reaches(ACROSS),
        second("its SYN sent again as well", &syn()).order(standing(0, 1000)).reaches(ACROSS).new_flow(),
        second("and its end", &ack().flags(FIN | ACK)).reaches(ACROSS).close(),
        second("and when its first slot moves", &ack())
            .order(slots(TWO4, CLIENT4, TWO4_AT, 6, moved(), Slot::stable(SMALL.id())))
            .reaches(ACROSS),
        second("a second that goes down loses it", &ack()).down(ACROSS).reaches(BACK),
        second("a new connection of the same client chooses anew", &syn())
            .after(&ack().flags(FIN | ACK))
            .seconds_later(2)
            .order(standing(0, 1000))
            .reaches(BACK)
            .new_flow(),
        second("and stays where it then is", &ack())
            .after(&ack().flags(FIN | ACK))
            .seconds_later(2)
            .order(standing(0, 1000))
            .after(&syn())
            .order(standing(1000, 0))
            .reaches(BACK),
        two("a connection to the first stays when the loads have changed", &ack())
            .order(standing(0, 1000))
            .after(&syn())
            .order(standing(1000, 0))
            .reaches(BACK),
        two("a connection to the first stays when its slot moves", &ack())
            .order(standing(0, 1000))
            .after(&syn())
            .order(slots(
                TWO4,
                CLIENT4,
                TWO4_AT,
                6,
                Slot::tracked(BACK.id(), ACROSS.id()),
                Slot::stable(ACROSS.id()),
            ))
            .order(standing(1000, 0))
            .reaches(BACK),
        second("an error about a connection to the second", &about(&ack()))
            .reaches_as(Reason::ForwardedIcmpError, ACROSS),
        two("an error about a connection to the first", &about(&ack()))
            .order(standing(1000, 0))
            .reaches_as(Reason::ForwardedIcmpError, BACK),
    ]
}

fn about(packet: &Packet) -> Packet {
    icmp(ROUTER4, "203.0.113.30", 3, 4, [0, 0, 0x05, 0x14]).payload(&packet.reversed().quoted(8))
}

/// Eight recorded flows of another VIP fill the table.
fn full(row: Row) -> Row {
    row.moved(WEB4, BACK, ACROSS).after_all((0..8).map(|n| nth(n, SYN)))
}

fn no_room() -> Vec<Row> {
    let no_place = |description, packet: &Packet| full(two(description, packet).order(standing(1000, 0)));
    vec![
        no_place("two, no place: a new connection goes to the first, which needs none", &syn())
            .reaches(BACK)
            .new_flow(),
        no_place("and its next packet as well, when there is one", &ack())
            .after(&syn())
            .purged(ACROSS)
            .reaches(BACK),
        full(slot_row("two, no place, slot moved: the old backend", &syn(), moved(), ACROSS))
            .order(standing(1000, 0))
            .reaches(BACK)
            .new_flow()
            .unrecorded(),
        full(slot_row("and its next packet", &ack(), moved(), ACROSS))
            .order(standing(1000, 0))
            .after(&syn())
            .reaches(BACK)
            .unrecorded(),
        two("over the limit: a new connection goes to the first", &syn())
            .moved(WEB4, BACK, ACROSS)
            .after_all((0..8).map(|n| nth(n, SYN)))
            .purged(ACROSS)
            .after_all((8..12).map(|n| nth(n, SYN)))
            .purged(ACROSS)
            .order(standing(1000, 0))
            .reaches(BACK)
            .new_flow(),
    ]
}

/// `BACK` has connections of three others, then is the first of two.
fn in_flight() -> Vec<Row> {
    let opened = |description| {
        row(description, &syn())
            .order(loads(&[BACK, ACROSS]))
            .to(TWO4, BACK)
            .after_all((0..3).map(|n| other(n, SYN)))
    };
    let then = |row: Row| {
        let (first, second) = (Slot::stable(BACK.id()), Slot::stable(ACROSS.id()));
        row.order(slots(TWO4, CLIENT4, TWO4_AT, 6, first, second))
    };
    vec![
        then(opened("connections in flight count")).reaches(ACROSS).new_flow(),
        then(opened("those that are closed do not").after_all((0..3).map(|n| other(n, FIN | ACK))))
            .reaches(BACK)
            .new_flow(),
        then(opened("nor those that are reset").after_all((0..3).map(|n| other(n, RST))))
            .reaches(BACK)
            .new_flow(),
        then(
            opened("more ends than beginnings are forgotten")
                .after_all((0..9).map(|n| other(n, RST)))
                .after(&other(10, SYN)),
        )
        .reaches(ACROSS)
        .new_flow(),
        then(opened("other packets do not count").after_all((3..9).map(|n| other(n, ACK))))
            .reaches(ACROSS)
            .new_flow(),
        then(opened("they are forgotten when no end is seen for long").seconds_later(300))
            .reaches(BACK)
            .new_flow(),
        then(opened("but not soon").seconds_later(60)).reaches(ACROSS).new_flow(),
    ]
}

fn others() -> Vec<Row> {
    let call = udp(CLIENT4, TWO_SIP4_AT).payload(b"INVITE");
    let (first, second) = (Slot::stable(BACK.id()), Slot::stable(ACROSS.id()));
    let sip = |description, packet: &Packet| {
        row(description, packet)
            .order(slots(TWO_SIP4, CLIENT4, TWO_SIP4_AT, 17, first, second))
            .order(standing(1000, 0))
    };
    let syn6 = tcp(CLIENT6, TWO6_AT).flags(SYN);
    let six = |description, packet: &Packet| {
        row(description, packet)
            .order(slots(TWO6, CLIENT6, TWO6_AT, 6, first, second))
            .order(standing(1000, 0))
    };
    vec![
        six("over IPv6 the second", &syn6).reaches(ACROSS).new_flow(),
        six("and stays there over IPv6", &syn6.clone().flags(ACK)).after(&syn6).reaches(ACROSS),
        sip("two and affinity: the first datagram takes the second", &call).reaches(ACROSS).new_flow(),
        sip("two and affinity: the next stays", &call).after(&call).order(standing(0, 1000)).reaches(ACROSS),
        full(sip("two and affinity, no place: the first", &call)).reaches(BACK).new_flow().unrecorded(),
    ]
}
