//! A VIP that chooses between two evens out the connections in flight, and moves none.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::net::SocketAddr;
use std::time::Duration;

use xdp_lb::control::{CandidateExplanation, ChoiceExplanation};
use xdp_lb_tests::agent::Agent;
use xdp_lb_tests::lbconfig::LbConfig;
use xdp_lb_tests::longlived::LongLived;
use xdp_lb_tests::topology::{Options, Topology, VIPS_V4};
use xdp_lb_tests::wait::{wait_until, wait_until_ok};
use xdp_lb_tests::{require_root, scene};

const PORT: u16 = 7000;
const WITHIN: Duration = Duration::from_secs(10);

/// Connections that the first server holds.
const HELD: usize = 400;

/// Connections that are opened beside them: more would make up the difference.
const MORE: usize = 240;

#[test]
fn a_server_that_holds_connections_gets_few_more() {
    require_root!();
    let topology = Topology::new(Options::default()).unwrap();
    let _servers = scene::line_servers(&topology, PORT).unwrap();
    let vip = (VIPS_V4[0], PORT).into();
    let service = scene::vip(&topology, vip, "l2", &[1, 1, 1]).extra("scheduler = \"p2c\"");
    let all = LbConfig::new(vec![service]);
    let mut one = all.clone();
    one.vips[0].backends.iter_mut().skip(1).for_each(|backend| backend.drain = true);

    let mut agent = Agent::start(&topology.balancer, &one).unwrap();
    let held = LongLived::open(topology.client.handle(), vip, HELD).unwrap();
    agent.reload(&all).unwrap();
    // Of the nine pairs of servers some client has each, so that every load is seen.
    let mut clients = (1..=250).cycle();
    wait_until_ok(WITHIN, "the loads of all three are published, with the first one's connections", || {
        let seen = (0..60).filter_map(|_| choice(&agent, vip, clients.next()?).ok());
        let candidates: Vec<CandidateExplanation> =
            seen.flat_map(|c| [c.first, c.second]).flatten().collect();
        for index in 0..3 {
            let name = scene::name(index);
            let found = candidates.iter().find(|candidate| candidate.backend == name);
            anyhow::ensure!(found.is_some_and(|c| c.per_flow == 1024), "{name}: {found:?}");
            anyhow::ensure!(index > 0 || found.is_some_and(|c| c.load > 200 * 1024), "{name}: {found:?}");
        }
        Ok(())
    })
    .unwrap();

    let more = LongLived::open(topology.client.handle(), vip, MORE).unwrap();
    held.wait_lines(5).unwrap();
    more.wait_lines(5).unwrap();
    let (held, more) = (held.stop().unwrap(), more.stop().unwrap());
    for report in [&held, &more] {
        assert_eq!((&report.broken, &report.wrong), (&vec![], &vec![]), "{}", agent.tail());
    }
    // The first server is taken where both candidates are it: one pair in nine. By the table it would be a third.
    let first = more.servers.get(&scene::name(0)).copied().unwrap_or(0);
    assert!(first < MORE * 2 / 9, "{:?} beside {:?}", more.servers, held.servers);
    assert_eq!(held.servers.get(&scene::name(0)), Some(&HELD));

    wait_until(WITHIN, "closed connections are no longer in flight", || {
        let choice = choice(&agent, vip, clients.next()?).ok()?;
        let candidates = [choice.first?, choice.second?];
        candidates.iter().all(|candidate| candidate.in_flight < 20).then_some(())
    })
    .unwrap();
}

/// What a client chooses between.
fn choice(agent: &Agent<'_>, vip: SocketAddr, client: u8) -> anyhow::Result<ChoiceExplanation> {
    let explanation = agent.explain(vip, ([198, 51, 100, client], 40_000).into())?;
    explanation.choice.map(|choice| *choice).ok_or_else(|| anyhow::anyhow!("no choice: {}", explanation.why))
}
