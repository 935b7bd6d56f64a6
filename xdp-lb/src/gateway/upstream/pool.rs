//! One microservice: the servers that answer for it, and who may go there now.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, Semaphore};

use super::balancer::Balancer;
use super::breaker::{Breaker, Full};
use super::connector::Connector;
use super::health::Standing;
use super::members::{Change, Member};
use super::status::PoolStatus;
use super::{BuildError, health, members, status};
use crate::config::gateway::PoolConfig;
use crate::control::health::{self as checks, Condition};
use crate::control::score::{Outcome, Pick, ServerId, Why};
use crate::gateway::{Reason, Refusal};
use crate::probe::Prober;

/// A server, for as long as anybody has to do with it.
#[derive(Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// The same as long as name and address are, and never another's of its pool.
    pub id: ServerId,
    /// In logs and metrics.
    pub name: Arc<str>,
    /// Where it listens.
    pub address: SocketAddr,
}

/// One microservice, as one configuration has it. What is learned of its servers is shared with those before and after.
#[derive(Debug)]
pub struct Pool {
    config: PoolConfig,
    /// Counts the configurations that share what is learned.
    generation: u64,
    /// Servers that are known without asking anybody.
    first: Option<Vec<Member>>,
    connector: Arc<Connector>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    locked: Mutex<Locked>,
    breaker: Breaker,
    /// Told when the servers are others.
    changed: Notify,
    /// What is wrong with the source of servers.
    source: Mutex<Option<String>>,
}

#[derive(Debug)]
struct Locked {
    balancer: Balancer,
    /// The generation that is in force.
    generation: u64,
}

impl Pool {
    /// A pool on top of what `before` learned. Reads the list of servers, where that is in a file. Nothing changes for
    /// `before` until [`take_over`](Self::take_over).
    pub(super) fn build(
        config: &PoolConfig,
        before: Option<&Self>,
        seed: u64,
        now: Instant,
    ) -> Result<Self, BuildError> {
        let first = match (members::at_once(config), before) {
            (Ok(first), _) => first,
            // That file was read before, and what is wrong with it now is told already: the old list stays.
            (Err(BuildError::File { .. }), Some(before)) if before.config.members == config.members => None,
            (Err(error), _) => return Err(error),
        };
        let connector = Connector::build(config, before.map(|before| &before.connector))?;
        let Some(before) = before else {
            let mut balancer = Balancer::new(config, seed, now);
            if let Some(members) = &first {
                balancer.set_members(members, now);
            }
            let shared = Shared {
                locked: Mutex::new(Locked { balancer, generation: 0 }),
                breaker: Breaker::new(&config.breaker),
                changed: Notify::new(),
                source: Mutex::new(None),
            };
            let shared = Arc::new(shared);
            return Ok(Self { config: config.clone(), generation: 0, first, connector, shared });
        };
        let (generation, shared) = (before.generation + 1, Arc::clone(&before.shared));
        Ok(Self { config: config.clone(), generation, first, connector, shared })
    }

    /// Its configuration.
    pub fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// How connections to its servers are opened.
    pub(super) fn connector(&self) -> &Arc<Connector> {
        &self.connector
    }

    /// Puts this configuration in force, in place of the one before.
    pub(super) fn take_over(&self, now: Instant) {
        let mut locked = self.shared.lock();
        if locked.generation >= self.generation {
            return;
        }
        locked.generation = self.generation;
        locked.balancer.reconfigure(&self.config, now);
        let change = self.first.as_ref().map(|members| locked.balancer.set_members(members, now));
        drop(locked);
        self.shared.breaker.limit(&self.config.breaker);
        if self.first.is_some() {
            self.tell_source(None);
        }
        if let Some(change) = change {
            self.tell_change(&change);
        }
    }

    /// A request comes in; it waits for its turn where the pool is full, and is refused after a while.
    ///
    /// # Errors
    /// [`Reason::PoolFull`], with the time after which another try makes sense.
    pub async fn enter(self: &Arc<Self>) -> Result<Entry, Refusal> {
        match self.shared.breaker.enter().await {
            Ok(()) => Ok(Entry { pool: Arc::clone(self) }),
            Err(full) => Err(self.refusal(full)),
        }
    }

    /// The server for a try of a request, which counts as sent; none of `tried`. `None` if there is none other that
    /// takes any.
    pub fn pick(self: &Arc<Self>, tried: &[ServerId], now: Instant) -> Option<Picked> {
        let (server, pick) = self.shared.lock().balancer.pick(tried, now)?;
        Some(Picked { pool: Arc::clone(self), server, pick: Some(pick), is_answered: false })
    }

    /// The server for a further try of a request, if the budget allows one: none of `tried`, which is not empty.
    pub fn pick_again(self: &Arc<Self>, tried: &[ServerId], now: Instant) -> Option<Picked> {
        let (server, pick) = self.shared.lock().balancer.pick_again(tried, now)?;
        Some(Picked { pool: Arc::clone(self), server, pick: Some(pick), is_answered: false })
    }

    /// How it is.
    pub fn status(&self, now: Instant) -> PoolStatus {
        let snapshot = self.shared.lock().balancer.snapshot(now);
        let (in_flight, pending) = (self.shared.breaker.inside(), self.shared.breaker.pending());
        let problem = self.shared.source().clone();
        status::describe(&self.config, &snapshot, in_flight, pending, problem)
    }

    /// Follows the source of its servers and checks them, until dropped.
    pub(super) async fn run(&self, prober: &Prober, turns: &Semaphore, seed: u64) {
        tokio::join!(members::follow(self), health::watch(self, prober, turns, seed));
    }

    /// The servers and how they stand.
    pub(super) fn standings(&self) -> Vec<(Arc<ServerInfo>, Condition)> {
        let locked = self.shared.lock();
        let servers = locked.balancer.servers().iter();
        servers.map(|known| (Arc::clone(&known.info), known.standing.condition)).collect()
    }

    /// Waits until the servers are others.
    pub(super) async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    pub(super) fn members(&self) -> Vec<Member> {
        self.shared.lock().balancer.members()
    }

    /// Makes these the servers, as the source says.
    pub(super) fn set_members(&self, members: &[Member]) {
        let now = tokio::time::Instant::now().into_std();
        let mut locked = self.shared.lock();
        if locked.generation != self.generation {
            return;
        }
        let change = locked.balancer.set_members(members, now);
        drop(locked);
        self.tell_change(&change);
    }

    /// Tells what is wrong with the source of servers, or that nothing is: in the status, and in the log once.
    pub(super) fn tell_source(&self, problem: Option<String>) {
        let mut source = self.shared.source();
        if *source == problem {
            return;
        }
        match &problem {
            Some(problem) => {
                tracing::warn!(
                    pool = self.config.name,
                    "the servers cannot be found out anew; those known are kept: {problem}"
                );
            }
            None => tracing::info!(pool = self.config.name, "the servers can be found out again"),
        }
        *source = problem;
    }

    /// Takes note of how a server stands after a check.
    pub(super) fn stand(&self, id: ServerId, standing: Standing, change: Option<&checks::Change>) {
        let now = tokio::time::Instant::now().into_std();
        let mut locked = self.shared.lock();
        if locked.generation != self.generation {
            return;
        }
        let server = locked.balancer.servers().iter().find(|known| known.info.id == id);
        let server = server.map(|known| Arc::clone(&known.info));
        let panics = locked.balancer.stand(id, standing, now);
        drop(locked);
        let pool = self.config.name.as_str();
        let (server, address) = match &server {
            Some(server) => (&*server.name, server.address),
            None => return,
        };
        match change {
            Some(checks::Change::Up) => tracing::info!(pool, server, %address, "up, by its health checks"),
            Some(checks::Change::Down { reason, failures }) => {
                tracing::warn!(pool, server, %address, failures, "down, by its health checks: {reason}");
            }
            None => {}
        }
        match panics {
            Some(true) => tracing::error!(pool, "more than half of the servers are down: health is ignored"),
            Some(false) => tracing::info!(pool, "half of the servers are up again: health counts"),
            None => {}
        }
    }

    fn tell_change(&self, change: &Change) {
        if !change.is_some() {
            return;
        }
        self.shared.changed.notify_one();
        let pool = self.config.name.as_str();
        for (what, servers) in [("added", &change.added), ("removed", &change.removed)] {
            for server in servers {
                tracing::info!(pool, server = &*server.name, address = %server.address, "server {what}");
            }
        }
    }

    fn refusal(&self, full: Full) -> Refusal {
        let cause = format!(
            "pool {}: {} in flight, {} waiting{}",
            self.config.name,
            self.shared.breaker.inside(),
            self.shared.breaker.pending(),
            if full.waited { ", waited in vain" } else { "" },
        );
        Refusal::new(Reason::PoolFull, "the service has too much to do; try again later")
            .because(cause)
            .retry_after(full.retry_after)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Locked> {
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn source(&self) -> MutexGuard<'_, Option<String>> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request inside a pool, until dropped.
#[derive(Debug)]
#[must_use = "the request leaves the pool when this is dropped"]
pub struct Entry {
    pool: Arc<Pool>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.pool.shared.breaker.leave();
    }
}

/// A try on its way to a server. It is in flight there until dropped; without an answer until then, it says nothing
/// about the server.
#[derive(Debug)]
#[must_use = "the try is over when this is dropped"]
pub struct Picked {
    pool: Arc<Pool>,
    server: Arc<ServerInfo>,
    /// Until dropped.
    pick: Option<Pick>,
    is_answered: bool,
}

impl Picked {
    /// Where it goes.
    pub fn server(&self) -> &Arc<ServerInfo> {
        &self.server
    }

    /// Why there.
    pub fn why(&self) -> Option<Why> {
        self.pick.as_ref().map(Pick::why)
    }

    /// The answer has begun, or will not come. Only the first call counts. The try stays in flight, as the body may
    /// take long.
    pub fn answered(&mut self, outcome: &Outcome<'_>, now: Instant) {
        let Some(pick) = self.pick.as_mut().filter(|_| !self.is_answered) else { return };
        self.is_answered = true;
        self.pool.shared.lock().balancer.answered(pick, outcome, now);
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        let Some(pick) = self.pick.take() else { return };
        // The time matters only for what was abandoned.
        let now = (!self.is_answered).then(|| tokio::time::Instant::now().into_std());
        self.pool.shared.lock().balancer.finished(pick, now);
    }
}
