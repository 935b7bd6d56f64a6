//! Configurations and helpers for control's tests, in one place.

use std::net::IpAddr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::config::{
    Affinity, Backend, CheckVia, Config, Forward, Health, HealthKind, Protocol, Scheduler, Utilization, Vip,
    Warmup, Weight, Weights,
};

/// The same instant in all tests of a run.
#[expect(clippy::disallowed_methods, reason = "tests need some instant to count from")]
pub(super) fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// `seconds` after [`start`].
pub(super) fn at(seconds: u64) -> Instant {
    start() + Duration::from_secs(seconds)
}

pub(super) const DRAIN: Duration = Duration::from_secs(30);

pub(super) fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

pub(super) fn health() -> Health {
    Health {
        via: CheckVia::Direct,
        kind: HealthKind::Tcp { port: 80 },
        interval: Duration::from_secs(2),
        fast_interval: Duration::from_millis(500),
        timeout: Duration::from_millis(400),
        rise: 2,
        fall: 3,
    }
}

pub(super) fn unchecked() -> Health {
    Health { kind: HealthKind::None, ..health() }
}

/// Backend `web-LAST` at 10.0.0.LAST.
pub(super) fn backend(last: u8, weight: u16) -> Backend {
    Backend {
        name: format!("web-{last}"),
        address: address(last),
        weight: Weight::from(weight),
        drain: false,
    }
}

/// 203.0.113.10:80/tcp over IPIP, whose servers are warm from the start.
pub(super) fn vip(health: Health, backends: Vec<Backend>) -> Vip {
    Vip {
        name: "web".into(),
        address: IpAddr::from([203, 0, 113, 10]),
        port: 80,
        protocol: Protocol::Tcp,
        forward: Forward::Ipip,
        affinity: Affinity::None,
        scheduler: Scheduler::Maglev,
        drain: DRAIN,
        health,
        utilization: Utilization::DEFAULT,
        warmup: Warmup { window: Duration::ZERO, ..Warmup::DEFAULT },
        weights: Weights::DEFAULT,
        backends,
    }
}

/// Small tables, room for 4 VIPs and 16 backends.
pub(super) fn config(vips: Vec<Vip>) -> Config {
    let text = "
        [agent]
        interfaces = [\"eth0\"]
        max_vips = 4
        max_backends = 16
        table_size = 251
        flow_entries = 1024
        flow_idle = \"1m\"
    ";
    let mut config = Config::from_toml(text, Path::new("lb.toml")).expect("a valid configuration");
    config.vips = vips;
    config
}
