//! Different spellings of one path.

use std::borrow::Cow;

use crate::config::gateway::{EmptySegments, EncodedSlash, Paths};
use crate::gateway::enforce::{decode_slashes, without_empty_segments};

/// What stands for itself in a path, escaped or not (RFC 3986, section 3.3). An escaped letter, digit, `-`, `.` or `_` is
/// refused before, `/` too; braces are of the syntax of patterns.
const SAME: &[u8] = b"!$&'()*+,;=:@~";

/// The one spelling that paths are compared by: without escapes that need not be, the others in capitals (RFC 3986,
/// section 6.2.2).
pub(super) fn canonical(path: &str) -> Cow<'_, str> {
    if memchr::memchr(b'%', path.as_bytes()).is_none() {
        return path.into();
    }
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        match escaped(after) {
            Some(byte) if SAME.contains(&byte) => plain.push(byte.into()),
            Some(byte) => plain.push_str(&format!("%{byte:02X}")),
            None => {
                plain.push('%');
                rest = after;
                continue;
            }
        }
        rest = &after[2..];
    }
    plain.push_str(rest);
    plain.into()
}

/// How much of a path, as it was sent, so many bytes of its canonical spelling are.
pub(super) fn sent(path: &str, canonical: usize) -> usize {
    let mut length = 0;
    for _ in 0..canonical {
        let escape = path.get(length..).and_then(|rest| rest.strip_prefix('%')).and_then(escaped);
        length += if escape.is_some_and(|byte| SAME.contains(&byte)) { 3 } else { 1 };
    }
    length.min(path.len())
}

/// A canonical path without its segments' parameters; `None` where it has none.
pub(super) fn without_parameters(path: &str) -> Option<String> {
    memchr::memchr(b';', path.as_bytes())?;
    let plain = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    Some(plain.collect::<Vec<_>>().join("/"))
}

/// A canonical path as a server may read it.
pub(super) struct Reading {
    pub(super) path: String,
    /// What may be in it, as it was in the path.
    pub(super) paths: Paths,
    /// Whether it is no harm if no route is for it.
    pub(super) may_lead_nowhere: bool,
}

/// Makes of a path another, where it is one.
type Step<'a> = &'a dyn Fn(&str) -> Option<String>;

/// All the other ways to read a canonical path: by those who decode `%2F`, take off what follows a `;` unless the route's
/// own path names it, and take out empty segments, each or in company. Mostly there is none.
pub(super) fn readings(path: &str, names_parameters: bool) -> Vec<Reading> {
    let is_empty_within = path.contains("//");
    if !is_empty_within && !path.contains("%2F") && !path.contains(';') {
        return Vec::new();
    }
    let decoded = |path: &str| path.contains("%2F").then(|| decode_slashes(path.as_bytes()));
    let bare = |path: &str| if names_parameters { None } else { without_parameters(path) };
    let steps: [Step<'_>; 3] = [&decoded, &bare, &without_empty_segments];
    let reading = |taken: u8| {
        let taken_steps = steps.iter().zip([1, 2, 4]).filter(|(_, bit)| taken & bit != 0);
        let path = taken_steps.map(|(step, _)| step).try_fold(path.to_owned(), |path, step| step(&path))?;
        let empty_segments =
            if is_empty_within || taken & 1 != 0 { EmptySegments::Pass } else { EmptySegments::Refuse };
        let paths = Paths { encoded_slash: EncodedSlash::Pass, empty_segments };
        Some(Reading { path, paths, may_lead_nowhere: taken != 2 })
    };
    (1..8).filter_map(reading).collect()
}

/// The byte that two digits after a `%` stand for.
fn escaped(after: &str) -> Option<u8> {
    let digits = after.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_path_are_one() {
        for (path, plain) in [
            ("/a", "/a"),
            ("/%40a%7e", "/@a~"),
            ("/caf%c3%A9", "/caf%C3%A9"),
            ("/a%3bb%2C", "/a;b,"),
            ("/%25%20%7B", "/%25%20%7B"),
            ("/%", "/%"),
            ("/%4", "/%4"),
            ("/%zz%+1", "/%zz%+1"),
            ("/%é", "/%é"),
        ] {
            let found = canonical(path);
            assert_eq!(found, plain, "{path}");
            assert_eq!(canonical(&found), plain, "{path}");
            assert_eq!(sent(path, plain.len()), path.len(), "{path}");
        }
        assert_eq!((sent("/%40/x", 2), sent("/a/x", 2), sent("/a", 9)), (4, 2, 2));
    }

    #[test]
    fn parameters_are_of_segments() {
        for (path, plain) in
            [("/a", None), ("/a;b/c;d;e", Some("/a/c")), ("/;a/", Some("//")), (";", Some(""))]
        {
            assert_eq!(without_parameters(path).as_deref(), plain, "{path}");
        }
    }
    #[test]
    fn a_path_is_read_in_every_way() {
        for (path, names_parameters, all) in [
            ("/a%20b/c", false, &[][..]),
            ("/a;x", false, &["/a"]),
            ("/a;x", true, &[]),
            ("/a%2Fb", false, &["/a/b"]),
            ("//a", false, &["/a"]),
            (
                "/a%2F;x//b",
                false,
                &["/a/;x//b", "/a%2F//b", "/a///b", "/a%2F;x/b", "/a/;x/b", "/a%2F/b", "/a/b"],
            ),
        ] {
            let found: Vec<_> = readings(path, names_parameters).into_iter().map(|one| one.path).collect();
            assert_eq!(found, all, "{path}");
        }
    }
}
