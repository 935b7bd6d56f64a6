//! Any bytes of a connection: the inspector judges them alike however they are cut, hyper reads what passes in the same
//! way, and what is decided on the heads holds together.

mod judge;
mod read;

use std::cell::RefCell;
use std::str;
use std::time::Duration;

use hyper::Version;
use tokio::runtime::Runtime;
use xdp_lb::gateway::wire::{Bounds, Verdict, inspect_all, is_split_independent};

use self::judge::Judge;
use self::read::{Seen, behind_the_inspector, by_hyper};
use super::scene::runtime;

const BOUNDS: Bounds =
    Bounds { headers: 64, header_bytes: 4096, uri_bytes: 1024, header_timeout: Duration::from_secs(5) };

/// So that limits are met within a line.
const NARROW: Bounds = Bounds { headers: 3, header_bytes: 90, uri_bytes: 20, ..BOUNDS };

/// Follows each request that passed: who takes a byte of it for the request's, or leaves one of the request's, does not
/// read this.
const CANARY: &[u8] = b"GET /canary HTTP/1.1\r\nhost: c\r\n\r\n";

thread_local! {
    static SCENE: RefCell<(Runtime, Judge)> = RefCell::new((runtime(), Judge::new()));
}

pub(super) fn check(input: &[u8]) {
    let seed = seed(input);
    for bounds in [BOUNDS, NARROW] {
        assert!(is_split_independent(input, seed, bounds), "cut otherwise, another verdict: {}", text(input));
    }
    let passed: Vec<_> = inspect_all(input, BOUNDS)
        .into_iter()
        .filter_map(|verdict| match verdict {
            Verdict::Request { head, content } => Some((&input[head], &input[content])),
            Verdict::Refused { .. } => None,
        })
        .collect();
    SCENE.with_borrow(|(runtime, judge)| {
        for (head, content) in &passed {
            let seen = runtime.block_on(by_hyper(&[*head, *content, CANARY].concat(), seed));
            alone(head, content, &seen);
        }
        let seen = runtime.block_on(behind_the_inspector(input, seed, BOUNDS));
        let least = passed.iter().position(|(head, _)| may_close(head)).map_or(passed.len(), |last| last + 1);
        assert!((least..=passed.len()).contains(&seen.len()), "{} of {least}: {}", seen.len(), text(input));
        for (seen, (head, content)) in seen.into_iter().zip(&passed) {
            same(head, content, &seen);
            judge.head(seen.head, BOUNDS);
        }
    });
}

/// One request, and then the canary unless the connection ends before.
fn alone(head: &[u8], content: &[u8], seen: &[Seen]) {
    let [first, rest @ ..] = seen else { panic!("hyper does not read {}", text(head)) };
    same(head, content, first);
    match rest {
        [canary] => assert_eq!(canary.head.uri.path(), "/canary", "{}", text(head)),
        [] => assert!(may_close(head), "hyper does not find the end of {}{}", text(head), text(content)),
        _ => panic!("hyper reads {} requests in {}{}", seen.len(), text(head), text(content)),
    }
}

/// Method, target, version, fields and content.
fn same(head: &[u8], content: &[u8], seen: &Seen) {
    let head = Head::of(head);
    assert_eq!(seen.head.method.as_str(), head.method);
    let target: hyper::Uri = head.target.parse().unwrap_or_else(|e| panic!("{}: {e}", head.target));
    assert_eq!(seen.head.uri, target);
    let is_1_1 = seen.head.version == Version::HTTP_11;
    assert_eq!(head.version, if is_1_1 { "HTTP/1.1" } else { "HTTP/1.0" });
    let mut fields: Vec<_> = seen
        .head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    fields.sort();
    assert_eq!(fields, head.fields);
    let chunked = fields.iter().any(|(name, _)| name == "transfer-encoding");
    let content = if chunked { unchunked(content) } else { content.to_vec() };
    assert_eq!(seen.content, content);
}

/// A head that passed, read with as little sense as can be.
struct Head<'a> {
    method: &'a str,
    target: &'a str,
    version: &'a str,
    /// Names in lower case, values without blanks around them; sorted.
    fields: Vec<(String, Vec<u8>)>,
}

impl<'a> Head<'a> {
    fn of(head: &'a [u8]) -> Self {
        let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap());
        let mut words = str::from_utf8(lines.next().unwrap()).unwrap().split(' ');
        let mut word = || words.next().unwrap();
        let (method, target, version) = (word(), word(), word());
        let fields = lines.take_while(|line| !line.is_empty()).map(|line| {
            let colon = line.iter().position(|byte| *byte == b':').unwrap();
            let name = str::from_utf8(&line[..colon]).unwrap().to_ascii_lowercase();
            (name, blanks_off(&line[colon + 1..]).to_vec())
        });
        let mut fields: Vec<_> = fields.collect();
        fields.sort();
        Self { method, target, version, fields }
    }
}

fn blanks_off(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Whether an answer to this request may be the connection's last: its version is 1.0, or it says so.
fn may_close(head: &[u8]) -> bool {
    let head = Head::of(head);
    let says_close = |value: &[u8]| value.to_ascii_lowercase().windows(5).any(|word| word == b"close");
    head.version == "HTTP/1.0"
        || head.fields.iter().any(|(name, value)| name == "connection" && says_close(value))
}

/// The content of chunks that passed.
fn unchunked(mut chunks: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let line = chunks.iter().position(|byte| *byte == b'\n').unwrap();
        let digits = chunks[..line].split(|byte| !byte.is_ascii_hexdigit()).next().unwrap();
        let size = usize::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap();
        if size == 0 {
            return content;
        }
        content.extend_from_slice(&chunks[line + 1..][..size]);
        chunks = &chunks[line + 1 + size + 2..];
    }
}

/// Of the bytes themselves, so that an input alone tells how it is cut.
fn seed(input: &[u8]) -> u64 {
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    input.iter().fold(0xcbf2_9ce4_8422_2325, fnv)
}

fn text(bytes: &[u8]) -> impl std::fmt::Display {
    bytes.escape_ascii()
}
