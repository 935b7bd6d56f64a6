//! Paths that two servers read differently.

use crate::gateway::Reason::BadTarget;
use crate::gateway::wire::{Fault, PATH, is};

/// Refuses a path that is not the same path to every server: routes and rules of access decide on it as it is sent, and
/// the server behind may decode, resolve and merge.
///
/// - A segment `.` or `..`, also with escaped dots, also before `;`: resolved by some, and above the root by none.
/// - An empty segment other than the last: merged by some.
/// - `%2F` and `%5C`: separators to those who decode first, and `\` is one to some in any case.
/// - `%00`, `%0A`, `%0D`: ends of a text, or of a line, to those who decode.
/// - An escaped letter, digit, `-`, `.` or `_`: the same as without escape to those who decode, another to those who
///   compare. An escaped `~` is let pass: old clients send it, and no rule of access hangs on it.
/// - `%` without two hexadecimal digits.
pub fn check_path(path: &str) -> Result<(), Fault> {
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
    if closer { look_closer(bytes) } else { Ok(()) }
}

fn look_closer(path: &[u8]) -> Result<(), Fault> {
    let mut rest = path;
    while let Some(at) = memchr::memchr(b'%', rest) {
        let byte = match rest[at + 1..] {
            [high, low, ..] => hex(high).zip(hex(low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        let detail = match byte {
            None => "% is not followed by two hexadecimal digits",
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
    let mut segments = path[1..].split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        // What follows `;` is a parameter, which some servers take off before they resolve.
        let name = segment.split(|byte| *byte == b';').next().unwrap_or(segment);
        if matches!(name, b"." | b"..") {
            return Err(Fault::new(BadTarget, "the path has a segment of dots"));
        }
        if segment.is_empty() && segments.peek().is_some() {
            return Err(Fault::new(BadTarget, "the path has an empty segment"));
        }
    }
    Ok(())
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
            assert_eq!(check_path(path).is_ok(), passes, "{path:?}");
        }
    }
}
