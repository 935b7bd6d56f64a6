//! Configurations for the tests of pools.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::config::gateway::{
    Balance, Breaker, Members, PoolConfig, Retry, Server, UpstreamProtocol, UpstreamTimeouts,
};
use crate::config::{CheckVia, Health, HealthKind, Ratio, Weight};

/// The same instant in all tests of a run.
#[expect(clippy::disallowed_methods, reason = "tests need some instant to count from")]
pub(super) fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// A pool of these servers, whose servers are warm from the start.
pub(super) fn pool(name: &str, servers: &[Server]) -> PoolConfig {
    PoolConfig {
        name: name.to_owned(),
        members: Members::Static(servers.to_vec()),
        protocol: UpstreamProtocol::Http1,
        tls: None,
        proxy_protocol: false,
        health: None,
        balance: Balance {
            choices: 5,
            warmup: Duration::ZERO,
            eject_after: 5,
            eject_least: Duration::from_secs(5),
            eject_most: Duration::from_secs(60),
            utilization_header: None,
            failures: vec![500, 502, 503, 504],
        },
        retry: Retry {
            tries: 3,
            budget: Ratio::thousandths(200),
            least: 0,
            statuses: vec![502, 503, 504],
            body_bytes: 65_536,
        },
        hedge: None,
        breaker: Breaker { max_in_flight: 0, max_pending: 0, pending_timeout: Duration::ZERO },
        timeouts: UpstreamTimeouts {
            connect: Duration::from_secs(1),
            per_try: Duration::from_secs(10),
            request: Duration::from_secs(30),
            idle: Duration::from_secs(60),
        },
        idle_connections: 16,
        idle_timeout: Duration::from_secs(60),
    }
}

/// Server `web-LAST` at 10.0.0.LAST:80.
pub(super) fn server(last: u8) -> Server {
    at(&format!("web-{last}"), SocketAddr::from(([10, 0, 0, last], 80)))
}

/// A server of weight 100.
pub(super) fn at(name: &str, address: SocketAddr) -> Server {
    Server { name: name.to_owned(), address, weight: Weight::DEFAULT }
}

/// Checks that are over soon.
pub(super) fn health(kind: HealthKind) -> Health {
    Health {
        kind,
        via: CheckVia::Direct,
        interval: Duration::from_millis(100),
        fast_interval: Duration::from_millis(50),
        timeout: Duration::from_millis(500),
        rise: 2,
        fall: 3,
    }
}

/// Waits for a condition.
pub(super) async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
