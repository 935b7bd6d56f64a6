//! `[admin]`, `[log]` and `[trace]`: read and checked.

use std::net::{Ipv4Addr, SocketAddr};

use http::Uri;
use http::uri::Scheme;

use super::model::{AccessLog, GatewayAdmin, Jwt, LogFormat, Trace, UpstreamTls, Verifier, VerifierKind};
use super::pool::{TLS_KEYS, TLS_REFUSED, tls};
use super::rules::{SECRET, header, set};
use crate::config::live::Ratio;
use crate::config::net::listen;
use crate::config::rules::{Refusal, Rule, absolute_path, bounded_text, one_of, ratio};
use crate::config::section::{Field, Schema, Section};

const ADMIN: Schema = Schema { header: "[admin]", keys: &["listen"], refused: &[], outer: None };

const LOG: Schema =
    Schema { header: "[log]", keys: &["format", "path", "sample", "headers"], refused: &[], outer: None };

const TRACE: Schema =
    Schema { header: "[trace]", keys: &["endpoint", "sample", "service", "tls"], refused: &[], outer: None };

const TRACE_TLS: Schema =
    Schema { header: "[trace.tls]", keys: TLS_KEYS, refused: TLS_REFUSED, outer: Some(&TRACE) };

#[cfg(test)]
pub(super) const SCHEMAS: [(&Schema, &[&str]); 4] =
    [(&ADMIN, &[]), (&LOG, &[]), (&TRACE, &["tls"]), (&TRACE_TLS, &[])];

/// The admin listener, not given where the table is not.
pub(super) fn admin(root: &Section<'_>) -> Field<GatewayAdmin> {
    let table = root.table("admin", &ADMIN);
    let listen = table.or("listen", listen(), SocketAddr::from((Ipv4Addr::LOCALHOST, 9_401)));
    let value = listen.value.map(|listen| GatewayAdmin { listen });
    Field { value, place: listen.place, given: table.is_given() }
}

/// The access log; `None` when something in it is wrong. Headers in which verifiers look for secrets are not in it.
pub(super) fn log(root: &Section<'_>, verifiers: &[Option<Verifier>]) -> Option<AccessLog> {
    let table = root.table("log", &LOG);
    let format = table.or("format", one_of(FORMATS, &[]), LogFormat::Json);
    let path = table.optional("path", absolute_path(4_095));
    let sample = table.or("sample", ratio(0..=1000), Ratio::thousandths(1000));
    let expected = "a list of up to 64 names of headers, as [\"user-agent\"]";
    let headers = set(&table, "headers", expected, 0..=64, header(SECRET), Vec::new());
    for verifier in verifiers.iter().flatten() {
        let secret = match &verifier.kind {
            VerifierKind::ApiKey { header, .. } | VerifierKind::Jwt(Jwt { header, .. }) => header,
            _ => continue,
        };
        if headers.iter().flatten().any(|header| header == secret) {
            let name = &verifier.name;
            let message = format!(
                "has {secret}, which holds the secrets of verifier {name:?}, and they are never logged: remove it"
            );
            table.useless("headers", &message);
        }
    }
    match format.value {
        Some(LogFormat::Off) => {
            for key in ["path", "sample", "headers"] {
                table.useless(key, "has no effect with format = \"off\": remove one of the two");
            }
        }
        Some(LogFormat::Combined) => table.useless(
            "headers",
            "has no effect with format = \"combined\", which has its own: set format = \"json\", or remove this",
        ),
        _ => {}
    }
    Some(AccessLog { format: format.value?, path: path.maybe()?, sample: sample.value?, headers: headers? })
}

/// Traces: `Some(None)` where the table is left out, `None` when something in it is wrong.
pub(super) fn trace(root: &Section<'_>) -> Option<Option<Trace>> {
    let table = root.table("trace", &TRACE);
    if !table.is_given() {
        return Some(None);
    }
    let endpoint = table.required("endpoint", collector());
    let sample = table.or("sample", ratio(0..=1000), Ratio::thousandths(10));
    let service = table.or("service", bounded_text(1..=256), "xdp-lb".to_owned());
    let tls = tls(&table, &TRACE_TLS);
    let endpoint = endpoint.value;
    let is_encrypted = endpoint.as_ref().is_some_and(|endpoint| endpoint.scheme() == Some(&Scheme::HTTPS));
    if endpoint.is_some() && !is_encrypted {
        table.useless("tls", "has no effect with an endpoint by http: name one by https, or remove this");
    }
    let anybody = UpstreamTls { server_name: None, verify: true, ca: None, certificate: None };
    let tls = tls?.or(is_encrypted.then_some(anybody));
    Some(Some(Trace { endpoint: endpoint?, sample: sample.value?, service: service.value?, tls }))
}

fn collector() -> Rule<'static, Uri> {
    Rule::string("the address of a collector, as \"http://127.0.0.1:4318\"", |text| {
        let uri: Uri = text.parse().map_err(|_| Refusal::Unexpected)?;
        let authority = uri.authority().ok_or(Refusal::Unexpected)?;
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err(Refusal::Unexpected);
        }
        match uri.scheme_str() {
            Some("http" | "https") => Ok(uri),
            _ => Err(Refusal::Unexpected),
        }
    })
}

const FORMATS: &[(&str, LogFormat)] =
    &[("json", LogFormat::Json), ("combined", LogFormat::Combined), ("off", LogFormat::Off)];
