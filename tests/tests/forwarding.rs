//! Every way of forwarding, both families, both ways of attaching: ten megabytes each way arrive as they were sent.
//!
//! Clients and tunnels have the same MTU, so that an upload through a tunnel arrives only where the balancer tells
//! the client to send smaller packets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use xdp_lb_tests::agent::Agent;
use xdp_lb_tests::lbconfig::{LbConfig, VipConfig};
use xdp_lb_tests::nginx::{Nginx, PORT};
use xdp_lb_tests::scene::Family::{V4, V6};
use xdp_lb_tests::scene::{self, Family};
use xdp_lb_tests::topology::{Options, Topology, VIPS_V4, VIPS_V6};
use xdp_lb_tests::{body, client, require_root};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Name, VIP's family, forwarding mode, backends' family.
const MODES: [(&str, Family, &str, Family); 6] = [
    ("l2-v4", V4, "l2", V4),
    ("l2-v6", V6, "l2", V6),
    ("4in4", V4, "ipip", V4),
    ("4in6", V4, "ipip", V6),
    ("6in6", V6, "ipip", V6),
    ("6in4", V6, "ipip", V4),
];

#[test]
fn on_one_segment_in_the_driver() {
    require_root!();
    bodies_arrive("native", false);
}

#[test]
fn on_one_segment_in_the_stack() {
    require_root!();
    bodies_arrive("generic", false);
}

#[test]
fn over_a_router_in_the_driver() {
    require_root!();
    bodies_arrive("native", true);
}

#[test]
fn over_a_router_in_the_stack() {
    require_root!();
    bodies_arrive("generic", true);
}

fn bodies_arrive(xdp_mode: &'static str, routed: bool) {
    let topology = Topology::new(Options { backends: 2, routed, ..Options::default() }).unwrap();
    let servers = scene::web_servers(&topology).unwrap();
    let bodies = [body::pseudo_random(1, body::LARGE), body::pseudo_random(2, body::LARGE)];
    for (server, bytes) in servers.iter().zip(&bodies) {
        server.serve("body", bytes).unwrap();
    }
    let _decaps = scene::decaps(&topology).unwrap();

    // The next hop of `l2` is the backend itself, which a router in between makes impossible.
    let modes = MODES.into_iter().filter(|(_, _, forward, _)| !routed || *forward != "l2");
    let (mut v4, mut v6) = (VIPS_V4.into_iter(), VIPS_V6.into_iter());
    let vips: Vec<_> = modes
        .map(|mode| {
            let address = match mode.1 {
                V4 => v4.next().unwrap().into(),
                V6 => v6.next().unwrap().into(),
            };
            vip(&topology, address, mode)
        })
        .collect();
    let mut config = LbConfig::new(vips);
    config.xdp_mode = xdp_mode;
    let agent = Agent::start(&topology.balancer, &config).unwrap();
    assert_eq!(agent.status().unwrap().interfaces[0].mode, xdp_mode);

    for vip in &config.vips {
        let case = format!("{} {xdp_mode} routed: {routed}", vip.name);
        let outcome = transfer(&topology, &servers, &bodies, vip);
        assert!(outcome.is_ok(), "{case}: {outcome:?}\n{}", agent.tail());
    }
}

fn vip(topology: &Topology, address: IpAddr, mode: (&str, Family, &'static str, Family)) -> VipConfig {
    let (name, _, forward, inner) = mode;
    let address = SocketAddr::new(address, PORT);
    (0..2).fold(VipConfig::tcp(name, address, forward), |vip, index| {
        vip.backend(&scene::name(index), scene::address(topology, index, inner), 100)
    })
}

fn transfer(
    topology: &Topology,
    servers: &[Nginx<'_>],
    bodies: &[Vec<u8>],
    vip: &VipConfig,
) -> anyhow::Result<()> {
    let sample = client::sample(topology.client.handle(), vip.address, 40);
    anyhow::ensure!(sample.failures.is_empty() && sample.answers.len() == 2, "{sample:?}");
    let upload = format!("up-{}", vip.name);
    topology.client.run_in(|| {
        let down = client::get(vip.address, "/files/body", TIMEOUT)?;
        let from = position(servers, down.backend.as_deref());
        assert_eq!(down.digest(), body::digest(&bodies[from]), "download");
        let up = client::put(vip.address, &format!("/files/{upload}"), &bodies[0], TIMEOUT)?;
        assert_eq!(up.status, 201, "upload");
        let to = position(servers, up.backend.as_deref());
        assert_eq!(servers[to].digest_of(&upload)?, body::digest(&bodies[0]), "upload");
        Ok(())
    })
}

fn position(servers: &[Nginx<'_>], name: Option<&str>) -> usize {
    servers.iter().position(|server| Some(server.name()) == name).unwrap()
}
