//! `[gateway]` and `[gateway.limits]`: read and checked.

use std::time::Duration;

use http::HeaderName;

use super::model::{EmptySegments, EncodedSlash, Forwarded, Gateway, Limits, Paths};
use super::rules::{FRAMING, bytes, bytes32, header, set};
use crate::config::cross::conflict;
use crate::config::net::any_prefix;
use crate::config::rules::{absolute_path, duration, integer, integer_as, one_of};
use crate::config::section::{Schema, Section};

const GATEWAY: Schema = Schema {
    header: "[gateway]",
    keys: &[
        "threads",
        "notice",
        "drain",
        "trusted_proxies",
        "request_id_header",
        "forwarded",
        "handover_socket",
        "max_in_flight",
        "max_lag",
        "limits",
        "paths",
    ],
    refused: &[
        ("workers", "unknown key: it is called `threads`"),
        ("trusted", "unknown key: it is called `trusted_proxies`"),
    ],
    outer: None,
};

const PATHS: Schema = Schema {
    header: "[gateway.paths]",
    keys: &["encoded_slash", "empty_segments"],
    refused: &[("merge_slashes", "unknown key: write empty_segments = \"merge\"")],
    outer: Some(&GATEWAY),
};

const LIMITS: Schema = Schema {
    header: "[gateway.limits]",
    keys: &[
        "headers",
        "header_bytes",
        "uri_bytes",
        "body_bytes",
        "header_timeout",
        "idle_timeout",
        "body_timeout",
        "body_rate",
        "send_timeout",
        "requests_per_connection",
        "streams",
        "resets_per_second",
        "idle_frames_per_second",
        "connections",
    ],
    refused: &[("keepalive_timeout", "unknown key: it is called `idle_timeout`")],
    outer: Some(&GATEWAY),
};

#[cfg(test)]
pub(super) const SCHEMAS: [(&Schema, &[&str]); 3] =
    [(&GATEWAY, &["limits", "paths"]), (&LIMITS, &[]), (&PATHS, &[])];

/// The process as a whole; `None` when something in it is wrong.
pub(super) fn gateway(root: &Section<'_>) -> Option<Gateway> {
    let table = root.table("gateway", &GATEWAY);
    let threads = table.or(
        "threads",
        integer_as("an integer from 0 to 1024 (0 = one for each processor)", |n| {
            u16::try_from(n).ok().filter(|n| *n <= 1024)
        }),
        0,
    );
    let notice = table.or("notice", duration(Duration::ZERO..=HOUR), Duration::ZERO);
    let drain = table.or("drain", duration(Duration::ZERO..=HOUR), Duration::from_secs(30));
    let proxies = set(
        &table,
        "trusted_proxies",
        "a list of up to 256 prefixes, as [\"10.0.0.0/8\"]",
        0..=256,
        any_prefix(),
        Vec::new(),
    );
    let request_id = table.or("request_id_header", header(FRAMING), HeaderName::from_static("x-request-id"));
    let forwarded = table.or("forwarded", one_of(FORWARDED, &[]), Forwarded::X);
    let socket = table.optional("handover_socket", absolute_path(LONGEST_SOCKET));
    let in_flight = table.or("max_in_flight", integer(0..=u32::MAX, " (0 = no limit)"), 0);
    let lag = table.or("max_lag", duration(Duration::ZERO..=Duration::from_secs(10)), Duration::ZERO);
    let limits = limits(&table);
    let paths = paths(&table);
    Some(Gateway {
        threads: threads.value?,
        notice: notice.value?,
        drain: drain.value?,
        trusted_proxies: proxies?,
        request_id_header: request_id.value?,
        forwarded: forwarded.value?,
        handover_socket: socket.maybe()?,
        limits: limits?,
        paths: paths?,
        max_in_flight: in_flight.value?,
        max_lag: lag.value?,
    })
}

fn paths(gateway: &Section<'_>) -> Option<Paths> {
    let table = gateway.table("paths", &PATHS);
    let slash = table.or("encoded_slash", one_of(SLASHES, &[]), EncodedSlash::Refuse);
    let empty = table.or("empty_segments", one_of(EMPTY, &[]), EmptySegments::Refuse);
    Some(Paths { encoded_slash: slash.value?, empty_segments: empty.value? })
}

fn limits(gateway: &Section<'_>) -> Option<Limits> {
    let table = gateway.table("limits", &LIMITS);
    let headers = table.or("headers", integer(1..=1000, ""), 100);
    let header_bytes = table.or("header_bytes", bytes32(1 << 10..=1 << 20), 32 << 10);
    let uri_bytes =
        table.or("uri_bytes", bytes32(64..=1 << 20), (8 << 10).min(header_bytes.value.unwrap_or(u32::MAX)));
    if uri_bytes.value > header_bytes.value {
        let mend = "the target is part of the head; raise header_bytes or lower uri_bytes";
        let head = ("header_bytes", &header_bytes);
        conflict(table.source(), &uri_bytes, "more than", head, |bytes| bytes.to_string(), mend);
    }
    let body_bytes = table.or("body_bytes", bytes(0..=1 << 40), 10 << 20);
    let time = |key, least, most, default| {
        let range = Duration::from_millis(least)..=Duration::from_secs(most);
        table.or(key, duration(range), Duration::from_secs(default))
    };
    let header_timeout = time("header_timeout", 100, 300, 10);
    let idle_timeout = time("idle_timeout", 1_000, 3_600, 60);
    let body_timeout = time("body_timeout", 100, 3_600, 30);
    let body_rate = table.or("body_rate", integer(0..=u32::MAX, " bytes a second (0 = no limit)"), 240);
    let send_timeout = time("send_timeout", 100, 3_600, 30);
    let requests = table.or("requests_per_connection", integer(0..=u32::MAX, " (0 = no limit)"), 0);
    let streams = table.or("streams", integer(1..=10_000, ""), 128);
    let resets = table.or("resets_per_second", integer(1..=100_000, ""), 100);
    let idle_frames = table.or("idle_frames_per_second", integer(10..=1_000_000, ""), 1_000);
    let connections = table.or("connections", integer(1..=1 << 22, ""), 1 << 16);
    Some(Limits {
        headers: headers.value?,
        header_bytes: header_bytes.value?,
        uri_bytes: uri_bytes.value?,
        body_bytes: body_bytes.value?,
        header_timeout: header_timeout.value?,
        idle_timeout: idle_timeout.value?,
        body_timeout: body_timeout.value?,
        body_rate: body_rate.value?,
        send_timeout: send_timeout.value?,
        requests_per_connection: requests.value?,
        streams: streams.value?,
        resets_per_second: resets.value?,
        idle_frames_per_second: idle_frames.value?,
        connections: connections.value?,
    })
}

const SLASHES: &[(&str, EncodedSlash)] = &[("refuse", EncodedSlash::Refuse), ("pass", EncodedSlash::Pass)];

const EMPTY: &[(&str, EmptySegments)] =
    &[("refuse", EmptySegments::Refuse), ("merge", EmptySegments::Merge), ("pass", EmptySegments::Pass)];

const FORWARDED: &[(&str, Forwarded)] = &[
    ("x", Forwarded::X),
    ("standard", Forwarded::Standard),
    ("both", Forwarded::Both),
    ("off", Forwarded::Off),
];

const HOUR: Duration = Duration::from_secs(3_600);

/// Longest path of a Unix socket: `sockaddr_un` has 108 bytes, the last of them zero.
const LONGEST_SOCKET: usize = 107;
