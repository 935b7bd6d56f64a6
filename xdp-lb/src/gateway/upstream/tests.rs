//! Pools as a whole: what is kept over reloads, who takes requests, and how they are spread.

mod reload;
mod spread;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fixtures::{self, server, start};
use super::*;
use crate::control::score::{Outcome, ServerId, Verdict};

fn outcome(verdict: Verdict, milliseconds: u64) -> Outcome<'static> {
    Outcome { latency: Duration::from_millis(milliseconds), verdict, report: None, in_flight: None }
}

fn pools(configs: &[PoolConfig], before: Option<&Pools>) -> Pools {
    Pools::build_seeded(configs, before, &mut || 7, start()).unwrap()
}

/// Three servers, each of which has served well.
fn three() -> Pools {
    three_at(start())
}

fn three_at(now: Instant) -> Pools {
    let pools = pools(&[fixtures::pool("web", &[server(1), server(2), server(3)])], None);
    let pool = pools.get(0);
    for only in 0..3 {
        let others: Vec<_> = (0..3).filter(|&other| other != only).map(ServerId).collect();
        let mut picked = pool.pick(&others, now).unwrap();
        assert_eq!(picked.server().id, ServerId(only));
        picked.answered(&outcome(Verdict::Success, 10), now);
    }
    pools
}

fn row(pool: &Pool, name: &str, now: Instant) -> ServerStatus {
    let status = pool.status(now);
    let found = status.servers.iter().find(|server| server.name == name);
    found.unwrap_or_else(|| panic!("{name} is in {status:?}")).clone()
}

#[test]
fn a_server_is_not_tried_twice() {
    let pools = three();
    let pool = pools.get(0);
    for _ in 0..100 {
        let mut tried = Vec::new();
        while let Some(picked) = pool.pick(&tried, start()) {
            assert!(!tried.contains(&picked.server().id));
            tried.push(picked.server().id);
        }
        assert_eq!(tried.len(), 3);
    }
}

#[test]
fn a_try_is_in_flight_until_it_is_dropped() {
    let pools = three();
    let pool = pools.get(0);
    let mut picked = pool.pick(&[], start()).unwrap();
    let name = picked.server().name.to_string();
    assert!(picked.why().is_some());
    assert_eq!(row(pool, &name, start()).score.in_flight, 1);
    picked.answered(&outcome(Verdict::Success, 10), start());
    assert_eq!(row(pool, &name, start()).score.in_flight, 1, "the body is under way");
    drop(picked);
    assert_eq!(row(pool, &name, start()).score.in_flight, 0);
}

#[test]
fn only_the_first_answer_counts_and_none_says_nothing() {
    // What is given up is so by the clock, beside which an answer at the tests' common start may be long forgotten.
    let pools = three_at(tokio::time::Instant::now().into_std());
    let pool = pools.get(0);
    let others = [ServerId(1), ServerId(2)];
    let errors = || row(pool, "web-1", start()).score.factors[2].reason.clone();
    for _ in 0..20 {
        drop(pool.pick(&others, start()).unwrap());
    }
    assert_eq!(errors(), "0 of 1 answers");
    let mut picked = pool.pick(&others, start()).unwrap();
    picked.answered(&outcome(Verdict::Failure, 10), start());
    picked.answered(&outcome(Verdict::Failure, 10), start());
    drop(picked);
    assert_eq!(errors(), "1 of 2 answers");
}

#[test]
fn a_clock_that_goes_back_is_taken_as_standing() {
    let pools = three();
    let pool = pools.get(0);
    let later = start() + Duration::from_secs(5);
    let mut early = pool.pick(&[], later).unwrap();
    let mut late = pool.pick(&[], start()).unwrap();
    late.answered(&outcome(Verdict::Success, 1), start());
    early.answered(&outcome(Verdict::Success, 1), later);
    drop((early, late));
    assert!(pool.status(start()).servers.iter().all(|server| server.score.in_flight == 0));
}

#[test]
fn retries_are_paid_by_first_tries() {
    let pools = three();
    let pool = pools.get(0);
    let now = start() + Duration::from_secs(60);
    let again = |tried: &[ServerId]| pool.pick_again(tried, now).is_some();
    assert!(!again(&[ServerId(0)]), "nothing was asked lately");
    for _ in 0..10 {
        let first = pool.pick(&[], now).unwrap();
        let _second = pool.pick(&[first.server().id], now).unwrap();
    }
    assert_eq!(pool.status(now).budget_left, 2, "a second try pays for no third");
    let all = [ServerId(0), ServerId(1), ServerId(2)];
    assert!(!again(&all), "there is no further server");
    assert_eq!(pool.status(now).budget_left, 2, "and so no retry");
    assert!(again(&all[..1]) && again(&all[..1]) && !again(&all[..1]));
}

#[tokio::test]
async fn a_full_pool_refuses_and_says_for_how_long() {
    let mut config = fixtures::pool("web", &[server(1)]);
    config.breaker.max_in_flight = 1;
    let pools = pools(&[config], None);
    let entry = pools.get(0).enter().await.unwrap();
    let refused = pools.get(0).enter().await.unwrap_err();
    assert_eq!(refused.reason, crate::gateway::Reason::PoolFull);
    assert_eq!(refused.headers, [(http::header::RETRY_AFTER, 1.into())]);
    assert_eq!(refused.cause.as_deref(), Some("pool web: 1 in flight, 0 waiting"));
    assert!(!refused.detail.contains("web"), "the inside is not told");
    assert_eq!(pools.get(0).status(start()).in_flight, 1);
    drop(entry);
    assert_eq!(pools.get(0).status(start()).in_flight, 0);
    drop(pools.get(0).enter().await.unwrap());
}

#[test]
fn the_status_has_each_server_with_its_score() {
    let pools = three();
    let status = serde_json::to_value(pools.status(start())).unwrap();
    let pool = &status[0];
    assert_eq!((&pool["name"], &pool["source"]), (&"web".into(), &"static".into()));
    assert_eq!((&pool["panic"], &pool["problem"]), (&false.into(), &"".into()));
    let server = &pool["servers"][1];
    assert_eq!(server["name"], "web-2");
    assert_eq!(server["address"], "10.0.0.2:80");
    assert_eq!(server["health"], "not checked");
    assert_eq!((&server["state"], &server["weight"]), (&"up".into(), &100.0.into()));
    assert_eq!(server["factors"].as_array().unwrap().len(), 5);
}

#[test]
fn from_many_threads_nothing_stays_in_flight() {
    let pools = Arc::new(three());
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let pools = Arc::clone(&pools);
            std::thread::spawn(move || {
                for request in 0..2000 {
                    let now = start() + Duration::from_micros(request * 10 + thread);
                    let mut picked = pools.get(0).pick(&[], now).unwrap();
                    if request % 3 > 0 {
                        picked.answered(&outcome(Verdict::Success, 1), now);
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let status = pools.get(0).status(start());
    assert!(status.servers.iter().all(|server| server.score.in_flight == 0), "{status:?}");
}
