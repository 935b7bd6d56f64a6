//! The corpus: requests, right, wrong, and made to be read differently by two servers.

use xdp_lb::gateway::Reason::{self, *};

/// Bytes and what becomes of them.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    bytes: String,
    /// Requests taken before the refusal, if any.
    pub(crate) taken: usize,
    /// Why the next is refused.
    pub(crate) refused: Option<Reason>,
}

impl Row {
    /// `\u{80}` to `\u{ff}` stand for the bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bytes.chars().map(|char| u8::try_from(u32::from(char)).unwrap()).collect()
    }

    pub(crate) fn name(&self) -> String {
        let text = self.bytes.escape_debug().to_string().replace("Host: a.example", "H");
        text.chars().take(150).collect()
    }
}

const HOST: &str = "Host: a.example\r\n";
const NEXT: &str = "GET /next HTTP/1.1\r\nHost: a.example\r\n\r\n";

/// All of them.
pub(crate) fn all() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |bytes: String, taken, refused| {
        rows.push(Row { bytes, taken, refused });
    };
    for (line, refused) in LINES {
        add(format!("{line}{HOST}\r\n"), usize::from(refused.is_none()), *refused);
    }
    for (path, refused) in PATHS {
        add(format!("GET {path} HTTP/1.1\r\n{HOST}\r\n"), usize::from(refused.is_none()), *refused);
    }
    for (lines, refused) in FIELDS {
        add(format!("GET / HTTP/1.1\r\n{HOST}{lines}\r\n\r\n"), usize::from(refused.is_none()), *refused);
    }
    for (lines, refused) in HOSTS {
        add(format!("GET / HTTP/1.1\r\n{lines}\r\n"), usize::from(refused.is_none()), *refused);
    }
    // Each with a content that is right under one reading, and a request behind it that is one under the other.
    for (lines, refused) in FRAMINGS {
        for content in ["0\r\n\r\n", "abcde"] {
            let bytes = format!("POST / HTTP/1.1\r\n{HOST}{lines}\r\n\r\n{content}{NEXT}");
            add(bytes, 0, Some(*refused));
        }
    }
    for (content, refused) in CHUNKS {
        let bytes = format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n{content}{NEXT}");
        add(bytes, if refused.is_some() { 0 } else { 2 }, *refused);
    }
    for (bytes, taken, refused) in SEQUENCES {
        add((*bytes).replace("{NEXT}", NEXT).replace("{HOST}", HOST), *taken, *refused);
    }
    rows
}

/// First lines.
const LINES: &[(&str, Option<Reason>)] = &[
    ("GET / HTTP/1.1\r\n", None),
    ("GET / HTTP/1.0\r\n", None),
    ("HEAD / HTTP/1.1\r\n", None),
    ("PATCH /a?b=c&d HTTP/1.1\r\n", None),
    ("M-SEARCH / HTTP/1.1\r\n", None),
    ("GET /?a=[b]{c}|d HTTP/1.1\r\n", None),
    ("GET http://a.example/b HTTP/1.1\r\n", None),
    ("GET HTTP://A.EXAMPLE/b HTTP/1.1\r\n", None),
    ("\r\nGET / HTTP/1.1\r\n", None),
    ("\r\n\r\nGET / HTTP/1.1\r\n", Some(BadSyntax)),
    ("\nGET / HTTP/1.1\r\n", Some(BadSyntax)),
    (" GET / HTTP/1.1\r\n", Some(BadSyntax)),
    ("GET  / HTTP/1.1\r\n", Some(BadSyntax)),
    ("GET\t/ HTTP/1.1\r\n", Some(BadSyntax)),
    ("GET /\tHTTP/1.1\r\n", Some(BadTarget)),
    ("GET / HTTP/1.1\n", Some(BadSyntax)),
    ("GET / HTTP/1.1\r\r\n", Some(BadSyntax)),
    ("GET / HTTP/1.1\rX: y\r\n", Some(BadSyntax)),
    ("GET / HTTP/1.1 \r\n", Some(BadSyntax)),
    ("GET / HTTP/1.1 HTTP/1.1\r\n", Some(BadSyntax)),
    ("GET / a HTTP/1.1\r\n", Some(BadSyntax)),
    ("GET /\r\n", Some(BadSyntax)),
    ("GET\r\n", Some(BadSyntax)),
    ("GET / http/1.1\r\n", Some(BadSyntax)),
    ("GET / HTTP/1.10\r\n", Some(BadSyntax)),
    ("GET / HTTP/01.1\r\n", Some(BadVersion)),
    ("GET / HTTP/1.2\r\n", Some(BadVersion)),
    ("GET / HTTP/2.0\r\n", Some(BadVersion)),
    ("GET / HTTP/3.1\r\n", Some(BadVersion)),
    ("GET / HTTP/1,1\r\n", Some(BadSyntax)),
    ("get / HTTP/1.1\r\n", Some(BadMethod)),
    ("G@T / HTTP/1.1\r\n", Some(BadSyntax)),
    ("G\0T / HTTP/1.1\r\n", Some(BadSyntax)),
    ("\u{ff}GET / HTTP/1.1\r\n", Some(BadSyntax)),
    ("CONNECT a.example:443 HTTP/1.1\r\n", Some(BadMethod)),
    ("TRACE / HTTP/1.1\r\n", Some(BadMethod)),
    ("GET * HTTP/1.1\r\n", Some(BadTarget)),
    ("GET a HTTP/1.1\r\n", Some(BadTarget)),
    ("GET http://b.example/ HTTP/1.1\r\n", Some(BadHost)),
    ("GET http://a.example:81/ HTTP/1.1\r\n", Some(BadHost)),
    ("GET http://u@a.example/ HTTP/1.1\r\n", Some(BadHost)),
    ("GET http:///a HTTP/1.1\r\n", Some(BadHost)),
    ("GET ftp://a.example/ HTTP/1.1\r\n", Some(BadTarget)),
    ("GET //b.example/ HTTP/1.1\r\n", Some(BadTarget)),
    ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\r\n", Some(BadSyntax)),
];

/// Targets.
const PATHS: &[(&str, Option<Reason>)] = &[
    ("/a/b.c/", None),
    ("/a%20b%C3%A4", None),
    ("/a?b=/../%00%", None),
    ("/a;b=c", None),
    ("/a#b", Some(BadTarget)),
    ("/a\\b", Some(BadTarget)),
    ("/a\"b", Some(BadTarget)),
    ("/a<b>", Some(BadTarget)),
    ("/a\0", Some(BadTarget)),
    ("/a\u{1}", Some(BadTarget)),
    ("/a\u{7f}", Some(BadTarget)),
    ("/\u{e4}", Some(BadTarget)),
    ("/../a", Some(BadTarget)),
    ("/a/../../b", Some(BadTarget)),
    ("/a/../b", Some(BadTarget)),
    ("/a/./b", Some(BadTarget)),
    ("/a/..;/b", Some(BadTarget)),
    ("/%2e%2e/a", Some(BadTarget)),
    ("/a/.%2E/b", Some(BadTarget)),
    ("/a%2f..%2fb", Some(BadTarget)),
    ("/a%5cb", Some(BadTarget)),
    ("/a//b", Some(BadTarget)),
    ("/a%00b", Some(BadTarget)),
    ("/a%0d%0aX:%20y", Some(BadTarget)),
    ("/%61dmin", Some(BadTarget)),
    ("/a%", Some(BadTarget)),
    ("/a%4", Some(BadTarget)),
    ("/a%zz", Some(BadTarget)),
    ("/a%u0041", Some(BadTarget)),
];

/// Lines after a Host that is right.
const FIELDS: &[(&str, Option<Reason>)] = &[
    ("A: b", None),
    ("A:", None),
    ("A: \t b \t", None),
    ("A: \u{e4}", None),
    ("A_b: c", None),
    ("Connection: close", None),
    ("Expect: 100-continue", None),
    ("A : b", Some(BadSyntax)),
    ("A\t: b", Some(BadSyntax)),
    (": b", Some(BadSyntax)),
    ("A", Some(BadSyntax)),
    ("A b: c", Some(BadSyntax)),
    ("A\0: b", Some(BadSyntax)),
    ("A: b\0c", Some(BadSyntax)),
    ("A: b\u{b}c", Some(BadSyntax)),
    ("A: b\u{7f}", Some(BadSyntax)),
    ("\u{e4}: b", Some(BadSyntax)),
    ("A: b\rX: y", Some(BadSyntax)),
    ("A: b\nX: y", Some(BadSyntax)),
    ("A: b\n", Some(BadSyntax)),
    ("A: b\r\n c", Some(FoldedHeader)),
    ("A: b\r\n\tTransfer-Encoding: chunked", Some(FoldedHeader)),
    (" A: b", Some(FoldedHeader)),
    ("Expect: 200-ok", Some(BadExpectation)),
    ("Connection: close, Host", Some(BadSyntax)),
    ("Connection: X-Forwarded-For", Some(BadSyntax)),
    ("Connection: Content-Length", Some(BadSyntax)),
];

/// Lines where Host has to be.
const HOSTS: &[(&str, Option<Reason>)] = &[
    ("Host: a.example:8080\r\n", None),
    ("Host: A.Example.\r\n", None),
    ("Host: 192.0.2.1\r\n", None),
    ("Host: [2001:db8::1]:80\r\n", None),
    ("", Some(BadHost)),
    ("X: y\r\n", Some(BadHost)),
    ("Host:\r\n", Some(BadHost)),
    ("Host: \r\n", Some(BadHost)),
    ("Host: a.example\r\nHost: a.example\r\n", Some(BadHost)),
    ("Host: a.example\r\nhost: b.example\r\n", Some(BadHost)),
    ("Host: a.example, b.example\r\n", Some(BadHost)),
    ("Host: a b\r\n", Some(BadHost)),
    ("Host: a/b\r\n", Some(BadHost)),
    ("Host: u@a\r\n", Some(BadHost)),
    ("Host: a:b\r\n", Some(BadHost)),
    ("Host: a:65536\r\n", Some(BadHost)),
    ("Host: a..b\r\n", Some(BadHost)),
    ("Host: .a\r\n", Some(BadHost)),
    ("Host: [::1\r\n", Some(BadHost)),
    ("Host: [a]\r\n", Some(BadHost)),
    ("Host: a\u{e4}\r\n", Some(BadHost)),
    ("Host: a\\b\r\n", Some(BadHost)),
    ("Host : a.example\r\n", Some(BadSyntax)),
    ("Host: a\0b\r\n", Some(BadSyntax)),
    ("Host: a\r\n b\r\n", Some(FoldedHeader)),
];

/// Lines that frame a content in more than one way. None is taken.
const FRAMINGS: &[(&str, Reason)] = &[
    ("Content-Length: 5\r\nTransfer-Encoding: chunked", BadLength),
    ("Transfer-Encoding: chunked\r\nContent-Length: 5", BadLength),
    ("Transfer-Encoding: chunked\r\nContent-Length: 0", BadLength),
    ("Content-Length: 5\r\nContent-Length: 5", BadLength),
    ("Content-Length: 5\r\nContent-Length: 0", BadLength),
    ("Content-Length: 0\r\nContent-Length: 5", BadLength),
    ("Content-Length: 5, 5", BadLength),
    ("Content-Length: 5,", BadLength),
    ("Content-Length: +5", BadLength),
    ("Content-Length: -5", BadLength),
    ("Content-Length: 0x5", BadLength),
    ("Content-Length: 05", BadLength),
    ("Content-Length: 5.0", BadLength),
    ("Content-Length: 5e0", BadLength),
    ("Content-Length: 5 0", BadLength),
    ("Content-Length: 5;", BadLength),
    ("Content-Length: five", BadLength),
    ("Content-Length: \"5\"", BadLength),
    ("Content-Length:", BadLength),
    ("Content-Length: \t5", BadLength),
    ("Content-Length: 9223372036854775808", BadLength),
    ("Content-Length: 18446744073709551621", BadLength),
    ("Content-Length: 99999999999999999999999", BadLength),
    ("Content-Length : 5", BadSyntax),
    ("Content-Length\t: 5", BadSyntax),
    ("Content-Length: \u{b}5", BadSyntax),
    ("Content-Length: 5\0", BadSyntax),
    ("Content-Length: 5\r\n 0", FoldedHeader),
    ("Content_Length: 5", BadSyntax),
    ("X: y\rContent-Length: 5", BadSyntax),
    ("X: y\nContent-Length: 5", BadSyntax),
    ("Transfer-Encoding : chunked", BadSyntax),
    ("Transfer-Encoding\t: chunked", BadSyntax),
    (" Transfer-Encoding: chunked", FoldedHeader),
    ("X: y\r\n Transfer-Encoding: chunked", FoldedHeader),
    ("Transfer-Encoding:\r\n chunked", BadCoding),
    ("Transfer-Encoding: chunked\r\n ", FoldedHeader),
    ("Transfer-Encoding: \u{b}chunked", BadSyntax),
    ("Transfer-Encoding: \u{c}chunked", BadSyntax),
    ("Transfer-Encoding: chunked\0", BadSyntax),
    ("Transfer-Encoding: \u{a0}chunked", BadCoding),
    ("Transfer-Encoding: \tchunked", BadCoding),
    ("Transfer-Encoding: chunked\t", BadCoding),
    ("Transfer-Encoding: chunked, identity", BadCoding),
    ("Transfer-Encoding: identity, chunked", BadCoding),
    ("Transfer-Encoding: chunked, chunked", BadCoding),
    ("Transfer-Encoding: gzip, chunked", BadCoding),
    ("Transfer-Encoding: identity", BadCoding),
    ("Transfer-Encoding: gzip", BadCoding),
    ("Transfer-Encoding: xchunked", BadCoding),
    ("Transfer-Encoding: chunkedx", BadCoding),
    ("Transfer-Encoding: chunk", BadCoding),
    ("Transfer-Encoding: chunked;a=b", BadCoding),
    ("Transfer-Encoding: 'chunked'", BadCoding),
    ("Transfer-Encoding: \"chunked\"", BadCoding),
    ("Transfer-Encoding: ,chunked", BadCoding),
    ("Transfer-Encoding: chunked,", BadCoding),
    ("Transfer-Encoding:", BadCoding),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", BadCoding),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", BadCoding),
    ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", BadCoding),
    ("Transfer-Encoding: x\r\nTransfer-Encoding: chunked", BadCoding),
    ("Transfer_Encoding: chunked", BadSyntax),
    ("Transfer Encoding: chunked", BadSyntax),
    ("Transfer-Encoding\0: chunked", BadSyntax),
    ("X: y\rTransfer-Encoding: chunked", BadSyntax),
    ("X: y\nTransfer-Encoding: chunked", BadSyntax),
    ("Foo: bar\r\n\rTransfer-Encoding: chunked", BadSyntax),
];

/// Contents in chunks, with a request behind them.
const CHUNKS: &[(&str, Option<Reason>)] = &[
    ("0\r\n\r\n", None),
    ("00\r\n\r\n", None),
    ("5\r\nabcde\r\n0\r\n\r\n", None),
    ("05\r\nabcde\r\n0\r\n\r\n", None),
    ("A\r\nabcdefghij\r\n0\r\n\r\n", None),
    ("5;a=b\r\nabcde\r\n0\r\n\r\n", None),
    ("5;a=\"b c\"\r\nabcde\r\n0\r\n\r\n", None),
    ("0\r\nX-Sum: 1\r\n\r\n", None),
    ("0x5\r\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("+5\r\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("-5\r\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    (" 5\r\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("5 \r\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("5\t\r\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("5 ;a\r\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("5; a\r\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("5;\r\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("5\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("5\rabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("5\r\r\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("5;a\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("5;\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("2;\nxx\r\n4c\r\n0\r\n\r\n", Some(BadChunk)),
    ("5;a\rb\r\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("5;a\0\r\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("5;a=\"\r\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("5\r\nabcde0\r\n\r\n", Some(BadChunk)),
    ("5\r\nabcdef\r\n0\r\n\r\n", Some(BadChunk)),
    ("5\r\nabcde\n0\r\n\r\n", Some(BadChunk)),
    ("5\r\nabcde\r0\r\n\r\n", Some(BadChunk)),
    ("5\r\nabcdeXX0\r\n\r\n", Some(BadChunk)),
    ("\r\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("five\r\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("5_0\r\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("ffffffffffffffff\r\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("10000000000000005\r\nabcde\r\n0\r\n\r\n", Some(BadChunk)),
    ("0\n\r\n", Some(BadChunk)),
    ("0\r\n\n", Some(BadSyntax)),
    ("0\r\nX : y\r\n\r\n", Some(BadSyntax)),
    ("0\r\nX: y\n\r\n", Some(BadSyntax)),
    ("0\r\nX: y\r\n z\r\n\r\n", Some(FoldedHeader)),
    ("0\r\nContent-Length: 5\r\n\r\n", Some(BadTrailer)),
    ("0\r\nTransfer-Encoding: chunked\r\n\r\n", Some(BadTrailer)),
    ("0\r\nHost: b.example\r\n\r\n", Some(BadTrailer)),
    ("0\r\nAuthorization: Basic YTpi\r\n\r\n", Some(BadTrailer)),
    ("0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n", Some(BadTrailer)),
    ("0\r\n", Some(BadSyntax)),
];

/// Several requests, and those that end early.
const SEQUENCES: &[(&str, usize, Option<Reason>)] = &[
    ("{NEXT}{NEXT}{NEXT}", 3, None),
    ("{NEXT}\r\n{NEXT}", 2, None),
    ("POST / HTTP/1.1\r\n{HOST}Content-Length: 5\r\n\r\nabcde{NEXT}", 2, None),
    ("POST / HTTP/1.1\r\n{HOST}Content-Length: 0\r\n\r\n{NEXT}", 2, None),
    ("GET / HTTP/1.1\r\n{HOST}Content-Length: 5\r\n\r\nabcde{NEXT}", 2, None),
    ("POST / HTTP/1.1\r\n{HOST}\r\n{NEXT}", 2, None),
    ("POST / HTTP/1.1\r\n{HOST}\r\nabcde", 1, Some(BadMethod)),
    ("GET / HTTP/1.0\r\n{HOST}\r\n{NEXT}", 1, None),
    ("GET / HTTP/1.0\r\n{HOST}Connection: keep-alive\r\n\r\n{NEXT}", 2, None),
    ("GET / HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n{NEXT}", 1, None),
    ("POST / HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{NEXT}", 0, Some(BadCoding)),
    ("GET / HTTP/1.0\r\n\r\n", 0, Some(BadHost)),
    ("POST / HTTP/1.1\r\n{HOST}Content-Length: 5\r\n\r\nabcdefgh{NEXT}", 1, Some(BadMethod)),
    ("POST / HTTP/1.1\r\n{HOST}Content-Length: 4\r\n\r\nabcde{NEXT}", 1, Some(BadMethod)),
    ("{NEXT}GET / HTTP/1.1\r\n{HOST}X : y\r\n\r\n{NEXT}", 1, Some(BadSyntax)),
    ("{NEXT}\0", 1, Some(BadSyntax)),
    ("POST / HTTP/1.1\r\n{HOST}Upgrade: h2c\r\nContent-Length: 2\r\n\r\nab{NEXT}", 2, None),
];
