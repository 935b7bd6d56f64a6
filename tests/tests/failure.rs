//! A backend dies under load and comes back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::time::Duration;

use xdp_lb_tests::agent::Agent;
use xdp_lb_tests::lbconfig::{FAST_HEALTH, LbConfig};
use xdp_lb_tests::load::{Load, by_server, failures};
use xdp_lb_tests::nginx::PORT;
use xdp_lb_tests::topology::{Options, Topology, VIPS_V4, VIPS_V6};
use xdp_lb_tests::wait::wait_until;
use xdp_lb_tests::{clock, require_root, scene};

/// One interval of [`FAST_HEALTH`], one fast one, a tenth of jitter, and what two busy cores may take.
const DETECTION: Duration = Duration::from_millis(330 + 1_000);

#[test]
fn a_dead_backend_loses_its_share_within_an_interval_and_regains_it() {
    require_root!();
    for (vip, forward) in [((VIPS_V4[0], PORT).into(), "l2"), ((VIPS_V6[0], PORT).into(), "ipip")] {
        let topology = Topology::new(Options::default()).unwrap();
        let mut servers = scene::web_servers(&topology).unwrap();
        let _decaps = scene::decaps(&topology).unwrap();
        let config = LbConfig::new(vec![scene::vip(&topology, vip, forward, &[1, 1, 1]).health(FAST_HEALTH)]);
        let agent = Agent::start(&topology.balancer, &config).unwrap();
        let load = Load::start(topology.client.handle(), vip, 3, Duration::from_millis(2));
        load.wait_more(100).unwrap();
        assert_eq!(failures(&load.answers_since(0)), Vec::<&str>::new());
        assert_eq!(by_server(&load.answers_since(0)).len(), 3);

        let stopped = clock::now();
        servers[1].stop().unwrap();
        agent.wait_state("web-2", "down", Duration::from_secs(10)).unwrap();
        let down = clock::now();
        load.wait_more(300).unwrap();
        let answers = load.answers_since(0);
        let failed: Vec<_> = answers.iter().filter(|answer| answer.outcome.is_err()).collect();
        let last = failed.iter().map(|answer| answer.began.duration_since(stopped)).max().unwrap_or_default();
        println!("{} requests failed, the last {last:?} after the server died", failed.len());
        assert!(failed.iter().all(|answer| answer.began <= down), "requests fail though the backend is down");
        assert!(last <= DETECTION, "requests failed for {last:?}");

        servers[1].start_again().unwrap();
        agent.wait_state("web-2", "up", Duration::from_secs(10)).unwrap();
        let first = load.count();
        let returned = || by_server(&load.answers_since(first)).contains_key("web-2").then_some(());
        wait_until(Duration::from_secs(10), "web-2 answers again", returned).unwrap();
        let answers = load.stop();
        let late = answers.iter().filter(|answer| answer.outcome.is_err() && answer.began > down).count();
        assert_eq!(late, 0, "requests failed while the backend came back");
    }
}
