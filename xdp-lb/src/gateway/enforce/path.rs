//! Paths that two servers read differently.

use http::Uri;
use http::uri::PathAndQuery;

use crate::config::gateway::{EmptySegments, EncodedSlash, Paths};
use crate::gateway::Reason::BadTarget;
use crate::gateway::wire::{Fault, PATH, is};

/// Refuses a path that is not the same path to every server: routes and rules of access decide on it as it is sent, and
/// the server behind may decode, resolve and merge.
///
/// - A segment `.` or `..`, also with escaped dots, also before `;`: resolved by some, and above the root by none.
/// - An empty segment other than the last: merged by some. Unless `paths` lets it pass.
/// - `%2F`, unless `paths` lets it pass, and `%5C`: separators to those who decode first, and `\` is one to some in any case.
/// - `%00`, `%0A`, `%0D`: ends of a text, or of a line, to those who decode.
/// - An escaped letter, digit, `-`, `.` or `_`: the same as without escape to those who decode, another to those who
///   compare. An escaped `~` is let pass: old clients send it, and no rule of access hangs on it.
/// - `%` without two hexadecimal digits.
pub fn check_path(path: &str, paths: Paths) -> Result<(), Fault> {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err(Fault::new(BadTarget, "the path does not begin with /"));
    }
    // The common path has none of what follows: one look at each byte.
    let mut before = 0;
    let mut closer = false;
    let mut wrong = false;
    for &byte in bytes {
        closer |= byte == b'%' || (before == b'/' && matches!(byte, b'.' | b'/'));
        wrong |= !is(byte, PATH);
        before = byte;
    }
    if wrong {
        return Err(Fault::new(BadTarget, "the path holds a character that has to be escaped"));
    }
    if closer { look_closer(bytes, paths) } else { Ok(()) }
}

fn look_closer(path: &[u8], paths: Paths) -> Result<(), Fault> {
    let passes = paths.encoded_slash == EncodedSlash::Pass;
    let (mut rest, mut divides) = (path, false);
    while let Some(at) = memchr::memchr(b'%', rest) {
        let byte = match rest[at + 1..] {
            [high, low, ..] => hex(high).zip(hex(low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        let detail = match byte {
            None => "% is not followed by two hexadecimal digits",
            Some(b'/') if passes => {
                divides = true;
                rest = &rest[at + 3..];
                continue;
            }
            Some(b'/' | b'\\') => "the path holds an escaped separator",
            Some(0 | b'\r' | b'\n') => "the path holds an escaped control character",
            Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') => {
                "the path escapes a character that needs none"
            }
            Some(_) => {
                rest = &rest[at + 3..];
                continue;
            }
        };
        return Err(Fault::new(BadTarget, detail));
    }
    check_segments(path, paths)?;
    // To those who decode first these are further segments, none of which may be one that is refused.
    if divides { check_segments(decode_slashes(path).as_bytes(), paths) } else { Ok(()) }
}

fn check_segments(path: &[u8], paths: Paths) -> Result<(), Fault> {
    let mut segments = path[1..].split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        // What follows `;` is a parameter, which some servers take off before they resolve.
        let name = segment.split(|byte| *byte == b';').next().unwrap_or(segment);
        if matches!(name, b"." | b"..") {
            return Err(Fault::new(BadTarget, "the path has a segment of dots"));
        }
        let is_within = segments.peek().is_some();
        if segment.is_empty() && is_within && paths.empty_segments != EmptySegments::Pass {
            return Err(Fault::new(BadTarget, "the path has an empty segment"));
        }
    }
    Ok(())
}

/// The path as those read it who decode before they divide it.
pub fn decode_slashes(path: &[u8]) -> String {
    String::from_utf8_lossy(path).replace("%2F", "/").replace("%2f", "/")
}

/// The path as those read it who take empty segments out; nothing where there are none.
pub fn without_empty_segments(path: &str) -> Option<String> {
    let mut merged = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !merged.ends_with('/') {
            merged.push(character);
        }
    }
    (merged.len() < path.len()).then_some(merged)
}

/// Takes empty segments out of a request's path, before anybody looks at it. What is no path then is refused later.
pub fn merge_empty_segments(uri: &mut Uri) {
    let Some(merged) = without_empty_segments(uri.path()) else { return };
    let target = match uri.query() {
        Some(query) => format!("{merged}?{query}"),
        None => merged,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(target).ok();
    if let Some(new) = parts.path_and_query.is_some().then(|| Uri::from_parts(parts).ok()).flatten() {
        *uri = new;
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_all_read_alike_pass() {
        for (path, passes) in [
            ("/", true),
            ("/a/b/", true),
            ("/a/.b/..c/d.e/...", true),
            ("/a%20b/%C3%A4/%7Eme", true),
            ("/a;v=1/b", true),
            ("/[a]{b}|c^", true),
            ("", false),
            ("a", false),
            ("//", false),
            ("//a", false),
            ("/a//b", false),
            ("/a//", false),
            ("/.", false),
            ("/..", false),
            ("/./a", false),
            ("/a/../b", false),
            ("/../a", false),
            ("/a/..;x/b", false),
            ("/a/.;", false),
            ("/a/%2e%2e/b", false),
            ("/a/%2E./b", false),
            ("/a%2fb", false),
            ("/a%5Cb", false),
            ("/a\\b", false),
            ("/a%00", false),
            ("/a%0d%0ab", false),
            ("/%61dmin", false),
            ("/a%", false),
            ("/a%2", false),
            ("/a%zz", false),
            ("/a%+1", false),
            ("/a\"b", false),
            ("/ä", false),
        ] {
            assert_eq!(check_path(path, Paths::default()).is_ok(), passes, "{path:?}");
        }
    }
    #[test]
    fn what_is_let_pass_hides_nothing_else() {
        let slash = Paths { encoded_slash: EncodedSlash::Pass, ..Paths::default() };
        let empty = Paths { empty_segments: EmptySegments::Pass, ..Paths::default() };
        let both = Paths { empty_segments: EmptySegments::Pass, ..slash };
        for (paths, path, passes) in [
            (slash, "/a%2Fb/c%2f", true),
            (slash, "/a%2F..%2Fb", false),
            (slash, "/a/..%2fb", false),
            (slash, "/a%2F.;x/b", false),
            (slash, "/a%2F%2Fb", false),
            (slash, "/%2Fa", false),
            (slash, "/a%2F/b", false),
            (slash, "/a//b", false),
            (slash, "/a%5Cb", false),
            (slash, "/a%2Fb%00", false),
            (empty, "//a//b", true),
            (empty, "//", true),
            (empty, "/a%2Fb", false),
            (empty, "//../b", false),
            (both, "/a%2F%2Fb//", true),
            (both, "/a//..%2Fb", false),
        ] {
            assert_eq!(check_path(path, paths).is_ok(), passes, "{paths:?} {path:?}");
        }
    }

    #[test]
    fn empty_segments_are_taken_out_of_the_path_alone() {
        for (target, merged) in [
            ("//a///b//?x=//y", "/a/b/?x=//y"),
            ("/a/b?//", "/a/b?//"),
            ("http://a//b", "http://a/b"),
            ("//", "/"),
            ("*", "*"),
        ] {
            let mut uri = target.parse().unwrap();
            merge_empty_segments(&mut uri);
            assert_eq!(uri, merged, "{target}");
        }
    }
}
