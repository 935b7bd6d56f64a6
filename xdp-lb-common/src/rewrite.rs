//! What the balancer writes: MAC addresses and tunnel headers, from the parts that the agent has prebuilt.

use crate::checksum;
use crate::maps::{Backend, HEAD_WORDS, Tunnel};
use crate::packet::PacketMut;
use crate::parse::Layout;
use crate::reason::Reason;
use crate::wire::{ETHERNET_LEN, IPV4_LEN, IPV6_LEN, VLAN_LEN, ip_protocol};

/// Bytes that a tunnel puts before the IP packet.
#[inline(always)]
pub const fn overhead(tunnel: Tunnel) -> usize {
    match tunnel {
        Tunnel::None => 0,
        Tunnel::Ipv4 => IPV4_LEN,
        Tunnel::Ipv6 => IPV6_LEN,
    }
}

/// A backend's tunnel.
#[inline(always)]
pub const fn tunnel_of(backend: &Backend) -> Tunnel {
    match backend.tunnel {
        0 => Tunnel::None,
        1 => Tunnel::Ipv4,
        _ => Tunnel::Ipv6,
    }
}

/// Makes the packet one for `backend`: its MAC addresses, and its tunnel header where it has one. VLAN tags stay.
#[inline(always)]
pub fn forward<P: PacketMut>(
    packet: &mut P,
    layout: &Layout,
    hash: u64,
    backend: &Backend,
) -> Result<(), Reason> {
    match tunnel_of(backend) {
        Tunnel::None => write_macs(packet, &backend.head),
        _ if layout.l3 != ETHERNET_LEN => forward_tagged(packet, *layout, hash, backend),
        Tunnel::Ipv4 => {
            packet.push(IPV4_LEN).ok_or(Reason::NoHeadroom)?;
            write_head(packet, Tunnel::Ipv4, &outer_ipv4(layout, hash, backend))
        }
        Tunnel::Ipv6 => {
            packet.push(IPV6_LEN).ok_or(Reason::NoHeadroom)?;
            write_head(packet, Tunnel::Ipv6, &outer_ipv6(layout, hash, backend))
        }
    }
}

/// The same through a tunnel with VLAN tags, which lie between the MAC addresses and the ethertype and move with the
/// front. Out of line, as in [`crate::balance`].
#[cold]
#[inline(never)]
fn forward_tagged<P: PacketMut>(
    packet: &mut P,
    layout: Layout,
    hash: u64,
    backend: &Backend,
) -> Result<(), Reason> {
    let tunnel = tunnel_of(backend);
    let head = if matches!(tunnel, Tunnel::Ipv4) {
        outer_ipv4(&layout, hash, backend)
    } else {
        outer_ipv6(&layout, hash, backend)
    };
    if layout.l3 == ETHERNET_LEN + VLAN_LEN {
        write_tagged::<P, u32, VLAN_LEN>(packet, tunnel, &head)
    } else {
        write_tagged::<P, [u32; 2], { 2 * VLAN_LEN }>(packet, tunnel, &head)
    }
}

/// Destination and source MAC address: the first twelve bytes.
#[inline(always)]
fn write_macs<P: PacketMut>(packet: &mut P, head: &[u64; HEAD_WORDS]) -> Result<(), Reason> {
    packet.store(0, head[0]).ok_or(Reason::TruncatedEthernet)?;
    packet.store(8, head[1] as u32).ok_or(Reason::TruncatedEthernet)
}

/// Ethernet and outer header where nothing lies between them: whole words.
#[inline(always)]
fn write_head<P: PacketMut>(packet: &mut P, tunnel: Tunnel, head: &[u64; HEAD_WORDS]) -> Result<(), Reason> {
    let [a, b, c, d, e, f, g] = *head;
    if matches!(tunnel, Tunnel::Ipv4) {
        packet.store(0, [a, b, c, d]).ok_or(Reason::NoHeadroom)?;
        packet.store(32, e as u16).ok_or(Reason::NoHeadroom)
    } else {
        packet.store(0, [a, b, c, d, e, f]).ok_or(Reason::NoHeadroom)?;
        packet.store(48, g as u32).ok_or(Reason::NoHeadroom)?;
        packet.store(52, (g >> 32) as u16).ok_or(Reason::NoHeadroom)
    }
}

/// The same with `TAGS` bytes of VLAN tags between source MAC address and ethertype.
#[inline(always)]
fn write_tagged<P: PacketMut, Tags: crate::packet::Wire, const TAGS: usize>(
    packet: &mut P,
    tunnel: Tunnel,
    head: &[u64; HEAD_WORDS],
) -> Result<(), Reason> {
    let tags: Tags = packet.load(12).ok_or(Reason::TruncatedEthernet)?;
    packet.push(overhead(tunnel)).ok_or(Reason::NoHeadroom)?;
    write_macs(packet, head)?;
    packet.store(12, tags).ok_or(Reason::NoHeadroom)?;
    let [_, b, c, d, e, f, g] = *head;
    packet.store(TAGS + 12, (b >> 32) as u32).ok_or(Reason::NoHeadroom)?;
    packet.store(TAGS + 16, [c, d]).ok_or(Reason::NoHeadroom)?;
    if matches!(tunnel, Tunnel::Ipv4) {
        packet.store(TAGS + 32, e as u16).ok_or(Reason::NoHeadroom)
    } else {
        packet.store(TAGS + 32, [e, f]).ok_or(Reason::NoHeadroom)?;
        packet.store(TAGS + 48, g as u32).ok_or(Reason::NoHeadroom)?;
        packet.store(TAGS + 52, (g >> 32) as u16).ok_or(Reason::NoHeadroom)
    }
}

/// The head with what the packet decides: TOS (copied, RFC 6040 section 4.1), total length, protocol, source bits and
/// header checksum. The header starts at byte 14, so TOS is byte 15, length 16, protocol 23, checksum 24, source 26.
#[inline(always)]
fn outer_ipv4(layout: &Layout, hash: u64, backend: &Backend) -> [u64; HEAD_WORDS] {
    let length = ((layout.ip_len + IPV4_LEN) as u16).to_be();
    let source = spread(hash) & backend.source_mask;
    let protocol = inner_protocol(layout);
    let sum = backend.outer_sum
        + length as u32
        + ((layout.tos as u32 + protocol as u32) << 8)
        + checksum::halves(source);
    let mut head = backend.head;
    head[1] |= (layout.tos as u64) << 56;
    head[2] |= length as u64 | (protocol as u64) << 56;
    head[3] |= checksum::finish(sum) as u64 | (source as u64) << 16;
    head
}

/// The head with what the packet decides: traffic class, flow label (RFC 6438), payload length, source bits. The
/// header starts at byte 14, so the label ends with byte 17, the length is byte 18, the next header 20, the source's
/// last four bytes 34.
#[inline(always)]
fn outer_ipv6(layout: &Layout, hash: u64, backend: &Backend) -> [u64; HEAD_WORDS] {
    let label = spread(hash) & 0xf_ffff;
    let first = (6 << 28 | (layout.tos as u32) << 20 | label).to_be();
    let length = (layout.ip_len as u16).to_be();
    let source = spread(hash) & backend.source_mask;
    let mut head = backend.head;
    head[1] |= (first as u64) << 48;
    head[2] |= (first >> 16) as u64 | (length as u64) << 16 | (inner_protocol(layout) as u64) << 32;
    head[4] |= (source as u64) << 16;
    head
}

/// What the outer header says is inside.
#[inline(always)]
const fn inner_protocol(layout: &Layout) -> u8 {
    if layout.is_v4 { ip_protocol::IPV4 } else { ip_protocol::IPV6 }
}

/// The bits of the flow hash that pick outer source and label: not those that pick the slot, so that the flows of
/// one backend spread.
#[inline(always)]
const fn spread(hash: u64) -> u32 {
    hash as u32
}
