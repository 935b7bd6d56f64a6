//! Netlink messages, read into the terms of [`tables`](super::tables). Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkLayerType, LinkMessage};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::tables::{Link, LinkState, Neighbour, NeighbourKey, Route, RouteKind};

/// What an event changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// An interface is so now, or gone.
    Link(u32, Option<Link>),
    /// A neighbour entry is so now, or gone.
    Neighbour(NeighbourKey, Option<Neighbour>),
    /// Something about the routes of this prefix.
    Route(IpAddr, u8),
    /// Anything about routing.
    Rules,
}

/// What an event says; `None` where it is about nothing of interest.
pub(super) fn change(message: &RouteNetlinkMessage) -> Option<Change> {
    match message {
        RouteNetlinkMessage::NewLink(m) => link(m).map(|(index, link)| Change::Link(index, Some(link))),
        RouteNetlinkMessage::DelLink(m) => link(m).map(|(index, _)| Change::Link(index, None)),
        RouteNetlinkMessage::NewNeighbour(m) => {
            neighbour(m).map(|(key, entry)| Change::Neighbour(key, Some(entry)))
        }
        RouteNetlinkMessage::DelNeighbour(m) => neighbour(m).map(|(key, _)| Change::Neighbour(key, None)),
        RouteNetlinkMessage::NewRoute(m) | RouteNetlinkMessage::DelRoute(m) => prefix(m),
        RouteNetlinkMessage::NewRule(_) | RouteNetlinkMessage::DelRule(_) => Some(Change::Rules),
        _ => None,
    }
}

/// An interface. Bridges also tell of their ports under the port's own index: that is not about the interface.
pub(super) fn link(message: &LinkMessage) -> Option<(u32, Link)> {
    let header = &message.header;
    if header.interface_family == AddressFamily::Bridge {
        return None;
    }
    let state = match header.flags {
        flags if !flags.contains(LinkFlags::Up) => LinkState::Down,
        flags if !flags.contains(LinkFlags::Running) => LinkState::NoCarrier,
        _ => LinkState::Up,
    };
    let mut link = Link { name: format!("index {}", header.index), mac: None, mtu: 0, state };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Address(mac) if header.link_layer_type == LinkLayerType::Ether => {
                link.mac = mac.as_slice().try_into().ok();
            }
            _ => {}
        }
    }
    Some((header.index, link))
}

/// An IP neighbour: neither a bridge's forwarding entry nor a proxied address.
pub(super) fn neighbour(message: &NeighbourMessage) -> Option<(NeighbourKey, Neighbour)> {
    if message.header.flags.contains(NeighbourFlags::Proxy) {
        return None;
    }
    let mut address = None;
    let mut mac = None;
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => address = Some(IpAddr::V4(*v4)),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => address = Some(IpAddr::V6(*v6)),
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = bytes.as_slice().try_into().ok(),
            _ => {}
        }
    }
    let state = message.header.state;
    let entry = match (state, mac) {
        (NeighbourState::Failed, _) => Neighbour::Failed,
        (
            NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Permanent
            | NeighbourState::Noarp,
            Some(mac),
        ) => Neighbour::Usable { mac, stale: state == NeighbourState::Stale },
        _ => Neighbour::Asking,
    };
    Some(((message.header.ifindex, address?), entry))
}

/// The answer to a look-up of one address.
pub(super) fn route(message: &RouteMessage) -> Option<Route> {
    let kind = match message.header.kind {
        RouteType::Unicast => RouteKind::Unicast,
        RouteType::Local => RouteKind::Local,
        RouteType::Broadcast => RouteKind::Other("broadcast"),
        RouteType::Multicast => RouteKind::Other("multicast"),
        RouteType::Anycast => RouteKind::Other("anycast"),
        RouteType::BlackHole => RouteKind::Other("blackhole"),
        RouteType::Unreachable => RouteKind::Other("unreachable"),
        RouteType::Prohibit => RouteKind::Other("prohibit"),
        _ => RouteKind::Other("unknown"),
    };
    let mut interface = None;
    let mut gateway = None;
    let mut mtu = None;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => interface = Some(*index),
            RouteAttribute::Gateway(address) => gateway = ip(address),
            RouteAttribute::Via(RouteVia::Inet(v4)) => gateway = Some(IpAddr::V4(*v4)),
            RouteAttribute::Via(RouteVia::Inet6(v6)) => gateway = Some(IpAddr::V6(*v6)),
            RouteAttribute::Metrics(metrics) => {
                mtu = metrics.iter().find_map(|metric| match metric {
                    RouteMetric::Mtu(mtu) if *mtu > 0 => Some(*mtu),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    Some(Route { interface: interface?, gateway, kind, mtu })
}

fn prefix(message: &RouteMessage) -> Option<Change> {
    let everything = match message.header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let destination = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(address) => ip(address),
        _ => None,
    });
    Some(Change::Route(destination.unwrap_or(everything), message.header.destination_prefix_length))
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some(IpAddr::V4(*v4)),
        RouteAddress::Inet6(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(state: NeighbourState, mac: Option<[u8; 6]>, flags: NeighbourFlags) -> NeighbourMessage {
        let mut message = NeighbourMessage::default();
        message.header.ifindex = 2;
        message.header.state = state;
        message.header.flags = flags;
        let address = NeighbourAddress::Inet(Ipv4Addr::new(10, 0, 0, 9));
        message.attributes.push(NeighbourAttribute::Destination(address));
        message.attributes.extend(mac.map(|mac| NeighbourAttribute::LinkLayerAddress(mac.to_vec())));
        message
    }

    #[test]
    fn neighbour_states_that_the_kernel_sends_to() {
        let mac = [2, 0, 0, 0, 0, 9];
        for (state, expected) in [
            (NeighbourState::Reachable, Neighbour::Usable { mac, stale: false }),
            (NeighbourState::Stale, Neighbour::Usable { mac, stale: true }),
            (NeighbourState::Delay, Neighbour::Usable { mac, stale: false }),
            (NeighbourState::Probe, Neighbour::Usable { mac, stale: false }),
            (NeighbourState::Permanent, Neighbour::Usable { mac, stale: false }),
            (NeighbourState::Noarp, Neighbour::Usable { mac, stale: false }),
            (NeighbourState::Incomplete, Neighbour::Asking),
            (NeighbourState::None, Neighbour::Asking),
            (NeighbourState::Failed, Neighbour::Failed),
        ] {
            let read = neighbour(&entry(state, Some(mac), NeighbourFlags::empty()));
            assert_eq!(read, Some(((2, "10.0.0.9".parse().unwrap()), expected)), "{state}");
        }
        let without = neighbour(&entry(NeighbourState::Reachable, None, NeighbourFlags::empty()));
        assert_eq!(
            without.map(|(_, entry)| entry),
            Some(Neighbour::Asking),
            "no MAC address, nothing to send to"
        );
        assert_eq!(neighbour(&entry(NeighbourState::Reachable, Some(mac), NeighbourFlags::Proxy)), None);
    }

    #[test]
    fn links() {
        let up = LinkFlags::Up | LinkFlags::Running;
        for (flags, state) in [
            (up, LinkState::Up),
            (LinkFlags::Up, LinkState::NoCarrier),
            (LinkFlags::empty(), LinkState::Down),
        ] {
            let mut message = LinkMessage::default();
            message.header.index = 7;
            message.header.flags = flags;
            message.header.link_layer_type = LinkLayerType::Ether;
            message.attributes = vec![
                LinkAttribute::IfName("eth7".into()),
                LinkAttribute::Mtu(1500),
                LinkAttribute::Address(vec![2, 0, 0, 0, 0, 7]),
            ];
            let expected = Link { name: "eth7".into(), mac: Some([2, 0, 0, 0, 0, 7]), mtu: 1500, state };
            assert_eq!(link(&message), Some((7, expected)));
            message.header.interface_family = AddressFamily::Bridge;
            assert_eq!(
                change(&RouteNetlinkMessage::DelLink(message)),
                None,
                "a port that left its bridge is not gone"
            );
        }
    }

    #[test]
    fn routes() {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet;
        message.header.kind = RouteType::Unicast;
        assert_eq!(route(&message), None, "no interface");
        assert_eq!(prefix(&message), Some(Change::Route("0.0.0.0".parse().unwrap(), 0)));
        message.header.destination_prefix_length = 24;
        message.attributes = vec![
            RouteAttribute::Destination(RouteAddress::Inet(Ipv4Addr::new(192, 0, 2, 0))),
            RouteAttribute::Oif(2),
            RouteAttribute::Via(RouteVia::Inet6("fe80::1".parse().unwrap())),
            RouteAttribute::Metrics(vec![RouteMetric::Advmss(1000), RouteMetric::Mtu(1400)]),
        ];
        let gateway = Some("fe80::1".parse().unwrap());
        let expected = Route { interface: 2, gateway, kind: RouteKind::Unicast, mtu: Some(1400) };
        assert_eq!(route(&message), Some(expected));
        assert_eq!(prefix(&message), Some(Change::Route("192.0.2.0".parse().unwrap(), 24)));
    }
}
