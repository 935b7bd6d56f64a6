//! Totals never fall, and nobody has another's.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::time::Duration;

use xdp_lb::control::Status;
use xdp_lb_tests::agent::Agent;
use xdp_lb_tests::lbconfig::{LbConfig, VipConfig};
use xdp_lb_tests::nginx::PORT;
use xdp_lb_tests::topology::{Options, Topology, VIPS_V4};
use xdp_lb_tests::wait::wait_until;
use xdp_lb_tests::{client, require_root, scene};

fn vip(topology: &Topology, name: &str, index: usize) -> VipConfig {
    let mut vip = scene::vip(topology, (VIPS_V4[index], PORT).into(), "l2", &[1]);
    vip.name = name.to_owned();
    vip
}

fn forwarded(status: &Status) -> u64 {
    status.reasons.iter().find(|reason| reason.name == "forwarded").map_or(0, |reason| reason.packets)
}

#[test]
fn a_vip_that_goes_takes_no_total_with_it_and_one_that_comes_has_none() {
    require_root!();
    let topology = Topology::new(Options { backends: 1, ..Options::default() }).unwrap();
    let _servers = scene::web_servers(&topology).unwrap();
    let first = LbConfig::new(vec![vip(&topology, "one", 0), vip(&topology, "two", 1)]);
    let mut agent = Agent::start(&topology.balancer, &first).unwrap();
    let counted = |agent: &Agent<'_>, at_least: u64| {
        wait_until(Duration::from_secs(5), "the packets are counted", || {
            agent.status().ok().filter(|status| forwarded(status) >= at_least)
        })
        .unwrap()
    };
    let sample = client::sample(topology.client.handle(), (VIPS_V4[1], PORT).into(), 50);
    assert_eq!(sample.failures, Vec::<String>::new());
    let before = forwarded(&counted(&agent, 200));

    // The second VIP goes, and another comes that gets its id.
    agent.reload(&LbConfig::new(vec![vip(&topology, "one", 0)])).unwrap();
    agent.reload(&LbConfig::new(vec![vip(&topology, "one", 0), vip(&topology, "three", 2)])).unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    let status = agent.status().unwrap();
    assert!(forwarded(&status) >= before, "{} after {before}", forwarded(&status));
    let three = &status.vips[1];
    assert_eq!(
        (three.name.as_str(), three.traffic.packets, three.backends[0].traffic.packets),
        ("three", 0, 0)
    );

    // Nor does a new agent forget what passed.
    agent.kill().unwrap();
    agent.run(&LbConfig::new(vec![vip(&topology, "one", 0)]), &[]).unwrap();
    let status = counted(&agent, 1);
    assert!(forwarded(&status) >= before, "{} after {before}", forwarded(&status));
}
