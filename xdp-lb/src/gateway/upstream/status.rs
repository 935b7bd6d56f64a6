//! What is told of pools.

use std::net::SocketAddr;

use serde::Serialize;

use super::balancer::Snapshot;
use super::members;
use crate::config::gateway::PoolConfig;
use crate::control::score;

/// One pool.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PoolStatus {
    /// As configured.
    pub name: String,
    /// Where its servers come from: "static", "dns", "dns-srv" or "file".
    pub source: &'static str,
    /// What is wrong with that; empty if nothing is.
    pub problem: String,
    /// Whether health is ignored, as the checks call more than half of the servers down.
    pub panic: bool,
    /// Sorted by id.
    pub servers: Vec<ServerStatus>,
    /// Requests inside.
    pub in_flight: u32,
    /// Requests that wait for one of those to end.
    pub pending: usize,
    /// Retries that could be sent now.
    pub budget_left: u64,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServerStatus {
    /// As its source names it.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// What its health checks found, in words; empty for one that left.
    pub health: String,
    /// What it is worth.
    #[serde(flatten)]
    pub score: score::ServerStatus,
}

pub(super) fn describe(
    config: &PoolConfig,
    snapshot: &Snapshot,
    in_flight: u32,
    pending: usize,
    problem: Option<String>,
) -> PoolStatus {
    let server = |(info, health, score): (&super::ServerInfo, &str, score::ServerStatus)| ServerStatus {
        name: info.name.to_string(),
        address: info.address,
        health: health.to_owned(),
        score,
    };
    PoolStatus {
        name: config.name.clone(),
        source: members::word(&config.members),
        problem: problem.unwrap_or_default(),
        panic: snapshot.panics,
        servers: snapshot.servers().map(server).collect(),
        in_flight,
        pending,
        budget_left: snapshot.budget_left,
    }
}
