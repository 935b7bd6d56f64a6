//! What the balancer answers itself: echo, and packets that are too big for the way to their backend.

use crate::checksum;
use crate::limits::MAX_EXTENSION_BYTES;
use crate::packet::PacketMut;
use crate::parse::Layout;
use crate::reason::Reason;
use crate::wire::{ETHERNET_LEN, IPV4_LEN, IPV6_LEN, VLAN_LEN, ethertype, icmp, icmpv6, ip_protocol};

/// Hop limit of what the balancer sends itself.
const HOP_LIMIT: u8 = 64;

/// Bytes of the transport header that an ICMP error quotes: what RFC 792 asks for, and what hosts look at.
const QUOTED_TRANSPORT: usize = 8;

/// Turns an echo request into its reply, in place (RFC 792, RFC 4443 section 4.2).
#[inline(always)]
pub fn echo<P: PacketMut>(packet: &mut P, layout: &Layout) -> Result<Reason, Reason> {
    answer_echo(packet, layout).ok_or(Reason::TruncatedTransport)
}

#[inline(always)]
fn answer_echo<P: PacketMut>(packet: &mut P, layout: &Layout) -> Option<Reason> {
    swap_macs(packet)?;
    let kind: u16 = packet.load(layout.l4)?;
    let sum: u16 = packet.load(layout.l4 + 2)?;
    let reply = if layout.is_v4 {
        let addresses: [u32; 2] = packet.load(layout.l3 + 12)?;
        packet.store(layout.l3 + 12, [addresses[1], addresses[0]])?;
        let ttl: u16 = packet.load(layout.l3 + 8)?;
        let header_sum: u16 = packet.load(layout.l3 + 10)?;
        let fresh = ttl & 0xff00 | HOP_LIMIT as u16;
        packet.store(layout.l3 + 8, fresh)?;
        packet.store(layout.l3 + 10, checksum::update(header_sum, ttl, fresh))?;
        icmp::ECHO_REPLY
    } else {
        let addresses: [u64; 4] = packet.load(layout.l3 + 8)?;
        packet.store(layout.l3 + 8, [addresses[2], addresses[3], addresses[0], addresses[1]])?;
        packet.store(layout.l3 + 7, HOP_LIMIT)?;
        icmpv6::ECHO_REPLY
    };
    let fresh = kind & 0xff00 | reply as u16;
    let fresh_sum = match checksum::update(sum, kind, fresh) {
        // An IPv4 reply may be nothing but zeros, whose checksum is all ones; an update cannot tell that from words
        // that sum to all ones, for which either zero is right.
        0 if layout.is_v4 => 0xffff,
        sum => sum,
    };
    packet.store(layout.l4, fresh)?;
    packet.store(layout.l4 + 2, fresh_sum)?;
    Some(Reason::EchoReply)
}

/// Turns a packet into the error that tells its sender that `mtu` bytes are the most: ICMP fragmentation needed
/// (RFC 1191 section 4) or ICMPv6 packet too big (RFC 4443 section 3.2).
#[inline(always)]
pub fn too_big<P: PacketMut>(packet: &mut P, layout: &Layout, mtu: u32) -> Result<Reason, Reason> {
    let answered =
        if layout.is_v4 { frag_needed(packet, layout, mtu) } else { packet_too_big(packet, layout, mtu) };
    answered.ok_or(Reason::TooBig)
}

const IPV4_ERROR_LEN: usize = IPV4_LEN + 8;
const IPV6_ERROR_LEN: usize = IPV6_LEN + 8;

#[inline(always)]
fn frag_needed<P: PacketMut>(packet: &mut P, layout: &Layout, mtu: u32) -> Option<Reason> {
    let quoted = layout.l4 - layout.l3 + QUOTED_TRANSPORT;
    let addresses: [u32; 2] = packet.load(layout.l3 + 12)?;
    packet.truncate(layout.l3 + quoted)?;
    push_front(packet, layout, IPV4_ERROR_LEN)?;

    let length = ((IPV4_ERROR_LEN + quoted) as u16).to_be() as u32;
    let header = [
        0x45 | length << 16,
        0,
        HOP_LIMIT as u32 | (ip_protocol::ICMP as u32) << 8,
        addresses[1],
        addresses[0],
    ];
    let sum: u32 = header.iter().map(|&word| checksum::halves(word)).sum();
    packet.store(layout.l3, header)?;
    packet.store(layout.l3 + 10, checksum::finish(sum))?;

    let l4 = layout.l3 + IPV4_LEN;
    let kind = icmp::UNREACHABLE as u32 | (icmp::FRAG_NEEDED as u32) << 8;
    packet.store(l4, [kind, ((mtu.min(0xffff) as u16).to_be() as u32) << 16])?;
    let sum = checksum::sum::<P, { (8 + 60 + QUOTED_TRANSPORT) / 4 }>(packet, l4, (8 + quoted) / 4)?;
    packet.store(l4 + 2, checksum::finish(sum))?;
    Some(Reason::FragNeeded)
}

#[inline(always)]
fn packet_too_big<P: PacketMut>(packet: &mut P, layout: &Layout, mtu: u32) -> Option<Reason> {
    let quoted = layout.l4 - layout.l3 + QUOTED_TRANSPORT;
    let addresses: [u64; 4] = packet.load(layout.l3 + 8)?;
    packet.truncate(layout.l3 + quoted)?;
    push_front(packet, layout, IPV6_ERROR_LEN)?;

    let payload = (8 + quoted) as u16;
    let first =
        0x60 | (payload.to_be() as u64) << 32 | (ip_protocol::ICMPV6 as u64) << 48 | (HOP_LIMIT as u64) << 56;
    packet.store(layout.l3, [first, addresses[2], addresses[3], addresses[0], addresses[1]])?;

    let l4 = layout.l3 + IPV6_LEN;
    packet.store(l4, [icmpv6::PACKET_TOO_BIG as u32, mtu.to_be()])?;
    // Pseudo-header: addresses, length, next header (RFC 8200 section 8.1).
    let pseudo = checksum::sum::<P, 8>(packet, layout.l3 + 8, 8)?
        + payload.to_be() as u32
        + (ip_protocol::ICMPV6 as u16).to_be() as u32;
    let sum = checksum::sum::<P, { (8 + IPV6_LEN + MAX_EXTENSION_BYTES + QUOTED_TRANSPORT) / 4 }>(
        packet,
        l4,
        (8 + quoted) / 4,
    )?;
    packet.store(l4 + 2, checksum::finish(pseudo + sum))?;
    Some(Reason::PacketTooBig)
}

/// Puts `bytes` between link and network header, and sends the frame back to whom it came from.
#[inline(always)]
fn push_front<P: PacketMut>(packet: &mut P, layout: &Layout, bytes: usize) -> Option<()> {
    let macs: [u32; 3] = packet.load(0)?;
    let tags: [u32; 2] = packet.load(12)?;
    packet.push(bytes)?;
    packet.store(0, macs)?;
    let kind = if layout.is_v4 { ethertype::IPV4 } else { ethertype::IPV6 };
    match layout.l3 - ETHERNET_LEN {
        0 => packet.store(12, kind)?,
        VLAN_LEN => {
            packet.store(12, tags[0])?;
            packet.store(16, kind)?;
        }
        _ => {
            packet.store(12, tags)?;
            packet.store(20, kind)?;
        }
    }
    swap_macs(packet)
}

/// Source and destination MAC address change places.
#[inline(always)]
fn swap_macs<P: PacketMut>(packet: &mut P) -> Option<()> {
    let macs: [u16; 6] = packet.load(0)?;
    let [a, b, c, d, e, f] = macs;
    packet.store(0, [d, e, f, a, b, c])
}
