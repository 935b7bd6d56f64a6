//! What backends get: MAC addresses, tags, tunnels of every family in every family.

use xdp_lb_common::reason::Reason;
use xdp_lb_tests::packet::{ACK, FIN, Packet, RST, SYN, tcp, udp};
use xdp_lb_tests::world::services::*;

use crate::given::*;
use crate::hash::tunnelled;
use crate::link_rows::extended;
use crate::row::{Row, raw_row, row};

pub(crate) fn rows() -> Vec<Row> {
    [segment(), extensions(), tunnels(), services()].concat()
}

fn segment() -> Vec<Row> {
    let to_web = |description, packet: Packet| row(description, &packet).reaches(BACK);
    let without_checksum = |packet: &Packet| packet.frame_with(14 + 20 + 6, &[0, 0]);
    vec![
        to_web("SYN, sent back by the same interface", syn4()).new_flow(),
        to_web("a segment with data", ack4()),
        to_web("SYN and ACK open nothing here", syn4().flags(SYN | ACK)),
        to_web("FIN closes", ack4().flags(FIN | ACK)).close(),
        to_web("RST closes", ack4().flags(RST)).close(),
        to_web("a segment without any flag", ack4().flags(0)),
        to_web("options of IPv4 stay", ack4().options(&[7, 7, 4, 0, 0, 0, 0, 0])),
        to_web("DF, TTL, identification and TOS stay", ack4().dont_fragment().id(7).hop_limit(1).class(0xff)),
        to_web("options of TCP stay", ack4().tcp_header_words(7)),
        to_web("a VLAN tag stays", ack4().vlan(5)),
        to_web("two VLAN tags stay", ack4().service_vlan(9).vlan(5)),
        to_web("padding of a small frame stays", syn4().padded(60)).new_flow(),
        to_web("bytes behind the IP packet stay", ack4().trailer(b"behind the packet")),
        row("by another interface", &ack4()).to(WEB4, ACROSS).reaches(ACROSS),
        row("TCP over IPv6", &ack6()).reaches(BACK),
        row("UDP", &query4()).reaches(BACK),
        row("UDP over IPv6", &query6()).reaches(BACK),
        row("UDP shorter than the IP packet", &query4().udp_length(8)).reaches(BACK),
        raw_row("UDP without a checksum", without_checksum(&query4())).forwarded_bytes(
            Reason::Forwarded,
            BACK,
            without_checksum(&BACK.addressed(&query4())),
        ),
    ]
}

fn extensions() -> Vec<Row> {
    let to_web = |description, packet: Packet| row(description, &packet).reaches(BACK);
    let through = |description, packet: Packet| {
        let expected = tunnelled(TUNNEL4, &packet, CLIENT6, WEB6_AT, 6);
        row(description, &packet).to(WEB6, TUNNEL4).forwarded(TUNNEL4, &expected)
    };
    vec![
        to_web("hop-by-hop options", ack6().extension(0, &[1, 4, 0, 0, 0, 0])),
        to_web("a routing header that is used up", ack6().extension(43, &[4, 0, 0, 0, 0, 0])),
        to_web("destination options of 24 bytes", ack6().extension(60, &[&[1, 20], &[0; 20][..]].concat())),
        to_web("an atomic fragment", ack6().fragment(0, false)),
        to_web("six extension headers", extended(6)),
        to_web(
            "512 bytes of extension headers",
            ack6()
                .extension(60, &[&[1, 252], &[0; 252][..]].concat())
                .extension(60, &[&[1, 252], &[0; 252][..]].concat()),
        ),
        through("extension headers go through the tunnel", extended(2).fragment(0, false)),
    ]
}

fn tunnels() -> Vec<Row> {
    let tagged = |packet: Packet| packet.service_vlan(9).vlan(5);
    let mut rows = Vec::new();
    let mut v4 = |description, server: Server, packet: Packet| {
        let expected = tunnelled(server, &packet, CLIENT4, WEB4_AT, 6);
        rows.push(row(description, &packet).to(WEB4, server).forwarded(server, &expected));
    };
    v4("IPv4 in IPv4", TUNNEL4, ack4());
    v4("IPv4 in IPv6", TUNNEL6, ack4());
    v4("IPv4 with options in IPv4", TUNNEL4, ack4().options(&[1; 40]));
    v4("IPv4 with options in IPv6", TUNNEL6, ack4().options(&[1; 12]));
    v4("TOS and ECN are copied, IPv4 in IPv4", TUNNEL4, ack4().class(0xb8 | 2));
    v4("TOS and ECN are copied, IPv4 in IPv6", TUNNEL6, ack4().class(0x07));
    v4("all ones of TOS", TUNNEL4, ack4().class(0xff));
    v4("a VLAN tag stays outside, IPv4 in IPv4", TUNNEL4, ack4().vlan(5));
    v4("a VLAN tag stays outside, IPv4 in IPv6", TUNNEL6, ack4().vlan(5));
    v4("two VLAN tags stay outside, IPv4 in IPv4", TUNNEL4, tagged(ack4()));
    v4("two VLAN tags stay outside, IPv4 in IPv6", TUNNEL6, tagged(ack4()));
    v4("padding is not part of the tunnelled packet", TUNNEL4, ack4().payload(b"").padded(60));
    v4("bytes behind the packet are not either", TUNNEL6, ack4().trailer(b"behind the packet"));
    v4("DF or not, the outer header has it", TUNNEL4, ack4().dont_fragment());
    v4("as long as the way takes it", TUNNEL4, ack4().payload(&[7; 1500 - 20 - 40]).dont_fragment());
    let mut v6 = |description, server: Server, packet: Packet| {
        let expected = tunnelled(server, &packet, CLIENT6, WEB6_AT, 6);
        rows.push(row(description, &packet).to(WEB6, server).forwarded(server, &expected));
    };
    v6("IPv6 in IPv4", TUNNEL4, ack6());
    v6("IPv6 in IPv6", TUNNEL6, ack6());
    v6("traffic class and ECN are copied, IPv6 in IPv4", TUNNEL4, ack6().class(0x2e << 2 | 1).label(0x12345));
    v6("traffic class and ECN are copied, IPv6 in IPv6", TUNNEL6, ack6().class(0x83).label(0xfffff));
    v6("a VLAN tag stays outside, IPv6 in IPv4", TUNNEL4, ack6().vlan(5));
    v6("a VLAN tag stays outside, IPv6 in IPv6", TUNNEL6, ack6().vlan(5));
    v6("two VLAN tags stay outside, IPv6 in IPv4", TUNNEL4, tagged(ack6()));
    v6("two VLAN tags stay outside, IPv6 in IPv6", TUNNEL6, tagged(ack6()));
    v6("as long as the way takes it over IPv6", TUNNEL6, ack6().payload(&[7; 1500 - 40 - 60]));
    rows.extend([
        row("UDP in IPv6", &query4())
            .to(DNS4, TUNNEL6)
            .forwarded(TUNNEL6, &tunnelled(TUNNEL6, &query4(), CLIENT4, DNS4_AT, 17)),
        row("no room for the IPv4 header", &ack4())
            .to(WEB4, TUNNEL4)
            .room(16)
            .dropped_late(Reason::NoHeadroom),
        row("no room for the IPv6 header", &ack4().vlan(5))
            .to(WEB4, TUNNEL6)
            .room(36)
            .dropped_late(Reason::NoHeadroom),
        row("room for the IPv4 header and not a byte more", &ack4())
            .to(WEB4, TUNNEL4)
            .room(20)
            .forwarded(TUNNEL4, &tunnelled(TUNNEL4, &ack4(), CLIENT4, WEB4_AT, 6)),
        row("the way is unknown", &ack4()).to(WEB4, LOST).dropped_late(Reason::NoNextHop),
        row("the way through the tunnel is unknown", &ack6()).to(WEB6, LOST6).dropped_late(Reason::NoNextHop),
    ]);
    rows
}

fn services() -> Vec<Row> {
    let any = tcp(CLIENT4, "203.0.113.20:8443");
    let exact = tcp(CLIENT4, "203.0.113.20:443");
    let zero = tcp(CLIENT4, "203.0.113.20:0");
    let any6 = udp(CLIENT6, "[2001:db8::20]:9");
    vec![
        row("any port", &any).to(ANY4, ACROSS).reaches(ACROSS),
        row("any port, even 0", &zero).reaches(BACK),
        row("an exact port is preferred", &exact).to(ANY4, ACROSS).reaches(BACK),
        row("any port over IPv6", &any6).reaches(BACK).new_flow(),
        row("UDP to an address that takes any port of TCP", &udp(CLIENT4, "203.0.113.20:443"))
            .passed(Reason::NotVip),
    ]
}
