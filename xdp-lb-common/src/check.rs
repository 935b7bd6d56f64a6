//! Health checks by the data path: packets that the host sends to a VIP, marked with the backend that is to get them,
//! and rewritten for it as the VIP's packets are.

use crate::ids::BackendId;
use crate::maps::{BACKEND_PRESENT, Backend};
use crate::packet::{Packet, PacketMut};
use crate::parse::Layout;
use crate::reason::Reason;
use crate::rewrite;
use crate::wire::{ETHERNET_LEN, IPV4_LEN, IPV6_LEN, ethertype};

/// Mark (`SO_MARK`) of a check's packets but for the backend's id in its low fifteen bits: "lb" in ASCII above them, and
/// the bit between. All other bits are compared, so that other programs' marks are not taken for it: single bits, or a
/// number of theirs in the upper half beside flags in the lower, which leave out that bit (Cilium's identities).
pub const CHECK_MARK: u32 = 0x6c62_8000;

/// The bits that tell a check's mark from others.
pub const CHECK_MASK: u32 = !0x7fff;

/// The mark of checks of `backend`.
#[inline(always)]
pub const fn mark_of(backend: BackendId) -> u32 {
    CHECK_MARK | backend.index()
}

/// The backend whose check bears `mark`; `None` for any other mark.
#[inline(always)]
pub const fn backend_of(mark: u32) -> Option<BackendId> {
    if mark & CHECK_MASK == CHECK_MARK { BackendId::new((mark & !CHECK_MASK) as u16) } else { None }
}

/// Makes the packet one for `backend` and gives the interface it is to leave by. Whether the backend is down does not
/// matter: the check is to find out. `hash` tells flows apart.
#[inline(always)]
pub fn lead<P: PacketMut>(packet: &mut P, backend: &Backend, hash: u64) -> Result<u32, Reason> {
    if backend.flags & BACKEND_PRESENT == 0 {
        return Err(Reason::NoBackend);
    }
    if !backend.is_resolved() {
        return Err(Reason::NoNextHop);
    }
    let layout = layout(packet)?;
    if layout.ip_len + rewrite::overhead(rewrite::tunnel_of(backend)) > backend.mtu as usize {
        return Err(Reason::TooBig);
    }
    rewrite::forward(packet, &layout, hash, backend)?;
    Ok(backend.egress)
}

/// What the rewriting needs to know. The host's own headers are sound, and it keeps VLAN tags beside the packet.
#[inline(always)]
fn layout<P: Packet>(packet: &P) -> Result<Layout, Reason> {
    const L3: usize = ETHERNET_LEN;
    let kind: u16 = packet.load(L3 - 2).ok_or(Reason::TruncatedEthernet)?;
    match kind {
        ethertype::IPV4 => {
            let word: u32 = packet.load(L3).ok_or(Reason::TruncatedIpv4)?;
            let fragment = packet.load_be16(L3 + 6).ok_or(Reason::TruncatedIpv4)?;
            Ok(Layout {
                l3: L3,
                l4: L3 + IPV4_LEN,
                ip_len: u16::from_be((word >> 16) as u16) as usize,
                tos: (word >> 8) as u8,
                dont_fragment: fragment & 0x4000 != 0,
                is_v4: true,
            })
        }
        ethertype::IPV6 => {
            let first = packet.load_be16(L3).ok_or(Reason::TruncatedIpv6)?;
            let payload = packet.load_be16(L3 + 4).ok_or(Reason::TruncatedIpv6)?;
            Ok(Layout {
                l3: L3,
                l4: L3 + IPV6_LEN,
                ip_len: IPV6_LEN + payload as usize,
                tos: (first >> 4) as u8,
                dont_fragment: true,
                is_v4: false,
            })
        }
        _ => Err(Reason::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maps::{BACKEND_DOWN, BACKEND_RESOLVED, Tunnel};
    use crate::packet::BufferPacket;

    const ROOM: usize = 40;

    fn backend(tunnel: Tunnel) -> Backend {
        let mut head = [0; 7];
        head[0] = 0x0202_0404_0404_0404;
        head[1] = match tunnel {
            Tunnel::None => 0x0202_0202,
            Tunnel::Ipv4 => 0x0045_0008_0202_0202,
            Tunnel::Ipv6 => 0x0060_dd86_0202_0202,
        };
        let flags = BACKEND_PRESENT | BACKEND_RESOLVED | BACKEND_DOWN;
        Backend { flags, tunnel: tunnel as u8, egress: 7, mtu: 1500, head, ..Backend::default() }
    }

    /// A frame of the host, with the MAC addresses of its gateway, after room for a tunnel header.
    fn frame(is_v4: bool, ip_len: usize) -> Vec<u8> {
        let mut frame = vec![0; ROOM + ETHERNET_LEN + ip_len];
        let (kind, ip) = if is_v4 {
            let mut ip = vec![0x45, 0xb8, 0, 0, 0, 0, 0x40, 0];
            ip[2..4].copy_from_slice(&(ip_len as u16).to_be_bytes());
            ([8, 0], ip)
        } else {
            let mut ip = vec![0x6b, 0x80, 0, 0, 0, 0];
            ip[4..6].copy_from_slice(&((ip_len - IPV6_LEN) as u16).to_be_bytes());
            ([0x86, 0xdd], ip)
        };
        frame[ROOM + 12..ROOM + 14].copy_from_slice(&kind);
        frame[ROOM + 14..ROOM + 14 + ip.len()].copy_from_slice(&ip);
        frame
    }

    #[test]
    fn a_mark_names_its_backend_and_no_other_mark_does() {
        for index in [1, 2, 0x4000, 0x7fff] {
            let id = BackendId::new(index).unwrap();
            assert_eq!(backend_of(mark_of(id)), Some(id));
            assert_eq!(backend_of(mark_of(id) ^ 1 << 15), None);
            assert_eq!(backend_of(u32::from(index)), None);
        }
        assert_eq!(backend_of(CHECK_MARK), None);
        // Identity or proxy port 27746 of Cilium, which may be that of any pod.
        for others in [0x6c62_0f00, 0x6c62_0200, 0x6c62_0001, 0x4000, 0x8000] {
            assert_eq!(backend_of(others), None, "{others:#x}");
        }
    }

    #[test]
    fn packets_are_made_as_those_of_the_vip_are_also_for_a_backend_that_is_down() {
        for (is_v4, tunnel, outer, protocol_at) in [
            (true, Tunnel::None, 0, None),
            (false, Tunnel::None, 0, None),
            (true, Tunnel::Ipv4, 20, Some((23, 4))),
            (false, Tunnel::Ipv4, 20, Some((23, 41))),
            (true, Tunnel::Ipv6, 40, Some((20, 4))),
            (false, Tunnel::Ipv6, 40, Some((20, 41))),
        ] {
            let case = format!("IPv4: {is_v4}, by {tunnel:?}");
            let mut bytes = frame(is_v4, 60);
            let inner = bytes[ROOM + ETHERNET_LEN..].to_vec();
            let mut packet = BufferPacket::new(&mut bytes, ROOM);
            assert_eq!(lead(&mut packet, &backend(tunnel), 1), Ok(7), "{case}");
            let sent = packet.bytes();
            assert_eq!(sent[..12], [4, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2], "{case}");
            assert_eq!(sent[ETHERNET_LEN + outer..], inner, "{case}");
            if let Some((at, protocol)) = protocol_at {
                assert_eq!(sent[at], protocol, "{case}");
                let tos = if outer == 20 { sent[15] } else { sent[14] << 4 | sent[15] >> 4 };
                assert_eq!(tos, 0xb8, "{case}");
            }
        }
    }

    #[test]
    fn what_cannot_be_sent_has_a_reason() {
        let good = backend(Tunnel::Ipv4);
        for (what, entry, is_v4, ip_len, reason) in [
            ("no entry", Backend::default(), true, 60, Reason::NoBackend),
            ("no way", Backend { flags: BACKEND_PRESENT, ..good }, true, 60, Reason::NoNextHop),
            ("a byte too much", good, true, 1481, Reason::TooBig),
            ("a byte too much", good, false, 1481, Reason::TooBig),
        ] {
            let mut bytes = frame(is_v4, ip_len);
            let mut packet = BufferPacket::new(&mut bytes, ROOM);
            assert_eq!(lead(&mut packet, &entry, 1), Err(reason), "{what}");
        }
        let mut bytes = frame(true, 1480);
        assert_eq!(lead(&mut BufferPacket::new(&mut bytes, ROOM), &good, 1), Ok(7));
        bytes[ROOM + 12] = 9;
        assert_eq!(lead(&mut BufferPacket::new(&mut bytes, ROOM), &good, 1), Err(Reason::NotIp));
        let mut short = bytes[..ROOM + 13].to_vec();
        let mut packet = BufferPacket::new(&mut short, ROOM);
        assert_eq!(lead(&mut packet, &good, 1), Err(Reason::TruncatedEthernet));
    }
}
