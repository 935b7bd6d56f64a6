//! Both halves of the balancer at once: a VIP in the kernel, two gateways behind it, two services behind those.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::process::Signal;
use xdp_lb_tests::agent::Agent;
use xdp_lb_tests::curl::curl;
use xdp_lb_tests::decap::Decap;
use xdp_lb_tests::gateway::{Gateway, metric};
use xdp_lb_tests::lbconfig::{LbConfig, VipConfig};
use xdp_lb_tests::require_root;
use xdp_lb_tests::scene;
use xdp_lb_tests::service::Service;
use xdp_lb_tests::steady::Steady;
use xdp_lb_tests::topology::{CLIENT, Options, Topology, VIPS_V4, VIPS_V6};
use xdp_lb_tests::wait::wait_until;

const SOON: Duration = Duration::from_secs(15);
const PORT: u16 = 8080;

/// A check of the gateway that finds it down within 0.4 s.
fn health(path: &str) -> String {
    format!(
        "kind = \"http\"\nport = 9401\npath = \"{path}\"\ninterval = \"200ms\"\nfast_interval = \"100ms\"\n\
         timeout = \"1s\"\nrise = 2\nfall = 2"
    )
}

fn gateway_config(vip: SocketAddr, services: [IpAddr; 2]) -> String {
    let [one, two] = services.map(|address| SocketAddr::new(address, 9001));
    format!(
        "[gateway]
threads = 1
notice = \"1500ms\"
drain = \"3s\"
[admin]
listen = \"0.0.0.0:9401\"
[log]
path = \"{{folder}}/access.log\"
[[listener]]
name = \"vip\"
address = \"{vip}\"
[[pool]]
name = \"web\"
balance = {{ warmup = \"0s\" }}
server = [{{ name = \"one\", address = \"{one}\" }}, {{ name = \"two\", address = \"{two}\" }}]
[[route]]
name = \"all\"
pool = \"web\"
"
    )
}

/// A VIP, two gateways behind it, a service behind each of those; and clients.
struct Bed<'a> {
    topology: &'a Topology,
    address: SocketAddr,
    /// What gateways are started with.
    config: String,
    services: [Service; 2],
    gateways: Vec<Gateway<'a>>,
    lb: LbConfig,
    agent: Agent<'a>,
    _decaps: Vec<Decap>,
}

impl<'a> Bed<'a> {
    fn new(topology: &'a Topology, forward: &'static str, vip: IpAddr, health: &str) -> Self {
        let _decaps = if forward == "ipip" { scene::decaps(topology).unwrap() } else { Vec::new() };
        let services = [2, 3].map(|index: usize| {
            let netns = topology.backends[index].handle();
            Service::start(netns, &scene::name(index), 9001, Duration::from_millis(2)).unwrap()
        });
        let address = SocketAddr::new(vip, PORT);
        let own = |index| IpAddr::from(topology.backend_address(index).0);
        let config = gateway_config(address, [own(2), own(3)]);
        let gateways = topology.backends[..2].iter().map(|netns| {
            let mut gateway = Gateway::new(netns).unwrap();
            gateway.start(&config).unwrap();
            gateway
        });
        let gateways = gateways.collect();
        let family = |index| {
            if forward == "l2" { scene::address(topology, index, scene::Family::V4) } else { own(index) }
        };
        let vip = (0..2).fold(VipConfig::tcp("web", address, forward).health(health), |vip, index| {
            vip.backend(&scene::name(index), family(index), 100)
        });
        let lb = LbConfig::new(vec![vip]);
        let agent = Agent::start(&topology.balancer, &lb).unwrap();
        Self { topology, address, config, services, gateways, lb, agent, _decaps }
    }

    /// The answer comes straight from a gateway, which sees the client's own address; both have a share.
    fn clients_are_known(&self) {
        let client: IpAddr = if self.address.is_ipv4() { CLIENT.0.into() } else { CLIENT.1.into() };
        for _ in 0..16 {
            let answer = curl(&self.topology.client, &[&format!("http://{}/who", self.address)]).unwrap();
            let told = &answer.json()["headers"]["x-forwarded-for"];
            assert_eq!(*told, client.to_string(), "{}", answer.text());
        }
        for index in [0, 1] {
            assert!(self.taken(index) > 0.0, "gateway {index} has a share");
        }
    }

    /// Requests that a gateway answered.
    fn taken(&self, index: usize) -> f64 {
        let page = self.gateways[index].metrics().unwrap();
        metric(&page, "xdp_lb_gateway_requests_total{route=\"all\",class=\"2xx\"}").unwrap()
    }

    /// Clients that keep their connections, and others that make one for each request.
    fn load(&self) -> [Steady; 2] {
        let client = self.topology.client.handle();
        [Steady::start(client, self.address, "/", 6), Steady::start_fresh(client, self.address, "/", 2)]
    }

    /// Waits until both kinds of clients have got some more answers.
    fn more(&self, load: &[Steady; 2]) {
        let count = || load.each_ref().map(|load| load.seen().answers());
        let before = count();
        let come = || {
            let now = count();
            (now[0] > before[0] + 100 && now[1] > before[1] + 100).then_some(())
        };
        let came = wait_until(SOON, "answers come", come);
        assert!(came.is_ok(), "{:?}\n{}", load.each_ref().map(Steady::seen), self.agent.tail());
    }
}

#[test]
fn a_gateway_that_is_drained_first_is_stopped_without_a_failure() {
    require_root!();
    let topology = Topology::new(Options { backends: 4, ..Options::default() }).unwrap();
    let mut bed = Bed::new(&topology, "l2", VIPS_V4[0].into(), &health("/healthz"));
    bed.clients_are_known();
    let load = bed.load();
    bed.more(&load);
    bed.lb.vips[0].backends[0].drain = true;
    bed.agent.reload(&bed.lb).unwrap();
    bed.agent.wait_state(&scene::name(0), "draining", SOON).unwrap();
    bed.more(&load);
    assert!(bed.gateways[0].stop().unwrap().success());
    bed.more(&load);
    let config = bed.config.clone();
    bed.gateways[0].start(&config).unwrap();
    bed.lb.vips[0].backends[0].drain = false;
    bed.agent.reload(&bed.lb).unwrap();
    wait_until(SOON, "it has a share again", || (bed.taken(0) > 10.0).then_some(())).unwrap();
    for seen in load.map(Steady::stop) {
        assert_eq!(seen.failures, Vec::<String>::new(), "{}", bed.agent.tail());
        assert_eq!(seen.statuses.keys().copied().collect::<Vec<_>>(), [200]);
        assert_eq!(seen.servers.len(), bed.services.len(), "both services answer: {seen:?}");
    }
}

#[test]
fn a_gateway_that_is_just_stopped_is_noticed_and_its_clients_go_to_the_other() {
    require_root!();
    let topology = Topology::new(Options { backends: 4, routed: true, ..Options::default() }).unwrap();
    let mut bed = Bed::new(&topology, "ipip", VIPS_V6[0].into(), &health("/readyz"));
    bed.clients_are_known();
    let load = bed.load();
    bed.more(&load);
    bed.gateways[0].signal(Signal::TERM).unwrap();
    bed.agent.wait_state(&scene::name(0), "down", SOON).unwrap();
    bed.more(&load);
    let cut = load.each_ref().map(|load| load.seen().failures.len());
    // What is under way when the kernel turns to the other is lost: at most one request of each client.
    assert!(cut[0] <= 6 && cut[1] <= 2, "{:?}", load.each_ref().map(Steady::seen));
    assert!(bed.gateways[0].stop().unwrap().success());
    bed.more(&load);
    let config = bed.config.clone();
    bed.gateways[0].start(&config).unwrap();
    bed.agent.wait_state(&scene::name(0), "up", SOON).unwrap();
    wait_until(SOON, "it has a share again", || (bed.taken(0) > 10.0).then_some(())).unwrap();
    for (seen, cut) in load.map(Steady::stop).into_iter().zip(cut) {
        assert_eq!(seen.failures.len(), cut, "none after that: {seen:?}");
        assert_eq!(seen.statuses.keys().copied().collect::<Vec<_>>(), [200]);
    }
}
