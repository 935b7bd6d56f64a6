//! A small set of VIPs and backends, one for each way of forwarding, that tests of frames fill their worlds with.

use std::net::IpAddr;

use xdp_lb::config::{Affinity, Forward, Protocol, Ratio, Scheduler};
use xdp_lb::control::{BackendRecord, Command, Load, NextHop, VipRecord};
use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::slot::Slot;

use super::{INGRESS, World};
use crate::packet::{BALANCER_MAC, Packet};

/// Slots of every VIP's table.
pub const TABLE_SIZE: u32 = 251;

/// 203.0.113.10, TCP port 80.
pub const WEB4: VipId = VipId::new(0);
/// 2001:db8::10, TCP port 80.
pub const WEB6: VipId = VipId::new(1);
/// 203.0.113.10, UDP port 53.
pub const DNS4: VipId = VipId::new(2);
/// 2001:db8::10, UDP port 53.
pub const DNS6: VipId = VipId::new(3);
/// 203.0.113.20, TCP, any port.
pub const ANY4: VipId = VipId::new(4);
/// 203.0.113.20, TCP port 443.
pub const EXACT4: VipId = VipId::new(5);
/// 203.0.113.10, UDP port 5060, each flow recorded.
pub const SIP4: VipId = VipId::new(6);
/// 2001:db8::20, UDP, any port, each flow recorded.
pub const ANY6: VipId = VipId::new(7);

/// 203.0.113.30, TCP port 80, choosing between two.
pub const TWO4: VipId = VipId::new(8);
/// 2001:db8::30, TCP port 80, choosing between two.
pub const TWO6: VipId = VipId::new(9);
/// 203.0.113.30, UDP port 5060, each flow recorded, choosing between two.
pub const TWO_SIP4: VipId = VipId::new(10);

/// By how much the second of two must be better.
pub const MARGIN: Ratio = Ratio::thousandths(250);

const VIPS: [(VipId, &str, u16, Protocol, Affinity); 11] = [
    (WEB4, "203.0.113.10", 80, Protocol::Tcp, Affinity::None),
    (WEB6, "2001:db8::10", 80, Protocol::Tcp, Affinity::None),
    (DNS4, "203.0.113.10", 53, Protocol::Udp, Affinity::None),
    (DNS6, "2001:db8::10", 53, Protocol::Udp, Affinity::None),
    (ANY4, "203.0.113.20", 0, Protocol::Tcp, Affinity::None),
    (EXACT4, "203.0.113.20", 443, Protocol::Tcp, Affinity::None),
    (SIP4, "203.0.113.10", 5060, Protocol::Udp, Affinity::Flow),
    (ANY6, "2001:db8::20", 0, Protocol::Udp, Affinity::Flow),
    (TWO4, "203.0.113.30", 80, Protocol::Tcp, Affinity::None),
    (TWO6, "2001:db8::30", 80, Protocol::Tcp, Affinity::None),
    (TWO_SIP4, "203.0.113.30", 5060, Protocol::Udp, Affinity::Flow),
];

/// A backend and what a test expects of packets to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Position in the map.
    pub number: u16,
    /// Its own address.
    pub address: &'static str,
    /// How packets reach it.
    pub forward: Forward,
    /// Interface and MTU of the way, if it is known.
    pub way: Option<(u32, u32)>,
}

const fn server(number: u16, address: &'static str, forward: Forward, way: Option<(u32, u32)>) -> Server {
    Server { number, address, forward, way }
}

/// Another interface than the one that frames come in by.
pub const OTHER: u32 = 7;

/// Same segment, by the interface that packets come in by.
pub const BACK: Server = server(1, "10.0.0.1", Forward::L2, Some((INGRESS, 1500)));
/// Same segment, by another interface.
pub const ACROSS: Server = server(2, "10.0.0.2", Forward::L2, Some((OTHER, 1500)));
/// A tunnel over IPv4.
pub const TUNNEL4: Server = server(3, "10.0.0.3", Forward::Ipip, Some((OTHER, 1500)));
/// A tunnel over IPv6.
pub const TUNNEL6: Server = server(4, "fd00::4", Forward::Ipip, Some((INGRESS, 1500)));
/// Same segment, small MTU.
pub const SMALL: Server = server(5, "10.0.0.5", Forward::L2, Some((OTHER, 1000)));
/// A tunnel over IPv4, small MTU.
pub const SMALL4: Server = server(6, "10.0.0.6", Forward::Ipip, Some((INGRESS, 1320)));
/// A tunnel over IPv6, small MTU.
pub const SMALL6: Server = server(7, "fd00::7", Forward::Ipip, Some((OTHER, 1320)));
/// Same segment, way unknown.
pub const LOST: Server = server(8, "10.9.0.8", Forward::L2, None);
/// A tunnel over IPv4, way unknown.
pub const LOST4: Server = server(9, "10.9.0.9", Forward::Ipip, None);
/// A tunnel over IPv6, way unknown.
pub const LOST6: Server = server(10, "fd09::a", Forward::Ipip, None);
/// Number past the end of the map that `max_backends = 16` makes.
pub const NOWHERE: Server = server(17, "10.0.0.17", Forward::L2, None);

/// Those that are written to the map.
pub const SERVERS: [Server; 10] = [BACK, ACROSS, TUNNEL4, TUNNEL6, SMALL, SMALL4, SMALL6, LOST, LOST4, LOST6];

/// Settings that go with the numbers above.
pub const AGENT: &str = "max_vips = 11\nmax_backends = 16\ntable_size = 251";

impl Server {
    /// Its id.
    pub fn id(self) -> BackendId {
        BackendId::new(self.number).unwrap_or_else(|| panic!("{self:?} has no number"))
    }

    /// Its MAC address, or that of the router before it.
    pub fn mac(self) -> [u8; 6] {
        [0x02, 0, 0, 0, 0xbe, self.number as u8]
    }

    /// Its record, up or down.
    pub fn record(self, down: bool) -> BackendRecord {
        BackendRecord {
            backend: self.id(),
            vip: WEB4,
            address: self.ip(),
            forward: self.forward,
            down,
            next_hop: self.way.map(|(egress, mtu)| NextHop {
                egress,
                source_mac: BALANCER_MAC,
                destination_mac: self.mac(),
                mtu,
                via_gateway: false,
            }),
        }
    }

    /// Its address.
    pub fn ip(self) -> IpAddr {
        self.address.parse().unwrap_or_else(|e| panic!("{}: {e}", self.address))
    }

    /// The packet's frame with the MAC addresses of the way to this server.
    pub fn addressed(self, packet: &Packet) -> Packet {
        packet.clone().macs(self.mac(), BALANCER_MAC)
    }
}

/// What fills an empty world: every VIP's table leads to [`BACK`] alone.
pub fn fill() -> Vec<Command> {
    let vips = VIPS.map(|(vip, address, port, protocol, affinity)| VipRecord {
        vip,
        address: address.parse().unwrap_or_else(|e| panic!("{address}: {e}")),
        port,
        protocol,
        table_size: TABLE_SIZE,
        affinity,
        scheduler: if [TWO4, TWO6, TWO_SIP4].contains(&vip) {
            Scheduler::P2c { margin: MARGIN }
        } else {
            Scheduler::Maglev
        },
    });
    let mut commands = vec![Command::WriteDirectory(vips.to_vec())];
    commands.extend(reset());
    commands
}

/// What leads a filled world back to its beginning, but for the clock.
pub fn reset() -> Vec<Command> {
    let backends = SERVERS.iter().flat_map(|server| {
        let id = server.id();
        // Clears its load as well.
        [Command::ClearBackend(id), Command::WriteBackend(server.record(false)), Command::PurgeFlows(id)]
    });
    backends.chain(VIPS.map(|(vip, ..)| table(vip, Slot::stable(BACK.id())))).collect()
}

/// Makes `slot` of every slot of a VIP's table.
pub fn table(vip: VipId, slot: Slot) -> Command {
    Command::WriteSlots { vip, changes: (0..TABLE_SIZE).map(|position| (position, slot)).collect() }
}

/// Publishes that a connection in flight counts as much on each of `servers`.
pub fn loads(servers: &[Server]) -> Command {
    Command::WriteLoads(
        servers.iter().map(|server| (server.id(), Load { standing: 0, per_flow: 10 })).collect(),
    )
}

/// Applies `commands` to a world.
///
/// # Panics
///
/// If the world refuses one.
pub fn apply(world: &mut impl World, commands: &[Command]) {
    for command in commands {
        world.apply(command).unwrap_or_else(|error| panic!("{command:?}: {error}"));
    }
}
