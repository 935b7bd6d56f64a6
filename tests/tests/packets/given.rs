//! Packets that many rows start from.

use xdp_lb_tests::packet::{ACK, Packet, SYN, tcp, udp};

pub(crate) const CLIENT4: &str = "198.51.100.7:40000";
pub(crate) const CLIENT6: &str = "[2001:db8:1::7]:40000";
pub(crate) const WEB4_AT: &str = "203.0.113.10:80";
pub(crate) const WEB6_AT: &str = "[2001:db8::10]:80";
pub(crate) const DNS4_AT: &str = "203.0.113.10:53";
pub(crate) const DNS6_AT: &str = "[2001:db8::10]:53";
pub(crate) const SIP4_AT: &str = "203.0.113.10:5060";

/// Addresses without ports.
pub(crate) const HOST4: &str = "198.51.100.7";
pub(crate) const HOST6: &str = "2001:db8:1::7";
pub(crate) const ROUTER4: &str = "192.0.2.254";
pub(crate) const ROUTER6: &str = "2001:db8:ff::1";
pub(crate) const VIP4: &str = "203.0.113.10";
pub(crate) const VIP6: &str = "2001:db8::10";

/// A connection over IPv4 is opened.
pub(crate) fn syn4() -> Packet {
    tcp(CLIENT4, WEB4_AT).flags(SYN)
}

/// And goes on.
pub(crate) fn ack4() -> Packet {
    tcp(CLIENT4, WEB4_AT).payload(b"GET / HTTP/1.1\r\n\r\n").flags(ACK)
}

/// A connection over IPv6 is opened.
pub(crate) fn syn6() -> Packet {
    tcp(CLIENT6, WEB6_AT).flags(SYN)
}

/// And goes on.
pub(crate) fn ack6() -> Packet {
    tcp(CLIENT6, WEB6_AT).payload(b"odd").flags(ACK)
}

/// A query over IPv4.
pub(crate) fn query4() -> Packet {
    udp(CLIENT4, DNS4_AT).payload(b"who is there")
}

/// A query over IPv6.
pub(crate) fn query6() -> Packet {
    udp(CLIENT6, DNS6_AT).payload(b"who")
}

/// Packet number `n` of as many clients.
pub(crate) fn nth(n: u16, flags: u8) -> Packet {
    tcp(&format!("198.51.100.8:{}", 1000 + n), WEB4_AT).flags(flags)
}
