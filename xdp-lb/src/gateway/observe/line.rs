//! One request as a line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::clock::{common, rfc3339};
use crate::config::gateway::LogFormat;
use crate::gateway::Exchange;

/// A request that is over, with the names that its indexes stand for.
pub(super) struct Told<'a> {
    pub exchange: &'a Exchange,
    pub route: Option<&'a str>,
    pub pool: Option<&'a str>,
    pub took: Duration,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    client: std::net::IpAddr,
    listener: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<&'static str>,
    method: &'a str,
    scheme: &'static str,
    host: &'a str,
    path: &'a str,
    version: &'static str,
    status: u16,
    duration_ms: f64,
    received: u64,
    sent: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    tries: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verifier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    #[serde(skip_serializing_if = "is_nothing")]
    violations: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    unchecked: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<&'a str, String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_nothing(number: &u32) -> bool {
    *number == 0
}

/// Writes the line with its end.
pub(super) fn write(format: LogFormat, told: &Told<'_>, line: &mut Vec<u8>) {
    match format {
        LogFormat::Json => json(told, line),
        LogFormat::Combined => combined(told, line),
        LogFormat::Off => {}
    }
}

fn json(told: &Told<'_>, line: &mut Vec<u8>) {
    let exchange = told.exchange;
    let milliseconds = |duration: Duration| duration.as_micros() as f64 / 1000.0;
    let headers = exchange.logged.iter();
    let written = Line {
        time: rfc3339(exchange.wall),
        request_id: exchange.id.as_str(),
        trace_id: exchange.trace.filter(|trace| trace.sampled).map(|trace| format!("{:032x}", trace.trace)),
        client: exchange.client,
        listener: &exchange.peer.listener,
        tls: exchange.peer.tls.as_ref().map(|tls| tls.version),
        method: exchange.method.as_str(),
        scheme: exchange.scheme.as_str(),
        host: &exchange.host,
        path: &exchange.path,
        version: version(exchange.version),
        status: exchange.status,
        duration_ms: milliseconds(told.took),
        received: exchange.received,
        sent: exchange.sent,
        route: told.route,
        pool: told.pool,
        server: exchange.server.as_deref(),
        tries: exchange.tries,
        upstream_ms: exchange.upstream.map(milliseconds),
        verifier: exchange.identity.as_ref().map(|identity| &*identity.verifier_name),
        identity: exchange.identity.as_ref().map(|identity| &*identity.subject),
        reason: exchange.reason.map(crate::gateway::Reason::word),
        cause: exchange.cause.as_deref(),
        violations: exchange.violations,
        unchecked: exchange.unchecked.map(crate::gateway::contract::Unchecked::word),
        headers: headers
            .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
    };
    let before = line.len();
    match serde_json::to_writer(&mut *line, &written) {
        Ok(()) => line.push(b'\n'),
        Err(_) => line.truncate(before),
    }
}

fn combined(told: &Told<'_>, line: &mut Vec<u8>) {
    let exchange = told.exchange;
    let logged = |name: http::HeaderName| {
        let found = exchange.logged.iter().find(|(logged, _)| *logged == name);
        found.map(|(_, value)| value.as_bytes())
    };
    let or_dash = |value: Option<&[u8]>| value.map_or_else(|| "-".to_owned(), quoted);
    // Another page's query holds secrets as one's own does.
    let referer = logged(http::header::REFERER);
    let referer = referer.and_then(|address| address.split(|byte| matches!(byte, b'?' | b'#')).next());
    let user = exchange.identity.as_ref().map_or_else(
        || "-".to_owned(),
        // A blank would shift the columns.
        |identity| quoted(identity.subject.as_bytes()).replace(' ', "\\x20"),
    );
    // Writing to memory does not fail.
    let _ = writeln!(
        line,
        "{} - {} [{}] \"{} {} {}\" {} {} \"{}\" \"{}\"",
        exchange.client,
        user,
        common(exchange.wall),
        exchange.method,
        quoted(exchange.path.as_bytes()),
        version(exchange.version),
        exchange.status,
        exchange.sent,
        or_dash(referer),
        or_dash(logged(http::header::USER_AGENT)),
    );
}

/// As nginx escapes: what would end the quotes or the line is written in hexadecimal.
fn quoted(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'"' | b'\\' | ..=0x1f | 0x7f.. => {
                let _ = write!(text, "\\x{byte:02X}");
            }
            _ => text.push(char::from(byte)),
        }
    }
    text
}

fn version(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_10 => "HTTP/1.0",
        http::Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::HeaderValue;
    use http::header::{REFERER, USER_AGENT};

    use super::*;
    use crate::gateway::exchange::tests::exchange;
    use crate::gateway::{Identity, Reason, TraceContext};

    fn told(exchange: &Exchange) -> Told<'_> {
        Told { exchange, route: Some("movies"), pool: Some("web"), took: Duration::from_micros(1234) }
    }

    fn full() -> Exchange {
        let mut exchange = exchange();
        exchange.path = "/movies/\"7\"".into();
        exchange.status = 502;
        exchange.sent = 42;
        exchange.reason = Some(Reason::UpstreamGarbage);
        exchange.cause = Some("invalid chunk\nsize".into());
        exchange.trace = Some(TraceContext { trace: 0xabc, parent: None, span: 1, sampled: true });
        exchange.identity = Some(Identity {
            verifier: 0,
            verifier_name: "keys".into(),
            subject: "Ann Smith".into(),
            claims: Arc::new(serde_json::Value::Null),
        });
        exchange.logged = vec![
            (USER_AGENT, HeaderValue::from_static("curl \"8\"")),
            (REFERER, HeaderValue::from_static("https://a.example/x?token=secret#y")),
        ];
        exchange
    }

    #[test]
    fn a_line_of_json_is_one_object() {
        let exchange = full();
        let mut line = Vec::new();
        write(LogFormat::Json, &told(&exchange), &mut line);
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        for (key, value) in [
            ("status", serde_json::json!(502)),
            ("duration_ms", 1.234.into()),
            ("route", "movies".into()),
            ("pool", "web".into()),
            ("reason", "upstream_garbage".into()),
            ("cause", "invalid chunk\nsize".into()),
            ("path", "/movies/\"7\"".into()),
            ("identity", "Ann Smith".into()),
            ("trace_id", "00000000000000000000000000000abc".into()),
            (
                "headers",
                serde_json::json!({"user-agent": "curl \"8\"", "referer": "https://a.example/x?token=secret#y"}),
            ),
        ] {
            assert_eq!(line[key], value, "{key}");
        }
        assert!(line.get("upstream_ms").is_none());
    }

    #[test]
    fn a_combined_line_cannot_be_broken_by_what_clients_send() {
        let exchange = full();
        let mut line = Vec::new();
        write(LogFormat::Combined, &told(&exchange), &mut line);
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "192.0.2.7 - Ann\\x20Smith [01/Jan/1970:00:00:00 +0000] \"GET /movies/\\x227\\x22 HTTP/1.1\" 502 42 \
             \"https://a.example/x\" \
             \"curl \\x228\\x22\"\n"
        );
    }
}
