//! Tokens that were verified.
//!
//! A token is found by a hash, with a key of this process, of its end, which is its signature; and then compared whole. Who
//! has not got the signature cannot make a comparison take place and learn from its time, and two tokens with one
//! signature cannot be made. It is gone when it expires, when the keys change, and when others need its
//! place.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::time::Millis;
use crate::gateway::verify::known::Known;

/// Parts with a lock each.
const SHARDS: usize = 16;
/// Bytes of a token's end that are hashed: whole signatures of all but RSA, whose end is as good.
const END: usize = 96;
/// Tokens of a part at most, and their bytes.
const MOST_TOKENS: usize = 1024;
const MOST_BYTES: usize = 1 << 20;

pub(super) struct Cache {
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    tokens: HashMap<u64, Entry, BuildHasherDefault<Hashed>>,
    bytes: usize,
}

struct Entry {
    token: Box<[u8]>,
    known: Arc<Known>,
    expires: Millis,
    /// Number of the keys it was verified with.
    keys: u64,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::new(), shards: Default::default() }
    }

    pub(super) fn get(&self, token: &[u8], now: Millis, keys: u64) -> Option<Arc<Known>> {
        let hash = self.hash(token);
        let shard = self.shard(hash);
        let entry = shard.tokens.get(&hash)?;
        (now < entry.expires && keys == entry.keys && *entry.token == *token).then(|| entry.known.clone())
    }

    pub(super) fn keep(&self, token: &[u8], known: Arc<Known>, now: Millis, expires: Millis, keys: u64) {
        let hash = self.hash(token);
        self.shard(hash).keep(hash, Entry { token: token.into(), known, expires, keys }, now);
    }

    fn hash(&self, token: &[u8]) -> u64 {
        self.hasher.hash_one(token.get(token.len().saturating_sub(END)..).unwrap_or_default())
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        // The map takes the other bits.
        self.shards[(hash >> 32) as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn keep(&mut self, hash: u64, entry: Entry, now: Millis) {
        let full =
            |shard: &Self| shard.tokens.len() >= MOST_TOKENS || shard.bytes + entry.token.len() > MOST_BYTES;
        if full(self) {
            self.tokens.retain(|_, old| now < old.expires && old.keys == entry.keys);
            self.bytes = self.tokens.values().map(|entry| entry.token.len()).sum();
        }
        if full(self) {
            // Half of them by chance, so that the next ones find room without another search.
            self.tokens.retain(|_, _| fastrand::bool());
            self.bytes = self.tokens.values().map(|entry| entry.token.len()).sum();
        }
        if full(self) {
            return;
        }
        self.bytes += entry.token.len();
        if let Some(old) = self.tokens.insert(hash, entry) {
            self.bytes -= old.token.len();
        }
    }
}

/// Passes on what is a hash already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::verify::known::{NO_CLAIMS, Passing};

    fn known() -> Arc<Known> {
        let passing = Passing { verifier: "jwt".into(), pass: Vec::new() };
        Arc::new(Known::new(&passing, "a".into(), NO_CLAIMS.clone()))
    }

    #[test]
    fn a_token_is_known_until_it_expires_or_keys_change() {
        let cache = Cache::new();
        cache.keep(b"token", known(), 1000, 2000, 1);
        for (token, now, keys, found) in [
            (&b"token"[..], 1000, 1, true),
            (b"token", 1999, 1, true),
            (b"token", 2000, 1, false),
            (b"token", 1000, 2, false),
            (b"tokem", 1000, 1, false),
            (b"token.", 1000, 1, false),
        ] {
            assert_eq!(cache.get(token, now, keys).is_some(), found, "{token:?} {now} {keys}");
        }
    }

    #[test]
    fn it_stays_bounded() {
        let cache = Cache::new();
        let size = |cache: &Cache| {
            let shards = cache.shards.iter().map(|shard| shard.lock().unwrap());
            shards.fold((0, 0), |(tokens, bytes), shard| {
                let sum: usize = shard.tokens.values().map(|entry| entry.token.len()).sum();
                assert_eq!(sum, shard.bytes);
                (tokens + shard.tokens.len(), bytes + sum)
            })
        };
        for number in 0..3 * SHARDS * MOST_TOKENS {
            cache.keep(format!("token {number}").as_bytes(), known(), 1000, 2000, 1);
        }
        assert!((SHARDS * MOST_TOKENS / 4..=SHARDS * MOST_TOKENS).contains(&size(&cache).0));
        for number in 0..3000 {
            let mut token = vec![0; 16 << 10];
            token.extend(format!("token {number}").bytes());
            cache.keep(&token, known(), 1000, 2000, 1);
        }
        assert!((1 << 20..=SHARDS * MOST_BYTES).contains(&size(&cache).1));
        cache.keep(b"last", known(), 1000, 2000, 1);
        assert!(cache.get(b"last", 1000, 1).is_some());
    }
}
