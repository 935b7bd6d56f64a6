//! Links and neighbours as the kernel told them, and the way to an address through them. Pure.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::control::NextHop;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) name: String,
    /// `None` where packets have no Ethernet header.
    pub(super) mac: Option<[u8; 6]>,
    pub(super) mtu: u32,
    pub(super) state: LinkState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkState {
    Up,
    /// Switched off by the administrator.
    Down,
    /// Switched on, without a link partner.
    NoCarrier,
}

/// A neighbour entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Neighbour {
    /// The kernel would send to this address now.
    Usable {
        mac: [u8; 6],
        /// Not confirmed for a while: worth asking again, since XDP traffic does not make the kernel ask.
        stale: bool,
    },
    /// The kernel is asking.
    Asking,
    /// Nobody answered.
    Failed,
}

/// What the kernel's routing decision for an address was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) interface: u32,
    /// `None`: the address is on the link itself.
    pub(super) gateway: Option<IpAddr>,
    pub(super) kind: RouteKind,
    /// MTU metric of the route, or what path MTU discovery learned.
    pub(super) mtu: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RouteKind {
    Unicast,
    Local,
    /// "blackhole", "broadcast": packets reach no single neighbour.
    Other(&'static str),
}

/// Interface and neighbour that a packet is handed to.
pub(super) type NeighbourKey = (u32, IpAddr);

/// The kernel's tables, kept up to date by its events.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) links: HashMap<u32, Link>,
    pub(super) neighbours: HashMap<NeighbourKey, Neighbour>,
}

/// How far resolving an address came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resolution {
    /// The whole way.
    Found { hop: NextHop, neighbour: NeighbourKey, stale: bool },
    /// Asking the neighbour is what is missing. `failed`: it was asked, without an answer.
    NeighbourUnknown { neighbour: NeighbourKey, failed: bool, reason: String },
    /// Nothing to be done but wait for a change.
    Unreachable(String),
}

impl Route {
    /// Whom a packet to `address` is handed to.
    pub(super) fn neighbour(&self, address: IpAddr) -> NeighbourKey {
        (self.interface, self.gateway.unwrap_or(address))
    }
}

impl Tables {
    /// The way to `address`, for which the kernel chose `route`.
    pub(super) fn resolve(&self, address: IpAddr, route: &Route) -> Resolution {
        let unreachable = Resolution::Unreachable;
        match route.kind {
            RouteKind::Unicast => {}
            RouteKind::Local => return unreachable(format!("{address} is this machine's own address")),
            RouteKind::Other(kind) => {
                return unreachable(format!("the route to {address} is of type {kind}"));
            }
        }
        let Some(link) = self.links.get(&route.interface) else {
            return unreachable(format!(
                "the interface with index {} that leads to {address} is gone",
                route.interface
            ));
        };
        if let Some(reason) = link.obstacle() {
            return unreachable(reason);
        }
        let Some(source_mac) = link.mac else {
            return unreachable(format!("interface {} that leads to {address} is not Ethernet", link.name));
        };
        let neighbour = route.neighbour(address);
        match self.neighbours.get(&neighbour) {
            Some(&Neighbour::Usable { mac, stale }) => Resolution::Found {
                hop: NextHop {
                    egress: route.interface,
                    source_mac,
                    destination_mac: mac,
                    mtu: route.mtu.map_or(link.mtu, |mtu| mtu.min(link.mtu)),
                    via_gateway: neighbour.1 != address,
                },
                neighbour,
                stale,
            },
            entry => {
                let asked = neighbour.1;
                let protocol = if asked.is_ipv4() { "ARP" } else { "neighbour discovery" };
                let whose =
                    if route.gateway.is_some() { format!("gateway {asked}") } else { asked.to_string() };
                let reason = format!("no answer to {protocol} for {whose} on {}", link.name);
                Resolution::NeighbourUnknown { neighbour, failed: entry == Some(&Neighbour::Failed), reason }
            }
        }
    }
}

impl Link {
    /// Why nothing can be sent through it.
    pub(super) fn obstacle(&self) -> Option<String> {
        match self.state {
            LinkState::Up => None,
            LinkState::Down => Some(format!("interface {} is down", self.name)),
            LinkState::NoCarrier => Some(format!("interface {} has no carrier", self.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const THEIRS: [u8; 6] = [2, 0, 0, 0, 0, 2];

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn route() -> Route {
        Route { interface: 2, gateway: None, kind: RouteKind::Unicast, mtu: None }
    }

    fn link(name: &str, mac: Option<[u8; 6]>, state: LinkState) -> Link {
        Link { name: name.into(), mac, mtu: 1500, state }
    }

    fn tables() -> Tables {
        let known = Neighbour::Usable { mac: THEIRS, stale: false };
        Tables {
            links: HashMap::from([
                (2, link("eth0", Some(OURS), LinkState::Up)),
                (3, link("eth1", Some(OURS), LinkState::Down)),
                (4, link("eth2", Some(OURS), LinkState::NoCarrier)),
                (5, link("wg0", None, LinkState::Up)),
            ]),
            neighbours: HashMap::from([
                ((2, ip("10.0.0.1")), known),
                ((2, ip("10.0.0.2")), Neighbour::Usable { mac: THEIRS, stale: true }),
                ((2, ip("10.0.0.8")), Neighbour::Asking),
                ((2, ip("10.0.0.9")), Neighbour::Failed),
                ((2, ip("fe80::1")), known),
            ]),
        }
    }

    #[test]
    fn ways_that_lead_there() {
        let rows = [
            ("on the link", "10.0.0.1", route(), "10.0.0.1", 1500, false),
            ("stale is usable", "10.0.0.2", route(), "10.0.0.2", 1500, true),
            (
                "gateway",
                "192.0.2.7",
                Route { gateway: Some(ip("10.0.0.1")), ..route() },
                "10.0.0.1",
                1500,
                false,
            ),
            (
                "IPv6 gateway",
                "192.0.2.7",
                Route { gateway: Some(ip("fe80::1")), ..route() },
                "fe80::1",
                1500,
                false,
            ),
            (
                "a gateway that is the backend itself",
                "10.0.0.1",
                Route { gateway: Some(ip("10.0.0.1")), ..route() },
                "10.0.0.1",
                1500,
                false,
            ),
            (
                "the route's MTU is smaller",
                "10.0.0.1",
                Route { mtu: Some(1400), ..route() },
                "10.0.0.1",
                1400,
                false,
            ),
            (
                "the route's MTU is larger",
                "10.0.0.1",
                Route { mtu: Some(9000), ..route() },
                "10.0.0.1",
                1500,
                false,
            ),
        ];
        for (row, address, route, asked, mtu, stale) in rows {
            let via_gateway = asked != address;
            let hop = NextHop { egress: 2, source_mac: OURS, destination_mac: THEIRS, mtu, via_gateway };
            let found = Resolution::Found { hop, neighbour: (2, ip(asked)), stale };
            assert_eq!(tables().resolve(ip(address), &route), found, "{row}");
        }
    }

    #[test]
    fn ways_that_end() {
        let rows = [
            ("10.0.0.1", Route { interface: 3, ..route() }, "interface eth1 is down"),
            ("10.0.0.1", Route { interface: 4, ..route() }, "interface eth2 has no carrier"),
            (
                "10.0.0.1",
                Route { interface: 5, ..route() },
                "interface wg0 that leads to 10.0.0.1 is not Ethernet",
            ),
            (
                "10.0.0.1",
                Route { interface: 9, ..route() },
                "the interface with index 9 that leads to 10.0.0.1 is gone",
            ),
            (
                "10.0.0.1",
                Route { kind: RouteKind::Local, ..route() },
                "10.0.0.1 is this machine's own address",
            ),
            (
                "10.0.0.255",
                Route { kind: RouteKind::Other("broadcast"), ..route() },
                "the route to 10.0.0.255 is of type broadcast",
            ),
        ];
        for (address, route, reason) in rows {
            assert_eq!(tables().resolve(ip(address), &route), Resolution::Unreachable(reason.into()));
        }
    }

    #[test]
    fn neighbours_that_have_to_be_asked() {
        let through = |gateway| Route { gateway: Some(ip(gateway)), ..route() };
        let rows = [
            ("10.0.0.7", route(), "10.0.0.7", false, "no answer to ARP for 10.0.0.7 on eth0"),
            ("10.0.0.8", route(), "10.0.0.8", false, "no answer to ARP for 10.0.0.8 on eth0"),
            ("10.0.0.9", route(), "10.0.0.9", true, "no answer to ARP for 10.0.0.9 on eth0"),
            ("fd00::9", route(), "fd00::9", false, "no answer to neighbour discovery for fd00::9 on eth0"),
            (
                "192.0.2.7",
                through("10.0.0.9"),
                "10.0.0.9",
                true,
                "no answer to ARP for gateway 10.0.0.9 on eth0",
            ),
        ];
        for (address, route, asked, failed, reason) in rows {
            let neighbour = (2, ip(asked));
            let unknown = Resolution::NeighbourUnknown { neighbour, failed, reason: reason.into() };
            assert_eq!(tables().resolve(ip(address), &route), unknown);
        }
    }
}
