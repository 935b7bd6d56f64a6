//! The form of requests to servers, and what of an answer's framing is not accepted.
//!
//! hyper refuses most of what is no HTTP: control characters, folded lines, wrong chunks, numbers that are none, heads
//! that are too large. What it lets pass, and could be read in two ways, is refused here.

use std::net::SocketAddr;

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use http_body::SizeHint;

/// Gives a request the form of HTTP/1.1: the path as target, and `Host`.
pub(super) fn http1(head: &mut Parts, address: SocketAddr, upgrades: bool) -> Result<(), String> {
    if !head.headers.contains_key(HOST) {
        let host = match head.uri.authority() {
            Some(authority) => HeaderValue::from_str(authority.as_str()),
            None => HeaderValue::from_str(&address.to_string()),
        };
        head.headers.insert(HOST, host.map_err(|e| e.to_string())?);
    }
    if head.uri.authority().is_some() || head.uri.scheme().is_some() {
        head.uri = Uri::from(path(&head.uri));
    }
    head.version = Version::HTTP_11;
    head.headers.remove(CONNECTION);
    if upgrades {
        head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    } else {
        head.headers.remove(UPGRADE);
    }
    Ok(())
}

/// Gives a request the form of HTTP/2: scheme, authority and path in the target.
pub(super) fn http2(head: &mut Parts, address: SocketAddr, encrypted: bool) -> Result<(), String> {
    let authority = match head.headers.remove(HOST) {
        Some(host) => Authority::try_from(host.as_bytes()).map_err(|e| format!("host: {e}"))?,
        None => match head.uri.authority() {
            Some(authority) => authority.clone(),
            None => Authority::try_from(address.to_string()).map_err(|e| e.to_string())?,
        },
    };
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(if encrypted { Scheme::HTTPS } else { Scheme::HTTP });
    uri.authority = Some(authority);
    uri.path_and_query = Some(path(&head.uri));
    head.uri = Uri::from_parts(uri).map_err(|e| e.to_string())?;
    head.version = Version::HTTP_2;
    for name in [CONNECTION, UPGRADE, EXPECT, TRANSFER_ENCODING] {
        head.headers.remove(name);
    }
    Ok(())
}

fn path(uri: &Uri) -> PathAndQuery {
    uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"))
}

/// Makes the head say of the body what is true.
pub(super) fn length(head: &mut Parts, body: Option<&SizeHint>) {
    let headers = &mut head.headers;
    headers.remove(TRANSFER_ENCODING);
    match body {
        None => {
            let expected = matches!(head.method, Method::POST | Method::PUT | Method::PATCH);
            if expected {
                headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            } else {
                headers.remove(CONTENT_LENGTH);
            }
            headers.remove(EXPECT);
        }
        Some(size) => match size.exact() {
            Some(bytes) => _ = headers.insert(CONTENT_LENGTH, bytes.into()),
            None => {
                headers.remove(CONTENT_LENGTH);
                // hyper would send none with GET. In HTTP/2 it goes again.
                headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
        },
    }
}

/// Why the head of an answer is refused.
pub(super) fn refuse(
    status: StatusCode,
    version: Version,
    headers: &HeaderMap,
    upgrades: bool,
) -> Result<(), &'static str> {
    if status == StatusCode::SWITCHING_PROTOCOLS && !upgrades {
        return Err("answer 101, though no other protocol was asked for");
    }
    if version == Version::HTTP_2 {
        return Ok(());
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let (coding, length) = (codings.next(), lengths.next());
    if coding.is_some() && length.is_some() {
        return Err("Content-Length with Transfer-Encoding in the answer");
    }
    if codings.next().is_some() || coding.is_some_and(|it| !it.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err("Transfer-Encoding other than chunked in the answer");
    }
    let is_number = |it: &HeaderValue| !it.is_empty() && it.as_bytes().iter().all(u8::is_ascii_digit);
    if lengths.next().is_some() || length.is_some_and(|it| !is_number(it)) {
        return Err("Content-Length twice or no number in the answer");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(method: &str, uri: &str, headers: &[(&'static str, &'static str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn each_protocol_has_its_form() {
        let address: SocketAddr = "192.0.2.1:80".parse().unwrap();
        for (uri, headers, first, host, second) in [
            ("/a?b", &[("host", "x:1")][..], "/a?b", "x:1", "http://x:1/a?b"),
            ("https://y/a", &[("host", "x")], "/a", "x", "http://x/a"),
            ("https://y/a", &[], "/a", "y", "http://y/a"),
            ("/", &[], "/", "192.0.2.1:80", "http://192.0.2.1:80/"),
            ("*", &[("host", "x")], "*", "x", "http://x*"),
        ] {
            let mut one = head("OPTIONS", uri, headers);
            http1(&mut one, address, false).unwrap();
            assert_eq!((one.uri.to_string().as_str(), one.headers[HOST].to_str().unwrap()), (first, host));
            if uri != "*" {
                let mut two = head("OPTIONS", uri, headers);
                http2(&mut two, address, false).unwrap();
                assert_eq!((two.uri.to_string().as_str(), two.headers.get(HOST)), (second, None));
            }
        }
        let mut two = head("GET", "/", &[("host", "x"), ("te", "trailers"), ("upgrade", "y")]);
        http2(&mut two, address, true).unwrap();
        assert_eq!(two.uri, "https://x/");
        assert!(two.headers.contains_key("te") && !two.headers.contains_key(UPGRADE));
    }

    #[test]
    fn the_head_says_of_the_body_what_is_true() {
        let (exact, unknown) = (SizeHint::with_exact(3), SizeHint::new());
        for (method, said, body, length_said, coding) in [
            ("GET", Some("5"), None, None, None),
            ("POST", None, None, Some("0"), None),
            ("POST", Some("5"), None, Some("0"), None),
            ("POST", Some("5"), Some(&exact), Some("3"), None),
            ("GET", None, Some(&exact), Some("3"), None),
            ("GET", None, Some(&unknown), None, Some("chunked")),
            ("POST", Some("5"), Some(&unknown), None, Some("chunked")),
        ] {
            let headers: Vec<_> = said.map(|length| ("content-length", length)).into_iter().collect();
            let mut head = head(method, "/", &headers);
            length(&mut head, body);
            let got = |name| head.headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!((got(CONTENT_LENGTH), got(TRANSFER_ENCODING)), (length_said, coding), "{method}");
        }
    }

    #[test]
    fn framing_with_two_meanings_is_refused() {
        let one = Version::HTTP_11;
        for (status, version, headers, good) in [
            (200, one, &[][..], true),
            (200, one, &[("content-length", "5")], true),
            (200, one, &[("transfer-encoding", "Chunked")], true),
            (200, one, &[("content-length", "5"), ("transfer-encoding", "chunked")], false),
            (200, one, &[("content-length", "5"), ("content-length", "5")], false),
            (200, one, &[("content-length", "5, 5")], false),
            (200, one, &[("content-length", "+5")], false),
            (200, one, &[("content-length", "")], false),
            (200, one, &[("transfer-encoding", "gzip")], false),
            (200, one, &[("transfer-encoding", "gzip, chunked")], false),
            (200, one, &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], false),
            (101, one, &[], false),
            (200, Version::HTTP_2, &[], true),
            (101, Version::HTTP_2, &[], false),
        ] {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
                .fold(HeaderMap::new(), |mut all, (name, value): (_, HeaderValue)| {
                    all.append(name, value);
                    all
                });
            let refused = refuse(StatusCode::from_u16(status).unwrap(), version, &headers, false);
            assert_eq!(refused.is_ok(), good, "{status} {headers:?}");
        }
        assert_eq!(refuse(StatusCode::SWITCHING_PROTOCOLS, one, &HeaderMap::new(), true), Ok(()));
    }
}
