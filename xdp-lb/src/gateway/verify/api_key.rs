//! Secrets in a header, of which a file holds digests.
//!
//! A key is looked up by its SHA-256 in a hash map. That takes no equal time, and need not: what the time of a look-up may
//! tell is about the digest, and who wants to approach a digest bit by bit has to find its preimage at each step. Digests
//! without salt and stretching are enough because keys are made by machines and cannot be guessed; people's passwords are
//! what [`super::basic`] is for.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use ring::digest::{SHA256, digest};

use super::credentials::{Found, find};
use super::error::Mistake;
use super::file::{Watched, lines};
use super::known::{Check, Known, NO_CLAIMS, Passing};
use super::{BuildError, FileError};

/// Characters of a key at least.
const LEAST: usize = 16;

type Digest = [u8; 32];

pub(super) struct ApiKeys {
    header: HeaderName,
    keys: Watched<HashMap<Digest, Arc<Known>>>,
}

impl ApiKeys {
    pub(super) fn open(header: &HeaderName, path: &Path, passing: Passing) -> Result<Self, BuildError> {
        let verifier = passing.verifier.clone();
        let keys = Watched::open(&verifier, path, move |bytes| parse(bytes, &passing))?;
        Ok(Self { header: header.clone(), keys })
    }

    pub(super) fn header(&self) -> &HeaderName {
        &self.header
    }

    pub(super) fn refresh(&self) -> Result<bool, FileError> {
        self.keys.refresh()
    }

    pub(super) fn check(&self, headers: &HeaderMap) -> Check {
        let key = match find(headers, &self.header, "ApiKey") {
            Found::None => return Check::Absent,
            Found::Bad(why) => return Check::Refused(why),
            Found::One(key) => sha256(key),
        };
        match self.keys.slot.with(|keys| keys.and_then(|keys| keys.get(&key)).cloned()) {
            Some(known) => Check::Known(known),
            None => Check::Refused("the key is not known"),
        }
    }
}

fn sha256(bytes: &[u8]) -> Digest {
    let mut out = Digest::default();
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

fn parse(bytes: &[u8], passing: &Passing) -> Result<HashMap<Digest, Arc<Known>>, Mistake> {
    let mut keys = HashMap::new();
    let mut names: HashMap<&str, Arc<Known>> = HashMap::new();
    for (number, line) in lines(bytes)? {
        let form = "is not `name sha256-in-hex`; `xdp-lb hash-secret NAME` makes such a line";
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(hex), None) = (words.next(), words.next(), words.next()) else {
            return Err(Mistake::at(number, form));
        };
        let digest = from_hex(hex).ok_or_else(|| Mistake::at(number, form))?;
        // A name may have several keys: an old one and its successor.
        let known = names
            .entry(name)
            .or_insert_with(|| Arc::new(Known::new(passing, name.into(), NO_CLAIMS.clone())))
            .clone();
        if keys.insert(digest, known).is_some() {
            return Err(Mistake::at(
                number,
                format!("the key of \"{name}\" is there a second time: remove one"),
            ));
        }
    }
    Ok(keys)
}

fn from_hex(hex: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    if hex.len() != 2 * digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let high = char::from(*high).to_digit(16)?;
        let low = char::from(*low).to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(digest)
}

/// The line of a file of keys for this name and key, or what is wrong with them.
pub fn hash_key(name: &str, key: &[u8]) -> Result<String, &'static str> {
    if name.is_empty()
        || name.starts_with('#')
        || name.contains(|c: char| c.is_whitespace() || c.is_control())
    {
        return Err("the name of a key has no blanks and does not begin with #");
    }
    if key.len() < LEAST || !key.iter().all(u8::is_ascii_graphic) {
        return Err("a key has 16 visible ASCII characters at least, as those of `openssl rand -hex 32`; \
                    for what people remember take --kind password");
    }
    let hex: String = sha256(key).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{name} {hex}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passing() -> Passing {
        Passing { verifier: "keys".into(), pass: Vec::new() }
    }

    #[test]
    fn a_line_that_was_made_is_read() {
        let line = hash_key("billing", b"0123456789abcdef").unwrap();
        assert_eq!(line, "billing 9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f");
        let file = format!("# keys\n\n{line}\nbilling {}\n", "0".repeat(64));
        let keys = parse(file.as_bytes(), &passing()).unwrap();
        assert_eq!(&*keys[&sha256(b"0123456789abcdef")].subject, "billing");
        assert_eq!(keys.len(), 2);
    }

    #[test]
    fn bad_lines_are_named() {
        let zeros = "0".repeat(64);
        for (file, line) in [
            (format!("a {zeros}\nb"), 2),
            ("a 00".to_owned(), 1),
            (format!("a {zeros} c"), 1),
            (format!("a {zeros}\n\nb {zeros}\n"), 3),
            (format!("a {}", "g".repeat(64)), 1),
            (format!("a +{}", "0".repeat(63)), 1),
        ] {
            let mistake = parse(file.as_bytes(), &passing()).err().unwrap();
            assert_eq!(mistake.line, Some(line), "{file}");
            assert!(!mistake.what.contains("00"), "{}", mistake.what);
        }
        assert_eq!(parse(b"a\n\xff", &passing()).err().unwrap().line, Some(2));
    }

    #[test]
    fn keys_that_can_be_guessed_are_refused() {
        for (name, key) in [
            ("a", "short"),
            ("a b", "0123456789abcdef"),
            ("", "0123456789abcdef"),
            ("#a", "0123456789abcdef"),
        ] {
            assert!(hash_key(name, key.as_bytes()).is_err(), "{name} {key}");
        }
    }
}
