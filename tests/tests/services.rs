//! What else a VIP does, and what the balancer leaves alone.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use xdp_lb_tests::agent::Agent;
use xdp_lb_tests::lbconfig::{LbConfig, VipConfig};
use xdp_lb_tests::lineserver::LineServer;
use xdp_lb_tests::longlived::LongLived;
use xdp_lb_tests::scene::{self, Family};
use xdp_lb_tests::topology::{BALANCER, Options, Topology, VIPS_V4, VIPS_V6};
use xdp_lb_tests::udpserver::{self, UdpServer};
use xdp_lb_tests::{echo, require_root};

const TWO_BACKENDS: Options = Options { backends: 2, routed: false, client_mtu: 1500, lan_mtu: 1500 };

#[test]
fn a_vip_answers_echo_requests_itself() {
    require_root!();
    let topology = Topology::new(TWO_BACKENDS).unwrap();
    // No backend has these addresses: who answers is the balancer.
    let vips: [IpAddr; 2] = ["203.0.113.99".parse().unwrap(), "2001:db8::99".parse().unwrap()];
    let silent: [IpAddr; 2] = ["203.0.113.98".parse().unwrap(), "2001:db8::98".parse().unwrap()];
    let mut config = LbConfig::new(vec![
        scene::vip(&topology, (vips[0], 80).into(), "l2", &[1]),
        scene::vip(&topology, (vips[1], 80).into(), "l2", &[1]),
    ]);
    config.vips[1].name = "web6".to_owned();
    let _agent = Agent::start(&topology.balancer, &config).unwrap();
    topology
        .client
        .run_in(|| {
            for vip in vips {
                for payload in [0, 1, 56, 1400] {
                    echo::ping(vip, payload, Duration::from_secs(2))?;
                }
            }
            for other in silent {
                assert!(echo::ping(other, 56, Duration::from_millis(300)).is_err(), "{other} is no VIP");
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn traffic_for_the_balancer_itself_is_left_alone() {
    require_root!();
    let topology = Topology::new(TWO_BACKENDS).unwrap();
    let _shell = LineServer::start(topology.balancer.handle(), "shell", 22).unwrap();
    let open: Vec<_> = [(BALANCER.0, 22).into(), (BALANCER.1, 22).into()]
        .into_iter()
        .map(|address: SocketAddr| LongLived::open(topology.client.handle(), address, 5).unwrap())
        .collect();
    let config = LbConfig::new(vec![scene::vip(&topology, (VIPS_V4[0], 22).into(), "l2", &[1, 1])]);
    let mut agent = Agent::start(&topology.balancer, &config).unwrap();
    open.iter().for_each(|open| open.wait_lines(5).unwrap());
    topology
        .client
        .run_in(|| {
            echo::ping(BALANCER.0.into(), 56, Duration::from_secs(2))?;
            echo::ping(BALANCER.1.into(), 56, Duration::from_secs(2))?;
            Ok(())
        })
        .unwrap();
    agent.stop().unwrap();
    for open in open {
        open.wait_lines(5).unwrap();
        let report = open.stop().unwrap();
        assert_eq!((report.broken, report.wrong), (vec![], vec![]));
    }
}

#[test]
fn datagrams_are_balanced_and_a_flow_stays_where_it_is() {
    require_root!();
    let topology = Topology::new(TWO_BACKENDS).unwrap();
    let vips: [(SocketAddr, &str); 2] =
        [((VIPS_V4[0], 53).into(), "none"), ((VIPS_V6[0], 53).into(), "flow")];
    let mut servers = Vec::new();
    let mut config = LbConfig::new(Vec::new());
    for (address, affinity) in vips {
        for (index, netns) in topology.backends.iter().enumerate() {
            servers.push(UdpServer::start(netns, &scene::name(index), address).unwrap());
        }
        let mut vip =
            scene::vip(&topology, address, "l2", &[1, 1]).extra(&format!("affinity = \"{affinity}\""));
        vip.name = format!("dns-{affinity}");
        vip.protocol = "udp";
        config.vips.push(vip);
    }
    let mut agent = Agent::start(&topology.balancer, &config).unwrap();
    for (address, affinity) in vips {
        let socket = || {
            topology.client.run_in(|| {
                let any: SocketAddr =
                    if address.is_ipv4() { "0.0.0.0:0".parse()? } else { "[::]:0".parse()? };
                Ok(UdpSocket::bind(any)?)
            })
        };
        let sockets: Vec<_> = (0..40).map(|_| socket().unwrap()).collect();
        let ask = |question: &str| -> Vec<String> {
            sockets.iter().map(|socket| udpserver::ask(socket, address, question).unwrap()).collect()
        };
        let first = ask("first");
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 2, "{address}: one backend has all flows");
        assert_eq!(ask("second"), first, "{address}");

        let mut moved = config.clone();
        moved.vips.iter_mut().for_each(|vip| vip.backends[1].drain = true);
        agent.reload(&moved).unwrap();
        let after = ask("third");
        if affinity == "flow" {
            assert_eq!(after, first, "{address}: recorded flows stay");
        } else {
            assert!(after.iter().all(|name| *name == scene::name(0)), "{address}: {after:?}");
        }
        agent.reload(&config).unwrap();
    }
}

#[test]
fn a_vip_without_a_port_takes_every_port_but_those_of_other_vips() {
    require_root!();
    let topology = Topology::new(TWO_BACKENDS).unwrap();
    let ports = [1, 80, 8080, 65535];
    let _servers: Vec<_> = ports.iter().map(|port| scene::line_servers(&topology, *port).unwrap()).collect();
    let any = |name: &str, address: IpAddr, port, index| {
        let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
        let vip = VipConfig::tcp(name, (address, port).into(), "l2");
        vip.backend(&scene::name(index), scene::address(&topology, index, family), 1)
    };
    let (v4, v6): (IpAddr, IpAddr) = (VIPS_V4[0].into(), VIPS_V6[0].into());
    let config = LbConfig::new(vec![
        any("any4", v4, 0, 0),
        any("web4", v4, 8080, 1),
        any("any6", v6, 0, 0),
        any("web6", v6, 8080, 1),
    ]);
    let _agent = Agent::start(&topology.balancer, &config).unwrap();
    for address in [v4, v6] {
        for port in ports {
            let open = LongLived::open(topology.client.handle(), (address, port).into(), 4).unwrap();
            let report = open.stop().unwrap();
            let expected = scene::name(if port == 8080 { 1 } else { 0 });
            assert_eq!(report.broken, Vec::<String>::new(), "{address} port {port}");
            assert_eq!(report.servers.into_keys().collect::<Vec<_>>(), [expected], "{address} port {port}");
        }
    }
}

#[test]
fn a_backend_that_cannot_be_reached_is_told_and_its_packets_are_counted() {
    require_root!();
    let topology = Topology::new(TWO_BACKENDS).unwrap();
    let nobody = Ipv4Addr::new(10, 0, 1, 99);
    let vip = VipConfig::tcp("web", (VIPS_V4[0], 80).into(), "l2").backend("nobody", nobody, 1);
    let mut agent = Agent::new(&topology.balancer).unwrap();
    agent.launch(&LbConfig::new(vec![vip]), &[]).unwrap();
    let told = || {
        let status = agent.status()?;
        let backend = xdp_lb_tests::agent::backend(&status.vips[0], "nobody")?.clone();
        anyhow::ensure!(
            !["", "resolved", "not resolved yet"].contains(&backend.next_hop.as_str()),
            "{backend:?}"
        );
        Ok((backend.next_hop, dropped(&status, "no_next_hop")))
    };
    let (reason, before) =
        xdp_lb_tests::wait::wait_until_ok(Duration::from_secs(10), "status tells", told).unwrap();
    println!("next hop of a backend that does not exist: {reason}");
    let connected = topology.client.run_in(|| {
        let address = (VIPS_V4[0], 80).into();
        Ok(std::net::TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_ok())
    });
    assert!(!connected.unwrap());
    let counted = || (dropped(&agent.status().ok()?, "no_next_hop") > before).then_some(());
    xdp_lb_tests::wait::wait_until(Duration::from_secs(5), "the dropped packets are counted", counted)
        .unwrap();
}

#[test]
fn a_backend_behind_a_gateway_gets_nothing_by_mac_rewriting() {
    require_root!();
    let topology = Topology::new(Options { routed: true, ..TWO_BACKENDS }).unwrap();
    let address: SocketAddr = (VIPS_V4[0], 80).into();
    let l2 = scene::vip(&topology, address, "l2", &[1, 1]);
    let mut tunnelled = scene::vip(&topology, (VIPS_V4[1], 80).into(), "ipip", &[1, 1]);
    tunnelled.name = "tunnelled".to_owned();
    let mut agent = Agent::new(&topology.balancer).unwrap();
    agent.launch(&LbConfig::new(vec![l2, tunnelled]), &[]).unwrap();
    let told = || {
        let status = agent.status()?;
        for backend in &status.vips[0].backends {
            anyhow::ensure!(backend.next_hop.contains("use forward = \"ipip\""), "{backend:?}");
            anyhow::ensure!(backend.state == "down" && backend.share == 0.0, "{backend:?}");
        }
        for backend in &status.vips[1].backends {
            anyhow::ensure!(backend.next_hop == "resolved", "{backend:?}");
        }
        Ok(())
    };
    xdp_lb_tests::wait::wait_until_ok(Duration::from_secs(10), "status tells", told).unwrap();
    let before = agent.status().unwrap();
    let connected = topology
        .client
        .run_in(|| Ok(std::net::TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_ok()));
    assert!(!connected.unwrap());
    let no_backend = dropped(&before, "no_backend");
    let counted = || (dropped(&agent.status().ok()?, "no_backend") > no_backend).then_some(());
    xdp_lb_tests::wait::wait_until(Duration::from_secs(5), "its packets end here", counted).unwrap();
    let passed = |status: &xdp_lb::control::Status| status.vips[0].traffic.packets;
    assert_eq!(passed(&agent.status().unwrap()), passed(&before), "none is sent around");
}

fn dropped(status: &xdp_lb::control::Status, name: &str) -> u64 {
    let of_name = status.reasons.iter().find(|reason| reason.name == name);
    of_name.map_or(0, |reason| {
        assert_eq!(reason.outcome, "drop", "{reason:?}");
        reason.packets
    })
}
