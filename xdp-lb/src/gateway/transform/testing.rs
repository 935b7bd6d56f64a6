//! Requests and templates for tests.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::request::Parts;

use crate::config::gateway::{
    Access, Action, Forwarded, Gateway, Limits, MethodOverride, PathPattern, RequestChanges, ResponseChanges,
    Route, Template, TemplatePart,
};
use crate::gateway::{Exchange, Identity, Peer, RequestId, Scheme, TlsPeer};

pub(crate) fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    request.body(()).unwrap().into_parts().0
}

pub(crate) fn peer(remote: &str, tls: bool) -> Peer {
    let tls = tls.then(|| TlsPeer { version: "TLSv1.3", server_name: None, certificate: None });
    let remote = std::net::SocketAddr::new(remote.parse().unwrap(), 40_000);
    Peer { listener: "web".into(), remote, local: "203.0.113.1:443".parse().unwrap(), tls }
}

pub(crate) fn exchange(method: &str, host: &str, path: &str) -> Exchange {
    Exchange {
        peer: Arc::new(peer("198.51.100.7", true)),
        id: RequestId(HeaderValue::from_static("id-1")),
        client: "198.51.100.7".parse().unwrap(),
        scheme: Scheme::Https,
        method: method.parse().unwrap(),
        host: host.into(),
        path: path.into(),
        status: 0,
        ..crate::gateway::exchange::tests::exchange()
    }
}

pub(crate) fn identity(subject: &str, claims: serde_json::Value) -> Identity {
    Identity { verifier: 0, verifier_name: "jwt".into(), subject: subject.into(), claims: Arc::new(claims) }
}

pub(crate) fn gateway(trusted: &[&str], forwarded: Forwarded) -> Gateway {
    let limits = Limits {
        headers: 100,
        header_bytes: 32_768,
        uri_bytes: 8192,
        body_bytes: 1 << 20,
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(60),
        body_timeout: Duration::from_secs(30),
        body_rate: 0,
        send_timeout: Duration::from_secs(30),
        requests_per_connection: 0,
        streams: 100,
        resets_per_second: 100,
        idle_frames_per_second: 1000,
        connections: 1000,
    };
    Gateway {
        threads: 1,
        notice: Duration::ZERO,
        drain: Duration::from_secs(30),
        trusted_proxies: trusted.iter().map(|net| net.parse().unwrap()).collect(),
        request_id_header: http::HeaderName::from_static("x-request-id"),
        forwarded,
        handover_socket: None,
        limits,
        max_in_flight: 0,
        max_lag: Duration::ZERO,
        paths: crate::config::gateway::Paths::default(),
    }
}

pub(crate) fn route(name: &str, path: PathPattern) -> Route {
    Route {
        name: name.to_owned(),
        hosts: Vec::new(),
        path,
        methods: Vec::new(),
        method_override: MethodOverride::Refuse,
        conditions: Vec::new(),
        action: Action::Forward(vec![(0, 1)]),
        body_bytes: None,
        timeout: None,
        access: Access::default(),
        rate_limits: Vec::new(),
        contract: None,
        request: RequestChanges::default(),
        response: ResponseChanges::default(),
        cors: None,
        compression: None,
        mirror: None,
    }
}

/// A template in the file's syntax. A brace that begins no known place is text.
pub(crate) fn template(text: &str) -> Template {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let place = rest.strip_prefix('{').and_then(|after| after.split_once('}'));
        if let Some((word, after)) = place
            && let Some(part) = part(word)
        {
            if !plain.is_empty() {
                parts.push(TemplatePart::Text(std::mem::take(&mut plain)));
            }
            parts.push(part);
            rest = after;
        } else {
            plain.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    if !plain.is_empty() {
        parts.push(TemplatePart::Text(plain));
    }
    Template { parts }
}

fn part(word: &str) -> Option<TemplatePart> {
    Some(match word {
        "host" => TemplatePart::Host,
        "path" => TemplatePart::Path,
        "query" => TemplatePart::Query,
        "rest" => TemplatePart::Rest,
        "method" => TemplatePart::Method,
        "client" => TemplatePart::Client,
        "request_id" => TemplatePart::RequestId,
        "identity" => TemplatePart::Identity,
        "status" => TemplatePart::Status,
        _ => match word.split_once(':')? {
            ("header", name) => TemplatePart::Header(name.parse().ok()?),
            ("query", name) => TemplatePart::QueryParameter(name.to_owned()),
            ("claim", name) => TemplatePart::Claim(name.to_owned()),
            ("param", name) => TemplatePart::PathParameter(name.to_owned()),
            _ => return None,
        },
    })
}
