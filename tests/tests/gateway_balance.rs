//! Which server gets how much: a slow one, a failing one, an overloaded one, a stalled one; and what is told of why.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::time::Duration;

use xdp_lb_tests::curl::curl;
use xdp_lb_tests::gateway::{BEGINNING, Gateway, PUBLIC, metric};
use xdp_lb_tests::netns::Netns;
use xdp_lb_tests::require_root;
use xdp_lb_tests::service::{Mood, Service};
use xdp_lb_tests::steady::{Seen, Steady};
use xdp_lb_tests::wait::{wait_until, wait_until_ok};

const SOON: Duration = Duration::from_secs(15);

const WEB: &str = r#"
[[pool]]
name = "web"
balance = { warmup = "0s", eject_least = "1s" }
server = [
    { name = "a", address = "127.0.0.1:9001" },
    { name = "b", address = "127.0.0.1:9002" },
    { name = "c", address = "127.0.0.1:9003" },
]
[[route]]
name = "web"
pool = "web"
"#;

struct Bed<'a> {
    netns: &'a Netns,
    gateway: Gateway<'a>,
    services: Vec<Service>,
}

fn bed<'a>(netns: &'a Netns, rest: &str) -> Bed<'a> {
    let service =
        |(name, port)| Service::start(netns.handle(), name, port, Duration::from_millis(3)).unwrap();
    let services = [("a", 9001), ("b", 9002), ("c", 9003)].into_iter().map(service).collect();
    let mut gateway = Gateway::new(netns).unwrap();
    gateway.start(&format!("{BEGINNING}{rest}")).unwrap();
    Bed { netns, gateway, services }
}

impl Bed<'_> {
    fn load(&self, path: &str, clients: usize) -> Steady {
        Steady::start(self.netns.handle(), PUBLIC.parse().unwrap(), path, clients)
    }

    /// A sample of the metrics of the server `name` of the pool `web`.
    fn figure(&self, family: &str, name: &str, more: &str) -> f64 {
        let page = self.gateway.metrics().unwrap();
        metric(&page, &format!("xdp_lb_gateway_server_{family}{{pool=\"web\",server=\"{name}\"{more}}}"))
            .unwrap()
    }
}

/// The part of the answers since `before` that came from `name`, once there are enough.
fn share(load: &Steady, name: &str) -> f64 {
    let before = load.seen();
    let count = |seen: &Seen| seen.servers.get(name).copied().unwrap_or(0) as f64;
    let after = wait_until(SOON, "answers come", || {
        let now = load.seen();
        (now.answers() > before.answers() + 600).then_some(now)
    });
    let after = after.unwrap();
    (count(&after) - count(&before)) / (after.answers() - before.answers()) as f64
}

/// Waits until the share of `name` is within these bounds.
fn wait_share(load: &Steady, bed: &Bed<'_>, name: &str, bounds: std::ops::Range<f64>) {
    wait_until_ok(SOON, &format!("{name} has a share in {bounds:?}"), || {
        let share = share(load, name);
        anyhow::ensure!(bounds.contains(&share), "{share}\n{:#}", bed.gateway.status()?);
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_slow_server_loses_its_share_and_gets_it_back() {
    require_root!();
    let netns = Netns::new("balance").unwrap();
    let bed = bed(&netns, WEB);
    let load = bed.load("/", 8);
    wait_share(&load, &bed, "b", 0.2..0.5);
    bed.services[1].set_delay(Duration::from_millis(40));
    wait_share(&load, &bed, "b", 0.0..0.12);
    // By its latency, which the metrics say.
    let [slow, quick] = ["b", "a"].map(|name| bed.figure("factor", name, ",factor=\"latency\""));
    assert!(slow > 1.5 * quick, "{slow} {quick}");
    assert!(bed.figure("score", "b", "") > 0.0);
    bed.services[1].set_delay(Duration::from_millis(3));
    wait_share(&load, &bed, "b", 0.2..0.5);
    let seen = load.stop();
    assert_eq!((seen.failures, seen.statuses.keys().copied().collect::<Vec<_>>()), (Vec::new(), vec![200]));
}

#[test]
fn a_failing_server_is_ejected_and_comes_back() {
    require_root!();
    let netns = Netns::new("balance").unwrap();
    let bed = bed(&netns, WEB);
    let load = bed.load("/", 4);
    wait_share(&load, &bed, "b", 0.2..0.5);
    bed.services[1].set_mood(Mood::Failing);
    let states = |wanted: &str, page: &str| {
        metric(page, &format!("xdp_lb_gateway_server_state{{pool=\"web\",server=\"b\",state=\"{wanted}\"}}"))
            .unwrap()
    };
    wait_until(SOON, "b is ejected", || {
        (states("ejected", &bed.gateway.metrics().unwrap()) == 1.0).then_some(())
    })
    .unwrap();
    let status = bed.gateway.status().unwrap();
    let b = status["pools"][0]["servers"].as_array().unwrap().iter().find(|server| server["name"] == "b");
    assert!(!b.unwrap()["reason"].as_str().unwrap().is_empty(), "{status:#}");
    bed.services[1].set_mood(Mood::Well);
    wait_share(&load, &bed, "b", 0.2..0.5);
    let seen = load.stop();
    assert_eq!(seen.failures, Vec::<String>::new());
    assert_eq!(seen.statuses.keys().copied().collect::<Vec<_>>(), [200], "second tries cover it: {seen:?}");
}

#[test]
fn a_server_that_says_it_is_overloaded_loses_share_and_clients_do_not_hear_it() {
    require_root!();
    let netns = Netns::new("balance").unwrap();
    let bed = bed(&netns, WEB);
    bed.services.iter().for_each(|service| service.set_utilization(0.3));
    let load = bed.load("/", 8);
    wait_share(&load, &bed, "c", 0.2..0.5);
    bed.services[2].set_utilization(0.97);
    // The brake leaves it four fifths of its share, beside 1 and 1.
    wait_share(&load, &bed, "c", 0.15..0.29);
    let [busy, free] = ["c", "a"].map(|name| bed.figure("factor", name, ",factor=\"brake\""));
    assert!(busy < free, "the brake is on: {busy} {free}");
    for _ in 0..10 {
        let answer = curl(&netns, &[&format!("http://{PUBLIC}/")]).unwrap();
        assert_eq!((answer.status, answer.header("endpoint-load-metrics")), (200, None));
    }
    drop(load);
}

#[test]
fn a_stalled_pool_is_cut_off_and_others_go_on() {
    require_root!();
    let netns = Netns::new("balance").unwrap();
    let rest = r#"
[[pool]]
name = "stalled"
server = [{ name = "a", address = "127.0.0.1:9001" }]
breaker = { max_in_flight = 2, max_pending = 1, pending_timeout = "300ms" }
timeouts = { connect = "1s", per_try = "2s", request = "2s" }
retry = { tries = 1 }
[[pool]]
name = "well"
server = [{ name = "b", address = "127.0.0.1:9002" }]
[[route]]
name = "stalled"
prefix = "/stalled"
pool = "stalled"
[[route]]
name = "well"
pool = "well"
"#;
    let bed = bed(&netns, rest);
    bed.services[0].set_delay(Duration::from_secs(60));
    let well = bed.load("/", 2);
    let stalled = bed.load("/stalled", 8);
    wait_until(SOON, "both kinds of refusal", || {
        let statuses = stalled.seen().statuses;
        (statuses.contains_key(&503) && statuses.contains_key(&504)).then_some(())
    })
    .unwrap();
    let answer = curl(&netns, &[&format!("http://{PUBLIC}/stalled")]).unwrap();
    assert_eq!((answer.status, &answer.json()["reason"]), (503, &"pool_full".into()));
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    // The most is told where nothing left the pool within the time that is looked at.
    assert!((1..=30).contains(&wait), "{wait}");
    let page = bed.gateway.metrics().unwrap();
    assert!(metric(&page, "xdp_lb_gateway_pool_in_flight{pool=\"stalled\"}").unwrap() <= 2.0, "{page}");
    assert!(metric(&page, "xdp_lb_gateway_refused_total{reason=\"pool_full\"}").unwrap() > 0.0);
    assert!(bed.services[0].in_flight() <= 4, "{}", bed.services[0].in_flight());
    let before = well.seen().answers();
    wait_until(SOON, "the other pool serves", || (well.seen().answers() > before + 300).then_some(()))
        .unwrap();
    assert_eq!(well.stop().statuses.keys().copied().collect::<Vec<_>>(), [200]);
    let seen = stalled.stop();
    assert_eq!(seen.failures, Vec::<String>::new());
    assert_eq!(seen.statuses.keys().copied().collect::<Vec<_>>(), [503, 504]);
    bed.gateway
        .wait_servers("nothing is left in flight", |servers| {
            servers.iter().all(|server| server["in_flight"] == 0)
        })
        .unwrap();
}

#[test]
fn what_is_too_much_for_the_whole_is_shed_with_a_word_on_when_to_return() {
    require_root!();
    let netns = Netns::new("balance").unwrap();
    let mut bed = bed(&netns, WEB);
    let limited = format!("{BEGINNING}{WEB}").replace("threads = 2", "threads = 2\nmax_in_flight = 4");
    bed.gateway.reload(&limited).unwrap();
    bed.services.iter().for_each(|service| service.set_delay(Duration::from_millis(100)));
    let load = bed.load("/", 24);
    wait_until(SOON, "some are served, some not", || {
        let statuses = load.seen().statuses;
        (statuses.get(&200).copied() > Some(20) && statuses.contains_key(&503)).then_some(())
    })
    .unwrap();
    let refused = wait_until(SOON, "one is refused", || {
        let answer = curl(&netns, &[&format!("http://{PUBLIC}/")]).unwrap();
        (answer.status == 503).then_some(answer)
    })
    .unwrap();
    assert_eq!(refused.json()["reason"], "overloaded");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert!(bed.services.iter().map(Service::in_flight).sum::<u64>() <= 4);
    let seen = load.stop();
    assert_eq!(
        (seen.failures, seen.statuses.keys().copied().collect::<Vec<_>>()),
        (Vec::new(), vec![200, 503])
    );
}
