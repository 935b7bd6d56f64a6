//! Signed tokens (RFC 7519), verified by the advice of RFC 8725.
//!
//! What a token says of itself decides nothing: the algorithm has to be one that is allowed and that the chosen key is
//! for, keys come from the configured set alone (never from `jwk`, `jku`, `x5u` or `x5c` of the token), and a key is of one
//! type, so that a public key is never taken for a secret. Signatures are verified by ring.
//!
//! A token that was verified is remembered until it expires, for as long as the keys are the same; another request with it
//! costs a look-up.

mod cache;
mod fetched;
mod key;
mod keys;
#[cfg(test)]
pub(super) mod signing;
mod time;
mod token;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;
use http::HeaderName;
use serde_json::Value;

use self::cache::Cache;
use self::keys::Keys;
use self::time::{Millis, millis};
use super::claims::unmet;
use super::credentials::{Found, find};
use super::known::{Check, Known, Passing};
use super::{Ask, BuildError, FileError};
use crate::config::gateway::{Jwt, JwtKeys};

/// How long a request waits for keys.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Tokens {
    config: Jwt,
    passing: Passing,
    /// Index of the pool that keys are fetched by way of.
    pool: usize,
    /// Kept over a reload where they come from the same place.
    keys: Arc<Keys>,
    /// Kept over a reload where nothing changed.
    cache: Arc<Cache>,
}

impl Tokens {
    pub(super) fn open(config: &Jwt, passing: Passing, before: Option<&Self>) -> Result<Self, BuildError> {
        let keys = match before.filter(|before| before.keys.is_from(&config.keys)) {
            Some(before) => {
                before.keys.refresh().map_err(|error| {
                    let verifier = passing.verifier.to_string();
                    BuildError::File { verifier, error }
                })?;
                before.keys.clone()
            }
            None => Arc::new(Keys::open(&passing.verifier, &config.keys)?),
        };
        let same = |before: &&Self| {
            before.passing == passing && Arc::ptr_eq(&before.keys, &keys) && {
                let keys = config.keys.clone();
                Jwt { keys, ..before.config.clone() } == *config
            }
        };
        let cache = before.filter(same).map_or_else(|| Arc::new(Cache::new()), |before| before.cache.clone());
        let pool = match config.keys {
            JwtKeys::Fetched { pool, .. } => pool,
            JwtKeys::File(_) => 0,
        };
        Ok(Self { config: config.clone(), passing, pool, keys, cache })
    }

    pub(super) fn header(&self) -> &HeaderName {
        &self.config.header
    }

    pub(super) fn refresh(&self) -> Result<bool, FileError> {
        self.keys.refresh()
    }

    /// Fetches keys for ever, where they are fetched.
    pub(super) async fn run(&self, ask: &dyn Ask) {
        self.keys.run(&self.passing.verifier, self.pool, ask).await;
    }

    /// What can be told with the keys there are.
    pub(super) fn check(&self, headers: &HeaderMap, wall: SystemTime) -> Check {
        match find(headers, &self.config.header, "Bearer") {
            Found::None => Check::Absent,
            Found::Bad(why) => Check::Refused(why),
            Found::One(token) => {
                let (now, keys) = (millis(wall), self.keys.number());
                match self.cache.get(token, now, keys) {
                    Some(known) => Check::Known(known),
                    None => self.verify(token, now, keys),
                }
            }
        }
    }

    /// Waits for keys, and tells what can be told then.
    pub(super) async fn settle(&self, headers: &HeaderMap, now: Instant, wall: SystemTime) -> Check {
        self.keys.wait(now, PATIENCE).await;
        match self.check(headers, wall) {
            Check::Later if self.keys.number() == 0 => Check::Down("there are no keys for tokens yet"),
            Check::Later => Check::Refused("the token is signed with a key that is not known"),
            told => told,
        }
    }

    fn verify(&self, token: &[u8], now: Millis, keys: u64) -> Check {
        let token_bytes = token;
        let token = match token::parse(token) {
            Ok(token) => token,
            Err(why) => return Check::Refused(why),
        };
        if !self.config.algorithms.contains(&token.algorithm) {
            return Check::Refused("the token is signed with an algorithm that is not allowed");
        }
        // Before a key is looked for: others' tokens, and those of yesterday, make no key be fetched.
        let expires = match self.claims(&token.claims, now) {
            Ok(expires) => expires,
            Err(why) => return Check::Refused(why),
        };
        let signed = self.keys.with(|keys| keys.map(|keys| keys.verify(&token)));
        match signed {
            None | Some(keys::Signed::UnknownKey) => return Check::Later,
            Some(keys::Signed::No) => return Check::Refused("the token's signature is not right"),
            Some(keys::Signed::Yes) => {}
        }
        let subject = match token.claims.get("sub") {
            None | Some(Value::Null) => "",
            Some(Value::String(subject)) => subject,
            Some(_) => return Check::Refused("the token's sub is no string"),
        };
        let subject = subject.into();
        let known = Arc::new(Known::new(&self.passing, subject, Arc::new(token.claims)));
        self.cache.keep(token_bytes, known.clone(), now, expires, keys);
        Check::Known(known)
    }

    /// Whether a token's claims are good, and until when.
    fn claims(&self, claims: &Value, now: Millis) -> Result<Millis, &'static str> {
        let issuer = |issuer: &String| claims.get("iss").and_then(Value::as_str) == Some(issuer);
        if !self.config.issuer.as_ref().is_none_or(issuer) {
            return Err("the token is of another issuer");
        }
        let expires = time::check(claims, now, self.config.leeway)?;
        let is_for = |audience: &Value| match audience {
            Value::String(one) => self.config.audience.contains(one),
            Value::Array(all) => all
                .iter()
                .filter_map(Value::as_str)
                .any(|one| self.config.audience.iter().any(|own| own == one)),
            _ => false,
        };
        if !self.config.audience.is_empty() && !claims.get("aud").is_some_and(is_for) {
            return Err("the token is for another audience");
        }
        if unmet(&self.config.claims, claims).is_some() {
            return Err("the token has not the claims it has to have");
        }
        Ok(expires)
    }
}

#[cfg(test)]
mod tests;
