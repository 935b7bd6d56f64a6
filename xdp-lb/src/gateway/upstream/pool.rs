//! One microservice: its servers, how busy they are, and how much more it takes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{Connector, ConnectorError};
use crate::config::gateway::PoolConfig;
use crate::control::score::{self, Outcome, ServerId, Settings};
use crate::gateway::{Reason, Refusal};

/// A server.
#[derive(Debug)]
pub struct ServerInfo {
    /// In its pool.
    pub id: ServerId,
    /// In logs and metrics.
    pub name: Arc<str>,
    /// Where it listens.
    pub address: SocketAddr,
}

/// A request in flight at a server, until dropped.
pub struct Picked {
    pool: Arc<Pool>,
    server: Arc<ServerInfo>,
    pick: Option<score::Pick>,
}

/// A request in the pool, until dropped.
pub struct Entry(Arc<Pool>);

/// A microservice.
pub struct Pool {
    config: PoolConfig,
    connector: Arc<Connector>,
    servers: Vec<Arc<ServerInfo>>,
    score: Mutex<score::Pool>,
    in_flight: AtomicU32,
    retries: AtomicU32,
}

/// All of them.
pub struct Pools(Vec<Arc<Pool>>);

impl Pools {
    /// With static servers.
    pub fn build(configs: &[PoolConfig], _before: Option<&Self>) -> Result<Self, ConnectorError> {
        configs.iter().map(Pool::build).collect::<Result<_, _>>().map(Self)
    }

    /// By its index in the configuration.
    pub fn get(&self, index: usize) -> &Arc<Pool> {
        &self.0[index]
    }
}

impl Pool {
    fn build(config: &PoolConfig) -> Result<Arc<Self>, ConnectorError> {
        let connector = Connector::build(config, None)?;
        let crate::config::gateway::Members::Static(members) = &config.members else {
            return Ok(Self::of(config, connector, Vec::new()));
        };
        let servers = (0..)
            .zip(members)
            .map(|(id, server)| {
                let name = server.name.as_str().into();
                Arc::new(ServerInfo { id: ServerId(id), name, address: server.address })
            })
            .collect();
        Ok(Self::of(config, connector, servers))
    }

    fn of(config: &PoolConfig, connector: Arc<Connector>, servers: Vec<Arc<ServerInfo>>) -> Arc<Self> {
        let mut score = score::Pool::new(Settings::default(), 1);
        let weights: Vec<_> = servers.iter().map(|server| (server.id, 100.0)).collect();
        score.set_servers(&weights, super::trip::now());
        Arc::new(Self {
            config: config.clone(),
            connector,
            servers,
            score: Mutex::new(score),
            in_flight: AtomicU32::new(0),
            retries: AtomicU32::new(0),
        })
    }

    /// As configured.
    pub fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// How connections are opened.
    pub fn connector(&self) -> &Arc<Connector> {
        &self.connector
    }

    /// Takes a request in, or refuses it.
    #[expect(clippy::unused_async, reason = "a request may have to wait")]
    pub async fn enter(self: &Arc<Self>) -> Result<Entry, Refusal> {
        let most = self.config.breaker.max_in_flight;
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let entry = Entry(Arc::clone(self));
        if most > 0 && before >= most {
            return Err(Refusal::new(Reason::PoolFull, "the service has too much to do"));
        }
        Ok(entry)
    }

    fn score(&self) -> MutexGuard<'_, score::Pool> {
        self.score.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server that was not tried.
    pub fn pick(self: &Arc<Self>, tried: &[ServerId], now: Instant) -> Option<Picked> {
        let pick = self.score().pick(tried, now)?;
        let server = self.servers.iter().find(|server| server.id == pick.server())?;
        Some(Picked { pool: Arc::clone(self), server: Arc::clone(server), pick: Some(pick) })
    }

    /// Takes a retry from the budget.
    pub fn may_retry(&self, _now: Instant) -> bool {
        self.retries.fetch_add(1, Ordering::Relaxed) < self.config.retry.least
    }

    /// Requests in the pool, and in flight at its servers.
    pub fn busy(&self) -> (u32, u32) {
        let at_servers = self.score().status(super::trip::now()).iter().map(|server| server.in_flight).sum();
        (self.in_flight.load(Ordering::Relaxed), at_servers)
    }
}

impl Picked {
    /// Which.
    pub fn server(&self) -> &Arc<ServerInfo> {
        &self.server
    }

    /// What came of it.
    pub fn answered(&mut self, outcome: &Outcome<'_>, now: Instant) {
        if let Some(pick) = &mut self.pick {
            self.pool.score().answered(pick, outcome, now);
        }
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        if let Some(pick) = self.pick.take() {
            self.pool.score().finished(pick, super::trip::now());
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
