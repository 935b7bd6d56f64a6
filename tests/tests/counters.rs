//! Totals never fall, and nobody has another's.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::time::{Duration, Instant};

use xdp_lb::control::Status;
use xdp_lb_tests::agent::Agent;
use xdp_lb_tests::lbconfig::{LbConfig, VipConfig};
use xdp_lb_tests::nginx::PORT;
use xdp_lb_tests::topology::{Options, Topology, VIPS_V4};
use xdp_lb_tests::wait::wait_until;
use xdp_lb_tests::{client, clock, require_root, scene};

fn vip(topology: &Topology, name: &str, index: usize) -> VipConfig {
    let mut vip = scene::vip(topology, (VIPS_V4[index], PORT).into(), "l2", &[1]);
    vip.name = name.to_owned();
    vip
}

fn forwarded(status: &Status) -> u64 {
    status.reasons.iter().find(|reason| reason.name == "forwarded").map_or(0, |reason| reason.packets)
}

/// Packets to the VIP at `position` of the status.
fn passed(status: &Status, position: usize) -> u64 {
    status.vips[position].traffic.packets
}

/// What 50 requests are at least: a SYN, the request, its acknowledgement and a FIN each.
const PACKETS: u64 = 200;

/// What it says when the counts have stood still for longer than the second between two readings of the kernel's.
fn settled(agent: &Agent<'_>) -> Status {
    let mut last: Option<(u64, Instant)> = None;
    wait_until(Duration::from_secs(15), "all packets are counted", || {
        let status = agent.status().ok()?;
        match last {
            Some((count, since)) if count == forwarded(&status) => {
                (since.elapsed() > Duration::from_millis(1_500)).then_some(status)
            }
            _ => {
                last = Some((forwarded(&status), clock::now()));
                None
            }
        }
    })
    .unwrap()
}

#[test]
fn a_vip_that_goes_takes_no_total_with_it_and_one_that_comes_has_none() {
    require_root!();
    let topology = Topology::new(Options { backends: 1, ..Options::default() }).unwrap();
    let _servers = scene::web_servers(&topology).unwrap();
    let first = LbConfig::new(vec![vip(&topology, "one", 0), vip(&topology, "two", 1)]);
    let mut agent = Agent::start(&topology.balancer, &first).unwrap();
    let ask = |index: usize| {
        let sample = client::sample(topology.client.handle(), (VIPS_V4[index], PORT).into(), 50);
        assert_eq!(sample.failures, Vec::<String>::new());
    };
    ask(0);
    ask(1);
    let status = settled(&agent);
    let before = forwarded(&status);
    assert!(before >= 2 * PACKETS, "{before}");
    let one = passed(&status, 0);
    assert!(one >= PACKETS && passed(&status, 1) >= PACKETS, "{one} and {}", passed(&status, 1));

    // The second VIP goes, and another comes that gets its id.
    agent.reload(&LbConfig::new(vec![vip(&topology, "one", 0)])).unwrap();
    agent.reload(&LbConfig::new(vec![vip(&topology, "one", 0), vip(&topology, "three", 2)])).unwrap();
    ask(0);
    let status = settled(&agent);
    assert!(passed(&status, 0) >= one + PACKETS, "{} after {one}", passed(&status, 0));
    let one = passed(&status, 0);
    let three = &status.vips[1];
    assert_eq!(
        (three.name.as_str(), three.traffic.packets, three.backends[0].traffic.packets),
        ("three", 0, 0)
    );
    ask(2);
    let status = settled(&agent);
    assert_eq!(passed(&status, 0), one, "nobody asked it");
    let all = forwarded(&status);
    assert!((PACKETS..=all - before - PACKETS).contains(&passed(&status, 1)), "{}", passed(&status, 1));

    // Nor does a new agent forget what passed.
    agent.kill().unwrap();
    agent.run(&LbConfig::new(vec![vip(&topology, "one", 0)]), &[]).unwrap();
    let status = settled(&agent);
    assert!(forwarded(&status) >= all, "{} after {all}", forwarded(&status));
    assert!(passed(&status, 0) >= one, "{} after {one}", passed(&status, 0));
}
