//! Frames for tests, built field by field: Ethernet, VLAN tags, IPv4 and IPv6, TCP, UDP, ICMP, tunnels.
//!
//! Every length and checksum is computed by plain code of this module's own, so that what the packet code under test
//! computes is compared with something else. The default is a good frame; each method changes one thing, and may make
//! it wrong.
//!
//! ```
//! use xdp_lb_tests::packet::{SYN, tcp};
//!
//! let frame = tcp("198.51.100.7:40000", "203.0.113.10:80").flags(SYN).vlan(5).frame();
//! assert_eq!(frame.len(), 14 + 4 + 20 + 20);
//! ```

#![expect(clippy::panic, reason = "a test that misspells an address stops there")]

mod content;
mod ip;
pub mod verify;

use std::net::{IpAddr, SocketAddr};

use content::Content;
use ip::Ip;

/// TCP flag: no more data.
pub const FIN: u8 = 1;
/// TCP flag: opens a connection.
pub const SYN: u8 = 2;
/// TCP flag: resets it.
pub const RST: u8 = 4;
/// TCP flag: the acknowledgement is valid.
pub const ACK: u8 = 16;

/// MAC address of the client, or of the router before it.
pub const CLIENT_MAC: [u8; 6] = [0x02, 0, 0, 0, 0x0c, 0x01];
/// MAC address of the balancer.
pub const BALANCER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0x1b, 0x01];

/// A packet in its frame. Made by [`tcp`], [`udp`], [`icmp`], [`echo_request`], [`other`] and [`Packet::tunnelled`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    destination_mac: [u8; 6],
    source_mac: [u8; 6],
    /// Tag protocol and tag, outermost first.
    tags: Vec<[u16; 2]>,
    ethertype: Option<u16>,
    ip: Ip,
    content: Content,
    payload: Vec<u8>,
    /// Bytes of the transport that are there.
    transport_len: Option<usize>,
    trailer: Vec<u8>,
}

/// A segment with ACK and no data; addresses with port, as `203.0.113.10:80` or `[2001:db8::10]:80`.
pub fn tcp(source: &str, destination: &str) -> Packet {
    between(source, destination, |ports| Content::Tcp { ports, flags: ACK, header_words: 5 })
}

/// A datagram without data; addresses with port.
pub fn udp(source: &str, destination: &str) -> Packet {
    between(source, destination, |ports| Content::Udp { ports, length: None })
}

/// A message of ICMP or ICMPv6, as the addresses are; the second word of its header, then the payload.
pub fn icmp(source: &str, destination: &str, kind: u8, code: u8, rest: [u8; 4]) -> Packet {
    Packet::new(address(source), address(destination), Content::Icmp { kind, code, rest })
}

/// An echo request.
pub fn echo_request(source: &str, destination: &str, identifier: u16, sequence: u16) -> Packet {
    let kind = if address(source).is_ipv4() { 8 } else { 128 };
    let [a, b] = identifier.to_be_bytes();
    let [c, d] = sequence.to_be_bytes();
    icmp(source, destination, kind, 0, [a, b, c, d])
}

/// A packet of another protocol.
pub fn other(source: &str, destination: &str, protocol: u8, bytes: &[u8]) -> Packet {
    Packet::new(address(source), address(destination), Content::Other { protocol }).payload(bytes)
}

fn between(source: &str, destination: &str, content: impl FnOnce([u16; 2]) -> Content) -> Packet {
    let parse = |text: &str| text.parse::<SocketAddr>().unwrap_or_else(|e| panic!("{text}: {e}"));
    let (source, destination) = (parse(source), parse(destination));
    Packet::new(source.ip(), destination.ip(), content([source.port(), destination.port()]))
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

impl Packet {
    fn new(source: IpAddr, destination: IpAddr, content: Content) -> Self {
        Self {
            destination_mac: BALANCER_MAC,
            source_mac: CLIENT_MAC,
            tags: Vec::new(),
            ethertype: None,
            ip: Ip::new(source, destination),
            content,
            payload: Vec::new(),
            transport_len: None,
            trailer: Vec::new(),
        }
    }

    /// The frame's bytes.
    pub fn frame(&self) -> Vec<u8> {
        let mut frame = [self.destination_mac, self.source_mac].concat();
        for tag in &self.tags {
            frame.extend(tag.map(u16::to_be_bytes).concat());
        }
        let ethertype = self.ethertype.unwrap_or(if self.ip.is_v4() { 0x0800 } else { 0x86dd });
        frame.extend(ethertype.to_be_bytes());
        frame.extend(self.ip_bytes());
        frame.extend(&self.trailer);
        frame
    }

    /// The frame with `bytes` written over it at `offset`.
    pub fn frame_with(&self, offset: usize, bytes: &[u8]) -> Vec<u8> {
        let mut frame = self.frame();
        frame[offset..offset + bytes.len()].copy_from_slice(bytes);
        frame
    }

    /// Whether it is IPv4.
    pub fn is_v4(&self) -> bool {
        self.ip.is_v4()
    }

    /// The IP packet's bytes.
    pub fn ip_bytes(&self) -> Vec<u8> {
        let mut transport = self.content.bytes(&self.ip, &self.payload);
        transport.truncate(self.transport_len.unwrap_or(usize::MAX));
        self.ip.bytes(self.content.protocol(&self.ip), &transport)
    }

    /// The packet as an ICMP error quotes it: the first `bytes` of its transport header.
    pub fn quoted(&self, bytes: usize) -> Vec<u8> {
        let transport = self.content.bytes(&self.ip, &self.payload).len();
        let whole = self.ip_bytes();
        whole[..whole.len() - transport + bytes.min(transport)].to_vec()
    }

    /// This packet inside another: DF, hop limit 64, TOS or traffic class copied; frame and trailer stay.
    pub fn tunnelled(&self, source: IpAddr, destination: IpAddr) -> Self {
        let protocol = if self.ip.is_v4() { 4 } else { 41 };
        Self {
            ip: Ip::outer(source, destination, &self.ip),
            content: Content::Other { protocol },
            payload: self.ip_bytes(),
            transport_len: None,
            ..self.clone()
        }
    }

    /// The way back: MAC addresses, IP addresses and ports change places.
    pub fn reversed(&self) -> Self {
        let mut reversed = self.clone().macs(self.source_mac, self.destination_mac);
        reversed.ip = self.ip.reversed();
        reversed.content.reverse();
        reversed
    }

    /// The frame goes back to where `packet` came from, with the same tags.
    pub fn reply_to(mut self, packet: &Self) -> Self {
        self.tags.clone_from(&packet.tags);
        self.macs(packet.source_mac, packet.destination_mac)
    }

    /// Destination and source MAC address.
    pub fn macs(mut self, destination: [u8; 6], source: [u8; 6]) -> Self {
        (self.destination_mac, self.source_mac) = (destination, source);
        self
    }

    /// One VLAN tag more, inside those that are there, of priority 3.
    pub fn vlan(self, id: u16) -> Self {
        self.tag(0x8100, id)
    }

    /// The same with the type of a service tag (QinQ).
    pub fn service_vlan(self, id: u16) -> Self {
        self.tag(0x88a8, id)
    }

    fn tag(mut self, protocol: u16, id: u16) -> Self {
        self.tags.push([protocol, 3 << 13 | id]);
        self
    }

    /// Another ethertype than the IP version's.
    pub fn ethertype(mut self, ethertype: u16) -> Self {
        self.ethertype = Some(ethertype);
        self
    }

    /// Zeros after the IP packet up to a frame of `bytes`.
    pub fn padded(mut self, bytes: usize) -> Self {
        let missing = bytes.saturating_sub(self.frame().len());
        self.trailer.extend(vec![0; missing]);
        self
    }

    /// Bytes after the IP packet.
    pub fn trailer(mut self, bytes: &[u8]) -> Self {
        self.trailer = bytes.to_vec();
        self
    }

    /// What the transport carries.
    pub fn payload(mut self, bytes: &[u8]) -> Self {
        self.payload = bytes.to_vec();
        self
    }

    /// Ends the IP packet after `bytes` of the transport, with an IP length that says so.
    pub fn transport_len(mut self, bytes: usize) -> Self {
        self.transport_len = Some(bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_summed_by_hand_comes_out_byte_for_byte() {
        let packet = udp("192.0.2.1:53", "192.0.2.2:1024").payload(b"ok").hop_limit(64).id(0);
        // 4500 + 001e + 4011 + c000 + 0201 + c000 + 0202 = 2 0932, folded 0934, complemented f6cb.
        let bytes = packet.ip_bytes();
        assert_eq!(bytes[..10], [0x45, 0, 0, 30, 0, 0, 0, 0, 64, 17]);
        assert_eq!(bytes[10..12], [0xf6, 0xcb]);
        assert_eq!(bytes[12..26], [192, 0, 2, 1, 192, 0, 2, 2, 0, 53, 4, 0, 0, 10]);
        verify::frame(&packet.frame()).unwrap();
    }

    #[test]
    fn every_kind_of_frame_verifies() {
        let v4 = tcp("192.0.2.1:1", "192.0.2.2:2").payload(b"odd").options(&[1, 1, 1, 0]).class(3);
        let v6 = udp("[2001:db8::1]:1", "[2001:db8::2]:2").payload(b"odd").extension(60, &[0; 6]).label(9);
        let error = icmp("2001:db8::1", "2001:db8::2", 2, 0, [0, 0, 5, 0]).payload(&v6.quoted(8));
        let frames = [
            v4.clone(),
            v6.clone(),
            error,
            v4.clone().vlan(1).service_vlan(2),
            v4.tunnelled(address("2001:db8::3"), address("2001:db8::4")),
            v6.tunnelled(address("192.0.2.3"), address("192.0.2.4")),
            echo_request("192.0.2.1", "192.0.2.2", 0, 0).payload(&[0; 5]),
            v4.reversed().padded(100),
        ];
        for packet in frames {
            let frame = packet.frame();
            verify::frame(&frame).unwrap_or_else(|error| panic!("{error}: {packet:?}"));
            let broken = frame.len() - packet.trailer.len() - 1;
            let mut frame = frame;
            frame[broken] ^= 4;
            assert!(verify::frame(&frame).is_err(), "{packet:?}");
        }
    }
}
