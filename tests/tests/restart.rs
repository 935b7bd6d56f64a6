//! The agent dies, is stopped, and starts again, while connections go on.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::net::SocketAddr;
use std::time::Duration;

use xdp_lb_tests::agent::{Agent, has_xdp};
use xdp_lb_tests::lbconfig::LbConfig;
use xdp_lb_tests::load::{Load, by_server, failures};
use xdp_lb_tests::longlived::LongLived;
use xdp_lb_tests::nginx::PORT;
use xdp_lb_tests::topology::{Options, Topology, VIPS_V4};
use xdp_lb_tests::wait::wait_until;
use xdp_lb_tests::{client, require_root, scene};

const WEB: ([u8; 4], u16) = (VIPS_V4[0].octets(), PORT);
const LINES: ([u8; 4], u16) = (VIPS_V4[0].octets(), 7000);

fn config(topology: &Topology, weights: &[u16]) -> LbConfig {
    let mut lines = scene::vip(topology, LINES.into(), "l2", weights);
    lines.name = "lines".to_owned();
    LbConfig::new(vec![scene::vip(topology, WEB.into(), "l2", weights), lines])
}

fn load(topology: &Topology) -> Load {
    Load::start(topology.client.handle(), WEB.into(), 3, Duration::from_millis(1))
}

fn new_flows(agent: &Agent<'_>) -> u64 {
    agent.status().unwrap().vips[0].traffic.new_flows
}

#[test]
fn killed_and_started_again_under_load_no_request_fails() {
    require_root!();
    let topology = Topology::new(Options::default()).unwrap();
    let _servers = scene::web_servers(&topology).unwrap();
    let _lines = scene::line_servers(&topology, LINES.1).unwrap();
    let config = config(&topology, &[1, 1, 1]);
    let mut agent = Agent::start(&topology.balancer, &config).unwrap();
    let open = LongLived::open(topology.client.handle(), LINES.into(), 100).unwrap();
    let load = load(&topology);
    for _ in 0..2 {
        load.wait_more(200).unwrap();
        let counted = new_flows(&agent);
        agent.kill().unwrap();
        assert!(has_xdp(&topology.balancer).unwrap(), "the program is gone with its agent");
        load.wait_more(300).unwrap();
        agent.run(&config, &[]).unwrap();
        load.wait_more(200).unwrap();
        assert!(new_flows(&agent) > counted, "the counters began anew");
    }
    let answers = load.stop();
    assert_eq!(failures(&answers), Vec::<&str>::new());
    assert_eq!(by_server(&answers).len(), 3);
    let report = open.stop().unwrap();
    assert_eq!((report.broken, report.wrong), (vec![], vec![]));
}

#[test]
fn killed_and_started_with_another_configuration_no_request_fails() {
    require_root!();
    let topology = Topology::new(Options { backends: 4, ..Options::default() }).unwrap();
    let _servers = scene::web_servers(&topology).unwrap();
    let _lines = scene::line_servers(&topology, LINES.1).unwrap();
    let before = config(&topology, &[1, 1, 1]);
    let mut after = config(&topology, &[1, 2, 5, 2]);
    after.vips.iter_mut().for_each(|vip| {
        vip.backends.remove(0);
    });
    after.vips.swap(0, 1);
    let mut agent = Agent::start(&topology.balancer, &before).unwrap();
    let open = LongLived::open(topology.client.handle(), LINES.into(), 100).unwrap();
    let load = load(&topology);
    load.wait_more(200).unwrap();
    agent.kill().unwrap();
    load.wait_more(100).unwrap();
    agent.run(&after, &[]).unwrap();
    let first = load.count() + 3;
    // A new server that nobody checks has the smallest share until clients have gone on with it.
    wait_until(Duration::from_secs(60), "web-4 serves", || {
        by_server(&load.answers_since(first)).contains_key("web-4").then_some(())
    })
    .unwrap();
    load.wait_more(300).unwrap();
    let answers = load.stop();
    assert_eq!(failures(&answers), Vec::<&str>::new());
    assert_eq!(by_server(&answers[first..]).into_keys().collect::<Vec<_>>(), ["web-2", "web-3", "web-4"]);
    open.wait_lines(5).unwrap();
    let report = open.stop().unwrap();
    assert_eq!((report.broken, report.wrong), (vec![], vec![]), "long-lived connections");
    assert_eq!(report.servers.into_keys().collect::<Vec<_>>(), ["web-1", "web-2", "web-3"]);
}

#[test]
fn stopped_it_takes_everything_with_it() {
    require_root!();
    let topology = Topology::new(Options { backends: 1, ..Options::default() }).unwrap();
    let mut agent = Agent::start(&topology.balancer, &config(&topology, &[1])).unwrap();
    assert!(has_xdp(&topology.balancer).unwrap() && agent.has_pins());
    let status = agent.stop().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(!has_xdp(&topology.balancer).unwrap(), "the program is still attached");
    assert!(!agent.has_pins(), "pins are left in {}", agent.pins().display());
}

#[test]
fn told_to_leave_it_attached_it_does() {
    require_root!();
    let topology = Topology::new(Options { backends: 2, ..Options::default() }).unwrap();
    let _servers = scene::web_servers(&topology).unwrap();
    let config = config(&topology, &[1, 1]);
    let mut agent = Agent::new(&topology.balancer).unwrap();
    agent.run(&config, &["--leave-attached"]).unwrap();
    assert_eq!(agent.stop().unwrap().code(), Some(0));
    assert!(has_xdp(&topology.balancer).unwrap(), "the program was detached");
    let vip: SocketAddr = WEB.into();
    let sample = client::sample(topology.client.handle(), vip, 200);
    assert_eq!((sample.failures.len(), sample.answers.len()), (0, 2), "{sample:?}");
    agent.run(&config, &[]).unwrap();
    assert_eq!(agent.stop().unwrap().code(), Some(0));
    assert!(!has_xdp(&topology.balancer).unwrap(), "the program is still attached");
}
