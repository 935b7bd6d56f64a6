use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, PoisonError};

/// Parts with a lock each, of a store that is large enough.
const SHARDS: usize = 16;
/// A store of fewer keys has one part, and so exactly its number of keys.
const WORTH_SHARDS: u32 = 1024;
/// Nanoseconds between two searches of a full part for keys to forget.
const SEARCH: u64 = 10_000_000;

/// The arrival times of a limit's keys.
pub(super) struct Store {
    shards: Box<[Mutex<Shard>]>,
    /// Of all keys that found no room.
    others: Mutex<u64>,
}

#[derive(Default)]
struct Shard {
    arrivals: HashMap<u64, u64, BuildHasherDefault<Hashed>>,
    next_search: u64,
}

impl Store {
    pub(super) fn new(max_keys: u32) -> Self {
        let shards = if max_keys < WORTH_SHARDS { 1 } else { SHARDS };
        Self { shards: (0..shards).map(|_| Mutex::default()).collect(), others: Mutex::default() }
    }

    /// Lets `decide` see and move a key's arrival time; one in the past is as good as none.
    pub(super) fn with<R>(&self, key: u64, now: u64, max_keys: u32, decide: impl FnOnce(&mut u64) -> R) -> R {
        // The map takes the other bits.
        let shard = self.shards.get((key >> 32) as usize % self.shards.len().max(1));
        if let Some(shard) = shard {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(arrival) = shard.arrivals.get_mut(&key) {
                return decide(arrival);
            }
            if shard.has_room((max_keys as usize).div_ceil(self.shards.len()), now) {
                let mut arrival = 0;
                let result = decide(&mut arrival);
                // Who was only asked, or refused, leaves no trace.
                if arrival > now {
                    shard.arrivals.insert(key, arrival);
                }
                return result;
            }
        }
        decide(&mut self.others.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().arrivals.len()).sum()
    }
}

impl Shard {
    fn has_room(&mut self, most: usize, now: u64) -> bool {
        if self.arrivals.len() < most {
            return true;
        }
        // A search looks at each key: in a flood not for each request.
        if now < self.next_search {
            return false;
        }
        self.arrivals.retain(|_, arrival| *arrival > now);
        let room = self.arrivals.len() < most;
        self.next_search = if room { 0 } else { now.saturating_add(SEARCH) };
        room
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
