//! A backend dies under load and comes back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use xdp_lb::config::{Config, Health};
use xdp_lb_tests::agent::Agent;
use xdp_lb_tests::lbconfig::LbConfig;
use xdp_lb_tests::load::{Load, by_server, failures};
use xdp_lb_tests::nginx::{Nginx, PORT};
use xdp_lb_tests::topology::{BALANCER, CLIENT, Options, Topology, VIPS_V4, VIPS_V6};
use xdp_lb_tests::wait::wait_until;
use xdp_lb_tests::{clock, ip, require_root, scene};

/// An interval so long that what two busy cores may take does not hide another one.
const HEALTH: &str = "kind = \"http\"
path = \"/healthz\"
interval = \"2s\"
fast_interval = \"100ms\"
timeout = \"400ms\"
rise = 2
fall = 2";

/// What two busy cores may take.
const SLACK: Duration = Duration::from_secs(1);

/// How web-2 dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    /// Its port refuses connections.
    Killed,
    /// Nothing comes back from it.
    Silent,
}

#[test]
fn a_dead_backend_loses_its_share_within_an_interval_and_regains_it() {
    require_root!();
    dies_and_returns((VIPS_V4[0], PORT).into(), "l2", Death::Killed);
    dies_and_returns((VIPS_V6[0], PORT).into(), "ipip", Death::Killed);
}

#[test]
fn a_silent_backend_loses_its_share_in_the_time_that_check_promises_and_regains_it() {
    require_root!();
    dies_and_returns((VIPS_V4[0], PORT).into(), "l2", Death::Silent);
    dies_and_returns((VIPS_V6[0], PORT).into(), "ipip", Death::Silent);
}

fn dies_and_returns(vip: SocketAddr, forward: &'static str, death: Death) {
    let topology = Topology::new(Options::default()).unwrap();
    let mut servers = scene::web_servers(&topology).unwrap();
    let _decaps = scene::decaps(&topology).unwrap();
    let config = LbConfig::new(vec![scene::vip(&topology, vip, forward, &[1, 1, 1]).health(HEALTH)]);
    let agent = Agent::start(&topology.balancer, &config).unwrap();
    let within = death.noticed_within(&health(&agent.text_of(&config))) + SLACK;
    let load = Load::start(topology.client.handle(), vip, 3, Duration::from_millis(2));
    load.wait_more(100).unwrap();
    assert_eq!(failures(&load.answers_since(0)), Vec::<&str>::new());
    assert_eq!(by_server(&load.answers_since(0)).len(), 3);

    let died = clock::now();
    death.begin(&topology, &mut servers[1]);
    agent.wait_state("web-2", "down", Duration::from_secs(10)).unwrap();
    let down = clock::now();
    load.wait_more(300).unwrap();
    let answers = load.answers_since(0);
    let failed: Vec<_> = answers.iter().filter(|answer| answer.outcome.is_err()).collect();
    let last = failed.iter().map(|answer| answer.began.duration_since(died)).max().unwrap_or_default();
    println!(
        "{death:?}: down after {:?}, {} requests failed, the last began {last:?} after the death",
        down.duration_since(died),
        failed.len()
    );
    assert!(failed.iter().all(|answer| answer.began <= down), "requests fail though the backend is down");
    assert!(down.duration_since(died) <= within, "down after {:?}", down.duration_since(died));

    death.end(&topology, &mut servers[1]);
    agent.wait_state("web-2", "up", Duration::from_secs(10)).unwrap();
    let first = load.count();
    let returned = || by_server(&load.answers_since(first)).contains_key("web-2").then_some(());
    wait_until(Duration::from_secs(10), "web-2 answers again", returned).unwrap();
    let answers = load.stop();
    let late = answers.iter().filter(|answer| answer.outcome.is_err() && answer.began > down).count();
    assert_eq!(late, 0, "requests failed while the backend came back");
}

fn health(text: &str) -> Health {
    Config::from_toml(text, Path::new("lb.toml")).unwrap().vips[0].health.clone()
}

impl Death {
    /// From the death to "down", at most.
    fn noticed_within(self, health: &Health) -> Duration {
        match self {
            Self::Killed => (health.interval + health.fast_interval * (health.fall - 1)).mul_f64(1.1),
            Self::Silent => health.longest_unnoticed(),
        }
    }

    fn begin(self, topology: &Topology, server: &mut Nginx<'_>) {
        match self {
            Self::Killed => server.stop().unwrap(),
            Self::Silent => ways(topology, "add"),
        }
    }

    fn end(self, topology: &Topology, server: &mut Nginx<'_>) {
        match self {
            Self::Killed => server.start_again().unwrap(),
            Self::Silent => ways(topology, "delete"),
        }
    }
}

/// Routes of web-2 that swallow what it would send to balancer and client. It stays on the network: its next hop is
/// there all the time.
fn ways(topology: &Topology, verb: &str) {
    let to = [BALANCER.0.to_string(), CLIENT.0.to_string(), BALANCER.1.to_string(), CLIENT.1.to_string()];
    let routes = to.map(|address| format!("route {verb} blackhole {address}"));
    ip::batch(Some(topology.backends[1].name()), &routes).unwrap();
}
