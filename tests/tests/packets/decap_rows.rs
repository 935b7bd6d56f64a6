//! What the backend's side makes of tunnel packets, and of all others.

use xdp_lb_common::reason::Reason;
use xdp_lb_tests::packet::{Packet, other, verify};

use crate::given::*;
use crate::row::{Row, raw_row, row};

/// The backend's own addresses.
pub(crate) const ADDRESSES: [&str; 3] = ["10.0.0.3", "fd00::4", "10.0.0.33"];
/// Where its balancers send from.
pub(crate) const SOURCES: [&str; 3] = ["172.16.0.0/16", "100::/64", "192.0.2.1/32"];

const OUTER4: [&str; 2] = ["172.16.9.9", "10.0.0.3"];
const OUTER6: [&str; 2] = ["100::9:9", "fd00::4"];

pub(crate) fn rows() -> Vec<Row> {
    [terminated(), not_tunnels(), bad(), congestion()].concat()
}

fn inside([source, destination]: [&str; 2], packet: &Packet) -> Packet {
    packet.tunnelled(source.parse().unwrap(), destination.parse().unwrap())
}

fn terminated() -> Vec<Row> {
    let stripped = |description, outer, packet: Packet| {
        row(description, &inside(outer, &packet)).answered(Reason::DecapTerminated, &packet)
    };
    let tagged = |packet: Packet| packet.service_vlan(9).vlan(5);
    vec![
        stripped("IPv4 out of IPv4", OUTER4, ack4()),
        stripped("IPv6 out of IPv4", OUTER4, ack6()),
        stripped("IPv4 out of IPv6", OUTER6, ack4().options(&[1; 8])),
        stripped("IPv6 out of IPv6", OUTER6, ack6()),
        stripped("in a VLAN, IPv4 out of IPv4", OUTER4, ack4().vlan(5)),
        stripped("in a VLAN, IPv6 out of IPv4", OUTER4, ack6().vlan(5)),
        stripped("in two VLANs, IPv4 out of IPv6", OUTER6, tagged(ack4())),
        stripped("in two VLANs, IPv6 out of IPv6", OUTER6, tagged(ack6())),
        stripped("padding stays", OUTER4, ack4().trailer(&[0; 6])),
        stripped(
            "to another of the addresses, from the edge of the prefix",
            ["172.16.255.255", "10.0.0.33"],
            syn4(),
        ),
        stripped("from a single accepted address", ["192.0.2.1", "10.0.0.3"], syn4()),
        stripped("a fragment inside is the host's to judge", OUTER4, query4().fragment(0, true)),
    ]
}

fn not_tunnels() -> Vec<Row> {
    let left = |description, packet: Packet| row(description, &packet).passed(Reason::DecapNotTunnel);
    let tunnel = inside(OUTER4, &ack4());
    vec![
        left("ARP", ack4().ethertype(0x0806)),
        left("a segment without a tunnel", ack4()),
        left("a segment over IPv6", ack6()),
        left("GRE", other(OUTER4[0], OUTER4[1], 47, &[0; 24])),
        left("a tunnel to another address", inside(["172.16.9.9", "10.0.0.4"], &ack4())),
        left("a tunnel to another address over IPv6", inside(["100::9:9", "fd00::5"], &ack4())),
        left("a tunnel to the unspecified address", inside(["100::9:9", "::"], &ack4())),
        left(
            "a tunnel between v4-mapped addresses",
            inside(["::ffff:172.16.9.9", "::ffff:10.0.0.3"], &ack4()),
        ),
        left("a tunnel from a v4-mapped address", inside(["::ffff:172.16.9.9", "fd00::4"], &ack4())),
        left("outer IPv4 options", tunnel.clone().options(&[1; 4])),
        left("outer IPv6 extension header", inside(OUTER6, &ack4()).extension(60, &[1, 4, 0, 0, 0, 0])),
        left("outer version", tunnel.clone().version(6)),
        left("outer version over IPv6", inside(OUTER6, &ack4()).version(4)),
        left("three VLAN tags", tunnel.clone().vlan(1).vlan(2).vlan(3)),
        raw_row("outer header ends early", tunnel.frame()[..33].to_vec()).passed(Reason::DecapNotTunnel),
        raw_row("outer IPv6 header ends early", inside(OUTER6, &ack4()).frame()[..53].to_vec())
            .passed(Reason::DecapNotTunnel),
        row("a foreign source", &inside(["172.17.0.1", "10.0.0.3"], &ack4()))
            .passed(Reason::DecapForeignSource),
        row("a foreign source over IPv6", &inside(["100:0:0:1::", "fd00::4"], &ack4()))
            .passed(Reason::DecapForeignSource),
        row("a first fragment", &tunnel.clone().fragment(0, true)).passed(Reason::DecapFragment),
        row("a last fragment", &tunnel.fragment(185, false)).passed(Reason::DecapFragment),
    ]
}

fn bad() -> Vec<Row> {
    let bad = |description, packet: Packet| row(description, &packet).dropped(Reason::DecapBadInner);
    let cut = |packet: &Packet, bytes| packet.clone().payload(&ack4().ip_bytes()[..bytes]);
    let tunnel = inside(OUTER4, &ack4());
    let mixed4 = other(OUTER4[0], OUTER4[1], 4, &ack6().ip_bytes());
    let mixed6 = other(OUTER6[0], OUTER6[1], 41, &ack4().ip_bytes());
    let short6 = other(OUTER6[0], OUTER6[1], 41, &ack6().ip_bytes()[..39]);
    vec![
        bad("nothing inside", cut(&tunnel, 0)),
        bad("inner header ends early", cut(&tunnel, 19)),
        bad("inner packet ends early", cut(&tunnel, 57)),
        bad("inner packet ends early, over IPv6", cut(&inside(OUTER6, &ack4()), 57)),
        bad("inner packet goes on in the padding", cut(&tunnel, 57).padded(110)),
        bad("inner IPv6 header ends early", short6),
        bad("outer length beyond the frame", tunnel.clone().ip_length(79)),
        bad("outer length within its own header", tunnel.clone().ip_length(19)),
        bad("inner length within its own header", inside(OUTER4, &ack4().ip_length(19))),
        bad("IPv6 where IPv4 is told", mixed4),
        bad("IPv4 where IPv6 is told", mixed6),
        row(
            "outer packet longer than the inner one",
            &cut(&tunnel, 58).payload(&[&ack4().ip_bytes()[..], &[1, 2]].concat()),
        )
        .answered(Reason::DecapTerminated, &ack4().trailer(&[1, 2])),
    ]
}

fn congestion() -> Vec<Row> {
    const CE: u8 = 3;
    let marked = |description, outer, packet: Packet, expected: Packet| {
        verify::frame(&expected.frame()).unwrap();
        row(description, &inside(outer, &packet).class(packet.traffic_class() | CE))
            .answered(Reason::DecapTerminated, &expected)
    };
    vec![
        marked(
            "a congestion mark is carried over, ECT(0)",
            OUTER4,
            ack4().class(0xb8 | 2),
            ack4().class(0xb8 | 3),
        ),
        marked("a congestion mark is carried over, ECT(1)", OUTER6, ack4().class(1), ack4().class(3)),
        marked(
            "a congestion mark is carried over to IPv6",
            OUTER6,
            ack6().class(0x2e << 2 | 2).label(0xfffff),
            ack6().class(0x2e << 2 | 3).label(0xfffff),
        ),
        marked(
            "a congestion mark is carried over to IPv6 out of IPv4",
            OUTER4,
            ack6().class(0x11),
            ack6().class(0x13),
        ),
        marked("marked already", OUTER4, ack4().class(3), ack4().class(3)),
        row("the outer header's other bits are not carried over", &inside(OUTER4, &ack4()).class(0xb8 | 2))
            .answered(Reason::DecapTerminated, &ack4()),
        row("congestion, and the packet cannot carry the mark", &inside(OUTER4, &ack4()).class(CE))
            .dropped(Reason::DecapCongestion),
        row(
            "congestion, and the IPv6 packet cannot carry the mark",
            &inside(OUTER6, &ack6().class(0xb8)).class(0xb8 | CE),
        )
        .dropped(Reason::DecapCongestion),
    ]
}
