//! The keys that signatures are verified with, and where they come from.

use std::path::Path;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::Jwk;
use serde_json::Value;

use super::fetched::Fetched;
use super::key::Key;
use super::token::Token;
use crate::config::gateway::JwtKeys;
use crate::gateway::verify::error::Mistake;
use crate::gateway::verify::file::Watched;
use crate::gateway::verify::slot::Slot;
use crate::gateway::verify::{Ask, BuildError, FileError};

/// Keys of a set at most.
const MOST_KEYS: usize = 256;
/// Keys that a token without a name of its key is tried with.
const MOST_TRIES: usize = 8;

pub(super) enum Keys {
    File(Watched<KeySet>),
    Fetched(Fetched),
}

/// The keys of a JWKS that can verify signatures.
pub(super) struct KeySet(Vec<Key>);

/// Whether a token is signed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Signed {
    Yes,
    No,
    /// No key of the name it gives is there.
    UnknownKey,
}

impl Keys {
    pub(super) fn open(verifier: &str, source: &JwtKeys) -> Result<Self, BuildError> {
        match source {
            JwtKeys::File(path) => Watched::open(verifier, path, KeySet::parse).map(Self::File),
            JwtKeys::Fetched { path, host, refresh, least, .. } => {
                Fetched::new(verifier, path, host, *refresh, *least).map(Self::Fetched)
            }
        }
    }

    /// Whether they come from there, by way of whichever pool, and are what is there.
    pub(super) fn is_from(&self, source: &JwtKeys) -> bool {
        match (self, source) {
            (Self::File(file), JwtKeys::File(path)) => file.path() == Path::new(path) && !file.is_at_fault(),
            (Self::Fetched(fetched), JwtKeys::Fetched { path, host, refresh, least, .. }) => {
                fetched.is_from(path, host, *refresh, *least)
            }
            _ => false,
        }
    }

    fn slot(&self) -> &Slot<KeySet> {
        match self {
            Self::File(file) => &file.slot,
            Self::Fetched(fetched) => &fetched.slot,
        }
    }

    /// The number of this set; 0 while there never was one.
    pub(super) fn number(&self) -> u64 {
        self.slot().number()
    }

    pub(super) fn with<R>(&self, look: impl FnOnce(Option<&KeySet>) -> R) -> R {
        self.slot().with(look)
    }

    pub(super) fn refresh(&self) -> Result<bool, FileError> {
        match self {
            Self::File(file) => file.refresh(),
            Self::Fetched(_) => Ok(false),
        }
    }

    pub(super) async fn run(&self, verifier: &str, pool: usize, ask: &dyn Ask) {
        if let Self::Fetched(fetched) = self {
            fetched.run(verifier, pool, ask).await;
        }
    }

    /// Waits until keys were fetched anew, if that may be done now.
    pub(super) async fn wait(&self, now: Instant, most: Duration) {
        if let Self::Fetched(fetched) = self {
            fetched.wait(now, most).await;
        }
    }
}

impl KeySet {
    /// Keys that cannot be used are left out (RFC 7517, section 5), as long as one can.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Mistake> {
        let mut set: Value = serde_json::from_slice(bytes).map_err(|error| {
            let what = format!("is no JSON (column {}); a JWKS is {{\"keys\": [...]}}", error.column());
            Mistake::at(error.line(), what)
        })?;
        let keys = match set.get_mut("keys").map(Value::take) {
            Some(Value::Array(keys)) if keys.len() <= MOST_KEYS => keys,
            Some(Value::Array(_)) => return Err(Mistake::whole("holds more than 256 keys")),
            _ => return Err(Mistake::whole("is no JWKS: that is {\"keys\": [...]}")),
        };
        let mut usable = Vec::new();
        let mut unusable = Vec::new();
        for (index, key) in keys.into_iter().enumerate() {
            // What serde says of a wrong key may quote it.
            let jwk: Result<Jwk, _> = serde_json::from_value(key).map_err(|_| "it is no JWK");
            match jwk.and_then(|jwk| Key::new(&jwk)) {
                Ok(key) => usable.push(key),
                Err(why) => unusable.push(format!("key {}: {why}", index + 1)),
            }
        }
        if usable.is_empty() {
            let list = if unusable.is_empty() { "it is empty".to_owned() } else { unusable.join("; ") };
            return Err(Mistake::whole(format!("holds no key that can verify a signature: {list}")));
        }
        Ok(Self(usable))
    }

    /// Whether one of the keys signed a token: one of the name it gives, else one without a name; where it gives none, any
    /// that fits.
    pub(super) fn verify(&self, token: &Token<'_>) -> Signed {
        let named = |id: &str| self.0.iter().any(|key| key.id.as_deref() == Some(id));
        let id = token.key.as_deref();
        let by_name = id.is_some_and(named);
        let chosen = |key: &&Key| match (id, &key.id) {
            (None, _) => true,
            (Some(id), Some(own)) => **own == *id,
            (Some(_), None) => !by_name,
        };
        let signed = self
            .0
            .iter()
            .filter(chosen)
            .filter(|key| key.fits(token.algorithm))
            .take(MOST_TRIES)
            .any(|key| key.verify(token.algorithm, token.message, &token.signature));
        match (signed, id) {
            (true, _) => Signed::Yes,
            (false, Some(_)) if !by_name => Signed::UnknownKey,
            (false, _) => Signed::No,
        }
    }
}
