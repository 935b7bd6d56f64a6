//! The pin folder and what is attached: one process has it, others' pins are left alone, and a start that fails leaves
//! nothing behind.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::fs;
use std::time::Duration;

use xdp_lb_tests::agent::{Agent, binary, has_xdp, xdp_mode};
use xdp_lb_tests::lbconfig::LbConfig;
use xdp_lb_tests::topology::{Options, Topology, VIPS_V4};
use xdp_lb_tests::wait::wait_until;
use xdp_lb_tests::{ip, require_root, scene};

const ONE_BACKEND: Options = Options { backends: 1, routed: false, client_mtu: 1500, lan_mtu: 1500 };

fn config(topology: &Topology) -> LbConfig {
    LbConfig::new(vec![scene::vip(topology, (VIPS_V4[0], 80).into(), "l2", &[1])])
}

/// Runs the agent with `text`, which it has to refuse with exit code 1; the one line it said.
fn refused(agent: &Agent<'_>, text: &str) -> String {
    let output = agent.run_refused(text).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.trim().lines().count(), 1, "one line, not\n{said}");
    said
}

#[test]
fn a_pin_folder_is_one_process_s_own() {
    require_root!();
    let topology = Topology::new(ONE_BACKEND).unwrap();
    let config = config(&topology);
    let agent = Agent::start(&topology.balancer, &config).unwrap();
    let process = format!("(process {})", agent.pid().unwrap());
    let pins = agent.pins().display().to_string();

    let other = Agent::new(&topology.balancer).unwrap();
    let said = refused(&other, &other.text_of(&config).replace(&other.pins().display().to_string(), &pins));
    assert!(said.contains(&process) && said.contains(&pins), "{said}");

    let file = other.folder().join("decap.toml");
    let text =
        format!("[decap]\ninterfaces = [\"eth0\"]\naddresses = [\"10.0.1.2\"]\npin_dir = \"{pins}\"\n");
    fs::write(&file, text).unwrap();
    let mut decap = topology.balancer.command(binary().unwrap());
    let output = decap.arg("decap").arg("--config").arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&process) && said.contains(&pins), "{said}");
    assert!(has_xdp(&topology.balancer).unwrap() && agent.status().is_ok(), "the first was disturbed");
}

#[test]
fn pins_of_others_stay_and_a_missing_one_of_our_own_is_no_error() {
    require_root!();
    let topology = Topology::new(ONE_BACKEND).unwrap();
    let mut agent = Agent::start(&topology.balancer, &config(&topology)).unwrap();
    let names = || {
        let entries = fs::read_dir(agent.pins()).unwrap().map(|entry| entry.unwrap().file_name());
        entries.map(|name| name.into_string().unwrap()).collect::<Vec<_>>()
    };
    fs::hard_link(agent.pins().join("REASONS"), agent.pins().join("link_of_somebody")).unwrap();
    fs::create_dir(agent.pins().join("folder")).unwrap();
    for ours in names().iter().filter(|name| name.starts_with("link_native_") || *name == "BUDGETS") {
        fs::remove_file(agent.pins().join(ours)).unwrap();
    }
    assert_eq!(agent.stop().unwrap().code(), Some(0));
    assert!(!has_xdp(&topology.balancer).unwrap(), "the program is still attached");
    let mut left: Vec<_> =
        fs::read_dir(agent.pins()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["folder", "link_of_somebody"]);
}

#[test]
fn a_start_that_fails_takes_off_what_it_attached_and_nothing_else() {
    require_root!();
    let topology = Topology::new(ONE_BACKEND).unwrap();
    let more = ["link add name eth1 type veth peer name eth2", "link add name br9 type bridge"];
    ip::batch(Some(topology.balancer.name()), &more.map(str::to_owned)).unwrap();
    let config = config(&topology);
    let mut agent = Agent::new(&topology.balancer).unwrap();
    let attached = |interface| xdp_mode(&topology.balancer, interface).unwrap();
    let text = agent.text_of(&config).replace("[\"eth0\"]", "[\"eth0\", \"eth1\", \"br9\"]");

    // Nothing was there before.
    let said = refused(&agent, &text);
    assert!(said.contains("br9") && said.contains("auto"), "{said}");
    assert_eq!((attached("eth0"), attached("eth1"), agent.has_pins()), (None, None, false));
    assert!(!agent.pins().exists(), "the folder is left");

    // An earlier agent's is there.
    agent.run(&config, &[]).unwrap();
    agent.kill().unwrap();
    refused(&agent, &text);
    assert_eq!((attached("eth0"), attached("eth1"), agent.has_pins()), (Some("native"), None, true));
    agent.run(&config, &[]).unwrap();
}

#[test]
fn another_table_size_is_not_adopted() {
    require_root!();
    let topology = Topology::new(ONE_BACKEND).unwrap();
    let config = config(&topology);
    let mut agent = Agent::start(&topology.balancer, &config).unwrap();
    agent.kill().unwrap();
    let said =
        refused(&agent, &agent.text_of(&config).replace("max_vips = 8", "max_vips = 8\ntable_size = 251"));
    assert!(said.contains("table_size 65537, wanted 251"), "{said}");
    assert!(has_xdp(&topology.balancer).unwrap() && agent.has_pins(), "the earlier agent's is gone");
    agent.run(&config, &[]).unwrap();
}

#[test]
fn a_program_left_in_another_mode_is_attached_anew() {
    require_root!();
    let topology = Topology::new(ONE_BACKEND).unwrap();
    let mut agent = Agent::new(&topology.balancer).unwrap();
    let mode = || xdp_mode(&topology.balancer, "eth0").unwrap();
    for (wanted, got, words) in [
        ("generic", "generic", "eth0: generic XDP"),
        ("auto", "generic", "eth0: generic XDP, kept from before"),
        ("native", "native", "eth0: native XDP, attached anew"),
        ("auto", "native", "eth0: native XDP, kept from before"),
        ("generic", "generic", "eth0: generic XDP, attached anew"),
    ] {
        let config = LbConfig { xdp_mode: wanted, ..config(&topology) };
        let log = agent.folder().join("log");
        let _ = fs::remove_file(&log);
        agent.run(&config, &[]).unwrap();
        assert_eq!(mode(), Some(got), "{wanted}");
        assert_eq!(agent.status().unwrap().interfaces[0].mode, got);
        let said = fs::read_to_string(log).unwrap();
        for words in [words, "backends are not checked"] {
            assert!(said.contains(words), "{wanted}: no {words:?} in\n{said}");
        }
        agent.kill().unwrap();
    }
}

#[test]
fn an_interface_that_goes_and_comes_back_is_noticed() {
    require_root!();
    let topology = Topology::new(ONE_BACKEND).unwrap();
    let agent = Agent::start(&topology.balancer, &config(&topology)).unwrap();
    let wait_mode = |mode: &str| {
        wait_until(Duration::from_secs(5), &format!("eth0 is {mode}"), || {
            (agent.status().ok()?.interfaces.first()?.mode == mode).then_some(())
        })
        .unwrap();
    };
    ip::batch(Some(topology.balancer.name()), &["link delete eth0".to_owned()]).unwrap();
    wait_mode("gone");
    let add = "link add name eth0 type veth peer name eth9".to_owned();
    ip::batch(Some(topology.balancer.name()), &[add]).unwrap();
    wait_mode("native");
    assert!(has_xdp(&topology.balancer).unwrap());
    let log = fs::read_to_string(agent.folder().join("log")).unwrap();
    assert_eq!((log.matches("eth0: gone").count(), log.matches("eth0: back").count()), (1, 1), "{log}");
}
