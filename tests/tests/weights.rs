//! Shares follow weights.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::time::Duration;

use xdp_lb_tests::agent::Agent;
use xdp_lb_tests::lbconfig::LbConfig;
use xdp_lb_tests::nginx::PORT;
use xdp_lb_tests::topology::{Options, Topology, VIPS_V4};
use xdp_lb_tests::wait::wait_until_ok;
use xdp_lb_tests::{client, require_root, scene};

#[test]
fn ten_thousand_connections_are_shared_1_2_5() {
    require_root!();
    let weights = [1, 2, 5];
    let topology = Topology::new(Options::default()).unwrap();
    let _servers = scene::web_servers(&topology).unwrap();
    let vip = (VIPS_V4[0], PORT).into();
    let config = LbConfig::new(vec![scene::vip(&topology, vip, "l2", &weights)]);
    let agent = Agent::start(&topology.balancer, &config).unwrap();
    let sample = client::sample(topology.client.handle(), vip, 10_000);
    assert_eq!(sample.failures, Vec::<String>::new(), "{}", agent.tail());
    for (index, weight) in weights.into_iter().enumerate() {
        let (share, wanted) = (sample.share(&scene::name(index)), f64::from(weight) / 8.0);
        assert!((share - wanted).abs() < 0.02, "{} got {share:.3}, not {wanted:.3}", scene::name(index));
    }
    wait_until_ok(Duration::from_secs(5), "the agent has counted the connections", || {
        let backends = agent.status()?.vips.swap_remove(0).backends;
        let counted: u64 = backends.iter().map(|backend| backend.traffic.new_flows).sum();
        anyhow::ensure!(counted >= 10_000, "the agent counted {counted} connections");
        Ok(())
    })
    .unwrap();
}
