//! Frames that end, or are let through, before anything concerns a VIP: Ethernet, VLAN tags, IP headers.

use xdp_lb_common::reason::Reason;
use xdp_lb_tests::packet::{other, tcp};

use crate::given::*;
use crate::row::{Row, raw_row, row};

pub(crate) fn rows() -> Vec<Row> {
    [link(), ipv4(), ipv6(), not_ours()].concat()
}

fn link() -> Vec<Row> {
    let tagged = ack4().vlan(5).service_vlan(6).frame();
    vec![
        row("ARP is left to the host", &ack4().ethertype(0x0806)).passed(Reason::NotIp),
        row("ARP in a VLAN is left to the host", &ack4().vlan(5).ethertype(0x0806)).passed(Reason::NotIp),
        row("an IEEE 802.3 length is no IP", &ack4().ethertype(46)).passed(Reason::NotIp),
        row("three VLAN tags are too many", &ack4().vlan(1).vlan(2).vlan(3)).passed(Reason::TooManyVlanTags),
        raw_row("frame ends within the first tag", tagged[..16].to_vec()).passed(Reason::TruncatedEthernet),
        raw_row("frame ends within the second tag", tagged[..21].to_vec()).passed(Reason::TruncatedEthernet),
        raw_row("frame ends behind the tags", tagged[..22].to_vec()).passed(Reason::TruncatedIpv4),
    ]
}

fn ipv4() -> Vec<Row> {
    let whole = ack4().frame();
    vec![
        raw_row("no IPv4 header at all", whole[..14].to_vec()).passed(Reason::TruncatedIpv4),
        raw_row("IPv4 header ends early", whole[..33].to_vec()).passed(Reason::TruncatedIpv4),
        raw_row("frame ends before the IPv4 length", whole[..whole.len() - 1].to_vec())
            .dropped(Reason::BadIpv4Header),
        row("IPv4 length beyond the frame", &ack4().ip_length(59)).dropped(Reason::BadIpv4Header),
        row("IPv6 under IPv4's ethertype is nobody's", &ack6().ethertype(0x0800)).passed(Reason::NotVip),
        row("version 5", &ack4().version(5)).dropped(Reason::BadIpv4Header),
        row("IPv4 header of four words", &ack4().header_words(4)).dropped(Reason::BadIpv4Header),
        row("IPv4 length within its own header", &ack4().ip_length(19)).dropped(Reason::BadIpv4Header),
        row("IPv4 header longer than the packet", &syn4().header_words(15)).dropped(Reason::BadIpv4Header),
        row("first fragment to a VIP", &query4().fragment(0, true)).dropped(Reason::Fragment),
        row("last fragment to a VIP", &query4().fragment(185, false)).dropped(Reason::Fragment),
    ]
}

fn ipv6() -> Vec<Row> {
    let whole = ack6().frame();
    vec![
        raw_row("no IPv6 header at all", whole[..14].to_vec()).passed(Reason::TruncatedIpv6),
        raw_row("IPv6 header ends early", whole[..53].to_vec()).passed(Reason::TruncatedIpv6),
        raw_row("frame ends before the IPv6 length", whole[..whole.len() - 1].to_vec())
            .dropped(Reason::BadIpv6Header),
        row("IPv4 under IPv6's ethertype is nobody's", &ack4().padded(60).ethertype(0x86dd))
            .passed(Reason::NotVip),
        row("version 7", &ack6().version(7)).dropped(Reason::BadIpv6Header),
        row("jumbogram", &ack6().extension(0, &[0xc2, 4, 0, 1, 0, 0]).ip_length(0))
            .dropped(Reason::BadIpv6Header),
        row("first fragment to a VIP over IPv6", &query6().fragment(0, true)).dropped(Reason::Fragment),
        row(
            "last fragment to a VIP, behind options",
            &query6().extension(0, &[1, 4, 0, 0, 0, 0]).fragment(185, false),
        )
        .dropped(Reason::Fragment),
        row("seven extension headers", &extended(7)).dropped(Reason::BadExtensionHeader),
        row("520 bytes of extension headers", &ack6().extension(60, &[0; 254]).extension(60, &[0; 262]))
            .dropped(Reason::BadExtensionHeader),
        row("a routing header that leads on", &ack6().extension(43, &[4, 1, 0, 0, 0, 0]))
            .dropped(Reason::BadExtensionHeader),
        row("extension headers end with the frame", &other(HOST6, VIP6, 60, &[]))
            .dropped(Reason::BadExtensionHeader),
        row("extension header longer than the packet", &ack6().extension(60, &[0; 6]).ip_length(8))
            .dropped(Reason::TruncatedTransport),
    ]
}

/// A packet with `count` empty extension headers.
pub(crate) fn extended(count: usize) -> xdp_lb_tests::packet::Packet {
    (0..count).fold(ack6(), |packet, _| packet.extension(60, &[1, 4, 0, 0, 0, 0]))
}

fn not_ours() -> Vec<Row> {
    vec![
        row("TCP to another address", &tcp(CLIENT4, "203.0.113.11:80")).passed(Reason::NotVip),
        row("TCP to another address over IPv6", &tcp(CLIENT6, "[2001:db8::11]:80")).passed(Reason::NotVip),
        row("TCP to another port of a VIP's address", &tcp(CLIENT4, "203.0.113.10:81"))
            .passed(Reason::NotVip),
        row("TCP to a UDP service's port", &tcp(CLIENT6, "[2001:db8::10]:53")).passed(Reason::NotVip),
        row("TCP to port 0 of a VIP's address", &tcp(CLIENT4, "203.0.113.10:0")).passed(Reason::NotVip),
        row("IPv6 to the v4-mapped form of a VIP", &tcp(CLIENT6, "[::ffff:203.0.113.10]:80"))
            .passed(Reason::NotVip),
        row("a fragment to another address", &tcp(CLIENT4, "203.0.113.11:80").fragment(3, true))
            .passed(Reason::NotVip),
        row("a broken segment to another address", &tcp(CLIENT4, "203.0.113.11:80").tcp_header_words(2))
            .passed(Reason::NotVip),
        row("ESP to a VIP's address", &other(ROUTER4, VIP4, 50, &[0; 24])).passed(Reason::VipOtherService),
        row("SCTP to a VIP's address", &other(ROUTER6, VIP6, 132, &[0; 24])).passed(Reason::VipOtherService),
        row("IPv6 without next header to a VIP's address", &other(ROUTER6, VIP6, 59, &[]))
            .passed(Reason::VipOtherService),
        row("ICMPv6 over IPv4", &other(ROUTER4, VIP4, 58, &[128, 0, 0, 0, 0, 0, 0, 0]))
            .passed(Reason::VipOtherService),
        row("ICMP over IPv6", &other(ROUTER6, VIP6, 1, &[8, 0, 0, 0, 0, 0, 0, 0]))
            .passed(Reason::VipOtherService),
        row(
            "a tunnel to a VIP's address",
            &ack4().tunnelled(ROUTER4.parse().unwrap(), VIP4.parse().unwrap()),
        )
        .passed(Reason::VipOtherService),
    ]
}
