//! `[vip.health]`: read and checked.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::model::{CheckVia, Health, HealthKind, Protocol};
use super::net::{host, path, status_codes};
use super::rules::{duration, integer, one_of, port, shown};
use super::section::{Field, Schema, Section};
use super::vip::VIP;

pub(super) const HEALTH: Schema = Schema {
    header: "[vip.health]",
    keys: &["kind", "port", "path", "host", "expect", "interval", "fast_interval", "timeout", "rise", "fall"],
    refused: &[],
    outer: Some(&VIP),
};

/// What a VIP's health checks are derived from where they do not say otherwise.
pub(super) struct Service {
    pub address: Option<IpAddr>,
    pub port: Option<u16>,
    pub protocol: Option<Protocol>,
}

/// The health checks of a VIP; `None` when they are wrong or depend on what is wrong.
pub(super) fn health(vip: &Section<'_>, service: &Service) -> Option<Health> {
    let section = vip.table("health", &HEALTH);
    let kind = section.optional("kind", one_of(KINDS, REFUSED_KINDS));
    let question = Question::read(&section);
    let timing = Timing::read(&section);
    let asked = match (kind.given, service.protocol) {
        (true, _) => kind.value?,
        (false, Some(Protocol::Tcp)) => Kind::Tcp,
        (false, Some(Protocol::Udp)) => Kind::None,
        (false, None) => return None,
    };
    report_useless_keys(&section, asked, kind.given);
    let kind = match asked {
        Kind::None => Some(HealthKind::None),
        Kind::Tcp => question.tcp(&section, service),
        Kind::Http => question.http(&section, service),
    };
    timing.build(kind?)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Tcp,
    Http,
}

const KINDS: &[(&str, Kind)] = &[("none", Kind::None), ("tcp", Kind::Tcp), ("http", Kind::Http)];

const REFUSED_KINDS: &[(&str, &str)] = &[
    ("https", "this version does not check over TLS; \"tcp\" sees whether the port answers"),
    ("icmp", "this version does not ping; \"tcp\" sees whether the server's port answers"),
    ("udp", "this version has no UDP check; ask another port of the server by \"tcp\" or \"http\""),
];

/// A key without effect would let its author believe in a check that is not made.
fn report_useless_keys(section: &Section<'_>, kind: Kind, given: bool) {
    let (kind, keys) = match (kind, given) {
        (Kind::Http, _) => return,
        (Kind::Tcp, true) => ("kind = \"tcp\"", &HTTP_KEYS[..]),
        (Kind::Tcp, false) => ("kind = \"tcp\", the default for a TCP VIP", &HTTP_KEYS[..]),
        (Kind::None, true) => ("kind = \"none\"", &HEALTH.keys[1..]),
        (Kind::None, false) => ("kind = \"none\", the default for a UDP VIP", &HEALTH.keys[1..]),
    };
    for key in keys {
        let mend =
            if HTTP_KEYS.contains(key) { "set kind = \"http\"" } else { "set kind = \"tcp\" or \"http\"" };
        section.useless(key, &format!("has no effect with {kind}: {mend}, or remove this"));
    }
}

const HTTP_KEYS: [&str; 3] = ["path", "host", "expect"];

/// What is asked, and of which port.
struct Question {
    port: Field<u16>,
    path: Field<String>,
    host: Field<String>,
    expect: Field<RangeInclusive<u16>>,
}

impl Question {
    fn read(section: &Section<'_>) -> Self {
        Self {
            port: section.optional("port", port(None)),
            path: section.or("path", path(), "/".into()),
            host: section.optional("host", host()),
            expect: section.or("expect", status_codes(), 200..=399),
        }
    }

    fn tcp(self, section: &Section<'_>, service: &Service) -> Option<HealthKind> {
        Some(HealthKind::Tcp { port: self.port(section, service)? })
    }

    fn http(self, section: &Section<'_>, service: &Service) -> Option<HealthKind> {
        let port = self.port(section, service);
        let host = if self.host.given { self.host.value } else { default_host(service) };
        Some(HealthKind::Http {
            port: port?,
            path: self.path.value?,
            host: host?,
            expect: self.expect.value?,
            body: None,
            tls: None,
        })
    }

    /// The VIP's own port unless another is given.
    fn port(&self, section: &Section<'_>, service: &Service) -> Option<u16> {
        if self.port.given {
            return self.port.value;
        }
        let why = match (service.protocol?, service.port?) {
            (Protocol::Tcp, 0) => "as the VIP takes any port (port = 0)",
            (Protocol::Tcp, port) => return Some(port),
            (Protocol::Udp, _) => "as the VIP's own port is a UDP port",
        };
        section.missing("port", &format!("an integer from 1 to 65535, {why}, or kind = \"none\""));
        None
    }
}

/// What clients of the VIP would send: its address, and its port unless that is HTTP's own or any.
pub(super) fn default_host(service: &Service) -> Option<String> {
    let address = match service.address? {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    Some(match service.port? {
        0 | 80 => address,
        port => format!("{address}:{port}"),
    })
}

/// When it is asked, and what the answers mean. By default, a backend that answers nothing is down an interval after its
/// first failed check began, or sooner: `fall` timeouts fit into it, and so do `fall` fast intervals.
struct Timing {
    interval: Option<Duration>,
    fast_interval: Option<Duration>,
    timeout: Option<Duration>,
    rise: Option<u32>,
    fall: Option<u32>,
}

impl Timing {
    fn read(section: &Section<'_>) -> Self {
        let interval = section.or("interval", duration(SHORTEST_INTERVAL..=LONGEST_INTERVAL), INTERVAL).value;
        let known = interval.unwrap_or(LONGEST_INTERVAL);
        let fall = section.or("fall", integer(1..=100, ""), 3).value;
        let checks = fall.unwrap_or(1);
        let fast_interval = section.or(
            "fast_interval",
            duration(SHORTEST_FAST_INTERVAL..=LONGEST_INTERVAL),
            whole_milliseconds(known / (checks + 1)).max(SHORTEST_FAST_INTERVAL),
        );
        let timeout = section.or(
            "timeout",
            duration(SHORTEST_TIMEOUT..=LONGEST_TIMEOUT),
            whole_milliseconds(known / checks).clamp(SHORTEST_DEFAULT_TIMEOUT, LONGEST_DEFAULT_TIMEOUT),
        );
        if fast_interval.value.is_some_and(|fast| fast > known) {
            let message = format!("expected at most the interval, which is {}", shown(known));
            section.source().report(&fast_interval.place, message);
        }
        Self {
            interval,
            fast_interval: fast_interval.value,
            timeout: timeout.value,
            rise: section.or("rise", integer(1..=100, ""), 2).value,
            fall,
        }
    }

    fn build(self, kind: HealthKind) -> Option<Health> {
        Some(Health {
            kind,
            via: CheckVia::Direct,
            interval: self.interval?,
            fast_interval: self.fast_interval?,
            timeout: self.timeout?,
            rise: self.rise?,
            fall: self.fall?,
        })
    }
}

fn whole_milliseconds(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

const INTERVAL: Duration = Duration::from_secs(2);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
const LONGEST_INTERVAL: Duration = Duration::from_secs(3_600);
const SHORTEST_FAST_INTERVAL: Duration = Duration::from_millis(50);
/// A default below this would take a busy server for a dead one, one above it a dead one for a busy one.
const SHORTEST_DEFAULT_TIMEOUT: Duration = Duration::from_millis(100);
const LONGEST_DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(10);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);
