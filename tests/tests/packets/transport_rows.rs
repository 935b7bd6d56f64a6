//! Segments and datagrams for a VIP that are not what they say, and VIPs that cannot serve.

use xdp_lb_common::reason::Reason;
use xdp_lb_common::slot::Slot;
use xdp_lb_tests::packet::{FIN, RST, SYN, icmp};
use xdp_lb_tests::world::services::*;

use crate::given::*;
use crate::row::{Row, row};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row("no TCP header at all", &syn4().transport_len(0)).dropped(Reason::TruncatedTransport),
        row("TCP header ends with the packet", &syn4().transport_len(19)).dropped(Reason::TruncatedTransport),
        row("TCP header goes on in the padding", &syn4().transport_len(19).padded(60))
            .dropped(Reason::TruncatedTransport),
        row("TCP header ends over IPv6", &syn6().transport_len(12)).dropped(Reason::TruncatedTransport),
        row("TCP header of four words", &ack4().tcp_header_words(4)).dropped(Reason::BadTcpHeader),
        row("TCP header longer than the segment", &ack4().tcp_header_words(10)).dropped(Reason::BadTcpHeader),
        row("SYN and FIN", &syn4().flags(SYN | FIN)).dropped(Reason::BadTcpHeader),
        row("SYN and RST over IPv6", &syn6().flags(SYN | RST)).dropped(Reason::BadTcpHeader),
        row("UDP header ends with the packet", &query4().transport_len(7))
            .dropped(Reason::TruncatedTransport),
        row("UDP length within its header", &query4().udp_length(7)).dropped(Reason::BadUdpLength),
        row("UDP length beyond the packet", &query6().udp_length(12)).dropped(Reason::BadUdpLength),
        row("UDP length beyond the packet, within the padding", &query4().udp_length(21).padded(80))
            .dropped(Reason::BadUdpLength),
        row("ICMP header ends with the packet", &icmp(ROUTER4, VIP4, 8, 0, [0; 4]).transport_len(7))
            .dropped(Reason::TruncatedTransport),
        row("ICMPv6 header ends with the packet", &icmp(ROUTER6, VIP6, 128, 0, [0; 4]).transport_len(4))
            .dropped(Reason::TruncatedTransport),
        row("no backend is up", &syn4()).slots(WEB4, Slot::EMPTY).dropped(Reason::NoBackend),
        row("no backend is up, for UDP that is recorded", &sip())
            .slots(SIP4, Slot::EMPTY)
            .dropped(Reason::NoBackend),
        row("the backend went down", &ack6()).down(BACK).dropped(Reason::BackendDown),
        row("the slot names a backend that there is no room for", &syn4())
            .to(WEB4, NOWHERE)
            .dropped(Reason::NoTable),
    ]
}

fn sip() -> xdp_lb_tests::packet::Packet {
    xdp_lb_tests::packet::udp(CLIENT4, SIP4_AT)
}
