//! From bytes to a [`Flow`], or to the named reason why there is none. Reads headers only and believes no length
//! that the frame does not bear out.

use crate::flow::{Flow, Signal};
use crate::limits::{MAX_EXTENSION_BYTES, MAX_EXTENSION_HEADERS, MAX_VLAN_TAGS};
use crate::maps::Address;
use crate::packet::Packet;
use crate::reason::Reason;
use crate::wire::{
    ETHERNET_LEN, IPV4_LEN, IPV6_LEN, VLAN_LEN, ethertype, icmp, icmpv6, ip_protocol, ipv6_extension,
    tcp_flag,
};

/// A packet that may concern a VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Where its headers are.
    pub layout: Layout,
    /// What it carries.
    pub content: Content,
}

/// Where the headers of a packet are and what the IP header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Offset of the IP header: 14, and 4 more for each VLAN tag.
    pub l3: usize,
    /// Offset of the transport header.
    pub l4: usize,
    /// Bytes of the IP packet by its own header: at least the headers, at most the frame.
    pub ip_len: usize,
    /// TOS or traffic class.
    pub tos: u8,
    /// Whether routers must not fragment it: IPv4 with DF, and IPv6.
    pub dont_fragment: bool,
    /// Whether it is IPv4.
    pub is_v4: bool,
}

impl Layout {
    /// The same layout, its offsets known to be those that the parser gives. What went through memory on its way to a
    /// function of its own has lost the bounds that the kernel's verifier saw before.
    #[inline(always)]
    pub(crate) fn bounded(self) -> Option<Self> {
        const MAX_L3: usize = ETHERNET_LEN + MAX_VLAN_TAGS * VLAN_LEN;
        const MAX_L4: usize = MAX_L3 + IPV6_LEN + MAX_EXTENSION_BYTES;
        let l3 = self.l3 >= ETHERNET_LEN && self.l3 <= MAX_L3;
        let l4 = self.l4 > self.l3 && self.l4 <= MAX_L4;
        (l3 && l4 && self.ip_len <= MAX_IP_LEN).then_some(self)
    }
}

/// The longest IP packet: IPv6 with a payload of 65535 bytes.
const MAX_IP_LEN: usize = IPV6_LEN + 0xffff;

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A segment or datagram, or an ICMP error that quotes one.
    Flow(Flow),
    /// An ICMP or ICMPv6 echo request to this address.
    Echo(Address),
}

/// Why there is nothing to forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Whatever the destination.
    Always(Reason),
    /// If `destination` is a VIP's address; otherwise the packet is not ours.
    IfVip {
        /// Destination address.
        destination: Address,
        /// What it is if it is ours.
        reason: Reason,
    },
}

/// Reads the headers of a frame such as nearly all are: no VLAN tag, no IP options or extension headers, no fragment,
/// a sound TCP or UDP header. `None` for any other; what [`parse`] makes of it counts. Where this gives a flow,
/// [`parse`] gives the same: offsets are constants here, which is all that it is for.
#[inline(always)]
pub fn parse_plain<P: Packet>(packet: &P) -> Option<(Layout, Flow)> {
    const L3: usize = ETHERNET_LEN;
    let kind: u16 = packet.load(ETHERNET_LEN - 2)?;
    let (layout, source, destination, protocol) = match kind {
        ethertype::IPV4 => {
            let header: [u32; 5] = packet.load(L3)?;
            let fragment = u16::from_be((header[1] >> 16) as u16);
            let layout = Layout {
                l3: L3,
                l4: L3 + IPV4_LEN,
                ip_len: u16::from_be((header[0] >> 16) as u16) as usize,
                tos: (header[0] >> 8) as u8,
                dont_fragment: fragment & 0x4000 != 0,
                is_v4: true,
            };
            if header[0] as u8 != 0x45 || fragment & 0x3fff != 0 {
                return None;
            }
            let (source, destination) = (Address::from_v4_word(header[3]), Address::from_v4_word(header[4]));
            (layout, source, destination, (header[2] >> 8) as u8)
        }
        ethertype::IPV6 => {
            let header: [u64; 5] = packet.load(L3)?;
            let layout = Layout {
                l3: L3,
                l4: L3 + IPV6_LEN,
                ip_len: IPV6_LEN + u16::from_be((header[0] >> 32) as u16) as usize,
                tos: traffic_class(header[0]),
                dont_fragment: true,
                is_v4: false,
            };
            let (source, destination) = (Address([header[1], header[2]]), Address([header[3], header[4]]));
            if header[0] as u8 >> 4 != 6 || destination.is_v4() {
                return None;
            }
            (layout, source, destination, (header[0] >> 48) as u8)
        }
        _ => return None,
    };
    if L3 + layout.ip_len > packet.len() {
        return None;
    }
    let (ports, signal) = match protocol {
        ip_protocol::TCP => parse_tcp(packet, &layout).ok()?,
        ip_protocol::UDP => parse_udp(packet, &layout).ok()?,
        _ => return None,
    };
    Some((layout, Flow { source, destination, ports, protocol, is_v4: layout.is_v4, signal }))
}

/// Reads the headers of a frame.
#[inline(always)]
pub fn parse<P: Packet>(packet: &P) -> Result<Parsed, Stop> {
    let (l3, ethertype) = parse_link(packet).map_err(Stop::Always)?;
    match ethertype {
        ethertype::IPV4 => parse_ipv4(packet, l3),
        ethertype::IPV6 => parse_ipv6(packet, l3),
        _ => Err(Stop::Always(Reason::NotIp)),
    }
}

/// Offset of the network header and its ethertype (as it lies in memory), behind up to two VLAN tags.
#[inline(always)]
pub fn parse_link<P: Packet>(packet: &P) -> Result<(usize, u16), Reason> {
    let mut offset = ETHERNET_LEN;
    let mut kind: u16 = packet.load(offset - 2).ok_or(Reason::TruncatedEthernet)?;
    for _ in 0..MAX_VLAN_TAGS {
        if !ethertype::is_vlan(kind) {
            return Ok((offset, kind));
        }
        offset += VLAN_LEN;
        kind = packet.load(offset - 2).ok_or(Reason::TruncatedEthernet)?;
    }
    if ethertype::is_vlan(kind) { Err(Reason::TooManyVlanTags) } else { Ok((offset, kind)) }
}

/// RFC 791 section 3.1.
#[inline(always)]
fn parse_ipv4<P: Packet>(packet: &P, l3: usize) -> Result<Parsed, Stop> {
    let header: [u32; 5] = packet.load(l3).ok_or(Stop::Always(Reason::TruncatedIpv4))?;
    let header_len = (header[0] as usize & 0xf) * 4;
    let ip_len = u16::from_be((header[0] >> 16) as u16) as usize;
    let destination = Address::from_v4_word(header[4]);
    if header[0] as u8 >> 4 != 4 || header_len < 20 || ip_len < header_len || l3 + ip_len > packet.len() {
        return Err(Stop::IfVip { destination, reason: Reason::BadIpv4Header });
    }
    let fragment = u16::from_be((header[1] >> 16) as u16);
    if fragment & 0x3fff != 0 {
        return Err(Stop::IfVip { destination, reason: Reason::Fragment });
    }
    let layout = Layout {
        l3,
        l4: l3 + header_len,
        ip_len,
        tos: (header[0] >> 8) as u8,
        dont_fragment: fragment & 0x4000 != 0,
        is_v4: true,
    };
    let source = Address::from_v4_word(header[3]);
    parse_transport(packet, layout, source, destination, (header[2] >> 8) as u8)
}

/// RFC 8200 section 3.
#[inline(always)]
fn parse_ipv6<P: Packet>(packet: &P, l3: usize) -> Result<Parsed, Stop> {
    let header: [u64; 5] = packet.load(l3).ok_or(Stop::Always(Reason::TruncatedIpv6))?;
    let payload = u16::from_be((header[0] >> 32) as u16) as usize;
    let next = (header[0] >> 48) as u8;
    let ip_len = IPV6_LEN + payload;
    let source = Address([header[1], header[2]]);
    let destination = Address([header[3], header[4]]);
    let is_jumbo = payload == 0 && next == ipv6_extension::HOP_BY_HOP;
    if header[0] as u8 >> 4 != 6 || is_jumbo || l3 + ip_len > packet.len() {
        return Err(Stop::IfVip { destination, reason: Reason::BadIpv6Header });
    }
    if destination.is_v4() {
        // IPv4's addresses are VIPs' in IPv4 packets only.
        return Err(Stop::Always(Reason::NotVip));
    }
    let mut layout =
        Layout { l3, l4: l3 + 40, ip_len, tos: traffic_class(header[0]), dont_fragment: true, is_v4: false };
    let protocol = if ipv6_extension::is_extension(next) {
        let (protocol, length) =
            skip_extensions(packet, layout.l4, next).map_err(|reason| Stop::IfVip { destination, reason })?;
        layout.l4 += length;
        protocol
    } else {
        next
    };
    parse_transport(packet, layout, source, destination, protocol)
}

/// The protocol behind the extension headers at `start`, and their length (RFC 8200 section 4, RFC 6946 for atomic
/// fragments).
#[inline(always)]
fn skip_extensions<P: Packet>(packet: &P, start: usize, first: u8) -> Result<(u8, usize), Reason> {
    let mut next = first;
    let mut length = 0;
    for _ in 0..MAX_EXTENSION_HEADERS {
        if !ipv6_extension::is_extension(next) {
            return Ok((next, length));
        }
        let header: [u8; 4] = packet.load(start + length).ok_or(Reason::BadExtensionHeader)?;
        let units = if next == ipv6_extension::FRAGMENT {
            if u16::from_be_bytes([header[2], header[3]]) & 0xfff9 != 0 {
                return Err(Reason::Fragment);
            }
            1
        } else {
            // A routing header that is not used up: this address is not the packet's last (RFC 8200 section 4.4).
            if next == ipv6_extension::ROUTING && header[3] != 0 {
                return Err(Reason::BadExtensionHeader);
            }
            header[1] as usize + 1
        };
        length += units * 8;
        if length > MAX_EXTENSION_BYTES {
            return Err(Reason::BadExtensionHeader);
        }
        next = header[0];
    }
    if ipv6_extension::is_extension(next) { Err(Reason::BadExtensionHeader) } else { Ok((next, length)) }
}

/// The traffic class of an IPv6 header's first word.
#[inline(always)]
const fn traffic_class(first: u64) -> u8 {
    (first as u8) << 4 | (first >> 12) as u8 & 0xf
}

#[inline(always)]
fn parse_transport<P: Packet>(
    packet: &P,
    layout: Layout,
    source: Address,
    destination: Address,
    protocol: u8,
) -> Result<Parsed, Stop> {
    let ours = |reason| Stop::IfVip { destination, reason };
    let (ports, signal) = match protocol {
        ip_protocol::TCP => parse_tcp(packet, &layout).map_err(ours)?,
        ip_protocol::UDP => parse_udp(packet, &layout).map_err(ours)?,
        ip_protocol::ICMP if layout.is_v4 => return parse_icmp(packet, layout, destination),
        ip_protocol::ICMPV6 if !layout.is_v4 => return parse_icmp(packet, layout, destination),
        _ => return Err(ours(Reason::VipOtherService)),
    };
    let flow = Flow { source, destination, ports, protocol, is_v4: layout.is_v4, signal };
    Ok(Parsed { layout, content: Content::Flow(flow) })
}

/// Ports, and what the segment does to the connection (RFC 9293 section 3.1).
#[inline(always)]
fn parse_tcp<P: Packet>(packet: &P, layout: &Layout) -> Result<(u32, Signal), Reason> {
    let header: [u32; 4] = packet.load(layout.l4).ok_or(Reason::TruncatedTransport)?;
    let end = layout.l3 + layout.ip_len;
    if layout.l4 + 20 > end {
        return Err(Reason::TruncatedTransport);
    }
    let header_len = (header[3] as usize >> 4 & 0xf) * 4;
    let flags = (header[3] >> 8) as u8;
    if header_len < 20 || layout.l4 + header_len > end || tcp_flag::is_contradiction(flags) {
        return Err(Reason::BadTcpHeader);
    }
    Ok((header[0], tcp_signal(flags)))
}

/// Ports of a datagram (RFC 768).
#[inline(always)]
fn parse_udp<P: Packet>(packet: &P, layout: &Layout) -> Result<(u32, Signal), Reason> {
    let header: [u32; 2] = packet.load(layout.l4).ok_or(Reason::TruncatedTransport)?;
    let end = layout.l3 + layout.ip_len;
    if layout.l4 + 8 > end {
        return Err(Reason::TruncatedTransport);
    }
    let length = u16::from_be(header[1] as u16) as usize;
    if length < 8 || layout.l4 + length > end {
        return Err(Reason::BadUdpLength);
    }
    Ok((header[0], Signal::Continue))
}

#[inline(always)]
const fn tcp_signal(flags: u8) -> Signal {
    if flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN {
        Signal::Open
    } else if flags & (tcp_flag::FIN | tcp_flag::RST) != 0 {
        Signal::Close
    } else {
        Signal::Continue
    }
}

/// Echo requests, errors, and the rest (RFC 792, RFC 4443).
#[inline(always)]
fn parse_icmp<P: Packet>(packet: &P, layout: Layout, destination: Address) -> Result<Parsed, Stop> {
    let ours = |reason| Stop::IfVip { destination, reason };
    let layout = layout.bounded().ok_or(ours(Reason::TruncatedTransport))?;
    let header: [u8; 8] = packet.load(layout.l4).ok_or(ours(Reason::TruncatedTransport))?;
    let quoted = layout.l4 + 8;
    if quoted > layout.l3 + layout.ip_len {
        return Err(ours(Reason::TruncatedTransport));
    }
    let (is_echo, is_error) = if layout.is_v4 {
        (header[0] == icmp::ECHO_REQUEST, icmp::is_error(header[0]))
    } else {
        (header[0] == icmpv6::ECHO_REQUEST, icmpv6::is_error(header[0]))
    };
    if is_echo && header[1] == 0 {
        return Ok(Parsed { layout, content: Content::Echo(destination) });
    }
    if !is_error {
        return Err(ours(Reason::IcmpOther));
    }
    let flow = parse_quoted(packet, quoted, layout, destination).ok_or(ours(Reason::BadIcmpError))?;
    Ok(Parsed { layout, content: Content::Flow(flow) })
}

/// The flow whose packet, sent by the VIP `sender`, an ICMP error quotes: source and destination change places.
#[inline(always)]
fn parse_quoted<P: Packet>(packet: &P, offset: usize, layout: Layout, sender: Address) -> Option<Flow> {
    let end = layout.l3 + layout.ip_len;
    let (source, destination, protocol, transport) = if layout.is_v4 {
        let header: [u32; 5] = packet.load(offset)?;
        let header_len = (header[0] as usize & 0xf) * 4;
        if header[0] as u8 >> 4 != 4 || header_len < 20 || (header[1] >> 16) as u16 & 0x1fff_u16.to_be() != 0
        {
            return None;
        }
        let source = Address::from_v4_word(header[3]);
        (source, Address::from_v4_word(header[4]), (header[2] >> 8) as u8, offset + header_len)
    } else {
        let header: [u64; 5] = packet.load(offset)?;
        if header[0] as u8 >> 4 != 6 {
            return None;
        }
        let source = Address([header[1], header[2]]);
        (source, Address([header[3], header[4]]), (header[0] >> 48) as u8, offset + 40)
    };
    // Loaded before its place is compared with the end of the packet: after it, the compiler would know that it lies
    // within the frame and leave out the check that the kernel's verifier wants to see.
    let ports: u32 = packet.load(transport)?;
    if source != sender || !matches!(protocol, ip_protocol::TCP | ip_protocol::UDP) || transport + 4 > end {
        return None;
    }
    Some(Flow {
        source: destination,
        destination: source,
        ports: ports.rotate_left(16),
        protocol,
        is_v4: layout.is_v4,
        signal: Signal::About,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::packet::BufferPacket;

    /// Ethernet, IP and a transport header of zeros but for lengths and protocol; plain, until somebody changes it.
    fn plain(v4: bool, tcp: bool) -> Vec<u8> {
        let mut frame = vec![0; 14 + if v4 { 20 } else { 40 } + if tcp { 20 } else { 8 }];
        let protocol = if tcp { ip_protocol::TCP } else { ip_protocol::UDP };
        if v4 {
            frame[12..17].copy_from_slice(&[0x08, 0, 0x45, 0, 0]);
            frame[17] = frame.len() as u8 - 14;
            frame[23] = protocol;
        } else {
            frame[12..15].copy_from_slice(&[0x86, 0xdd, 0x60]);
            frame[19] = frame.len() as u8 - 54;
            frame[20] = protocol;
            frame[38] = 0x20;
        }
        let l4 = if v4 { 34 } else { 54 };
        if tcp {
            frame[l4 + 12] = 0x50;
        } else {
            frame[l4 + 5] = 8;
        }
        frame
    }

    #[test]
    fn plain_packets_are_plain() {
        for (v4, tcp) in [(true, true), (true, false), (false, true), (false, false)] {
            assert!(parse_plain(&BufferPacket::new(&mut plain(v4, tcp), 0)).is_some());
        }
    }

    proptest! {
        #[test]
        fn what_the_short_way_gives_the_long_way_gives(
            v4: bool,
            tcp: bool,
            changes in prop::collection::vec((12_usize..74, any::<u8>()), 0..5),
            length in 0_usize..90,
        ) {
            let mut frame = plain(v4, tcp);
            for (place, byte) in changes {
                if let Some(old) = frame.get_mut(place) {
                    *old = byte;
                }
            }
            frame.resize(length, 0);
            let packet = BufferPacket::new(&mut frame, 0);
            if let Some((layout, flow)) = parse_plain(&packet) {
                prop_assert_eq!(parse(&packet), Ok(Parsed { layout, content: Content::Flow(flow) }));
            }
        }
    }
}
