//! Health checks by the data path: they reach their own backend as the VIP's packets do, and find out what checks of the
//! backend's own address do not.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use aya::programs::{SchedClassifier, TcAttachType};
use socket2::{Domain, Socket, Type};
use xdp_lb_common::check::{CHECK_MARK, mark_of};
use xdp_lb_common::ids::BackendId;
use xdp_lb_tests::agent::{Agent, backend, has_xdp};
use xdp_lb_tests::decap::Decap;
use xdp_lb_tests::lbconfig::{FAST_HEALTH, LbConfig, VipConfig};
use xdp_lb_tests::netns::Netns;
use xdp_lb_tests::nginx::PORT;
use xdp_lb_tests::scene::{self, Family};
use xdp_lb_tests::topology::{INTERFACE, Options, Topology, VIPS_V4, VIPS_V6};
use xdp_lb_tests::wait::wait_until_ok;
use xdp_lb_tests::{ip, require_root};

const TWO_BACKENDS: Options = Options { backends: 2, routed: false, client_mtu: 1500, lan_mtu: 1500 };

/// What two busy cores may take.
const SOON: Duration = Duration::from_secs(10);

fn by_data_path() -> String {
    format!("{FAST_HEALTH}\nvia = \"data-path\"")
}

/// Names of the programs that see what the balancer sends.
fn programs(netns: &Netns) -> Vec<String> {
    let query = || Ok(SchedClassifier::query_tcx(INTERFACE, TcAttachType::Egress)?.1);
    let infos = netns.run_in(query).unwrap();
    infos.iter().filter_map(|info| info.name_as_str().map(str::to_owned)).collect()
}

/// Who answers at `vip` a connection of the balancer itself that bears `mark`.
fn ask(topology: &Topology, vip: SocketAddr, mark: u32) -> anyhow::Result<String> {
    topology.balancer.run_in(|| {
        let socket = Socket::new(Domain::for_address(vip), Type::STREAM, None)?;
        socket.set_mark(mark)?;
        socket.connect_timeout(&vip.into(), Duration::from_millis(500))?;
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        stream.write_all(b"GET /name HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.lines().last().unwrap_or_default().to_owned())
    })
}

#[test]
fn in_every_mode_each_check_reaches_its_own_backend() {
    require_root!();
    for (routed, offload) in [(false, "off"), (false, "on"), (true, "off")] {
        let topology = Topology::new(Options { routed, ..TWO_BACKENDS }).unwrap();
        // With it, the host leaves checksums to the network card, and says where in the packet they are.
        let mut ethtool = topology.balancer.command("ethtool");
        assert!(ethtool.args(["-K", INTERFACE, "tx", offload]).status().unwrap().success());
        let _servers = scene::web_servers(&topology).unwrap();
        let _decaps = scene::decaps(&topology).unwrap();
        let modes: [(&str, IpAddr, &str, Family); 6] = [
            ("4in4", VIPS_V4[0].into(), "ipip", Family::V4),
            ("4in6", VIPS_V4[1].into(), "ipip", Family::V6),
            ("6in6", VIPS_V6[0].into(), "ipip", Family::V6),
            ("6in4", VIPS_V6[1].into(), "ipip", Family::V4),
            ("l2-4", VIPS_V4[2].into(), "l2", Family::V4),
            ("l2-6", VIPS_V6[2].into(), "l2", Family::V6),
        ];
        // The next hop of `l2` is the backend itself, which a router in between makes impossible.
        let modes = modes.into_iter().filter(|(_, _, forward, _)| !routed || *forward != "l2");
        let vips: Vec<_> = modes
            .map(|(name, vip, forward, inner)| {
                let vip = VipConfig::tcp(name, (vip, PORT).into(), forward).health(&by_data_path());
                (0..2).fold(vip, |vip, index| {
                    vip.backend(&scene::name(index), scene::address(&topology, index, inner), 1)
                })
            })
            .collect();
        let config = LbConfig::new(vips);
        // It waits until all backends are up.
        let agent = Agent::start(&topology.balancer, &config).unwrap();
        let tail = agent.tail();
        assert!(!tail.contains("checks by the data path will fail"), "{tail}");
        // Ids are given in the order of the configuration, from 1.
        for (index, vip) in config.vips.iter().enumerate() {
            for of_vip in 0..2 {
                let id = BackendId::new((index * 2 + of_vip + 1) as u16).unwrap();
                let answer = ask(&topology, vip.address, mark_of(id));
                let case = format!("{} routed: {routed}, tx {offload}", vip.name);
                assert_eq!(answer.ok(), Some(scene::name(of_vip)), "{case}");
            }
        }
    }
}

#[test]
fn marks_that_name_no_backend_lead_nowhere_and_other_marks_are_left_alone() {
    require_root!();
    let topology = Topology::new(TWO_BACKENDS).unwrap();
    let _servers = scene::web_servers(&topology).unwrap();
    let vip: SocketAddr = (VIPS_V4[0], PORT).into();
    let config = LbConfig::new(vec![scene::vip(&topology, vip, "l2", &[1, 1]).health(&by_data_path())]);
    let agent = Agent::start(&topology.balancer, &config).unwrap();
    for nobody in [CHECK_MARK, CHECK_MARK | 3, CHECK_MARK | 0x7fff] {
        let answer = ask(&topology, vip, nobody);
        // The first names no backend at all, and so is no mark of a check.
        assert_eq!(answer.is_ok(), nobody == CHECK_MARK, "{nobody:#x}: {answer:?}");
    }
    let before = agent.status().unwrap().vips[0].traffic.packets;
    // They go to the router and come back, as a client's packets do.
    for others in [0, 1, 0x4000, CHECK_MARK << 1, 0xffff_ffff] {
        assert!(ask(&topology, vip, others).is_ok(), "{others:#x}");
    }
    let balanced = || {
        let packets = agent.status()?.vips[0].traffic.packets;
        anyhow::ensure!(packets >= before + 5 * 4, "{packets} after {before}");
        Ok(())
    };
    wait_until_ok(SOON, "other packets are balanced", balanced).unwrap();
}

#[test]
fn a_broken_tunnel_is_found_out_by_the_data_path_only() {
    require_root!();
    let topology = Topology::new(TWO_BACKENDS).unwrap();
    let _servers = scene::web_servers(&topology).unwrap();
    let mut decaps = scene::decaps(&topology).unwrap();
    let vip = |name: &str, address: IpAddr, health: &str| {
        let mut vip = scene::vip(&topology, (address, PORT).into(), "ipip", &[1, 1]).health(health);
        vip.name = name.to_owned();
        vip
    };
    let config = LbConfig::new(vec![
        vip("path", VIPS_V4[0].into(), &by_data_path()),
        vip("direct", VIPS_V4[1].into(), FAST_HEALTH),
    ]);
    let agent = Agent::start(&topology.balancer, &config).unwrap();
    drop(decaps.pop());
    agent.wait_state("web-2", "down", SOON).unwrap();
    let status = agent.status().unwrap();
    let (path, direct) = (&status.vips[0], &status.vips[1]);
    assert_eq!(backend(path, "web-1").unwrap().state, "up");
    assert_eq!(backend(direct, "web-2").unwrap().state, "up", "the server itself answers all the time");
    println!("found out: {}", backend(path, "web-2").unwrap().reason);

    let (v4, v6) = topology.backend_address(1);
    let _again = Decap::start(&topology.backends[1], &[v4.into(), v6.into()]).unwrap();
    agent.wait_state("web-2", "up", SOON).unwrap();
}

#[test]
fn a_vip_that_is_missing_on_a_backend_is_found_out() {
    require_root!();
    let topology = Topology::new(TWO_BACKENDS).unwrap();
    let _servers = scene::web_servers(&topology).unwrap();
    let vips: [IpAddr; 2] = [VIPS_V4[0].into(), VIPS_V6[0].into()];
    for vip in vips {
        let config = scene::vip(&topology, (vip, PORT).into(), "l2", &[1, 1]).health(&by_data_path());
        let agent = Agent::start(&topology.balancer, &LbConfig::new(vec![config])).unwrap();
        let change = |verb: &str| {
            let (length, flags) = if vip.is_ipv4() { (32, "") } else { (128, " nodad") };
            let flags = if verb == "add" { flags } else { "" };
            let line = format!("addr {verb} {vip}/{length} dev lo{flags}");
            ip::batch(Some(topology.backends[1].name()), &[line]).unwrap();
        };
        change("delete");
        agent.wait_state("web-2", "down", SOON).unwrap();
        assert_eq!(backend(&agent.status().unwrap().vips[0], "web-1").unwrap().state, "up");
        change("add");
        agent.wait_state("web-2", "up", SOON).unwrap();
    }
}

#[test]
fn the_program_is_there_once_while_it_is_wanted_and_then_gone() {
    require_root!();
    let topology = Topology::new(TWO_BACKENDS).unwrap();
    let _servers = scene::web_servers(&topology).unwrap();
    let vip = |health: &str| scene::vip(&topology, (VIPS_V4[0], PORT).into(), "l2", &[1, 1]).health(health);
    let (direct, path) = (LbConfig::new(vec![vip(FAST_HEALTH)]), LbConfig::new(vec![vip(&by_data_path())]));
    let there = || programs(&topology.balancer);
    let once = ["xdp_lb_check"];

    let mut agent = Agent::start(&topology.balancer, &direct).unwrap();
    assert!(there().is_empty(), "nobody wants it: {:?}", there());
    agent.reload(&path).unwrap();
    agent.wait_state("web-1", "up", SOON).unwrap();
    assert_eq!(there(), once);
    agent.kill().unwrap();
    agent.run(&path, &[]).unwrap();
    assert_eq!(there(), once, "after a kill");
    agent.kill().unwrap();
    agent.run(&direct, &[]).unwrap();
    assert!(there().is_empty(), "what was killed wanted it, this one does not: {:?}", there());
    agent.reload(&path).unwrap();
    assert_eq!(there(), once);
    assert_eq!(agent.stop().unwrap().code(), Some(0));
    assert!(there().is_empty() && !agent.has_pins(), "left behind: {:?}", there());

    agent.run(&path, &["--leave-attached"]).unwrap();
    assert_eq!(agent.stop().unwrap().code(), Some(0));
    assert!(has_xdp(&topology.balancer).unwrap());
    assert!(there().is_empty(), "without an agent nobody checks: {:?}", there());
}

#[test]
fn an_interface_that_returns_has_the_program_again() {
    require_root!();
    let topology = Topology::new(TWO_BACKENDS).unwrap();
    let vip = scene::vip(&topology, (VIPS_V4[0], PORT).into(), "l2", &[]).health(&by_data_path());
    let mut config = LbConfig::new(vec![vip]);
    config.interface = "spare0".to_owned();
    let make = ["link add name spare0 type veth peer name spare1", "link set spare0 up"].map(str::to_owned);
    ip::batch(Some(topology.balancer.name()), &make).unwrap();
    let agent = Agent::start(&topology.balancer, &config).unwrap();
    let tail = agent.tail();
    assert!(tail.contains("none of agent.interfaces"), "the route leaves by {INTERFACE}: {tail}");
    let there = || {
        let query = || Ok(SchedClassifier::query_tcx("spare0", TcAttachType::Egress)?.1.len());
        let count = topology.balancer.run_in(query)?;
        anyhow::ensure!(count == 1, "{count} programs");
        Ok(())
    };
    there().unwrap();
    ip::batch(Some(topology.balancer.name()), &["link delete spare0".to_owned()]).unwrap();
    ip::batch(Some(topology.balancer.name()), &make).unwrap();
    wait_until_ok(SOON, "the new interface has the program", there).unwrap();
}
