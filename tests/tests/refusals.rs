//! What the agent refuses to start with: how it ends, what it says, and that it touched nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use aya::maps::{Array, Map, MapData};
use rustix::thread::CapabilitySet;
use xdp_lb_common::maps::{Settings, names};
use xdp_lb_tests::agent::{Agent, has_xdp};
use xdp_lb_tests::decap::Decap;
use xdp_lb_tests::lbconfig::LbConfig;
use xdp_lb_tests::topology::{BALANCER, Options, Topology, VIPS_V4};
use xdp_lb_tests::wait::wait_until;
use xdp_lb_tests::{ip, require_root, scene};

const ONE_BACKEND: Options = Options { backends: 1, routed: false, client_mtu: 1500, lan_mtu: 1500 };

fn config(topology: &Topology) -> LbConfig {
    LbConfig::new(vec![scene::vip(topology, (VIPS_V4[0], 80).into(), "l2", &[1])])
}

/// Runs the agent with `text` and checks how it ends; what it said.
fn refused(agent: &Agent<'_>, text: &str, code: i32) -> String {
    let output = agent.run_refused(text).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "with\n{text}\nit said\n{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// What is replaced by what in a right configuration, and words that have to be in the answer.
type Row = (&'static [(&'static str, &'static str)], &'static [&'static str]);

#[test]
fn a_wrong_configuration_is_told_line_by_line_and_nothing_is_attached() {
    require_root!();
    let topology = Topology::new(ONE_BACKEND).unwrap();
    let agent = Agent::new(&topology.balancer).unwrap();
    let right = agent.text_of(&config(&topology));
    let table: [Row; 8] = [
        (&[("weight = 1", "weight = 70000")], &["weight", "70000"]),
        (&[("weight = 1", "wieght = 1")], &["wieght"]),
        (&[("\"l2\"", "\"l3\"")], &["forward", "l3", "ipip"]),
        (&[("203.0.113.10", "203.0.113.300")], &["address", "203.0.113.300"]),
        (&[("203.0.113.10", "2001:db8::10")], &["l2"]),
        (&[("[\"eth0\"]", "[]")], &["interfaces"]),
        (&[("[[vip]]", "[[vip")], &["lb.toml"]),
        (&[("weight = 1", "weight = -1"), ("port = 80", "port = 99999")], &["weight", "-1", "port", "99999"]),
    ];
    for (replacements, words) in table {
        let text = replacements.iter().fold(right.clone(), |text, (from, to)| text.replacen(from, to, 1));
        assert_ne!(text, right, "{replacements:?} changes nothing");
        let said = refused(&agent, &text, 2);
        for word in words.iter().chain(&["lb.toml:"]) {
            assert!(said.contains(word), "{replacements:?}: no {word:?} in\n{said}");
        }
        assert!(
            !has_xdp(&topology.balancer).unwrap() && !agent.has_pins(),
            "{replacements:?} left something"
        );
    }
}

#[test]
fn a_missing_interface_is_named() {
    require_root!();
    let topology = Topology::new(ONE_BACKEND).unwrap();
    let agent = Agent::new(&topology.balancer).unwrap();
    let mut config = config(&topology);
    config.interface = "eth9".to_owned();
    let said = refused(&agent, &agent.text_of(&config), 1);
    assert!(said.contains("eth9"), "{said}");
    assert_eq!(said.trim().lines().count(), 1, "one line, not\n{said}");
    assert!(!agent.has_pins());
}

#[test]
fn an_interface_that_another_program_has_is_left_to_it() {
    require_root!();
    let topology = Topology::new(ONE_BACKEND).unwrap();
    let own: [IpAddr; 2] = [BALANCER.0.into(), BALANCER.1.into()];
    let _other = Decap::start(&topology.balancer, &own).unwrap();
    let agent = Agent::new(&topology.balancer).unwrap();
    let said = refused(&agent, &agent.text_of(&config(&topology)), 1);
    // A link holds it, which `ip link set … xdp off` does not end.
    for word in ["eth0", "xdp_lb_decap", "another xdp-lb", "bpftool link detach id "] {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
    assert_eq!(said.trim().lines().count(), 1, "one line, not\n{said}");
    assert!(has_xdp(&topology.balancer).unwrap(), "the other program was detached");
    assert!(!agent.has_pins());
}

#[test]
fn a_second_agent_does_not_disturb_the_first() {
    require_root!();
    let topology = Topology::new(ONE_BACKEND).unwrap();
    let _servers = scene::web_servers(&topology).unwrap();
    let config = config(&topology);
    let agent = Agent::start(&topology.balancer, &config).unwrap();
    let output = agent.run_refused(&agent.text_of(&config)).unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(agent.status().is_ok_and(|status| status.vips.len() == 1), "the first does not answer any more");
    let sample = xdp_lb_tests::client::sample(topology.client.handle(), (VIPS_V4[0], 80).into(), 50);
    assert_eq!(sample.failures, Vec::<String>::new());
}

#[test]
fn a_start_that_fails_late_leaves_the_settings_as_they_were() {
    require_root!();
    let topology = Topology::new(ONE_BACKEND).unwrap();
    let mut agent = Agent::start(&topology.balancer, &config(&topology)).unwrap();
    agent.kill().unwrap();
    let before = settings(&agent);
    let pin = pinned_program(&agent);
    let taken = [
        "link add name other type veth peer name other-peer".to_owned(),
        format!("link set dev other xdpgeneric pinned {}", pin.display()),
    ];
    ip::batch(Some(topology.balancer.name()), &taken).unwrap();

    let changed = "interfaces = [\"eth0\", \"other\"]\nicmp_limit = 7\nflow_idle = \"10m\"";
    let text = agent.text_of(&config(&topology)).replace("interfaces = [\"eth0\"]", changed);
    let said = refused(&agent, &text, 1);
    assert!(said.contains("pass_floor"), "{said}");
    assert_eq!(settings(&agent), before);

    ip::batch(Some(topology.balancer.name()), &["link set dev other xdpgeneric off".to_owned()]).unwrap();
    agent.launch_text(&text.replace("\"native\"", "\"auto\""), &[]).unwrap();
    wait_until(Duration::from_secs(10), "the agent writes its settings", || {
        (settings(&agent) == (7, 600)).then_some(())
    })
    .unwrap();
}

/// Limit of ICMP errors and seconds that a flow may be silent, in the kernel.
fn settings(agent: &Agent<'_>) -> (u32, u32) {
    let map = Map::Array(MapData::from_pin(agent.pins().join(names::SETTINGS)).unwrap());
    let settings: Array<_, Settings> = map.try_into().unwrap();
    let settings = settings.get(&0, 0).unwrap();
    (settings.icmp_limit, settings.idle_seconds)
}

/// A program of somebody else's, pinned beside the agent's folder: `pass_floor`.
fn pinned_program(agent: &Agent<'_>) -> PathBuf {
    let pin = agent.pins().with_file_name("pass");
    let mut ebpf = aya::Ebpf::load(xdp_lb::datapath::object::BENCH).unwrap();
    let program: &mut aya::programs::Xdp = ebpf.program_mut("pass_floor").unwrap().try_into().unwrap();
    program.load().unwrap();
    program.pin(&pin).unwrap();
    pin
}

#[test]
fn a_program_that_ip_attached_is_taken_off_by_ip() {
    require_root!();
    let topology = Topology::new(ONE_BACKEND).unwrap();
    let agent = Agent::new(&topology.balancer).unwrap();
    let pin = pinned_program(&agent);
    let netns = topology.balancer.name();
    for (mode, mend) in [("xdpdrv", "xdp"), ("xdpgeneric", "xdpgeneric")] {
        ip::batch(Some(netns), &[format!("link set dev eth0 {mode} pinned {}", pin.display())]).unwrap();
        let said = refused(&agent, &agent.text_of(&config(&topology)), 1);
        let mend = format!("link set dev eth0 {mend} off");
        assert!(said.contains(&format!("`ip {mend}`")) && said.contains("pass_floor"), "{said}");
        ip::batch(Some(netns), &[mend]).unwrap();
        assert!(!has_xdp(&topology.balancer).unwrap(), "the mend does not mend");
    }
}

#[test]
fn what_the_interface_cannot_is_told_with_its_mend() {
    require_root!();
    let topology = Topology::new(ONE_BACKEND).unwrap();
    let agent = Agent::new(&topology.balancer).unwrap();
    let netns = topology.balancer.name();
    ip::batch(Some(netns), &["link add name br0 type bridge".to_owned()]).unwrap();
    let right = agent.text_of(&config(&topology));

    let said = refused(&agent, &right.replace("\"eth0\"", "\"br0\""), 1);
    assert!(said.contains("br0") && said.contains("xdp_mode = \"auto\" or \"generic\""), "{said}");

    ip::batch(Some(netns), &["link set dev eth0 mtu 1300".to_owned()]).unwrap();
    let said = refused(&agent, &right, 1);
    assert!(said.contains("1300") && said.contains("`ip link set dev eth0 mtu 1320`"), "{said}");
    assert_eq!(said.trim().lines().count(), 1, "one line, not\n{said}");
    assert!(!has_xdp(&topology.balancer).unwrap() && !agent.has_pins());
}

#[test]
fn where_the_driver_cannot_the_stack_does_and_that_is_said() {
    require_root!();
    let topology = Topology::new(ONE_BACKEND).unwrap();
    let mut agent = Agent::new(&topology.balancer).unwrap();
    let bridge = ["link add name br0 type bridge".to_owned(), "link set dev br0 up".to_owned()];
    ip::batch(Some(topology.balancer.name()), &bridge).unwrap();
    let text =
        agent.text_of(&config(&topology)).replace("\"eth0\"", "\"br0\"").replace("\"native\"", "\"auto\"");
    agent.launch_text(&text, &[]).unwrap();
    let mode = wait_until(Duration::from_secs(10), "the agent answers", || {
        Some(agent.status().ok()?.interfaces.swap_remove(0).mode)
    });
    assert_eq!(mode.unwrap(), "generic");
    assert!(
        agent.tail().contains("br0: generic XDP, because the driver takes no native one"),
        "{}",
        agent.tail()
    );
}

#[test]
fn missing_capabilities_are_named() {
    require_root!();
    let topology = Topology::new(ONE_BACKEND).unwrap();
    let agent = Agent::new(&topology.balancer).unwrap();
    let right = agent.text_of(&config(&topology));
    for (dropped, words) in [
        (vec![CapabilitySet::BPF, CapabilitySet::SYS_ADMIN], ["missing CAP_BPF", "setcap"]),
        (vec![CapabilitySet::NET_ADMIN], ["missing CAP_NET_ADMIN", "setcap"]),
    ] {
        let output = agent.run_refused_without(&right, &dropped).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
        assert_eq!(said.trim().lines().count(), 1, "one line, not\n{said}");
        assert!(!has_xdp(&topology.balancer).unwrap() && !agent.has_pins());
    }
}
