//! Limits, at the byte; and verdicts on random bytes.

use proptest::prelude::*;

use super::{BOUNDS, read};
use crate::gateway::Reason::{self, *};
use crate::gateway::wire::{Bounds, is_split_independent};

fn reason(text: &str, bounds: Bounds) -> Option<Reason> {
    read(text.as_bytes(), bounds).1.map(|(_, fault, _)| fault.reason)
}

#[test]
fn a_head_may_be_as_large_as_allowed_and_no_larger() {
    let head = |fill: usize| format!("GET / HTTP/1.1\r\nhost: a\r\nb: {}\r\n\r\n", "c".repeat(fill));
    let bounds = Bounds { header_bytes: 200, ..BOUNDS };
    let fits = 200 - head(0).len();
    for (fill, expected) in [(fits, None), (fits + 1, Some(HeadTooLarge)), (5000, Some(HeadTooLarge))] {
        assert_eq!(reason(&head(fill), bounds), expected, "{fill}");
    }
    // What is wrong before the limit goes before it, what is wrong behind it is not seen.
    assert_eq!(reason(&head(fits + 1).replace("host", "ho st"), bounds), Some(BadSyntax));
    assert_eq!(reason(&head(fits + 5).replace("\r\n\r\n", "\0"), bounds), Some(HeadTooLarge));
    // The next head counts anew.
    assert_eq!(reason(&head(fits).repeat(3), bounds), None);
}

#[test]
fn lines_and_targets_are_counted() {
    let lines = |count: usize| format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "b: c\r\n".repeat(count - 1));
    let bounds = Bounds { headers: 5, ..BOUNDS };
    assert_eq!(reason(&lines(5), bounds), None);
    assert_eq!(reason(&lines(6), bounds), Some(HeadTooLarge));
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "b".repeat(length - 1));
    let bounds = Bounds { uri_bytes: 50, ..BOUNDS };
    assert_eq!(reason(&target(50), bounds), None);
    assert_eq!(reason(&target(51), bounds), Some(TargetTooLong));
    assert_eq!(reason(&target(51).replace("/b", "/?"), bounds), Some(TargetTooLong));
    assert_eq!(reason(&target(9000), BOUNDS), Some(TargetTooLong));
}

#[test]
fn trailers_and_extensions_are_counted() {
    let chunked =
        |content: &str| format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{content}");
    let trailers = |count: usize| chunked(&format!("0\r\n{}\r\n", "b: c\r\n".repeat(count)));
    let bounds = Bounds { headers: 5, header_bytes: 100, ..BOUNDS };
    assert_eq!(reason(&trailers(5), bounds), None);
    assert_eq!(reason(&trailers(6), bounds), Some(HeadTooLarge));
    let long = |fill: usize| chunked(&format!("0\r\nb: {}\r\n\r\n", "c".repeat(fill)));
    let fits = 100 - "b: \r\n\r\n".len();
    assert_eq!(reason(&long(fits), bounds), None);
    assert_eq!(reason(&long(fits + 1), bounds), Some(HeadTooLarge));
    let chunk = |extension: usize| format!("1;{}\r\nx\r\n", "e".repeat(extension));
    assert_eq!(reason(&chunked(&chunk(255)), BOUNDS), None);
    assert_eq!(reason(&chunked(&chunk(256)), BOUNDS), Some(BadChunk));
    assert_eq!(reason(&chunked(&chunk(255).repeat(63)), BOUNDS), None);
    assert_eq!(reason(&chunked(&chunk(255).repeat(64)), BOUNDS), Some(BadChunk));
}

/// Pieces of which requests are made, right and wrong.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let pieces: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\n",
        b"POST /a?b HTTP/1.0\r\n",
        b"host: a\r\n",
        b"HOST:b \r\n",
        b"content-length: 4\r\n",
        b"Content-Length: 5\r\n",
        b"transfer-encoding: chunked\r\n",
        b"upgrade: a\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b" ",
        b":",
        b";a=\"b\"",
        b"0\r\n",
        b"4\r\nabcd\r\n",
        b"GET http://a/ HTTP/1.1\r\nhost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nabcd",
    ];
    prop_oneof![
        8 => proptest::sample::select(pieces.to_vec()).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 1..4),
    ]
}

pub(super) fn requests() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(piece(), 1..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_verdict_does_not_depend_on_the_cuts(bytes in requests(), seed: u64, most in 20u32..200) {
        let bounds = Bounds { header_bytes: most, uri_bytes: 20, headers: 4, ..BOUNDS };
        prop_assert!(is_split_independent(&bytes, seed, bounds), "{}", bytes.escape_ascii());
        prop_assert!(is_split_independent(&bytes, seed, BOUNDS), "{}", bytes.escape_ascii());
    }
}
