//! `[[pool]]`: read and checked, with what decides about its servers in [`policy`] and their checks in [`health`].

mod health;
mod members;
mod policy;

use std::time::Duration;

use self::members::members;
use super::model::{CertificateFiles, PoolConfig, UpstreamProtocol, UpstreamTls};
use crate::config::net::server_name;
use crate::config::rules::{absolute_path, boolean, duration, integer, one_of};
use crate::config::section::{Schema, Section};

pub(super) const POOL: Schema = Schema {
    header: "[[pool]]",
    keys: &[
        "name",
        "protocol",
        "proxy_protocol",
        "idle_connections",
        "idle_timeout",
        "server",
        "dns",
        "file",
        "tls",
        "health",
        "balance",
        "retry",
        "hedge",
        "breaker",
        "timeouts",
    ],
    refused: &[
        ("servers", "write each server as a table of its own, headed [[pool.server]]"),
        ("backend", "unknown key: the gateway's are called [[pool.server]]"),
        ("address", "belongs to a server: write it in [[pool.server]]"),
        ("timeout", "unknown key: write [pool.timeouts]"),
    ],
    outer: None,
};

const TLS: Schema = Schema { header: "[pool.tls]", keys: TLS_KEYS, refused: TLS_REFUSED, outer: Some(&POOL) };

/// Of each table that [`tls`] reads.
pub(super) const TLS_KEYS: &[&str] = &["server_name", "verify", "ca", "certificate", "key"];

pub(super) const TLS_REFUSED: &[(&str, &str)] = &[
    ("sni", "unknown key: the name is called `server_name`"),
    ("insecure", "unknown key: write verify = false"),
];

/// Every table that is read here, and its keys that are tables themselves.
#[cfg(test)]
pub(super) fn schemas() -> Vec<(&'static Schema, &'static [&'static str])> {
    const TABLES: &[&str] =
        &["server", "dns", "file", "tls", "health", "balance", "retry", "hedge", "breaker", "timeouts"];
    let mut all: Vec<(&Schema, &[&str])> = vec![(&POOL, TABLES), (&TLS, &[]), (&health::HEALTH, &[])];
    all.extend(members::SCHEMAS);
    all.extend(policy::SCHEMAS);
    all
}

/// A pool; `None` when something in it is wrong.
pub(super) fn pool(table: &Section<'_>, name: Option<String>) -> Option<PoolConfig> {
    let protocol = table.or("protocol", one_of(PROTOCOLS, REFUSED_PROTOCOLS), UpstreamProtocol::Http1);
    let proxy_protocol = table.or("proxy_protocol", boolean(), false);
    let idle_connections = table.or("idle_connections", integer(0..=10_000, ""), 64);
    let range = Duration::from_millis(100)..=Duration::from_secs(3_600);
    let idle_timeout = table.or("idle_timeout", duration(range), Duration::from_secs(30));
    if idle_connections.value == Some(0) {
        table.useless(
            "idle_timeout",
            "has no effect with idle_connections = 0, which keeps none: remove one of the two",
        );
    }
    let members = members(table);
    let tls = tls(table, &TLS);
    let host = health::host(members.as_ref(), tls.as_ref().and_then(Option::as_ref), name.as_deref());
    let health = health::health(table, host.as_deref());
    let balance = policy::balance(table);
    let retry = policy::retry(table);
    let hedge = policy::hedge(table);
    let breaker = policy::breaker(table);
    let timeouts = policy::timeouts(table);
    Some(PoolConfig {
        name: name?,
        members: members?,
        protocol: protocol.value?,
        tls: tls?,
        proxy_protocol: proxy_protocol.value?,
        health: health?,
        balance: balance?,
        retry: retry?,
        hedge: hedge?,
        breaker: breaker?,
        timeouts: timeouts?,
        idle_connections: idle_connections.value?,
        idle_timeout: idle_timeout.value?,
    })
}

/// How TLS is spoken with servers; `Some(None)` where the table is left out.
pub(super) fn tls(section: &Section<'_>, schema: &'static Schema) -> Option<Option<UpstreamTls>> {
    let table = section.table("tls", schema);
    if !table.is_given() {
        return Some(None);
    }
    let server_name = table.optional("server_name", server_name());
    let verify = table.or("verify", boolean(), true);
    let ca = table.optional("ca", absolute_path(4_095));
    let certificate = table.optional("certificate", absolute_path(4_095));
    let key = table.optional("key", absolute_path(4_095));
    if verify.value == Some(false) {
        table.useless("ca", "has no effect with verify = false: remove one of the two");
    }
    match (certificate.given, key.given) {
        (true, false) => table.missing("key", "the absolute path of the certificate's key"),
        (false, true) => table.missing("certificate", "the absolute path of the key's certificate"),
        _ => {}
    }
    let certificate = match (certificate.maybe()?, key.maybe()?) {
        (Some(certificate), Some(key)) => Some(CertificateFiles { certificate, key }),
        _ => None,
    };
    Some(Some(UpstreamTls {
        server_name: server_name.maybe()?,
        verify: verify.value?,
        ca: ca.maybe()?,
        certificate,
    }))
}

const PROTOCOLS: &[(&str, UpstreamProtocol)] =
    &[("http1", UpstreamProtocol::Http1), ("http2", UpstreamProtocol::Http2)];

const REFUSED_PROTOCOLS: &[(&str, &str)] = &[
    ("grpc", "gRPC is \"http2\""),
    ("h2", "write \"http2\""),
    ("h2c", "write \"http2\", without [pool.tls]"),
    ("https", "write \"http1\", with a table [pool.tls]"),
    ("http", "write \"http1\""),
];
