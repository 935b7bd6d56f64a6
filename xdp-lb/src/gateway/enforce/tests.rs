//! Heads as hyper gives them.

use std::time::Duration;

use http::header::{CONNECTION, TE, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request};

use super::*;
use crate::gateway::Reason::{self, *};

const BOUNDS: Bounds =
    Bounds { headers: 6, header_bytes: 400, uri_bytes: 40, header_timeout: Duration::from_secs(1) };

/// Names and values.
type Fields<'a> = &'a [(&'a str, &'a str)];

fn head(version: Version, method: &str, target: &str, fields: Fields<'_>) -> Parts {
    let mut request = Request::builder().version(version).method(method).uri(target);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn heads_of_both_versions() {
    let host = [("host", "A.example.:81")].as_slice();
    let rows: &[(&str, &str, Fields<'_>, Result<&str, Reason>)] = &[
        ("GET", "/a", host, Ok("a.example")),
        ("GET", "http://a.EXAMPLE.:81/a", host, Ok("a.example")),
        ("GET", "http://b/a", &[], Ok("b")),
        ("OPTIONS", "*", &[("host", "[::1]")], Ok("[::1]")),
        ("QUERY", "/a", host, Ok("a.example")),
        ("GET", "*", host, Err(BadTarget)),
        ("GET", "/a/../b", host, Err(BadTarget)),
        ("GET", "ftp://a.example.:81/a", host, Err(BadTarget)),
        ("GET", "/a", &[], Err(BadHost)),
        ("GET", "/a", &[("host", "a"), ("host", "a")], Err(BadHost)),
        ("GET", "http://b/a", host, Err(BadHost)),
        ("GET", "http://u@b/a", &[], Err(BadHost)),
        ("GET", "/a", &[("host", "a b")], Err(BadHost)),
        ("CONNECT", "a.example.:81", host, Err(BadMethod)),
        ("TRACE", "/a", host, Err(BadMethod)),
        ("get", "/a", host, Err(BadMethod)),
        ("GET", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa?b", host, Err(TargetTooLong)),
    ];
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for (method, target, fields, expected) in rows {
            let head = head(version, method, target, fields);
            let found = check(&head, BOUNDS, Paths::default());
            if let Err(refusal) = &found {
                assert_eq!(refusal.closes, version != Version::HTTP_2);
            }
            let found = found.as_ref().map(|host| &*host.name).map_err(|refusal| refusal.reason);
            assert_eq!(found, *expected, "{version:?} {method} {target} {fields:?}");
        }
    }
    let head = head(Version::HTTP_2, "GET", "/a", host);
    let found = check(&head, BOUNDS, Paths::default()).unwrap();
    assert_eq!(found.port, Some(81));
}

#[test]
fn connect_is_for_websockets_over_http_2() {
    for (protocol, expected) in [
        (Some("websocket"), Ok("a")),
        (Some("WebSocket"), Ok("a")),
        (Some("connect-udp"), Err(BadMethod)),
        (Some("websocket, h2c"), Err(BadMethod)),
        (Some(""), Err(BadMethod)),
        (None, Err(BadMethod)),
    ] {
        let mut head = head(Version::HTTP_2, "CONNECT", "https://a/chat", &[]);
        if let Some(protocol) = protocol {
            head.extensions.insert(Protocol::from(protocol));
        }
        let found = check(&head, BOUNDS, Paths::default());
        let found = found.as_ref().map(|host| &*host.name).map_err(|refusal| refusal.reason);
        assert_eq!(found, expected, "{protocol:?}");
    }
}

#[test]
fn fields_of_http_2() {
    let long = "v".repeat(400);
    let rows: &[(Fields<'_>, Option<Reason>)] = &[
        (&[("te", "trailers"), ("expect", "100-continue"), ("content-length", "05")], None),
        (&[("te", "gzip")], Some(BadSyntax)),
        (&[("connection", "close")], Some(BadSyntax)),
        (&[("keep-alive", "5")], Some(BadSyntax)),
        (&[("proxy-connection", "close")], Some(BadSyntax)),
        (&[("transfer-encoding", "chunked")], Some(BadSyntax)),
        (&[("upgrade", "a")], Some(BadSyntax)),
        (&[("content_length", "5")], Some(BadSyntax)),
        (&[("a", " b")], Some(BadSyntax)),
        (&[("a", "b\t")], Some(BadSyntax)),
        (&[("a", "")], None),
        (&[("expect", "a")], Some(BadExpectation)),
        (&[("content-length", "+5")], Some(BadLength)),
        (&[("content-length", "5"), ("content-length", "5")], Some(BadLength)),
        (&[("a", &long)], Some(HeadTooLarge)),
        (&[("a", ""), ("b", ""), ("c", ""), ("d", ""), ("e", ""), ("f", ""), ("g", "")], Some(HeadTooLarge)),
    ];
    for (fields, expected) in rows {
        let head = head(Version::HTTP_2, "GET", "http://a/", fields);
        assert_eq!(
            check(&head, BOUNDS, Paths::default()).err().map(|refusal| refusal.reason),
            *expected,
            "{fields:?}"
        );
    }
}

fn headers(fields: Fields<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers
            .append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

#[test]
fn what_concerns_the_connection_comes_off() {
    let rows: &[(Fields<'_>, &[&str])] = &[
        (&[("a", "b")], &["a"]),
        (&[("connection", "close"), ("a", "b")], &["a"]),
        (&[("connection", "keep-alive, X-Hop"), ("x-hop", "1"), ("x-hop", "2"), ("a", "b")], &["a"]),
        (&[("connection", "a"), ("connection", "B ,,"), ("a", "1"), ("b", "2"), ("c", "3")], &["c"]),
        (&[("keep-alive", "5"), ("proxy-connection", "a"), ("transfer-encoding", "chunked")], &[]),
        (&[("connection", "upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "a")], &[]),
        (&[("te", "gzip"), ("a", "b")], &["a"]),
        (&[("connection", "TE"), ("te", "gzip, Trailers"), ("trailer", "a")], &["te", "trailer"]),
    ];
    for (before, after) in rows {
        let mut headers = headers(before);
        strip_hop_by_hop(&mut headers, false).unwrap();
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, *after, "{before:?}");
        assert!(headers.get(TE).is_none_or(|te| te == "trailers"));
    }
    let mut kept = headers(&[("connection", "Upgrade, x"), ("upgrade", "websocket"), ("x", "y")]);
    strip_hop_by_hop(&mut kept, true).unwrap();
    assert_eq!(kept[CONNECTION], "upgrade");
    assert_eq!(kept[UPGRADE], "websocket");
    assert_eq!(kept.len(), 2);
    for unasked in [&[("upgrade", "websocket")][..], &[("upgrade", "websocket"), ("connection", "close")]] {
        let mut headers = headers(unasked);
        strip_hop_by_hop(&mut headers, true).unwrap();
        assert!(headers.is_empty(), "{unasked:?}: {headers:?}");
    }
}

#[test]
fn connection_cannot_take_off_what_is_for_the_other_end() {
    for named in
        ["Host", "content-length", "close, Authorization", "cookie", "x-forwarded-for", "X-Forwarded-New"]
    {
        let mut headers = headers(&[("connection", named)]);
        assert_eq!(strip_hop_by_hop(&mut headers, true).unwrap_err().reason, BadSyntax, "{named}");
    }
    assert!(strip_hop_by_hop(&mut headers(&[("connection", "a b")]), true).is_err());
}
