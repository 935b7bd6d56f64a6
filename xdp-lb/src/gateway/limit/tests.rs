use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::FakeRelativeClock;
use governor::middleware::StateInformationMiddleware;
use governor::{Quota, RateLimiter};
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::gateway::{RateKey, VerifierKind};
use crate::gateway::Identity;
use crate::gateway::verify::tests::exchange;

const X_TENANT: HeaderName = HeaderName::from_static("x-tenant");

fn limit(name: &str, key: RateKey, requests: u32, period: Duration, burst: u32, max_keys: u32) -> RateLimit {
    RateLimit { name: name.to_owned(), key, requests, period, burst, max_keys }
}

fn start() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn build(limits: &[RateLimit], routes: &[&str], before: Option<&RateLimits>, now: Instant) -> RateLimits {
    RateLimits::build(limits, routes.iter().copied(), &[], before, now)
}

fn tenant(name: &str) -> HeaderMap {
    HeaderMap::from_iter([(X_TENANT, HeaderValue::try_from(name).unwrap())])
}

/// Milliseconds, and what is told then: what remains and the reset, or the wait of a refusal.
type Told = (u64, Result<(u32, u64), u64>);

#[test]
fn requests_are_counted_by_the_time_given() {
    let second = Duration::from_secs(1);
    let rows: [(RateLimit, &[Told]); 4] = [
        // Two at once, one more every 500 ms.
        (
            limit("a", RateKey::Route, 2, second, 2, 10),
            &[
                (0, Ok((1, 1))),
                (0, Ok((0, 1))),
                (0, Err(1)),
                (499, Err(1)),
                (500, Ok((0, 1))),
                (501, Err(1)),
                (1500, Ok((1, 1))),
                (9000, Ok((1, 1))),
            ],
        ),
        // One a minute, three at once.
        (
            limit("b", RateKey::Address, 1, Duration::from_secs(60), 3, 10),
            &[
                (0, Ok((2, 60))),
                (0, Ok((1, 120))),
                (0, Ok((0, 60))),
                (1000, Err(59)),
                (59_999, Err(1)),
                (60_000, Ok((0, 60))),
                (240_000, Ok((2, 60))),
            ],
        ),
        (limit("c", RateKey::Route, 1, second, 1, 10), &[(0, Ok((0, 1))), (0, Err(1)), (1000, Ok((0, 1)))]),
        // What the validator does not let through does no harm.
        (limit("d", RateKey::Route, 0, second, 0, 0), &[(0, Ok((0, 1))), (0, Err(1)), (1000, Ok((0, 1)))]),
    ];
    for (config, told) in rows {
        let begin = start();
        let limits = build(std::slice::from_ref(&config), &["r"], None, begin);
        for &(millis, told) in told {
            let now = begin + Duration::from_millis(millis);
            let seen = limits.check(&[0], Phase::Before, 0, &exchange(), &HeaderMap::new(), now);
            match (seen, told) {
                (Ok(Some(answer)), Ok(numbers)) => {
                    assert_eq!((answer.remaining, answer.reset), numbers, "{config:?} {millis}");
                }
                (Err(refusal), Err(wait)) => {
                    assert_eq!(refusal.reason, Reason::RateLimited);
                    let header = |name: &HeaderName| {
                        refusal.headers.iter().find(|(own, _)| own == name).unwrap().1.clone()
                    };
                    assert_eq!(header(&RETRY_AFTER), wait.to_string(), "{config:?} {millis}");
                    assert_eq!(header(&HeaderName::from_static("ratelimit-reset")), wait.to_string());
                    assert_eq!(header(&HeaderName::from_static("ratelimit-remaining")), "0");
                }
                (seen, told) => panic!("{config:?} {millis}: {seen:?}, not {told:?}"),
            }
        }
    }
}

#[test]
fn answers_tell_the_tightest_limit() {
    let now = start();
    let minute = Duration::from_secs(60);
    let limits = [
        limit("wide", RateKey::Route, 100, minute, 50, 10),
        limit("narrow", RateKey::Address, 10, minute, 5, 10),
        limit("later", RateKey::ApiKey, 1, minute, 1, 10),
    ];
    let limits = build(&limits, &["r"], None, now);
    let check =
        |which: &[usize], phase| limits.check(which, phase, 0, &exchange(), &HeaderMap::new(), now).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("ratelimit-limit", HeaderValue::from_static("of the server"));
    let before = check(&[0, 1, 2], Phase::Before);
    before.clone().unwrap().tell(&mut headers);
    let mut told: Vec<_> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    told.sort();
    assert_eq!(
        told,
        [
            "ratelimit-limit: 5",
            "ratelimit-policy: 10;w=60;burst=5",
            "ratelimit-remaining: 4",
            "ratelimit-reset: 6"
        ]
    );
    let after = check(&[0, 1, 2], Phase::After).unwrap();
    assert_eq!((after.limit, after.remaining), (1, 0));
    assert_eq!(after.clone().or_tighter(before.clone()), after);
    assert_eq!(before.unwrap().or_tighter(Some(after.clone())), after);
    assert_eq!(check(&[], Phase::Before), None);
    assert_eq!(check(&[0, 1], Phase::After), None);
    assert_eq!(check(&[7], Phase::Before), None);
}

#[test]
fn a_request_is_charged_to_all_limits_or_to_none() {
    let now = start();
    let minute = Duration::from_secs(60);
    let limits =
        [limit("a", RateKey::Route, 10, minute, 10, 10), limit("b", RateKey::Address, 1, minute, 1, 10)];
    let limits = build(&limits, &["r"], None, now);
    let check = |which: &[usize]| limits.check(which, Phase::Before, 0, &exchange(), &HeaderMap::new(), now);
    assert_eq!(check(&[0, 1]).unwrap().unwrap().remaining, 0);
    for _ in 0..20 {
        assert_eq!(check(&[0, 1]).unwrap_err().cause.as_deref(), Some("limit b"));
    }
    assert_eq!(check(&[0]).unwrap().unwrap().remaining, 8);
}

#[test]
fn keys_are_told_apart() {
    let now = start();
    let verifier =
        |name: &str, kind| crate::config::gateway::Verifier { name: name.to_owned(), kind, pass: vec![] };
    let path = std::path::PathBuf::from("keys");
    let verifiers = [
        verifier(
            "keys",
            VerifierKind::ApiKey { header: HeaderName::from_static("x-key"), path: path.clone() },
        ),
        verifier("users", VerifierKind::Basic { realm: String::new(), path }),
    ];
    let from = |client: &str| {
        let mut exchange = exchange();
        exchange.client = client.parse().unwrap();
        exchange
    };
    let who = |verifier: usize, subject: &str, claims| {
        let mut exchange = exchange();
        let name = if verifier == 0 { "keys" } else { "users" };
        exchange.identity = Some(Identity {
            verifier,
            verifier_name: name.into(),
            subject: subject.into(),
            claims: Arc::new(claims),
        });
        exchange
    };
    let none = HeaderMap::new;
    let claim = || RateKey::Claim("team".to_owned());
    for (key, one, other, same) in [
        (RateKey::Address, (from("192.0.2.1"), none()), (from("192.0.2.2"), none()), false),
        (RateKey::Address, (from("192.0.2.1"), none()), (from("::ffff:192.0.2.1"), none()), true),
        (RateKey::Address, (from("2001:db8::1"), none()), (from("2001:db8::ffff:1"), none()), true),
        (RateKey::Address, (from("2001:db8::1"), none()), (from("2001:db8:0:1::1"), none()), false),
        (RateKey::Header(X_TENANT), (exchange(), tenant("a")), (from("::1"), tenant("a")), true),
        (RateKey::Header(X_TENANT), (exchange(), tenant("a")), (exchange(), tenant("b")), false),
        (RateKey::Header(X_TENANT), (exchange(), none()), (exchange(), none()), true),
        (RateKey::Header(X_TENANT), (exchange(), none()), (from("::1"), none()), false),
        (RateKey::ApiKey, (who(0, "a", json!(null)), none()), (who(0, "b", json!(null)), none()), false),
        (RateKey::ApiKey, (who(0, "a", json!(null)), none()), (who(0, "a", json!(null)), none()), true),
        // Users are not keys, and so counted by address.
        (RateKey::ApiKey, (who(1, "a", json!(null)), none()), (who(1, "b", json!(null)), none()), true),
        (RateKey::ApiKey, (exchange(), none()), (from("::1"), none()), false),
        (
            claim(),
            (who(1, "a", json!({"team": "x"})), none()),
            (who(1, "b", json!({"team": "x"})), none()),
            true,
        ),
        (
            claim(),
            (who(1, "a", json!({"team": "x"})), none()),
            (who(1, "a", json!({"team": "y"})), none()),
            false,
        ),
        (
            claim(),
            (who(1, "a", json!({"team": 1})), none()),
            (who(1, "a", json!({"team": 2})), none()),
            false,
        ),
        (
            claim(),
            (who(1, "a", json!({"team": 1})), none()),
            (who(1, "a", json!({"team": "1"})), none()),
            false,
        ),
        (claim(), (who(1, "a", json!({})), none()), (who(1, "b", json!({})), none()), true),
    ] {
        let limits = [limit("a", key.clone(), 1, Duration::from_secs(60), 1, 10)];
        let limits = RateLimits::build(&limits, ["r"], &verifiers, None, now);
        let check = |(exchange, headers): &(Exchange, HeaderMap)| {
            limits.check(&[0], Phase::of(&key), 0, exchange, headers, now).is_ok()
        };
        assert!(check(&one) && !check(&one), "{key:?}");
        assert_eq!(!check(&other), same, "{key:?} {one:?} {other:?}");
    }
}

#[test]
fn routes_count_for_themselves() {
    let now = start();
    let limits = [limit("a", RateKey::Route, 1, Duration::from_secs(60), 1, 10)];
    let limits = build(&limits, &["r", "s"], None, now);
    let check = |route| limits.check(&[0], Phase::Before, route, &exchange(), &HeaderMap::new(), now).is_ok();
    assert_eq!([check(0), check(1), check(0), check(1)], [true, true, false, false]);
}

#[test]
fn a_flood_of_keys_neither_grows_nor_resets_counts() {
    for max_keys in [100, 4096] {
        let begin = start();
        let limits = [limit("a", RateKey::Header(X_TENANT), 1, Duration::from_secs(60), 2, max_keys)];
        let limits = build(&limits, &["r"], None, begin);
        let check = |name: &str, millis| {
            let now = begin + Duration::from_millis(millis);
            limits.check(&[0], Phase::Before, 0, &exchange(), &tenant(name), now).is_ok()
        };
        assert!(check("victim", 0) && check("victim", 0) && !check("victim", 0));
        let flood =
            |millis| (0..20_000).filter(|number| check(&format!("{millis} {number}"), millis)).count();
        let allowed = flood(1);
        // Those that found room have two each and ask once; all others together have two.
        let stored = limits.limits[0].store.len();
        assert!(stored <= max_keys as usize && stored > max_keys as usize * 9 / 10, "{stored} of {max_keys}");
        assert_eq!(allowed, stored - 1 + 2);
        assert!(!check("victim", 2), "the flood set a count back");
        assert!(!check("newcomer", 2));
        // After their time keys are forgotten, and there is room again.
        assert!(check("newcomer", 120_001));
        assert!(limits.limits[0].store.len() <= max_keys as usize);
    }
}

#[test]
fn a_reload_keeps_counts_by_name() {
    let now = start();
    let minute = Duration::from_secs(60);
    let old = [limit("a", RateKey::Route, 1, minute, 1, 10), limit("b", RateKey::Address, 1, minute, 1, 10)];
    let first = build(&old, &["r"], None, now);
    let check = |limits: &RateLimits, index: usize, route| {
        limits.check(&[index], Phase::Before, route, &exchange(), &HeaderMap::new(), now).is_ok()
    };
    assert!(check(&first, 0, 0) && check(&first, 1, 0));
    // In another order, with another route before, `b` by another key, and `a` with a larger burst.
    let new = [
        limit("b", RateKey::Header(X_TENANT), 1, minute, 1, 10),
        limit("a", RateKey::Route, 1, minute, 2, 10),
    ];
    let second = build(&new, &["new", "r"], Some(&first), now);
    assert!(check(&second, 0, 0), "another key is another count");
    assert!(check(&second, 1, 1) && !check(&second, 1, 1), "one of two was used before");
    let less = [limit("a", RateKey::Route, 60, minute, 1, 10)];
    let third = build(&less, &["r"], Some(&second), now);
    let refusal = third.check(&[0], Phase::Before, 0, &exchange(), &HeaderMap::new(), now).unwrap_err();
    let wait = &refusal.headers.iter().find(|(name, _)| *name == RETRY_AFTER).unwrap().1;
    assert_eq!(wait, "1", "the wait is that of the new limit");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// The same decisions, and the same room left, as governor's.
    #[test]
    fn decisions_are_governors(
        requests in 1..50_u32,
        period in 1..5_000_u64,
        burst in 1..20_u32,
        steps in prop::collection::vec(0..400_u64, 1..100),
    ) {
        let period = Duration::from_millis(period);
        let cell = Cell::new(requests, period, burst);
        let clock = FakeRelativeClock::default();
        let quota = Quota::with_period(period / requests).unwrap().allow_burst(NonZeroU32::new(burst).unwrap());
        let governor = RateLimiter::direct_with_clock(quota, clock.clone())
            .with_middleware::<StateInformationMiddleware>();
        // Both begin at 1: governor takes an arrival time of 0 for none.
        let (mut now, mut arrival) = (1_u64, 0_u64);
        clock.advance(Duration::from_nanos(1));
        for step in steps {
            now += step * 1_000_000;
            clock.advance(Duration::from_millis(step));
            let asked = cell.decide(&mut arrival.clone(), now, false);
            let own = cell.decide(&mut arrival, now, true);
            prop_assert_eq!(asked, own);
            match governor.check() {
                Ok(snapshot) => {
                    prop_assert_eq!(own.wait, None);
                    prop_assert_eq!(own.remaining, snapshot.remaining_burst_capacity());
                }
                Err(_) => prop_assert!(own.wait.is_some()),
            }
        }
    }
}

/// What a check costs, printed: `cargo test --release -- --nocapture what_a_check_costs`.
#[test]
fn what_a_check_costs() {
    let begin = start();
    let limits = [
        limit("address", RateKey::Address, u32::MAX, Duration::from_secs(1), u32::MAX, 100_000),
        limit("header", RateKey::Header(X_TENANT), u32::MAX, Duration::from_secs(1), u32::MAX, 100_000),
    ];
    let limits = build(&limits, &["r"], None, begin);
    let (exchange, headers) = (exchange(), tenant("a-tenant-of-some-name"));
    for which in [&[0][..], &[1], &[0, 1], &[0, 1, 0, 1, 0]] {
        let runs = 50_000;
        let (time, mut answer) = (tokio::time::Instant::now(), HeaderMap::new());
        for run in 0..runs {
            let now = begin + Duration::from_micros(run.into());
            assert!(limits.check(which, Phase::Before, 0, &exchange, &headers, now).is_ok());
        }
        let check = time.elapsed() / runs;
        let told = limits.check(which, Phase::Before, 0, &exchange, &headers, begin).unwrap().unwrap();
        let time = tokio::time::Instant::now();
        for _ in 0..runs {
            told.clone().tell(&mut answer);
        }
        println!("{which:?}: check {check:?}, headers {:?}", time.elapsed() / runs);
        assert!(check < Duration::from_micros(100), "{check:?}");
    }
}
