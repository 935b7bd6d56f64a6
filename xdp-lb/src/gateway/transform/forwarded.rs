//! Who asked, as proxies tell it: `X-Forwarded-For`, `-Host`, `-Proto`, and `Forwarded` (RFC 7239). What anybody but a
//! trusted proxy says of it is not believed and not passed on.

mod chain;
mod element;

use std::fmt::Write as _;
use std::net::IpAddr;

use http::header::{FORWARDED, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::gateway::{Forwarded, Gateway};
use crate::gateway::{Exchange, Peer, Scheme};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Further headers that servers take the same from, or another path than the one that routes were found and checks made
/// by, and that the gateway does not write: they always go.
const LOOKALIKES: [HeaderName; 15] = [
    HeaderName::from_static("client-ip"),
    HeaderName::from_static("x-client-ip"),
    HeaderName::from_static("x-cluster-client-ip"),
    HeaderName::from_static("x-forwarded"),
    HeaderName::from_static("x-forwarded-by"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-uri"),
    HeaderName::from_static("x-forwarded-scheme"),
    HeaderName::from_static("x-forwarded-server"),
    HeaderName::from_static("x-forwarded-ssl"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("true-client-ip"),
];

/// Whether what this address says of others is believed.
pub fn trusts(gateway: &Gateway, address: IpAddr) -> bool {
    let address = address.to_canonical();
    gateway.trusted_proxies.iter().any(|net| net.contains(&address))
}

/// Who asks, and by what: the connection's other end, or whom a trusted proxy names.
///
/// The header that the gateway itself would write is read: `X-Forwarded-For` where both or none, and `Forwarded` then
/// only without it. It is gone through from its end while the addresses are of trusted proxies; what is no address ends
/// that.
pub fn client(gateway: &Gateway, peer: &Peer, headers: &HeaderMap) -> (IpAddr, Scheme) {
    let address = peer.remote.ip().to_canonical();
    let scheme = if peer.tls.is_some() { Scheme::Https } else { Scheme::Http };
    if !trusts(gateway, address) {
        return (address, scheme);
    }
    let standard = match gateway.forwarded {
        Forwarded::X => false,
        Forwarded::Standard => true,
        Forwarded::Both | Forwarded::Off => {
            !headers.contains_key(X_FORWARDED_FOR) && headers.contains_key(FORWARDED)
        }
    };
    let (client, told) = if standard {
        chain::by_standard(gateway, address, headers)
    } else {
        (chain::by_x(gateway, address, headers), chain::proto(headers))
    };
    (client, told.unwrap_or(scheme))
}

/// Writes what the server is told, and removes what it is not to believe. To be called before the request's host is
/// changed, and before configured changes of headers, so that these go before.
pub fn apply(gateway: &Gateway, exchange: &Exchange, head: &mut Parts) {
    let remote = exchange.peer.remote.ip().to_canonical();
    let trusted = trusts(gateway, remote);
    let (x, standard) = match gateway.forwarded {
        Forwarded::X => (true, false),
        Forwarded::Standard => (false, true),
        Forwarded::Both => (true, true),
        Forwarded::Off => (false, false),
    };
    let host = original_host(head);
    let headers = &mut head.headers;
    for name in &LOOKALIKES {
        headers.remove(name);
    }
    while let Some(alias) = headers.keys().find(|name| is_alias(name)).cloned() {
        headers.remove(alias);
    }
    if !(trusted && x) {
        headers.remove(X_FORWARDED_FOR);
        headers.remove(X_FORWARDED_HOST);
        headers.remove(X_FORWARDED_PROTO);
    }
    if !(trusted && standard) {
        headers.remove(FORWARDED);
    }
    if x {
        let list = appended(headers, &X_FORWARDED_FOR, remote);
        headers.insert(X_FORWARDED_FOR, list);
        if !headers.contains_key(X_FORWARDED_PROTO) {
            headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(exchange.scheme.as_str()));
        }
        if let Some(host) = &host
            && !headers.contains_key(X_FORWARDED_HOST)
        {
            headers.insert(X_FORWARDED_HOST, host.clone());
        }
    }
    if standard {
        let list = appended(headers, &FORWARDED, element::Written { remote, host, scheme: exchange.scheme });
        headers.insert(FORWARDED, list);
    }
}

/// Whether it is one of these headers to servers that take `_` for `-`, as they hand headers on as variables (CGI, WSGI,
/// PHP).
fn is_alias(name: &HeaderName) -> bool {
    let name = name.as_str();
    if !name.starts_with(['c', 't', 'x']) || !name.contains('_') {
        return false;
    }
    let dashed = name.replace('_', "-");
    dashed.starts_with("x-forwarded") || LOOKALIKES.iter().any(|one| one.as_str() == dashed)
}

/// The header's lists as one, with one element more.
fn appended(headers: &HeaderMap, name: &HeaderName, element: impl std::fmt::Display) -> HeaderValue {
    let mut list = Vec::new();
    for value in headers.get_all(name) {
        if !value.is_empty() {
            list.extend_from_slice(value.as_bytes());
            list.extend_from_slice(b", ");
        }
    }
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(text, "{element}");
    list.extend_from_slice(text.as_bytes());
    // Of values and addresses comes a value.
    HeaderValue::from_maybe_shared(bytes::Bytes::from(list)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The host as asked for, with the port if there was one.
fn original_host(head: &Parts) -> Option<HeaderValue> {
    match head.uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => head.headers.get(HOST).cloned(),
    }
}

#[cfg(test)]
mod tests;
