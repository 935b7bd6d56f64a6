//! `[pool.health]`: as `[vip.health]`, for the servers of a pool.

use super::POOL;
use crate::config::gateway::model::{Members, UpstreamTls};
use crate::config::health::timing::Timing;
use crate::config::health::tls::Tls;
use crate::config::model::{CheckVia, Health, HealthKind};
use crate::config::net::{host as host_rule, path, status_codes};
use crate::config::rules::{bounded_text, one_of, port};
use crate::config::section::{Schema, Section};

pub(super) const HEALTH: Schema = Schema {
    header: "[pool.health]",
    keys: &[
        "kind",
        "port",
        "path",
        "host",
        "expect",
        "body",
        "server_name",
        "verify",
        "ca",
        "interval",
        "fast_interval",
        "timeout",
        "rise",
        "fall",
    ],
    refused: &[
        ("via", "a gateway's checks go to the server's own address: remove this"),
        ("sni", "unknown key: the name is called `server_name`"),
        ("insecure", "unknown key: write verify = false"),
    ],
    outer: Some(&POOL),
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Tcp,
    Http,
    Https,
}

const KINDS: &[(&str, Kind)] =
    &[("none", Kind::None), ("tcp", Kind::Tcp), ("http", Kind::Http), ("https", Kind::Https)];

const REFUSED_KINDS: &[(&str, &str)] = &[
    ("icmp", "a machine that answers a ping may serve nothing: write \"tcp\" or \"http\""),
    ("udp", "a gateway's servers speak HTTP: write \"tcp\" or \"http\""),
];

/// The `Host` of checks unless given: the name looked up, else that of the certificate, else the pool's.
pub(super) fn host(
    members: Option<&Members>,
    tls: Option<&UpstreamTls>,
    pool: Option<&str>,
) -> Option<String> {
    match (members, tls.and_then(|tls| tls.server_name.as_deref())) {
        (Some(Members::Dns { name, port: Some(_), .. }), _) => Some(name.trim_end_matches('.').to_owned()),
        (_, Some(name)) => Some(name.to_owned()),
        _ => pool.map(str::to_owned),
    }
}

/// The checks of a pool's servers: `Some(None)` where there are none. A port of 0 is the server's own.
pub(super) fn health(pool: &Section<'_>, default_host: Option<&str>) -> Option<Option<Health>> {
    let table = pool.table("health", &HEALTH);
    if !table.is_given() {
        return Some(None);
    }
    let kind = table.required("kind", one_of(KINDS, REFUSED_KINDS)).value;
    let port = table.or("port", port(None), 0).value;
    let path = table.or("path", path(), "/".to_owned()).value;
    let host = table.optional("host", host_rule());
    let expect = table.or("expect", status_codes(), 200..=399).value;
    let body = table.optional("body", bounded_text(1..=256));
    let tls = Tls::read(&table);
    let timing = Timing::read(&table);
    let kind = kind?;
    report_useless(&table, kind);
    let kind = match kind {
        Kind::None => return Some(None),
        Kind::Tcp => HealthKind::Tcp { port: port? },
        Kind::Http | Kind::Https => {
            let named = host.given.then(|| host.value.clone().unwrap_or_default());
            let tls = match kind {
                // The pool's own name stands in for a host, which a certificate need not have.
                Kind::Https => Some(tls.build(&table, named.as_deref().or(default_host), None)?),
                _ => None,
            };
            let host = if host.given { host.value } else { default_host.map(str::to_owned) };
            HealthKind::Http {
                port: port?,
                path: path?,
                host: host?,
                expect: expect?,
                body: body.maybe()?,
                tls,
            }
        }
    };
    timing.build(kind, CheckVia::Direct).map(Some)
}

fn report_useless(table: &Section<'_>, kind: Kind) {
    for key in HEALTH.keys {
        let (useful, kinds) = match *key {
            "kind" => continue,
            "path" | "host" | "expect" | "body" => {
                (matches!(kind, Kind::Http | Kind::Https), "\"http\" or \"https\"")
            }
            "server_name" | "verify" | "ca" => (kind == Kind::Https, "\"https\""),
            _ => (kind != Kind::None, "\"tcp\", \"http\" or \"https\""),
        };
        if !useful {
            let name = KINDS.iter().find(|(_, known)| *known == kind).map_or("", |(name, _)| name);
            table.useless(
                key,
                &format!("has no effect with kind = {name:?}: set kind = {kinds}, or remove this"),
            );
        }
    }
}
