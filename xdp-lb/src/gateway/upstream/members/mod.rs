//! Which servers a pool has: by its configuration, by DNS or by a file. Finds them; never judges one.

mod dns;
mod file;
mod membership;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use super::{BuildError, Pool};
use crate::config::gateway::{Members, PoolConfig};

pub(super) use membership::{Change, Known, Membership};

/// A server as its source tells it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) name: Arc<str>,
    pub(super) address: SocketAddr,
    /// Its capacity, in any unit; 0 takes nothing.
    pub(super) weight: f64,
}

/// The servers that are known without waiting: `None` where DNS has to be asked first. Reads files.
pub(super) fn at_once(pool: &PoolConfig) -> Result<Option<Vec<Member>>, BuildError> {
    match &pool.members {
        Members::Static(servers) => {
            let member = |server: &crate::config::gateway::Server| Member {
                name: server.name.as_str().into(),
                address: server.address,
                weight: f64::from(server.weight.get()),
            };
            Ok(Some(servers.iter().map(member).collect()))
        }
        Members::Dns { name, .. } => match dns::check(name) {
            Ok(()) => Ok(None),
            Err(problem) => Err(BuildError::Name { pool: pool.name.clone(), name: name.clone(), problem }),
        },
        Members::File { path, .. } => match file::read(path) {
            Ok((_, members)) => Ok(Some(members)),
            Err(problem) => Err(BuildError::File { pool: pool.name.clone(), path: path.clone(), problem }),
        },
    }
}

/// Asks for the servers of a pool of which none is known, where that takes asking.
pub(super) async fn find(pool: &Pool) {
    if let Some(question) = question(&pool.config().members).filter(|_| pool.members().is_empty()) {
        dns::renew(pool, &question).await;
    }
}

fn question(members: &Members) -> Option<dns::Question<'_>> {
    match members {
        Members::Dns { name, port, resolvers, .. } => {
            Some(dns::Question { name, port: *port, resolvers, timeout: dns::TIMEOUT })
        }
        Members::Static(_) | Members::File { .. } => None,
    }
}

/// Keeps the pool's servers to what its source says, until dropped.
pub(super) async fn follow(pool: &Pool) {
    let members = &pool.config().members;
    match members {
        Members::Static(_) => std::future::pending().await,
        Members::Dns { refresh, .. } => {
            if let Some(question) = question(members) {
                dns::follow(pool, &question, *refresh).await;
            }
        }
        Members::File { path, interval } => file::follow(pool, path, *interval).await,
    }
}

/// What is told of a pool's source.
pub(super) fn word(members: &Members) -> &'static str {
    match members {
        Members::Static(_) => "static",
        Members::Dns { port: Some(_), .. } => "dns",
        Members::Dns { port: None, .. } => "dns-srv",
        Members::File { .. } => "file",
    }
}
