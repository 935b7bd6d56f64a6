//! What holds for requests of HTTP/2 and HTTP/1 alike, decided on the head that hyper parsed.

mod cookies;
mod fields;
mod hop;
mod method;
mod path;

use std::borrow::Cow;

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, Method, Version};
use hyper::ext::Protocol;

use super::Reason::{BadHost, BadMethod, BadTarget, BadTrailer, TargetTooLong};
use super::wire::{Authority, Bounds, Fault, authority, is_forbidden_trailer};
use super::{BodyError, Refusal, websocket};
use crate::config::gateway::Paths;

pub use cookies::join_cookies;
pub use hop::strip_hop_by_hop;
pub use method::check_method_override;
pub use path::{check_path, decode_slashes, merge_empty_segments, without_empty_segments};

/// Whom a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host<'a> {
    /// In lower case, without port and without a dot at its end; an IPv6 address with its brackets.
    pub name: Cow<'a, str>,
    /// Port, if named.
    pub port: Option<u16>,
}

/// Checks a request's head, and tells whom it is for.
pub fn check(head: &Parts, bounds: Bounds, paths: Paths) -> Result<Host<'_>, Refusal> {
    judge(head, bounds, paths).map_err(|fault| {
        let refusal = Refusal::from(fault);
        // Of HTTP/2 it is only the stream that ends.
        if head.version == Version::HTTP_2 { Refusal { closes: false, ..refusal } } else { refusal }
    })
}

fn judge(head: &Parts, bounds: Bounds, paths: Paths) -> Result<Host<'_>, Fault> {
    check_method(head)?;
    check_target(head, bounds, paths)?;
    if head.version == Version::HTTP_2 {
        fields::check(&head.headers, bounds)?;
    }
    let named = named(head)?;
    let name = if named.host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(named.host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(named.host)
    };
    Ok(Host { name, port: named.port })
}

/// Checks trailers, of which no inspector of bytes has seen those of HTTP/2.
pub fn check_trailers(trailers: &HeaderMap) -> Result<(), BodyError> {
    match trailers.keys().find(|name| is_forbidden_trailer(name)) {
        None => Ok(()),
        Some(name) => Err(BodyError { reason: BadTrailer, cause: format!("{name} may not be a trailer") }),
    }
}

/// CONNECT opens a WebSocket over HTTP/2 (RFC 8441) or is refused: what else it tunnels cannot be inspected. Other names
/// are those of the wire.
fn check_method(head: &Parts) -> Result<(), Fault> {
    let name = head.method.as_str();
    let standard = matches!(name, "GET" | "POST" | "PUT" | "DELETE" | "HEAD" | "OPTIONS" | "PATCH");
    if standard {
        return Ok(());
    }
    if let Some(protocol) = head.extensions.get::<Protocol>() {
        return if websocket::is_named_by(protocol) {
            Ok(())
        } else {
            Err(Fault::new(BadMethod, "CONNECT is for websocket and no other protocol"))
        };
    }
    if matches!(name, "CONNECT" | "TRACE" | "TRACK") {
        return Err(Fault::new(BadMethod, "CONNECT and TRACE are refused"));
    }
    if name.len() > 32 || !name.bytes().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_')) {
        return Err(Fault::new(BadMethod, "a method is made of at most 32 capitals, - and _"));
    }
    Ok(())
}

fn check_target(head: &Parts, bounds: Bounds, paths: Paths) -> Result<(), Fault> {
    let Some(target) = head.uri.path_and_query() else {
        return Err(Fault::new(BadTarget, "the target has no path"));
    };
    if target.as_str().len() > bounds.uri_bytes as usize {
        return Err(Fault::new(TargetTooLong, "the target is longer than allowed"));
    }
    if let Some(scheme) = head.uri.scheme_str()
        && !matches!(scheme, "http" | "https")
    {
        return Err(Fault::new(BadTarget, "the target is no URI of HTTP"));
    }
    match target.path() {
        "*" if head.method == Method::OPTIONS => Ok(()),
        "*" => Err(Fault::new(BadTarget, "the target * is for OPTIONS only")),
        path => check_path(path, paths),
    }
}

/// The authority, from the target or Host: both have to be the same where both are there.
fn named(head: &Parts) -> Result<Authority<'_>, Fault> {
    let invalid = |detail| Fault::new(BadHost, detail);
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Fault::new(BadHost, "Host is there twice"));
    }
    let target = head.uri.authority();
    if let (Some(target), Some(host)) = (target, host)
        && !target.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes())
    {
        return Err(Fault::new(BadHost, "Host is not the one in the target"));
    }
    let named = target.map(|target| target.as_str().as_bytes()).or(host.map(http::HeaderValue::as_bytes));
    authority(named.ok_or(Fault::new(BadHost, "Host is missing"))?).map_err(invalid)
}

#[cfg(test)]
mod tests;
