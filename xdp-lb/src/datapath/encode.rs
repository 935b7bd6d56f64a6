//! From what control says of a backend to the entry that the kernel copies headers from, and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use xdp_lb_common::checksum::halves;
use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::maps::{
    Address, BACKEND_DOWN, BACKEND_PRESENT, BACKEND_RESOLVED, Backend, DirectoryEntry, HEAD_WORDS, Service,
    Tunnel, VIP_AFFINITY, VIP_P2C,
};
use xdp_lb_common::wire::{ETHERNET_LEN, IPV4_LEN, IPV6_LEN};

use crate::config::{Affinity, Agent, Forward, Protocol, Ratio, Scheduler};
use crate::control::{BackendRecord, NextHop, VipRecord};

/// Hop limit of outer headers.
const HOP_LIMIT: u8 = 64;

/// Where outer source addresses come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelSources {
    /// For outer IPv4.
    pub v4: Ipv4Net,
    /// For outer IPv6.
    pub v6: Ipv6Net,
}

impl TunnelSources {
    /// As configured.
    pub fn of(agent: &Agent) -> Self {
        Self { v4: agent.tunnel_source_v4, v6: agent.tunnel_source_v6 }
    }
}

/// An address as the maps hold it.
pub fn address(address: IpAddr) -> Address {
    match address {
        IpAddr::V4(v4) => Address::from_v4(v4.octets()),
        IpAddr::V6(v6) => Address::from_v6(v6.octets()),
    }
}

/// An address as people write it.
pub fn ip_addr(address: Address) -> IpAddr {
    if address.is_v4() {
        IpAddr::V4(Ipv4Addr::from(u32::from_be(address.v4_word())))
    } else {
        IpAddr::V6(Ipv6Addr::from(address.octets()))
    }
}

/// The kernel's entry for a backend.
pub fn encode(record: &BackendRecord, sources: &TunnelSources) -> Backend {
    let tunnel = tunnel(record.forward, record.address);
    let mut head = [0; HEAD_WORDS * 8];
    let mut backend = Backend {
        flags: BACKEND_PRESENT | if record.down { BACKEND_DOWN } else { 0 },
        tunnel: tunnel as u8,
        // Without a next hop the kernel's own look-up judges the size, up to what the length fields of IP and of that
        // look-up can say: 16 bits, tunnel header included.
        mtu: u16::MAX.into(),
        vip: record.vip.index(),
        address: address(record.address),
        ..Backend::default()
    };
    if let Some(hop) = record.next_hop {
        backend.flags |= BACKEND_RESOLVED;
        backend.egress = hop.egress;
        backend.mtu = hop.mtu;
        head[..6].copy_from_slice(&hop.destination_mac);
        head[6..12].copy_from_slice(&hop.source_mac);
    }
    match record.address {
        IpAddr::V4(far) if tunnel == Tunnel::Ipv4 => {
            let outer = outer_ipv4(sources.v4.network(), far);
            head[12..14].copy_from_slice(&0x0800_u16.to_be_bytes());
            head[ETHERNET_LEN..ETHERNET_LEN + IPV4_LEN].copy_from_slice(&outer);
            backend.outer_sum =
                outer.as_chunks::<4>().0.iter().map(|&word| halves(u32::from_ne_bytes(word))).sum();
            backend.source_mask = u32::from(sources.v4.hostmask()).to_be();
        }
        IpAddr::V6(far) if tunnel == Tunnel::Ipv6 => {
            let outer = outer_ipv6(sources.v6.network(), far);
            head[12..14].copy_from_slice(&0x86dd_u16.to_be_bytes());
            head[ETHERNET_LEN..ETHERNET_LEN + IPV6_LEN].copy_from_slice(&outer);
            backend.source_mask = (u128::from(sources.v6.hostmask()) as u32).to_be();
        }
        _ => {}
    }
    for (word, bytes) in backend.head.iter_mut().zip(head.as_chunks::<8>().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    backend
}

/// What an entry says, but for the next hop; `None` for one that is not in use.
pub fn decode(backend: BackendId, entry: &Backend) -> Option<BackendRecord> {
    if entry.flags & BACKEND_PRESENT == 0 {
        return None;
    }
    Some(BackendRecord {
        backend,
        vip: VipId::new(u16::try_from(entry.vip).ok()?),
        address: ip_addr(entry.address),
        forward: if entry.tunnel == Tunnel::None as u8 { Forward::L2 } else { Forward::Ipip },
        down: entry.flags & BACKEND_DOWN != 0,
        next_hop: None,
    })
}

/// The next hop that an entry has; whether it is a gateway, an entry does not tell.
pub fn decode_hop(entry: &Backend) -> Option<NextHop> {
    let [first, second, ..] = entry.head.map(u64::to_ne_bytes);
    let [a, b, c, d, e, f, s, t] = first;
    let [u, v, w, x, ..] = second;
    entry.is_resolved().then_some(NextHop {
        egress: entry.egress,
        source_mac: [s, t, u, v, w, x],
        destination_mac: [a, b, c, d, e, f],
        mtu: entry.mtu,
        via_gateway: false,
    })
}

/// Flags of a VIP's entry in the directory.
pub(super) fn vip_flags(affinity: Affinity, scheduler: Scheduler) -> u16 {
    let affinity = if affinity == Affinity::Flow { VIP_AFFINITY } else { 0 };
    let chooses = if matches!(scheduler, Scheduler::P2c { .. }) { VIP_P2C } else { 0 };
    affinity | chooses
}

/// Margin of the choice of two in a VIP's entry in the directory.
pub(super) const fn vip_margin(scheduler: Scheduler) -> u32 {
    match scheduler {
        Scheduler::Maglev => 0,
        Scheduler::P2c { margin } => margin.in_thousandths(),
    }
}

/// What a VIP's entry in the directory was made from; `None` for one that only marks an address.
pub fn decode_vip(entry: &DirectoryEntry) -> Option<VipRecord> {
    if entry.service == Service::ADDRESS {
        return None;
    }
    let protocol = |protocol: &Protocol| protocol.number() == entry.service.protocol();
    let margin = Ratio::thousandths(entry.margin);
    Some(VipRecord {
        vip: entry.vip_id(),
        address: ip_addr(entry.address),
        port: entry.service.port(),
        protocol: [Protocol::Tcp, Protocol::Udp].into_iter().find(protocol)?,
        table_size: entry.table_size,
        affinity: if entry.flags & VIP_AFFINITY != 0 { Affinity::Flow } else { Affinity::None },
        scheduler: if entry.flags & VIP_P2C != 0 { Scheduler::P2c { margin } } else { Scheduler::Maglev },
    })
}

fn tunnel(forward: Forward, address: IpAddr) -> Tunnel {
    match (forward, address) {
        (Forward::L2, _) => Tunnel::None,
        (Forward::Ipip, IpAddr::V4(_)) => Tunnel::Ipv4,
        (Forward::Ipip, IpAddr::V6(_)) => Tunnel::Ipv6,
    }
}

/// RFC 791 section 3.1: no options, DF, identification 0 as RFC 6864 allows for what is not fragmented.
fn outer_ipv4(source: Ipv4Addr, destination: Ipv4Addr) -> [u8; IPV4_LEN] {
    let mut header = [0; IPV4_LEN];
    header[0] = 0x45;
    header[6] = 0x40;
    header[8] = HOP_LIMIT;
    header[12..16].copy_from_slice(&source.octets());
    header[16..20].copy_from_slice(&destination.octets());
    header
}

/// RFC 8200 section 3; version, traffic class and flow label are written by the packet code.
fn outer_ipv6(source: Ipv6Addr, destination: Ipv6Addr) -> [u8; IPV6_LEN] {
    let mut header = [0; IPV6_LEN];
    header[7] = HOP_LIMIT;
    header[8..24].copy_from_slice(&source.octets());
    header[24..40].copy_from_slice(&destination.octets());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(forward: Forward, address: &str, next_hop: bool) -> BackendRecord {
        let hop =
            NextHop { egress: 7, source_mac: [2; 6], destination_mac: [4; 6], mtu: 1500, via_gateway: false };
        BackendRecord {
            backend: BackendId::new(5).unwrap(),
            vip: VipId::new(3),
            address: address.parse().unwrap(),
            forward,
            down: false,
            next_hop: next_hop.then_some(hop),
        }
    }

    fn sources() -> TunnelSources {
        TunnelSources { v4: "172.16.0.0/16".parse().unwrap(), v6: "100::/64".parse().unwrap() }
    }

    #[test]
    fn an_entry_tells_what_it_was_made_from() {
        for (forward, address) in [
            (Forward::L2, "10.0.0.1"),
            (Forward::L2, "fd00::1"),
            (Forward::Ipip, "10.0.0.1"),
            (Forward::Ipip, "fd00::1"),
        ] {
            for down in [false, true] {
                let record = BackendRecord { down, ..record(forward, address, false) };
                assert_eq!(decode(record.backend, &encode(&record, &sources())), Some(record));
            }
        }
        assert_eq!(decode(BackendId::new(1).unwrap(), &Backend::default()), None);
    }

    #[test]
    fn the_head_has_what_does_not_change_from_packet_to_packet() {
        let entry = encode(&record(Forward::Ipip, "10.0.0.1", true), &sources());
        let head: Vec<u8> = entry.head.iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(head[..14], [4, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2, 8, 0]);
        assert_eq!(head[14..34], [0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 0, 0, 0, 172, 16, 0, 0, 10, 0, 0, 1]);
        assert_eq!(entry.source_mask.to_ne_bytes(), [0, 0, 255, 255]);
        assert_eq!((entry.egress, entry.mtu, entry.is_resolved()), (7, 1500, true));
    }

    #[test]
    fn a_next_hop_is_read_back() {
        for next_hop in [false, true] {
            let record = record(Forward::Ipip, "10.0.0.1", next_hop);
            assert_eq!(decode_hop(&encode(&record, &sources())), record.next_hop);
        }
    }

    #[test]
    fn no_length_field_overflows() {
        for (forward, address) in
            [(Forward::L2, "10.0.0.1"), (Forward::Ipip, "10.0.0.1"), (Forward::Ipip, "fd00::1")]
        {
            let entry = encode(&record(forward, address, false), &sources());
            assert!(entry.mtu <= u32::from(u16::MAX), "{}", entry.mtu);
        }
    }
}
