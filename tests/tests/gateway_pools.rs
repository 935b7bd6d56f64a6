//! Servers that are found by name, or in a file, and change while the gateway runs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use xdp_lb_tests::curl::curl;
use xdp_lb_tests::dnsserver::{DnsServer, Zone};
use xdp_lb_tests::gateway::{BEGINNING, Gateway, PUBLIC};
use xdp_lb_tests::netns::Netns;
use xdp_lb_tests::require_root;
use xdp_lb_tests::service::Service;
use xdp_lb_tests::steady::Steady;
use xdp_lb_tests::wait::{wait_until, wait_until_ok};

const SOON: Duration = Duration::from_secs(15);

const ROUTE: &str = "[[route]]\nname = \"all\"\npool = \"web\"\n";

/// The servers that answer from now on, once they are `expected`, and only then.
fn wait_servers(load: &Steady, expected: &[&str], gateway: &Gateway<'_>) {
    let expected: BTreeSet<String> = expected.iter().map(ToString::to_string).collect();
    wait_until_ok(SOON, &format!("only {expected:?} answer"), || {
        let before = load.seen();
        let after = wait_until(SOON, "answers come", || {
            let now = load.seen();
            (now.answers() > before.answers() + 200).then_some(now)
        })?;
        let count = |name: &String| before.servers.get(name).copied().unwrap_or(0);
        let now: BTreeSet<_> = after
            .servers
            .iter()
            .filter(|(name, n)| **n > count(name))
            .map(|(name, _)| name.clone())
            .collect();
        anyhow::ensure!(now == expected, "{now:?}\n{:#}", gateway.status()?);
        Ok(())
    })
    .unwrap();
}

fn services(netns: &Netns) -> [Service; 3] {
    [("a", 9001), ("b", 9002), ("c", 9003)]
        .map(|(name, port)| Service::start(netns.handle(), name, port, Duration::ZERO).unwrap())
}

fn ends_well(load: Steady) {
    let seen = load.stop();
    assert_eq!(seen.failures, Vec::<String>::new());
    assert_eq!(seen.statuses.keys().copied().collect::<Vec<_>>(), [200], "{seen:?}");
}

#[test]
fn addresses_of_a_name_come_and_go() {
    require_root!();
    let netns = Netns::new("pools").unwrap();
    let one = Ipv4Addr::LOCALHOST;
    let two = Ipv4Addr::new(127, 0, 0, 2);
    let both = || Zone { a: vec![one, two], ..Zone::default() };
    let dns = DnsServer::start(netns.handle(), 5300, both()).unwrap();
    let service = Service::start(netns.handle(), "a", 9001, Duration::ZERO).unwrap();
    let mut gateway = Gateway::new(&netns).unwrap();
    let pool = "[[pool]]\nname = \"web\"\nbalance = { warmup = \"0s\" }\n\
                dns = { name = \"web.internal\", port = 9001, resolvers = [\"127.0.0.1:5300\"], refresh_least = \"200ms\" }\n";
    gateway.start(&format!("{BEGINNING}{pool}{ROUTE}")).unwrap();
    let known = |expected: &[&str]| {
        gateway
            .wait_servers(&format!("the servers are {expected:?}"), |servers| {
                let addresses: BTreeSet<_> = servers
                    .iter()
                    .filter(|s| s["state"] != "removed")
                    .filter_map(|s| s["address"].as_str())
                    .collect();
                addresses == expected.iter().copied().collect()
            })
            .unwrap();
    };
    known(&["127.0.0.1:9001", "127.0.0.2:9001"]);
    let load = Steady::start(netns.handle(), PUBLIC.parse().unwrap(), "/", 4);
    wait_servers(&load, &["a"], &gateway);
    dns.set(Zone { a: vec![two], ..Zone::default() });
    known(&["127.0.0.2:9001"]);
    // A name server that fails, or a name that is gone, takes nothing away: what was known is better than nothing.
    dns.set(Zone { fails: true, ..Zone::default() });
    let asked = dns.asked();
    wait_until(SOON, "it is asked in vain", || (dns.asked() > asked + 3).then_some(())).unwrap();
    wait_until_ok(SOON, "what is wrong is told", || {
        let status = gateway.status()?;
        anyhow::ensure!(
            status["pools"][0]["problem"].as_str().is_some_and(|text| !text.is_empty()),
            "{status:#}"
        );
        Ok(())
    })
    .unwrap();
    known(&["127.0.0.2:9001"]);
    dns.set(both());
    known(&["127.0.0.1:9001", "127.0.0.2:9001"]);
    ends_well(load);
    assert_eq!(service.in_flight(), 0);
}

#[test]
fn srv_records_tell_ports_and_weights() {
    require_root!();
    let netns = Netns::new("pools").unwrap();
    let _services = services(&netns);
    let zone = |srv: &[(u16, u16, &'static str)]| Zone {
        a: vec![Ipv4Addr::LOCALHOST],
        srv: srv.to_vec(),
        ..Zone::default()
    };
    let two = [(10, 9001, "one.internal"), (30, 9002, "one.internal")];
    let dns = DnsServer::start(netns.handle(), 5300, zone(&two)).unwrap();
    let mut gateway = Gateway::new(&netns).unwrap();
    let pool = "[[pool]]\nname = \"web\"\nbalance = { warmup = \"0s\" }\n\
                dns = { name = \"_http._tcp.web.internal\", resolvers = [\"127.0.0.1:5300\"], refresh_least = \"200ms\" }\n";
    gateway.start(&format!("{BEGINNING}{pool}{ROUTE}")).unwrap();
    let load = Steady::start(netns.handle(), PUBLIC.parse().unwrap(), "/", 4);
    wait_servers(&load, &["a", "b"], &gateway);
    gateway
        .wait_servers("weights are those of the records", |servers| {
            let weight = |port: &str| {
                let found = servers.iter().find(|s| s["address"].as_str().is_some_and(|a| a.ends_with(port)));
                found.and_then(|server| server["weight"].as_f64()).unwrap_or(0.0)
            };
            weight(":9002") == 3.0 * weight(":9001")
        })
        .unwrap();
    dns.set(zone(&[(10, 9003, "one.internal")]));
    wait_servers(&load, &["c"], &gateway);
    ends_well(load);
}

#[test]
fn a_start_and_a_reload_wait_for_names_of_new_pools() {
    require_root!();
    let netns = Netns::new("pools").unwrap();
    let _services = services(&netns);
    let zone = Zone { a: vec![Ipv4Addr::LOCALHOST], takes: Duration::from_millis(300), ..Zone::default() };
    let dns = DnsServer::start(netns.handle(), 5300, zone.clone()).unwrap();
    let mut gateway = Gateway::new(&netns).unwrap();
    let pool = |name: &str, port: u16| {
        format!(
            "[[pool]]\nname = \"{name}\"\nbalance = {{ warmup = \"0s\" }}\n\
             dns = {{ name = \"web.internal\", port = {port}, resolvers = [\"127.0.0.1:5300\"] }}\n"
        )
    };
    gateway.start(&format!("{BEGINNING}{}{ROUTE}", pool("web", 9001))).unwrap();
    let load = Steady::start(netns.handle(), PUBLIC.parse().unwrap(), "/", 4);
    wait_servers(&load, &["a"], &gateway);
    let other = ROUTE.replace("\"web\"", "\"other\"");
    gateway.reload(&format!("{BEGINNING}{}{}{other}", pool("web", 9001), pool("other", 9002))).unwrap();
    wait_servers(&load, &["b"], &gateway);
    ends_well(load);
    // A name server that is silent is not waited for for ever.
    dns.set(Zone { takes: Duration::from_secs(5), ..zone });
    let third = ROUTE.replace("\"web\"", "\"third\"");
    gateway.reload(&format!("{BEGINNING}{}{third}", pool("third", 9003))).unwrap();
    let answer = curl(&netns, &[&format!("http://{PUBLIC}/")]).unwrap();
    assert_eq!((answer.status, &answer.json()["reason"]), (503, &"no_server".into()));
    assert!(gateway.stop().unwrap().success());
}

#[test]
fn a_file_of_servers_may_change_and_be_wrong() {
    require_root!();
    let netns = Netns::new("pools").unwrap();
    let _services = services(&netns);
    let mut gateway = Gateway::new(&netns).unwrap();
    let both = r#"[{"address": "127.0.0.1:9001", "name": "a"}, {"address": "127.0.0.1:9002", "weight": 50}]"#;
    gateway.write("servers.json", both).unwrap();
    let pool = "[[pool]]\nname = \"web\"\nbalance = { warmup = \"0s\" }\n\
                file = { path = \"{folder}/servers.json\", interval = \"100ms\" }\n";
    gateway.start(&format!("{BEGINNING}{pool}{ROUTE}")).unwrap();
    let load = Steady::start(netns.handle(), PUBLIC.parse().unwrap(), "/", 4);
    wait_servers(&load, &["a", "b"], &gateway);
    gateway.write("servers.json", r#"[{"address": "127.0.0.1:9003"}]"#).unwrap();
    wait_servers(&load, &["c"], &gateway);
    for wrong in ["", "[{\"address\": \"nowhere\"}]", "{}"] {
        gateway.write("servers.json", wrong).unwrap();
        wait_until_ok(SOON, "what is wrong is told", || {
            let status = gateway.status()?;
            let problem = status["pools"][0]["problem"].as_str().unwrap_or_default().to_owned();
            anyhow::ensure!(problem.contains("servers.json"), "{wrong:?}: {problem}");
            Ok(())
        })
        .unwrap();
        wait_servers(&load, &["c"], &gateway);
    }
    gateway.write("servers.json", both).unwrap();
    wait_servers(&load, &["a", "b"], &gateway);
    ends_well(load);
}
