//! `[vip.health]`: read and checked.

mod datagram;
pub(super) mod timing;
pub(super) mod tls;

use std::net::IpAddr;
use std::ops::RangeInclusive;

use self::datagram::payload;
use self::timing::Timing;
use self::tls::Tls;
use super::model::{CheckVia, Health, HealthKind, Protocol};
use super::net::{host, path, status_codes};
use super::rules::{bounded_text, listed, one_of, port};
use super::section::{Field, Schema, Section};
use super::vip::VIP;

pub(super) const HEALTH: Schema = Schema {
    header: "[vip.health]",
    keys: &[
        "kind",
        "via",
        "port",
        "path",
        "host",
        "expect",
        "body",
        "server_name",
        "verify",
        "ca",
        "request",
        "answer",
        "interval",
        "fast_interval",
        "timeout",
        "rise",
        "fall",
    ],
    refused: &[
        ("sni", "unknown key: the name is called `server_name`"),
        ("insecure", "unknown key: write verify = false"),
        ("send", "unknown key: what a UDP check sends is `request`"),
    ],
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
    let via = section.or("via", one_of(WAYS, &[]), CheckVia::Direct).value;
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
        Kind::Http => question.http(&section, service, false),
        Kind::Https => question.http(&section, service, true),
        Kind::Icmp => Some(HealthKind::Icmp),
        Kind::Udp => question.udp(&section, service),
    };
    timing.build(kind?, via?)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Tcp,
    Http,
    Https,
    Icmp,
    Udp,
}

const KINDS: &[(&str, Kind)] = &[
    ("none", Kind::None),
    ("tcp", Kind::Tcp),
    ("http", Kind::Http),
    ("https", Kind::Https),
    ("icmp", Kind::Icmp),
    ("udp", Kind::Udp),
];

const REFUSED_KINDS: &[(&str, &str)] = &[("ping", "write \"icmp\"")];

const WAYS: &[(&str, CheckVia)] = &[("direct", CheckVia::Direct), ("data-path", CheckVia::DataPath)];

impl Kind {
    /// As the configuration spells it.
    fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Whether a key of the table has an effect with it.
    fn uses(self, key: &str) -> bool {
        match key {
            "kind" => true,
            "via" | "port" => !matches!(self, Self::None | Self::Icmp),
            "path" | "host" | "expect" | "body" => matches!(self, Self::Http | Self::Https),
            "server_name" | "verify" | "ca" => self == Self::Https,
            "request" | "answer" => self == Self::Udp,
            _ => self != Self::None,
        }
    }
}

/// A key without effect would let its author believe in a check that is not made.
fn report_useless_keys(section: &Section<'_>, kind: Kind, given: bool) {
    let name = kind.name();
    let beside = match (kind, given) {
        (_, true) => format!("kind = \"{name}\""),
        (Kind::None, false) => format!("kind = \"{name}\", the default for a UDP VIP"),
        (_, false) => format!("kind = \"{name}\", the default for a TCP VIP"),
    };
    for key in HEALTH.keys.iter().filter(|key| !kind.uses(key)) {
        let useful: Vec<Kind> = KINDS.iter().map(|(_, kind)| *kind).filter(|kind| kind.uses(key)).collect();
        let mend = match (kind, *key) {
            (Kind::Udp, "expect" | "body") => "what the answer has to contain is `answer`".to_owned(),
            (Kind::Http | Kind::Https, "answer") => "what the answer has to contain is `body`".to_owned(),
            _ => format!("set kind = {}", listed(&useful, |kind| format!("{:?}", kind.name()))),
        };
        section.useless(key, &format!("has no effect with {beside}: {mend}, or remove this"));
    }
}

/// What is asked, and of which port.
struct Question {
    port: Field<u16>,
    path: Field<String>,
    host: Field<String>,
    expect: Field<RangeInclusive<u16>>,
    body: Field<String>,
    tls: Tls,
    request: Field<Vec<u8>>,
    answer: Field<Vec<u8>>,
}

impl Question {
    fn read(section: &Section<'_>) -> Self {
        Self {
            port: section.optional("port", port(None)),
            path: section.or("path", path(), "/".into()),
            host: section.optional("host", host()),
            expect: section.or("expect", status_codes(), 200..=399),
            body: section.optional("body", bounded_text(1..=LONGEST_BODY)),
            tls: Tls::read(section),
            request: section.or("request", payload(), Vec::new()),
            answer: section.or("answer", payload(), Vec::new()),
        }
    }

    fn tcp(self, section: &Section<'_>, service: &Service) -> Option<HealthKind> {
        Some(HealthKind::Tcp { port: self.port(section, service, Protocol::Tcp)? })
    }

    fn http(self, section: &Section<'_>, service: &Service, over_tls: bool) -> Option<HealthKind> {
        let port = self.port(section, service, Protocol::Tcp);
        let default = default_host(service, if over_tls { 443 } else { 80 });
        let given = self.host.given.then(|| self.host.value.as_deref().unwrap_or_default());
        let tls = match over_tls {
            true => self.tls.build(section, given, default.as_deref()).map(Some),
            false => Some(None),
        };
        if self.body.given && self.body.value.is_none() {
            return None;
        }
        Some(HealthKind::Http {
            port: port?,
            path: self.path.value?,
            host: if self.host.given { self.host.value? } else { default? },
            expect: self.expect.value?,
            body: self.body.value,
            tls: tls?,
        })
    }

    fn udp(self, section: &Section<'_>, service: &Service) -> Option<HealthKind> {
        Some(HealthKind::Udp {
            port: self.port(section, service, Protocol::Udp)?,
            request: self.request.value?,
            expect: self.answer.value?,
        })
    }

    /// The VIP's own port unless another is given, where that speaks the check's `protocol`.
    fn port(&self, section: &Section<'_>, service: &Service, protocol: Protocol) -> Option<u16> {
        if self.port.given {
            return self.port.value;
        }
        let why = match (service.protocol?, service.port?) {
            (vips, 0) if vips == protocol => "as the VIP takes any port (port = 0)",
            (vips, port) if vips == protocol => return Some(port),
            (Protocol::Tcp, _) => "as the VIP's own port is a TCP port",
            (Protocol::Udp, _) => "as the VIP's own port is a UDP port",
        };
        section.missing("port", &format!("an integer from 1 to 65535, {why}, or kind = \"none\""));
        None
    }
}

/// What clients of the VIP would send: its address, and its port unless that is the scheme's own or any.
pub(super) fn default_host(service: &Service, schemes_own: u16) -> Option<String> {
    let address = match service.address? {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    Some(match service.port? {
        0 => address,
        port if port == schemes_own => address,
        port => format!("{address}:{port}"),
    })
}

/// More is no text to look for at each check.
const LONGEST_BODY: usize = 256;
