//! What is refused, and for which reason; what is not, and where it ends.

use super::{BOUNDS, read};
use crate::gateway::Reason::{self, *};

/// A head that is right but for this line in place of, or after, its first and Host.
fn with(line: &str) -> String {
    format!("POST /a HTTP/1.1\r\nhost: a.example\r\n{line}\r\n\r\n")
}

fn chunked(content: &str) -> String {
    format!("POST /a HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n{content}")
}

fn reason(bytes: &[u8]) -> Option<Reason> {
    read(bytes, BOUNDS).1.map(|(_, fault, _)| fault.reason)
}

#[test]
fn request_lines() {
    for (line, expected) in [
        ("GET / HTTP/1.1\r\n", None),
        ("GET / HTTP/1.0\r\n", None),
        ("M-SEARCH /a?b=[c]&d=\\e{f}|`g^h HTTP/1.1\r\n", None),
        ("FOO_BAR /a HTTP/1.1\r\n", None),
        ("OPTIONS * HTTP/1.1\r\n", None),
        ("GET HTTP://A.EXAMPLE/b HTTP/1.1\r\n", None),
        ("GET https://a.example?b HTTP/1.1\r\n", None),
        ("\r\nGET / HTTP/1.1\r\n", None),
        ("\r\n\r\nGET / HTTP/1.1\r\n", Some(BadSyntax)),
        ("\nGET / HTTP/1.1\r\n", Some(BadSyntax)),
        ("\rGET / HTTP/1.1\r\n", Some(BadSyntax)),
        (" GET / HTTP/1.1\r\n", Some(BadSyntax)),
        ("GET  / HTTP/1.1\r\n", Some(BadSyntax)),
        ("GET\t/ HTTP/1.1\r\n", Some(BadSyntax)),
        ("GET / HTTP/1.1\n", Some(BadSyntax)),
        ("GET / HTTP/1.1\r\r\n", Some(BadSyntax)),
        ("GET / HTTP/1.1 \r\n", Some(BadSyntax)),
        ("GET /  HTTP/1.1\r\n", Some(BadSyntax)),
        ("GET /\r\n", Some(BadSyntax)),
        ("GET / http/1.1\r\n", Some(BadSyntax)),
        ("GET / HTTP/1.10\r\n", Some(BadSyntax)),
        ("GET / HTTP/11\r\n", Some(BadSyntax)),
        ("GET / HTTPS/1.1\r\n", Some(BadSyntax)),
        ("GET / HTTP/1.2\r\n", Some(BadVersion)),
        ("GET / HTTP/0.9\r\n", Some(BadVersion)),
        ("PRI * HTTP/2.0\r\n", Some(BadTarget)),
        ("GET / HTTP/2.0\r\n", Some(BadVersion)),
        ("\x16\x03\x01\x02\x00\x01\x00", Some(BadSyntax)),
        ("get / HTTP/1.1\r\n", Some(BadMethod)),
        ("G{T / HTTP/1.1\r\n", Some(BadSyntax)),
        ("G\0T / HTTP/1.1\r\n", Some(BadSyntax)),
        ("GETGETGETGETGETGETGETGETGETGETGETGET / HTTP/1.1\r\n", Some(BadMethod)),
        ("CONNECT a.example:443 HTTP/1.1\r\n", Some(BadMethod)),
        ("TRACE / HTTP/1.1\r\n", Some(BadMethod)),
        ("GET * HTTP/1.1\r\n", Some(BadTarget)),
        ("GET a.example:80 HTTP/1.1\r\n", Some(BadTarget)),
        ("GET a HTTP/1.1\r\n", Some(BadTarget)),
        ("GET ?a HTTP/1.1\r\n", Some(BadTarget)),
        ("GET ftp://a.example/ HTTP/1.1\r\n", Some(BadTarget)),
        ("GET http:/a.example/ HTTP/1.1\r\n", Some(BadTarget)),
        ("GET http:///a HTTP/1.1\r\n", Some(BadHost)),
        ("GET http://b.example/a HTTP/1.1\r\n", Some(BadHost)),
        ("GET http://a.example:80/a HTTP/1.1\r\n", Some(BadHost)),
        ("GET http://user@a.example/a HTTP/1.1\r\n", Some(BadHost)),
        ("GET /a#b HTTP/1.1\r\n", Some(BadTarget)),
        ("GET /a\\b HTTP/1.1\r\n", Some(BadTarget)),
        ("GET /a\"b HTTP/1.1\r\n", Some(BadTarget)),
        ("GET /<a> HTTP/1.1\r\n", Some(BadTarget)),
        ("GET /a\0 HTTP/1.1\r\n", Some(BadTarget)),
        ("GET /\u{e4} HTTP/1.1\r\n", Some(BadTarget)),
        ("GET /a\x7f HTTP/1.1\r\n", Some(BadTarget)),
        ("GET /a\tb HTTP/1.1\r\n", Some(BadTarget)),
        ("GET /a?\"b HTTP/1.1\r\n", Some(BadTarget)),
    ] {
        let bytes = format!("{line}host: a.example\r\n\r\n");
        assert_eq!(reason(bytes.as_bytes()), expected, "{line:?}");
    }
}

#[test]
fn header_lines() {
    for (line, expected) in [
        ("a: b", None),
        ("a:b", None),
        ("a:", None),
        ("a: \t b\tc \t", None),
        ("a: \u{e4}", None),
        ("x!#$%&'*+-.^_`|~9: a", None),
        ("a : b", Some(BadSyntax)),
        ("a\t: b", Some(BadSyntax)),
        (": b", Some(BadSyntax)),
        ("a", Some(BadSyntax)),
        ("a b: c", Some(BadSyntax)),
        ("a[b]: c", Some(BadSyntax)),
        ("a\u{e4}: c", Some(BadSyntax)),
        ("a\0: c", Some(BadSyntax)),
        ("a: b\0c", Some(BadSyntax)),
        ("a: b\x0bc", Some(BadSyntax)),
        ("a: b\x7f", Some(BadSyntax)),
        ("a: b\rc: d", Some(BadSyntax)),
        ("a: b\r\r\nc: d", Some(BadSyntax)),
        ("a: b\nc: d", Some(BadSyntax)),
        ("a: b\n\r\n", Some(BadSyntax)),
        ("a: b\r\n c", Some(FoldedHeader)),
        ("a: b\r\n\tc", Some(FoldedHeader)),
        (" a: b", Some(FoldedHeader)),
        ("host: a.example", Some(BadHost)),
        ("Expect: 100-Continue", None),
        ("expect: 200-ok", Some(BadExpectation)),
        ("expect: 100-continue, a", Some(BadExpectation)),
        ("expect:", Some(BadExpectation)),
    ] {
        assert_eq!(reason(with(line).as_bytes()), expected, "{line:?}");
    }
}

#[test]
fn hosts() {
    for (lines, expected) in [
        ("Host: a.example:8080\r\n", None),
        ("host:[2001:db8::1]:1\r\n", None),
        ("a: b\r\n", Some(BadHost)),
        ("host:\r\n", Some(BadHost)),
        ("host:  \r\n", Some(BadHost)),
        ("host: a b\r\n", Some(BadHost)),
        ("host: a,b\r\n", Some(BadHost)),
        ("host: a/b\r\n", Some(BadHost)),
        ("host: u@a\r\n", Some(BadHost)),
        ("host: a:99999\r\n", Some(BadHost)),
        ("host: \ta\r\n", Some(BadHost)),
        ("host: a\r\nHOST: a\r\n", Some(BadHost)),
        ("host: a\r\nx: y\r\nHost: b\r\n", Some(BadHost)),
    ] {
        for version in ["1.0", "1.1"] {
            let bytes = format!("GET / HTTP/{version}\r\n{lines}\r\n");
            assert_eq!(reason(bytes.as_bytes()), expected, "{lines:?}");
        }
    }
}

#[test]
fn lengths_and_codings() {
    for (lines, expected) in [
        ("content-length: 0", None),
        ("content-length:  0 ", None),
        ("content-length: +0", Some(BadLength)),
        ("content-length: -0", Some(BadLength)),
        ("content-length: 00", Some(BadLength)),
        ("content-length: 0x0", Some(BadLength)),
        ("content-length: 0,0", Some(BadLength)),
        ("content-length: 0 0", Some(BadLength)),
        ("content-length: \t0", Some(BadLength)),
        ("content-length: 1e0", Some(BadLength)),
        ("content-length: 0.0", Some(BadLength)),
        ("content-length:", Some(BadLength)),
        ("content-length: \u{0663}", Some(BadLength)),
        ("content-length: 9223372036854775808", Some(BadLength)),
        ("content-length: 18446744073709551616", Some(BadLength)),
        ("content-length: 99999999999999999999", Some(BadLength)),
        ("content-length: 0\r\ncontent-length: 0", Some(BadLength)),
        ("content-length: 0\r\nContent-Length: 1", Some(BadLength)),
        ("content_length: 0", Some(BadSyntax)),
        ("content-length: 0\r\ntransfer-encoding: chunked", Some(BadLength)),
        ("transfer-encoding: chunked\r\ncontent-length: 0", Some(BadLength)),
        ("Transfer-Encoding:CHUNKED", None),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", Some(BadCoding)),
        ("transfer-encoding: identity", Some(BadCoding)),
        ("transfer-encoding: gzip, chunked", Some(BadCoding)),
        ("transfer-encoding: chunked, identity", Some(BadCoding)),
        ("transfer-encoding: chunked, chunked", Some(BadCoding)),
        ("transfer-encoding: xchunked", Some(BadCoding)),
        ("transfer-encoding: \"chunked\"", Some(BadCoding)),
        ("transfer-encoding: chunked;a=b", Some(BadCoding)),
        ("transfer-encoding: ,chunked", Some(BadCoding)),
        ("transfer-encoding: \tchunked", Some(BadCoding)),
        ("transfer-encoding:", Some(BadCoding)),
        ("transfer_encoding: chunked", Some(BadSyntax)),
        ("transfer-encoding : chunked", Some(BadSyntax)),
        ("transfer-encoding: \x0bchunked", Some(BadSyntax)),
        ("transfer-encoding:\r\n chunked", Some(BadCoding)),
    ] {
        assert_eq!(reason(with(lines).as_bytes()), expected, "{lines:?}");
    }
    let old = with("transfer-encoding: chunked").replace("1.1", "1.0");
    assert_eq!(reason(old.as_bytes()), Some(BadCoding));
}

#[test]
fn chunks() {
    for (content, expected) in [
        ("0\r\n\r\n", None),
        ("000\r\n\r\n", None),
        ("5\r\nabcde\r\n0\r\n\r\n", None),
        ("aA\r\n", None),
        ("0000000000000001\r\na\r\n0\r\n\r\n", None),
        ("5;a\r\nabcde\r\n0;b=c;d=\"e \\\" f\"\r\n\r\n", None),
        ("7fffffffffffffff\r\n", None),
        ("00000000000000001\r\na\r\n0\r\n\r\n", Some(BadChunk)),
        ("8000000000000000\r\n", Some(BadChunk)),
        ("ffffffffffffffff\r\n", Some(BadChunk)),
        ("\r\n", Some(BadChunk)),
        ("g\r\n", Some(BadChunk)),
        ("0x5\r\n", Some(BadChunk)),
        ("+5\r\n", Some(BadChunk)),
        ("-5\r\n", Some(BadChunk)),
        ("5 \r\n", Some(BadChunk)),
        (" 5\r\n", Some(BadChunk)),
        ("5\t\r\n", Some(BadChunk)),
        ("5\n", Some(BadChunk)),
        ("5\r\r\n", Some(BadChunk)),
        ("5\rx", Some(BadChunk)),
        ("5\r\nabcdef\r\n", Some(BadChunk)),
        ("5\r\nabcde\n0\r\n\r\n", Some(BadChunk)),
        ("5\r\nabcde\rx", Some(BadChunk)),
        ("5\r\nabcde0\r\n\r\n", Some(BadChunk)),
        ("5;\r\n", Some(BadChunk)),
        ("5;a=\r\n", Some(BadChunk)),
        ("5; a\r\n", Some(BadChunk)),
        ("5 ;a\r\n", Some(BadChunk)),
        ("5;a=\"b\r\n", Some(BadChunk)),
        ("5;a=\"b\"c\r\n", Some(BadChunk)),
        ("5;a\n", Some(BadChunk)),
        ("5;a\rb\r\n", Some(BadChunk)),
        ("5;a\0\r\n", Some(BadChunk)),
        ("0\r\na: b\r\n\r\n", None),
        ("0\r\na: b\r\nc: d\r\n\r\n", None),
        ("0\r\na : b\r\n\r\n", Some(BadSyntax)),
        ("0\r\na: b\n\r\n", Some(BadSyntax)),
        ("0\r\na: b\r\n c\r\n\r\n", Some(FoldedHeader)),
        ("0\r\n\n", Some(BadSyntax)),
        ("0\r\ncontent-length: 5\r\n\r\n", Some(BadTrailer)),
        ("0\r\nTransfer-Encoding: chunked\r\n\r\n", Some(BadTrailer)),
        ("0\r\nhost: a\r\n\r\n", Some(BadTrailer)),
        ("0\r\nAuthorization: a\r\n\r\n", Some(BadTrailer)),
        ("0\r\nx-forwarded-for: a\r\n\r\n", Some(BadTrailer)),
        ("0\r\nGET / HTTP/1.1\r\n\r\n", Some(BadSyntax)),
    ] {
        let bytes = chunked(content);
        assert_eq!(reason(bytes.as_bytes()), expected, "{content:?}");
        assert!(read(bytes.as_bytes(), BOUNDS).1.is_none_or(|(_, _, in_head)| !in_head), "{content:?}");
    }
}

#[test]
fn each_request_ends_where_the_next_begins() {
    let content = "5;a=b\r\nabcde\r\n0\r\nc: d\r\n\r\n";
    let form = "POST /b HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n";
    let plain = "GET /c HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n";
    let upgrade = "GET /d HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\n\r\n";
    let chunks = chunked("");
    let bytes = format!("{chunks}{content}{form}x=y\r\n{plain}{upgrade}{form}ab");
    let (requests, refused) = read(bytes.as_bytes(), BOUNDS);
    let expected = [(chunks.as_str(), content), (form, "x=y"), (plain, ""), (upgrade, "")];
    assert_eq!(requests, expected.map(|(head, content)| (head.as_bytes(), content.as_bytes())));
    assert_eq!(refused, None);

    let bytes = format!("{form}x=y\0");
    let (requests, refused) = read(bytes.as_bytes(), BOUNDS);
    assert_eq!(requests, [(form.as_bytes(), b"x=y".as_slice())]);
    let (at, fault, in_head) = refused.unwrap();
    assert_eq!((at, fault.reason, in_head), (bytes.len() - 1, BadSyntax, true));
}
