//! The outer source address of tunnels spreads flows over the backend's receive queues, within the configured prefix.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use xdp_lb_common::slot::Slot;
use xdp_lb_tests::packet::{ACK, tcp, verify};
use xdp_lb_tests::require_root;
use xdp_lb_tests::world::services::*;
use xdp_lb_tests::world::{HostTables, KernelProgram, World, agent, in_own_network, services};

use crate::filled;
use crate::given::*;

const CLIENTS: u16 = 200;

/// Outer source addresses of many connections, and their flow labels where they have any.
fn outer(world: &mut impl World, server: Server) -> Vec<(u128, u32)> {
    let tables = [WEB4, WEB6].map(|vip| services::table(vip, Slot::stable(server.id())));
    services::apply(world, &tables);
    let connection = |n: u16| match n % 2 {
        0 => tcp(&format!("198.51.100.8:{}", 1000 + n), WEB4_AT),
        _ => tcp(&format!("[2001:db8:1::8]:{}", 1000 + n), WEB6_AT),
    };
    (0..CLIENTS)
        .map(|n| {
            let bytes = world.handle(&connection(n).flags(ACK).frame()).bytes;
            verify::frame(&bytes).unwrap();
            if server.ip().is_ipv4() {
                let source = <[u8; 4]>::try_from(&bytes[26..30]).unwrap();
                (u32::from_be_bytes(source).into(), 0)
            } else {
                let first = u32::from_be_bytes(bytes[14..18].try_into().unwrap());
                (u128::from_be_bytes(bytes[22..38].try_into().unwrap()), first & 0xf_ffff)
            }
        })
        .collect()
}

fn distinct<T: std::hash::Hash + Eq>(values: impl Iterator<Item = T>) -> usize {
    values.collect::<HashSet<_>>().len()
}

/// The bits by which any two of the values differ.
fn varying(values: impl Iterator<Item = u128> + Clone) -> u128 {
    values.clone().fold(0, |all, value| all | value) & !values.fold(u128::MAX, |all, value| all & value)
}

fn check<W: World>(make: impl Fn(&xdp_lb::config::Agent) -> W) {
    let v4 = |address: &str| u128::from(u32::from(address.parse::<Ipv4Addr>().unwrap()));
    let v6 = |address: &str| u128::from(address.parse::<Ipv6Addr>().unwrap());
    // Prefixes, the outer addresses of two of them, and which bits may vary.
    for (v4_prefix, v6_prefix, v4_network, v6_network, v4_bits, v6_bits) in [
        ("172.16.0.0/16", "100::/64", v4("172.16.0.0"), v6("100::"), 0xffff, 0xffff_ffff),
        ("192.0.2.64/26", "2001:db8:9::/120", v4("192.0.2.64"), v6("2001:db8:9::"), 0x3f, 0xff),
        ("192.0.2.1/32", "2001:db8:9::1/128", v4("192.0.2.1"), v6("2001:db8:9::1"), 0, 0),
    ] {
        let prefixes = format!("tunnel_source_v4 = \"{v4_prefix}\"\ntunnel_source_v6 = \"{v6_prefix}\"");
        let mut world = filled(make(&agent(&format!("{}\n{prefixes}", services::AGENT))));
        for (server, network, bits) in [(TUNNEL4, v4_network, v4_bits), (TUNNEL6, v6_network, v6_bits)] {
            let outer = outer(&mut world, server);
            let sources = outer.iter().map(|(source, _)| *source);
            assert_eq!(varying(sources.clone()), bits, "{v4_prefix} {v6_prefix} {server:?}");
            assert!(sources.clone().all(|source| source & !bits == network & !bits), "{network:#x}");
            // Of 200 balls in n bins, about n(1 − e^(−200/n)) bins are hit.
            let bins = bits as f64 + 1.0;
            let hit = bins * (1.0 - (-f64::from(CLIENTS) / bins).exp());
            assert!(distinct(sources) as f64 >= 0.9 * hit, "{network:#x}");
            if server == TUNNEL6 {
                assert!(distinct(outer.iter().map(|(_, label)| label)) >= usize::from(CLIENTS) - 2);
            }
        }
    }
}

#[test]
fn outer_sources_spread_on_the_host() {
    check(|agent| HostTables::new(agent, 1));
}

#[test]
fn outer_sources_spread_in_the_kernel() {
    require_root!();
    in_own_network(&[], || check(KernelProgram::load));
}
