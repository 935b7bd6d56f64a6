//! The servers behind the gateway: who they are, whether they are up, which of them a request goes to, the connections to
//! them, and the life of one request over its tries.
//!
//! [`send()`] is the way through: enter the pool, pick a server, connect or take an idle connection, send, wait for the
//! head of the answer, and try another server where that is safe. Never decides whether a request is allowed.

mod answer;
mod attempt;
mod balancer;
mod breaker;
mod budget;
mod connector;
mod error;
#[cfg(test)]
mod fixtures;
mod framing;
mod harvest;
mod health;
mod link;
mod members;
mod method;
mod mux;
mod outgoing;
#[cfg(test)]
mod over_loopback;
mod pool;
mod proxy_out;
mod send;
mod splice;
mod status;
mod stream;
mod tee;
#[cfg(test)]
mod tests;
pub(in crate::gateway) mod tls;
mod trip;
mod verdict;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use crate::config::gateway::PoolConfig;
use crate::probe::Prober;

pub use connector::{Connector, ConnectorError};
pub use error::BuildError;
pub use pool::{Entry, Picked, Pool, ServerInfo};
pub use send::{SendOptions, send};
pub use status::{PoolStatus, ServerStatus};
pub use trip::{Origin, Trail, send_for};
pub use worker::Worker;

/// All pools of a configuration.
#[derive(Debug)]
pub struct Pools {
    pools: Vec<Arc<Pool>>,
    names: HashMap<String, usize>,
    prober: Arc<Prober>,
}

impl Pools {
    /// The pools of a configuration, on top of what those `before` learned, by name. Reads files, and changes nothing
    /// for those before until [`run`](Self::run) or [`take_over`](Self::take_over).
    ///
    /// # Errors
    /// The first pool that cannot be built.
    pub fn build(pools: &[PoolConfig], before: Option<&Self>) -> Result<Self, BuildError> {
        let now = tokio::time::Instant::now().into_std();
        Self::build_seeded(pools, before, &mut || fastrand::u64(..), now)
    }

    /// [`build`](Self::build) with seeds from elsewhere: pools with equal seeds and equal histories pick the same.
    ///
    /// # Errors
    /// The first pool that cannot be built.
    pub fn build_seeded(
        pools: &[PoolConfig],
        before: Option<&Self>,
        seeds: &mut dyn FnMut() -> u64,
        now: Instant,
    ) -> Result<Self, BuildError> {
        let mut built = Vec::with_capacity(pools.len());
        for config in pools {
            let before = before.and_then(|before| Some(&**before.pools.get(before.by_name(&config.name)?)?));
            built.push(Arc::new(Pool::build(config, before, seeds(), now)?));
        }
        let names = pools.iter().map(|config| config.name.clone()).zip(0..).collect();
        let prober = before.map_or_else(Arc::default, |before| Arc::clone(&before.prober));
        Ok(Self { pools: built, names, prober })
    }

    /// The pool at this index of the configuration.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn get(&self, index: usize) -> &Arc<Pool> {
        &self.pools[index]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.pools.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pools.is_empty()
    }

    /// The index of the pool of this name.
    pub fn by_name(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// Finds out who the servers of new pools are, where DNS has to be asked, so that their first requests find some. What
    /// is not known within `limit` is found out by [`run`](Self::run).
    pub async fn find(&self, limit: Duration) {
        let all = join_all(self.pools.iter().map(|pool| members::find(pool)));
        let _ = tokio::time::timeout(limit, all).await;
    }

    /// Puts this configuration in force for what is shared with those before: members, constants and limits. The
    /// second call changes nothing.
    pub fn take_over(&self, now: Instant) {
        for pool in &self.pools {
            pool.take_over(now);
        }
    }

    /// [`take_over`](Self::take_over), and then all work in the background, until dropped: look-ups, files, health
    /// checks. To be run on one runtime; that of those before is to be dropped first.
    pub async fn run(self: Arc<Self>) {
        self.take_over(tokio::time::Instant::now().into_std());
        let turns = Semaphore::new(CONCURRENT_CHECKS);
        join_all(self.pools.iter().map(|pool| pool.run(&self.prober, &turns, fastrand::u64(..)))).await;
        // Only where there is no pool.
        std::future::pending::<()>().await;
    }

    /// How each of them is, in the order of the configuration.
    pub fn status(&self, now: Instant) -> Vec<PoolStatus> {
        self.pools.iter().map(|pool| pool.status(now)).collect()
    }
}

/// Health checks under way at a time, over all pools.
const CONCURRENT_CHECKS: usize = 128;
