//! Backends whose way the agent does not know yet: the kernel's routing table is asked.

use std::net::IpAddr;

use xdp_lb::control::NextHop;
use xdp_lb_common::ids::VipId;
use xdp_lb_common::reason::Reason;
use xdp_lb_tests::packet::{BALANCER_MAC, Packet, icmp};
use xdp_lb_tests::require_root;
use xdp_lb_tests::world::in_own_network;
use xdp_lb_tests::world::services::*;

use crate::given::*;
use crate::hash::tunnelled;
use crate::row::{Row, row};
use crate::{host, kernel, report};

/// A segment on which the servers without a known way are, with the MAC addresses that [`Server::mac`] tells.
const NETWORK: [&str; 7] = [
    "link add name towards address 02:00:00:00:1b:01 type veth peer name servers",
    "link set dev servers up",
    "link set dev towards up",
    "addr add 10.9.0.1/24 dev towards",
    "addr add fd09::1/64 dev towards nodad",
    "neigh add 10.9.0.8 lladdr 02:00:00:00:be:08 dev towards nud permanent",
    "neigh add 10.9.0.9 lladdr 02:00:00:00:be:09 dev towards nud permanent",
];
const NEIGHBOUR6: &str = "neigh add fd09::a lladdr 02:00:00:00:be:0a dev towards nud permanent";

pub(crate) fn rows() -> Vec<Row> {
    let by_route = |description, vip: VipId, server: Server, given: &Packet, expected: &Packet| {
        row(description, given).to(vip, server).forwarded_as(Reason::ForwardedByRoute, server, expected)
    };
    let through4 = tunnelled(LOST4, &ack4(), CLIENT4, WEB4_AT, 6);
    let through6 = tunnelled(LOST6, &ack6().vlan(5), CLIENT6, WEB6_AT, 6);
    let error = icmp(ROUTER4, VIP4, 3, 1, [0; 4]).payload(&ack4().reversed().quoted(8));
    vec![
        by_route("by the routing table, on its segment", WEB4, LOST, &ack4(), &LOST.addressed(&ack4())),
        by_route("by the routing table, through IPv4", WEB4, LOST4, &ack4(), &through4),
        by_route("by the routing table, through IPv6, in a VLAN", WEB6, LOST6, &ack6().vlan(5), &through6),
        by_route("an error by the routing table", WEB4, LOST, &error, &LOST.addressed(&error)),
        row("too big for the route", &ack4().payload(&[7; 1445]))
            .to(WEB4, LOST4)
            .dropped_late(Reason::TooBig),
    ]
}

#[test]
fn routes_on_the_host() {
    let mut world = host();
    for server in [LOST, LOST4, LOST6] {
        let address: IpAddr = server.ip();
        let hop = NextHop {
            egress: OTHER,
            source_mac: BALANCER_MAC,
            destination_mac: server.mac(),
            mtu: 1500,
            via_gateway: false,
        };
        world.set_route(address, Some(hop));
    }
    report(rows().iter().map(|row| row.run(&mut world)));
}

#[test]
fn routes_in_the_kernel() {
    require_root!();
    let commands: Vec<&str> = NETWORK.iter().copied().chain([NEIGHBOUR6]).collect();
    in_own_network(&commands, || {
        for file in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            std::fs::write(format!("/proc/sys/net/{file}"), "1").unwrap();
        }
        let mut world = kernel();
        report(rows().iter().map(|row| row.run(&mut world)));
    });
}
