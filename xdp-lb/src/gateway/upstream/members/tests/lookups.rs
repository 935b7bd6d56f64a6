//! Look-ups against a server that answers, errs and keeps silent.

use std::time::Duration;

use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType;

use super::super::super::fixtures::until;
use super::super::dns::{Family, Found, Question, look_up, patience};
use super::server::{Dns, Says, alias};
use super::*;

async fn ask(dns: &Dns, name: &str, port: Option<u16>) -> Result<Found, String> {
    let timeout = Duration::from_millis(100);
    look_up(&Question { name, port, resolvers: &[dns.address], timeout }).await
}

fn found(answer: Result<Found, String>) -> (Vec<(String, f64)>, Duration) {
    let found = answer.unwrap();
    assert_eq!((found.problem, found.keeps), (None, None));
    (found.members.iter().map(|member| (member.address.to_string(), member.weight)).collect(), found.ttl)
}

fn named(members: &[(&str, f64)], ttl: u64) -> (Vec<(String, f64)>, Duration) {
    let members = members.iter().map(|&(address, weight)| (address.to_owned(), weight)).collect();
    (members, Duration::from_secs(ttl))
}

#[tokio::test]
async fn all_addresses_of_a_name_are_servers() {
    let dns = Dns::start().await;
    dns.set_addresses("web.test.", 30, &["10.0.0.2", "10.0.0.1", "10.0.0.1", "fd00::1"]);
    let expected = [("10.0.0.1:80", 1.0), ("10.0.0.2:80", 1.0), ("[fd00::1]:80", 1.0)];
    for name in ["web.test", "web.test."] {
        assert_eq!(found(ask(&dns, name, Some(80)).await), named(&expected, 30));
    }
    dns.set_addresses("six.test.", 7, &["fd00::2"]);
    assert_eq!(found(ask(&dns, "six.test", Some(1)).await), named(&[("[fd00::2]:1", 1.0)], 7));
    let (members, _) = found(ask(&dns, "10.1.2.3", Some(80)).await);
    assert_eq!(members, [("10.1.2.3:80".to_owned(), 1.0)], "an address needs no look-up");
}

#[tokio::test]
async fn an_alias_is_followed() {
    let dns = Dns::start().await;
    dns.set("web.test.", RecordType::A, Says::Records(5, vec![alias("real.test.")]));
    dns.set("web.test.", RecordType::AAAA, Says::Records(5, vec![alias("real.test.")]));
    dns.set_addresses("real.test.", 60, &["10.0.0.1"]);
    let (members, ttl) = found(ask(&dns, "web.test", Some(80)).await);
    assert_eq!(members, [("10.0.0.1:80".to_owned(), 1.0)]);
    assert!(ttl <= Duration::from_secs(60), "{ttl:?}");
}

#[tokio::test]
async fn a_service_is_its_best_targets() {
    let dns = Dns::start().await;
    let name = "_http._tcp.web.test.";
    dns.set_addresses("a.test.", 60, &["10.0.0.1"]);
    dns.set_addresses("b.test.", 20, &["10.0.0.2", "fd00::2"]);
    dns.set_addresses("spare.test.", 60, &["10.0.0.9"]);
    let targets = [(1, 30, 81, "a.test."), (1, 10, 82, "b.test."), (2, 100, 83, "spare.test.")];
    dns.set_service(name, 40, &targets);
    let expected = [("10.0.0.1:81", 30.0), ("10.0.0.2:82", 5.0), ("[fd00::2]:82", 5.0)];
    assert_eq!(found(ask(&dns, name, None).await), named(&expected, 20), "the least TTL of all");

    dns.set_service(name, 10, &[(0, 0, 81, "a.test."), (0, 5, 82, "spare.test.")]);
    let expected = [("10.0.0.1:81", 0.01), ("10.0.0.9:82", 5.0)];
    assert_eq!(found(ask(&dns, name, None).await), named(&expected, 10), "a small chance beside others");
    dns.set_service(name, 10, &[(0, 0, 81, "a.test."), (0, 0, 82, "spare.test.")]);
    let expected = [("10.0.0.1:81", 1.0), ("10.0.0.9:82", 1.0)];
    assert_eq!(found(ask(&dns, name, None).await), named(&expected, 10), "all alike");

    dns.set_service(name, 10, &[(0, 1, 81, "a.test."), (0, 1, 82, "gone.test.")]);
    let partly = ask(&dns, name, None).await.unwrap();
    assert_eq!(partly.members.len(), 1);
    assert_eq!(partly.problem.unwrap(), "target gone.test.: no such name (NXDOMAIN)");

    dns.set("gone.test.", RecordType::A, Says::Code(ResponseCode::ServFail));
    let unknown = ask(&dns, name, None).await.unwrap_err();
    assert!(unknown.starts_with("target gone.test.: A records"), "{unknown}");
    dns.set_service(name, 10, &[(0, 0, 0, ".")]);
    assert!(ask(&dns, name, None).await.unwrap_err().contains("not offered"));
}

#[tokio::test]
async fn what_failed_is_told() {
    let dns = Dns::start().await;
    for (name, says, told) in [
        ("nx.test.", Says::Code(ResponseCode::NXDomain), "no such name (NXDOMAIN)"),
        ("empty.test.", Says::Records(5, vec![]), "neither A nor AAAA records"),
        ("fails.test.", Says::Code(ResponseCode::ServFail), "records"),
        ("refused.test.", Says::Code(ResponseCode::Refused), "records"),
        ("silent.test.", Says::Silence, "records"),
    ] {
        dns.set(name, RecordType::A, says.clone());
        dns.set(name, RecordType::AAAA, says.clone());
        dns.set(name, RecordType::SRV, says);
        let problem = ask(&dns, name, Some(80)).await.unwrap_err();
        assert!(problem.contains(told), "{name}: {problem}");
        ask(&dns, name, None).await.unwrap_err();
    }
}

#[tokio::test]
async fn one_family_without_an_answer_keeps_what_was_known_of_it() {
    let dns = Dns::start().await;
    dns.set_addresses("web.test.", 3600, &["10.0.0.1", "fd00::1"]);
    let pool = pool(looked_up(&dns, Duration::from_millis(10), Duration::from_millis(20))).unwrap();
    following(&pool, async {
        until("both are there", || addresses(&pool) == ["10.0.0.1:80", "[fd00::1]:80"]).await;
        dns.set("web.test.", RecordType::AAAA, Says::Code(ResponseCode::ServFail));
        dns.set("web.test.", RecordType::A, Says::Records(1, vec![address_record("10.0.0.2")]));
        until("one is new", || addresses(&pool) == ["10.0.0.2:80", "[fd00::1]:80"]).await;
        until("it is told", || problem(&pool).contains("AAAA records")).await;
    })
    .await;
    let answer = ask(&dns, "web.test", Some(80)).await.unwrap();
    assert_eq!(answer.keeps, Some(Family::V6));
}

fn address_record(address: &str) -> hickory_resolver::proto::rr::RData {
    hickory_resolver::proto::rr::RData::A(address.parse().unwrap())
}

fn looked_up(dns: &Dns, least: Duration, most: Duration) -> Members {
    Members::Dns {
        name: "web.test".into(),
        port: Some(80),
        refresh: (least, most),
        resolvers: vec![dns.address],
    }
}

#[tokio::test]
async fn a_pool_follows_its_name_and_keeps_its_servers_through_failures() {
    let dns = Dns::start().await;
    // The TTL is bounded above here.
    let pool = pool(looked_up(&dns, Duration::from_millis(10), Duration::from_millis(20))).unwrap();
    assert!(pool.pick(&[], start()).is_none(), "nothing is known before the first look-up");
    following(&pool, async {
        until("that there is none is told", || problem(&pool) == "web.test: no such name (NXDOMAIN)").await;
        dns.set_addresses("web.test.", 3600, &["10.0.0.1", "10.0.0.2"]);
        until("two servers", || addresses(&pool) == ["10.0.0.1:80", "10.0.0.2:80"]).await;
        until("nothing is wrong", || problem(&pool).is_empty()).await;
        let kept = pool.members()[0].clone();
        dns.set_addresses("web.test.", 3600, &["10.0.0.1", "10.0.0.3"]);
        until("another server", || addresses(&pool) == ["10.0.0.1:80", "10.0.0.3:80"]).await;
        assert_eq!(pool.members()[0], kept);
        for says in
            [Says::Code(ResponseCode::NXDomain), Says::Records(1, vec![]), Says::Code(ResponseCode::ServFail)]
        {
            dns.set("web.test.", RecordType::A, says.clone());
            dns.set("web.test.", RecordType::AAAA, says);
            until("the failure is told", || !problem(&pool).is_empty()).await;
            assert_eq!(addresses(&pool), ["10.0.0.1:80", "10.0.0.3:80"]);
            dns.set_addresses("web.test.", 3600, &["10.0.0.1", "10.0.0.3"]);
            until("all is well", || problem(&pool).is_empty()).await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_next_look_up_is_when_the_records_time_is_over() {
    let (short, long) = (Duration::from_millis(10), Duration::from_secs(60));
    let slack = Duration::from_millis(900);
    for (ttl, refresh, least) in [
        (1, (short, long), Duration::from_secs(1)),
        (0, (short * 20, long), short * 20),
        (3600, (short, short * 30), short * 30),
    ] {
        let dns = Dns::start().await;
        dns.set_addresses("web.test.", ttl, &["10.0.0.1"]);
        let pool = pool(looked_up(&dns, refresh.0, refresh.1)).unwrap();
        following(&pool, until("it was asked twice", || dns.asked(RecordType::A) >= 2)).await;
        let pause = dns.pause(RecordType::A);
        assert!((least..least + slack).contains(&pause), "TTL {ttl}, {refresh:?}: {pause:?}");
    }
}

#[test]
fn patience_grows_to_a_bound() {
    let seconds = Duration::from_secs;
    for (failures, refresh, chance, expected) in [
        (1, (1, 300), 0.0, seconds(1)),
        (2, (1, 300), 0.0, seconds(2)),
        (4, (1, 300), 0.5, seconds(9)),
        (6, (1, 300), 0.0, seconds(30)),
        (u32::MAX, (1, 300), 1.0, Duration::from_millis(37_500)),
        (9, (1, 5), 0.0, seconds(5)),
        (9, (60, 300), 0.0, seconds(60)),
    ] {
        let refresh = (seconds(refresh.0), seconds(refresh.1));
        assert_eq!(patience(failures, refresh, chance), expected, "{failures} {refresh:?}");
    }
}

#[tokio::test]
async fn a_resolver_that_fails_is_asked_less_and_less() {
    let dns = Dns::start().await;
    for kind in [RecordType::A, RecordType::AAAA] {
        dns.set("web.test.", kind, Says::Code(ResponseCode::ServFail));
    }
    let least = Duration::from_millis(20);
    let pool = pool(looked_up(&dns, least, Duration::from_secs(60))).unwrap();
    let pauses = || dns.longest_pause(RecordType::A) >= least * 16;
    following(&pool, until("it is left alone for long", pauses)).await;
    assert!(dns.asked(RecordType::A) < 100, "{}", dns.asked(RecordType::A));
}

#[tokio::test]
async fn a_name_that_is_not_answered_holds_up_no_other_pool() {
    let dns = Dns::start().await;
    dns.set("web.test.", RecordType::A, Says::Silence);
    dns.set("web.test.", RecordType::AAAA, Says::Silence);
    dns.set_addresses("api.test.", 3600, &["10.0.0.1"]);
    let silent = looked_up(&dns, Duration::from_secs(1), Duration::from_secs(60));
    let mut answered = silent.clone();
    if let Members::Dns { name, .. } = &mut answered {
        *name = "api.test".into();
    }
    let configs = [("web", silent), ("api", answered)]
        .map(|(name, members)| PoolConfig { members, ..fixtures::pool(name, &[]) });
    let pools = Arc::new(Pools::build_seeded(&configs, None, &mut || 1, start()).unwrap());
    tokio::select! {
        () = Arc::clone(&pools).run() => unreachable!("it never ends"),
        () = until("the other is known", || addresses(pools.get(1)) == ["10.0.0.1:80"]) => {}
    }
    assert_eq!(problem(pools.get(0)), "", "the first look-up has not even failed");
    assert!(addresses(pools.get(0)).is_empty());
}

/// `localhost` is known without asking anybody, wherever there is a configuration of resolvers at all.
#[tokio::test]
async fn the_machines_own_resolvers_are_the_default() {
    let question =
        Question { name: "localhost", port: Some(80), resolvers: &[], timeout: Duration::from_secs(1) };
    match look_up(&question).await {
        Ok(found) => {
            let found: Vec<_> = found.members.iter().map(|member| member.address.to_string()).collect();
            assert!(found.contains(&"127.0.0.1:80".to_owned()), "{found:?}");
        }
        Err(problem) => {
            assert!(problem.contains("/etc/resolv.conf"), "{problem}");
            assert!(!std::fs::exists("/etc/resolv.conf").unwrap(), "{problem}");
        }
    }
}

#[test]
fn a_name_that_is_none_is_refused() {
    let long = "a".repeat(64);
    for name in ["a..test", &long] {
        let members = Members::Dns {
            name: name.into(),
            port: Some(80),
            refresh: (Duration::ZERO, Duration::ZERO),
            resolvers: vec![],
        };
        let refused = pool(members).unwrap_err().to_string();
        assert!(refused.contains(name) && refused.contains("no name"), "{refused}");
    }
}
