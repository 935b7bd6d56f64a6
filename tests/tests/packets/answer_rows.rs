//! ICMP: echo, errors about connections, and what the balancer answers to packets that are too big.

use xdp_lb_common::reason::Reason;
use xdp_lb_tests::packet::{Packet, echo_request, icmp, udp};
use xdp_lb_tests::world::services::*;

use crate::given::*;
use crate::hash::tunnelled;
use crate::row::{Row, row};

pub(crate) fn rows() -> Vec<Row> {
    [echo(), errors(), other_icmp(), too_big4(), too_big6()].concat()
}

/// An echo request, answered with the same packet turned round.
fn ping(description: &'static str, request: Packet) -> Row {
    let reply_kind = if request.is_v4() { 0 } else { 129 };
    let reply = request.reversed().icmp_kind(reply_kind).hop_limit(64);
    row(description, &request).answered(Reason::EchoReply, &reply)
}

fn echo() -> Vec<Row> {
    let v4 = |id, sequence| echo_request(ROUTER4, VIP4, id, sequence);
    let v6 = || echo_request(ROUTER6, VIP6, 77, 1);
    let empty = v4(0, 0);
    // Nothing but zeros: the one message whose checksum is all ones.
    let empty_reply = empty.reversed().icmp_kind(0).hop_limit(64);
    // Words that sum to all ones: of the two zeros the checksum is the one that holds for all of them.
    let ones = v4(0xffff, 0);
    let ones_reply = ones.reversed().icmp_kind(0).hop_limit(64).frame_with(14 + 20 + 2, &[0xff, 0xff]);
    vec![
        ping("echo", v4(77, 1).payload(&[7; 56])),
        ping("echo of an odd length", v4(77, 1).payload(b"odd")),
        ping("echo with IPv4 options", v4(77, 1).options(&[1, 1, 1, 0])),
        ping("echo in a VLAN, with TOS and padding", v4(77, 1).vlan(5).class(0x10).padded(60)),
        ping("echo in two VLANs", v4(77, 1).service_vlan(6).vlan(5)),
        ping("echo whose sum carries", v4(0xf7ff, 0)),
        ping("echo whose checksum is zero", v4(0xf7fe, 1).payload(&[0, 0])),
        ping("echo whose IPv4 checksum becomes zero", v4(77, 1).id(id_for_checksum(0)).payload(&[7; 5])),
        row("echo of nothing", &empty).answered(Reason::EchoReply, &empty_reply),
        row("echo that sums to all ones", &ones).became(Reason::EchoReply, ones_reply),
        ping("echo over IPv6", v6().payload(&[7; 56])),
        ping(
            "echo over IPv6 of an odd length, traffic class and label stay",
            v6().payload(b"odd").class(9).label(5),
        ),
        ping("echo over IPv6 in two VLANs", v6().service_vlan(6).vlan(5)),
        ping("echo behind hop-by-hop options", v6().extension(0, &[1, 4, 0, 0, 0, 0])),
        row("echo to no VIP", &echo_request(ROUTER4, "203.0.113.11", 1, 1)).passed(Reason::NotVip),
        row("echo over IPv6 to no VIP", &echo_request(ROUTER6, "2001:db8::11", 1, 1)).passed(Reason::NotVip),
        row("echo with a code", &icmp(ROUTER4, VIP4, 8, 1, [0; 4])).passed(Reason::IcmpOther),
        row("fragment of an echo", &v4(77, 1).fragment(0, true)).dropped(Reason::Fragment),
    ]
}

/// The identification with which the reply to `echo_request(ROUTER4, VIP4, 77, 1)` with 5 bytes has `checksum`.
fn id_for_checksum(checksum: u16) -> u16 {
    let reply =
        |id| echo_request(ROUTER4, VIP4, 77, 1).id(id).payload(&[7; 5]).reversed().hop_limit(64).ip_bytes();
    (0..=u16::MAX).find(|&id| reply(id)[10..12] == checksum.to_be_bytes()).unwrap()
}

fn errors() -> Vec<Row> {
    let error4 = |kind, code, quote: &[u8]| icmp(ROUTER4, VIP4, kind, code, [0, 0, 5, 0x14]).payload(quote);
    let error6 = |kind, code, quote: &[u8]| icmp(ROUTER6, VIP6, kind, code, [0, 0, 5, 0]).payload(quote);
    let sent4 = ack4().reversed();
    let sent6 = ack6().reversed();
    let arrives =
        |description, packet: Packet| row(description, &packet).reaches_as(Reason::ForwardedIcmpError, BACK);
    let bad = |description, packet: Packet| row(description, &packet).dropped(Reason::BadIcmpError);
    let through = error4(3, 4, &sent4.quoted(8));
    let through6 = error6(2, 0, &sent6.quoted(1000));
    vec![
        arrives("fragmentation needed about a connection", error4(3, 4, &sent4.quoted(8))),
        arrives("time exceeded about a connection, all of it quoted", error4(11, 0, &sent4.quoted(1000))),
        arrives("parameter problem about a datagram", error4(12, 0, &query4().reversed().quoted(8))),
        arrives("quote of four transport bytes", error4(3, 1, &sent4.quoted(4))),
        arrives("quote with IPv4 options", error4(3, 1, &sent4.clone().options(&[1; 8]).quoted(8))),
        arrives("quote of a first fragment", error4(3, 1, &sent4.clone().fragment(0, true).quoted(8))),
        arrives("packet too big about a connection", error6(2, 0, &sent6.quoted(1000))),
        arrives("unreachable about a datagram over IPv6", error6(1, 4, &query6().reversed().quoted(8))),
        row("through a tunnel, from the connection's outer source", &through).to(WEB4, TUNNEL4).forwarded_as(
            Reason::ForwardedIcmpError,
            TUNNEL4,
            &tunnelled(TUNNEL4, &through, CLIENT4, WEB4_AT, 6),
        ),
        row("through a tunnel over IPv6", &through6).to(WEB6, TUNNEL6).forwarded_as(
            Reason::ForwardedIcmpError,
            TUNNEL6,
            &tunnelled(TUNNEL6, &through6, CLIENT6, WEB6_AT, 6),
        ),
        row("quote of a port that is no VIP's", &error4(3, 1, &udp("203.0.113.10:81", CLIENT4).quoted(8)))
            .passed(Reason::NotVip),
        bad("quote that ends before the ports", error4(3, 1, &sent4.quoted(3))),
        bad("quote that ends within the IP header", error4(3, 1, &sent4.quoted(8)[..19])),
        bad("no quote", error6(1, 0, &[])),
        bad("quote of a packet that no VIP sent", error4(3, 1, &udp("203.0.113.11:80", CLIENT4).quoted(8))),
        bad("quote of a packet to the VIP", error4(3, 1, &ack4().quoted(8))),
        bad("quote of ICMP", error4(3, 1, &echo_request(VIP4, ROUTER4, 1, 1).quoted(8))),
        bad("quote of a later fragment", error4(3, 1, &sent4.clone().fragment(8, false).quoted(8))),
        bad("quote of another version", error4(3, 1, &sent6.quoted(8))),
        bad("quote with a header of four words", error4(3, 1, &sent4.clone().header_words(4).quoted(8))),
        bad("quote of IPv6 that ends before the ports", error6(2, 0, &sent6.quoted(3))),
        bad("quote of IPv4 in ICMPv6", error6(2, 0, &sent4.quoted(1000))),
        bad("quote of IPv6 with extension headers", error6(2, 0, &sent6.clone().fragment(0, true).quoted(8))),
        bad("quote that goes on in the padding", error4(3, 1, &sent4.quoted(3)).padded(80)),
    ]
}

fn other_icmp() -> Vec<Row> {
    let other = |description, packet: Packet| row(description, &packet).passed(Reason::IcmpOther);
    vec![
        other("echo reply", icmp(ROUTER4, VIP4, 0, 0, [0, 77, 0, 1])),
        other("redirect", icmp(ROUTER4, VIP4, 5, 1, [192, 0, 2, 1]).payload(&ack4().reversed().quoted(8))),
        other("timestamp request", icmp(ROUTER4, VIP4, 13, 0, [0; 4]).payload(&[0; 12])),
        other("neighbour solicitation", icmp(ROUTER6, VIP6, 135, 0, [0; 4]).payload(&[0; 16]).hop_limit(255)),
        other("echo reply over IPv6", icmp(ROUTER6, VIP6, 129, 0, [0, 77, 0, 1])),
    ]
}

fn too_big4() -> Vec<Row> {
    let big = |bytes: usize| ack4().payload(&vec![7; bytes - 40]).dont_fragment();
    let refused = |description, server: Server, mtu: u16, packet: Packet| {
        let [high, low] = mtu.to_be_bytes();
        let error = icmp(VIP4, HOST4, 3, 4, [0, 0, high, low]).payload(&packet.quoted(8));
        let error = error.id(0).hop_limit(64).reply_to(&packet);
        row(description, &packet).to(WEB4, server).answered(Reason::FragNeeded, &error)
    };
    let dropped = |description, packet: Packet| row(description, &packet).dropped(Reason::TooBig);
    let error = icmp(ROUTER4, VIP4, 3, 4, [0, 0, 5, 0x14])
        .payload(&ack4().payload(&[7; 1200]).reversed().quoted(1200))
        .dont_fragment();
    vec![
        refused("too big for the segment", SMALL, 1000, big(1001)),
        refused("too big for the tunnel", SMALL4, 1300, big(1301)),
        refused("too big for the tunnel over IPv6", SMALL6, 1280, big(1281)),
        refused("too big, with options", SMALL4, 1300, big(1301).options(&[1; 40])),
        refused("too big, in a VLAN", SMALL, 1000, big(1001).vlan(5)),
        refused(
            "too big, in two VLANs, with TOS",
            SMALL6,
            1280,
            big(1400).service_vlan(6).vlan(5).class(0xb8),
        ),
        row("as big as the segment takes", &big(1000)).to(WEB4, SMALL).reaches(SMALL),
        row("as big as the tunnel takes, padding apart", &big(1300).trailer(&[0; 40]))
            .to(WEB4, SMALL4)
            .forwarded(SMALL4, &tunnelled(SMALL4, &big(1300).trailer(&[0; 40]), CLIENT4, WEB4_AT, 6)),
        dropped("too big without DF", ack4().payload(&[7; 1200])).to(WEB4, SMALL),
        dropped("an error that is too big is not answered", error).to(WEB4, SMALL),
        dropped("too big, the answers of this second being spent", big(1001))
            .to(WEB4, SMALL)
            .after(&big(1001))
            .after(&big(1001)),
        refused("too big, in the next second", SMALL, 1000, big(1001))
            .after(&big(1001))
            .after(&big(1001))
            .seconds_later(1),
        row("too big, and no room for the answer", &big(1001))
            .to(WEB4, SMALL)
            .room(24)
            .dropped_late(Reason::TooBig),
    ]
}

fn too_big6() -> Vec<Row> {
    let big = |bytes: usize| ack6().payload(&vec![7; bytes - 60]);
    let refused = |description, server: Server, mtu: u32, packet: Packet| {
        let error = icmp(VIP6, HOST6, 2, 0, mtu.to_be_bytes()).payload(&packet.quoted(8));
        let error = error.hop_limit(64).reply_to(&packet);
        row(description, &packet).to(WEB6, server).answered(Reason::PacketTooBig, &error)
    };
    let options = [&[1, 20][..], &[0; 20]].concat();
    let most = [&[1, 252][..], &[0; 252]].concat();
    vec![
        refused("IPv6 too big for the tunnel", SMALL4, 1300, big(1301)),
        refused("IPv6 too big for the tunnel over IPv6", SMALL6, 1280, big(1400)),
        refused("IPv6 too big, in a VLAN", SMALL6, 1280, big(1281).vlan(5)),
        refused("IPv6 too big, in two VLANs", SMALL6, 1280, big(1281).service_vlan(6).vlan(5)),
        refused(
            "IPv6 too big, with extension headers",
            SMALL6,
            1280,
            big(1300).extension(60, &options).fragment(0, false),
        ),
        refused(
            "IPv6 too big, with as many as are read",
            SMALL6,
            1280,
            big(1000).extension(60, &most).extension(60, &most),
        ),
        row("IPv6 as big as the tunnel takes", &big(1280))
            .to(WEB6, SMALL6)
            .forwarded(SMALL6, &tunnelled(SMALL6, &big(1280), CLIENT6, WEB6_AT, 6)),
        row("IPv6 too big, the answers of this second being spent", &big(1400))
            .to(WEB6, SMALL6)
            .after(&big(1400))
            .after(&big(1400))
            .dropped(Reason::TooBig),
    ]
}
