//! Counts and durations by route and by pool. Each thread writes its own, so that none waits for another's memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::histogram::{Histogram, Totals};
use crate::gateway::contract::Unchecked;
use crate::gateway::{Exchange, Reason};

/// All there are, by name. What was counted of a route outlives changes of the configuration.
#[derive(Debug)]
pub struct Meters {
    workers: usize,
    routes: Mutex<BTreeMap<String, Arc<RouteMeter>>>,
    pools: Mutex<BTreeMap<String, Arc<PoolMeter>>>,
    /// By worker, then by reason.
    refusals: Vec<Padded<[AtomicU64; Reason::ALL.len()]>>,
}

/// What one thread writes shares no cache line with what another does.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded<T>(T);

/// A route's.
#[derive(Debug)]
pub struct RouteMeter(Box<[Padded<RouteShard>]>);

#[derive(Debug, Default)]
struct RouteShard {
    /// By the first digit of the status.
    answers: [AtomicU64; 6],
    duration: Histogram,
    received: AtomicU64,
    sent: AtomicU64,
    /// By why an answer was not checked.
    unchecked: [AtomicU64; Unchecked::ALL.len()],
}

/// A pool's.
#[derive(Debug)]
pub struct PoolMeter(Box<[Padded<PoolShard>]>);

#[derive(Debug, Default)]
struct PoolShard {
    answers: [AtomicU64; 6],
    duration: Histogram,
    tries: AtomicU64,
}

/// What a route or pool has counted, over all threads.
#[derive(Debug, Default)]
pub struct Scores {
    /// By the first digit of the status.
    pub(super) answers: [u64; 6],
    pub(super) duration: Totals,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) tries: u64,
    /// In the order of [`Unchecked::ALL`].
    pub(super) unchecked: [u64; Unchecked::ALL.len()],
}

impl Meters {
    /// For so many threads.
    pub fn new(workers: usize) -> Self {
        let refusals = std::iter::repeat_with(|| Padded(std::array::from_fn(|_| AtomicU64::new(0))));
        Self {
            workers: workers.max(1),
            routes: Mutex::default(),
            pools: Mutex::default(),
            refusals: refusals.take(workers.max(1)).collect(),
        }
    }

    /// The route's of this name.
    pub fn route(&self, name: &str) -> Arc<RouteMeter> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let meter =
            routes.entry(name.to_owned()).or_insert_with(|| Arc::new(RouteMeter(shards(self.workers))));
        Arc::clone(meter)
    }

    /// The pool's of this name.
    pub fn pool(&self, name: &str) -> Arc<PoolMeter> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let meter = pools.entry(name.to_owned()).or_insert_with(|| Arc::new(PoolMeter(shards(self.workers))));
        Arc::clone(meter)
    }

    /// Counts why a request was not served.
    pub fn refused(&self, worker: usize, reason: Reason) {
        if let Some(shard) = self.refusals.get(worker) {
            shard.0[reason as usize].fetch_add(1, Relaxed);
        }
    }

    pub(super) fn routes(&self) -> Vec<(String, Scores)> {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.iter().map(|(name, meter)| (name.clone(), meter.scores())).collect()
    }

    pub(super) fn pools(&self) -> Vec<(String, Scores)> {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.iter().map(|(name, meter)| (name.clone(), meter.scores())).collect()
    }

    pub(super) fn refusals(&self) -> Vec<(Reason, u64)> {
        let sum = |reason: Reason| {
            self.refusals.iter().map(|shard| shard.0[reason as usize].load(Relaxed)).sum::<u64>()
        };
        Reason::ALL.iter().map(|reason| (*reason, sum(*reason))).filter(|(_, count)| *count > 0).collect()
    }
}

fn shards<T: Default>(workers: usize) -> Box<[Padded<T>]> {
    std::iter::repeat_with(Padded::default).take(workers).collect()
}

fn class(status: u16) -> usize {
    usize::from(status / 100).min(5)
}

impl RouteMeter {
    /// A request is over, after so long.
    pub fn finished(&self, worker: usize, exchange: &Exchange, took: Duration) {
        let Some(Padded(shard)) = self.0.get(worker) else { return };
        shard.answers[class(exchange.status)].fetch_add(1, Relaxed);
        shard.duration.record(took);
        shard.received.fetch_add(exchange.received, Relaxed);
        shard.sent.fetch_add(exchange.sent, Relaxed);
        if let Some(why) = exchange.unchecked {
            shard.unchecked[why as usize].fetch_add(1, Relaxed);
        }
    }

    /// What was counted.
    pub fn scores(&self) -> Scores {
        let mut scores = Scores::default();
        for Padded(shard) in &self.0 {
            add(&mut scores.answers, &shard.answers);
            shard.duration.add_to(&mut scores.duration);
            scores.received += shard.received.load(Relaxed);
            scores.sent += shard.sent.load(Relaxed);
            add(&mut scores.unchecked, &shard.unchecked);
        }
        scores
    }
}

impl PoolMeter {
    /// A request that went to the pool is over.
    pub fn finished(&self, worker: usize, exchange: &Exchange) {
        let Some(Padded(shard)) = self.0.get(worker) else { return };
        shard.answers[class(exchange.status)].fetch_add(1, Relaxed);
        shard.tries.fetch_add(u64::from(exchange.tries), Relaxed);
        if let Some(upstream) = exchange.upstream {
            shard.duration.record(upstream);
        }
    }

    /// What was counted.
    pub fn scores(&self) -> Scores {
        let mut scores = Scores::default();
        for Padded(shard) in &self.0 {
            add(&mut scores.answers, &shard.answers);
            shard.duration.add_to(&mut scores.duration);
            scores.tries += shard.tries.load(Relaxed);
        }
        scores
    }
}

fn add<const N: usize>(totals: &mut [u64; N], counts: &[AtomicU64; N]) {
    for (total, count) in totals.iter_mut().zip(counts) {
        *total += count.load(Relaxed);
    }
}
