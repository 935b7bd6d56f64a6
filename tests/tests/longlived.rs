//! 500 connections stay open while everything about their backends changes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use xdp_lb_tests::agent::Agent;
use xdp_lb_tests::lbconfig::{LbConfig, VipConfig};
use xdp_lb_tests::longlived::LongLived;
use xdp_lb_tests::topology::{Options, Topology, VIPS_V4, VIPS_V6};
use xdp_lb_tests::{require_root, scene};

const PORT: u16 = 7000;
const CONNECTIONS: usize = 500;

/// A connection that is silent for longer may be lost when its slot moves.
const DRAIN: Duration = Duration::from_secs(5);

/// Who is not checked is on probation until clients were answered, and sixty connections may all miss it.
const HEALTH: &str = "kind = \"tcp\"
port = 7000
interval = \"1s\"
fast_interval = \"100ms\"
timeout = \"500ms\"
fall = 5";

/// One after the other: both at once are more than two cores bear without pauses.
#[test]
fn none_is_reset_or_moved_on_one_segment_or_over_a_router() {
    require_root!();
    none_is_reset_or_moved((VIPS_V4[0], PORT).into(), "l2", Options { backends: 4, ..Options::default() });
    let options = Options { backends: 4, routed: true, ..Options::default() };
    none_is_reset_or_moved((VIPS_V6[0], PORT).into(), "ipip", options);
}

/// A change, and which backends take new connections after it.
type Step = (&'static str, fn(&mut VipConfig), &'static [usize]);

/// Each starts from what the one before left. Backend 4 is the one added.
const STEPS: [Step; 7] = [
    ("reweight 1:2:5", |vip| set_weights(vip, &[1, 2, 5]), &[1, 2, 3]),
    ("drain web-1", |vip| vip.backends[0].drain = true, &[2, 3]),
    ("remove web-2", |vip| drop(vip.backends.remove(1)), &[3]),
    ("reweight back", |vip| set_weights(vip, &[100, 100]), &[3]),
    ("undrain web-1", |vip| vip.backends[0].drain = false, &[1, 3]),
    ("weight 0 for web-3", |vip| vip.backends[1].weight = 0, &[1]),
    ("equal weights", |vip| set_weights(vip, &[50, 50]), &[1, 3]),
];

fn set_weights(vip: &mut VipConfig, weights: &[u16]) {
    vip.backends.iter_mut().zip(weights).for_each(|(backend, weight)| backend.weight = *weight);
}

fn none_is_reset_or_moved(vip: SocketAddr, forward: &'static str, options: Options) {
    let topology = Topology::new(options).unwrap();
    let _servers = scene::line_servers(&topology, PORT).unwrap();
    let _decaps = if forward == "ipip" { scene::decaps(&topology).unwrap() } else { Vec::new() };
    let all = scene::vip(&topology, vip, forward, &[1, 1, 1, 1]);
    let mut config = LbConfig::new(vec![
        scene::vip(&topology, vip, forward, &[1, 1, 1])
            .health(HEALTH)
            .extra(&format!("drain = \"{}s\"", DRAIN.as_secs())),
    ]);
    let mut agent = Agent::start(&topology.balancer, &config).unwrap();
    for index in 0..3 {
        agent.wait_state(&scene::name(index), "up", Duration::from_secs(10)).unwrap();
    }
    let open = LongLived::open(topology.client.handle(), vip, CONNECTIONS).unwrap();

    let mut step = |what: &str, config: &LbConfig, expected: &[usize]| {
        agent.reload(config).unwrap();
        for number in expected {
            agent.wait_state(&scene::name(number - 1), "up", Duration::from_secs(10)).unwrap();
        }
        open.wait_lines(4).unwrap();
        let fresh = LongLived::open(topology.client.handle(), vip, 60).unwrap().stop().unwrap();
        let expected: BTreeSet<_> = expected.iter().map(|number| scene::name(number - 1)).collect();
        assert_eq!(
            fresh.servers.into_keys().collect::<BTreeSet<_>>(),
            expected,
            "new connections after: {what}"
        );
        assert_eq!((fresh.broken, fresh.wrong), (vec![], vec![]), "new connections after: {what}");
    };
    for (what, change, expected) in STEPS {
        change(&mut config.vips[0]);
        step(what, &config, expected);
    }
    config.vips[0].backends.push(all.backends[3].clone());
    set_weights(&mut config.vips[0], &[1, 1, 1]);
    step("add web-4", &config, &[1, 3, 4]);
    config.vips[0].backends.insert(1, all.backends[1].clone());
    set_weights(&mut config.vips[0], &[1, 1, 1, 1]);
    step("add web-2 again", &config, &[1, 2, 3, 4]);

    let report = open.stop().unwrap();
    println!(
        "{} lines, at least {} a connection, silent for {:?} at most; by server {:?}",
        report.lines, report.fewest, report.longest_silence, report.servers
    );
    // What broke then says nothing about the balancer.
    assert!(
        report.longest_silence < DRAIN,
        "the test bed stalled for {:?}: run this where less else runs",
        report.longest_silence
    );
    assert_eq!(report.connections, CONNECTIONS);
    assert_eq!(report.broken, Vec::<String>::new(), "connections ended");
    assert_eq!(report.wrong, Vec::<String>::new(), "connections changed their server");
    assert!(report.fewest >= 4 * STEPS.len() as u64);
    assert_eq!(report.servers.len(), 3, "the three backends of the beginning");
}
