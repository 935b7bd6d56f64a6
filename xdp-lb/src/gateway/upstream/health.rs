//! Whether a pool's servers are up, by asking each of them now and then.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::Semaphore;

use super::{Pool, ServerInfo};
use crate::config::{Health, HealthKind};
use crate::control::health::{Change, Check, Condition};
use crate::control::rng::Rng;
use crate::control::score::ServerId;
use crate::probe::Prober;

/// What the checks found of a server.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) condition: Condition,
    /// Whether it is to take requests.
    pub(super) is_up: bool,
    pub(super) words: Cow<'static, str>,
}

impl Standing {
    /// Of a server that is not checked: up.
    pub(super) fn unchecked() -> Self {
        Self { condition: Condition::Up, is_up: true, words: Cow::Borrowed("not checked") }
    }

    /// Of a server whose checks begin: up, until one fails.
    pub(super) fn checking() -> Self {
        Self { condition: Condition::Checking, is_up: true, words: Cow::Borrowed("not checked yet") }
    }

    /// Of a new server of a pool with these checks.
    pub(super) fn of_newcomer(health: Option<&Health>) -> Self {
        if is_checked(health) { Self::checking() } else { Self::unchecked() }
    }

    fn of(check: &Check) -> Self {
        let condition = check.condition();
        let is_up = match condition {
            Condition::Up => true,
            Condition::Down => false,
            // Nothing good is known of it.
            Condition::Checking => !check.has_failed_last(),
        };
        Self { condition, is_up, words: Cow::Owned(check.reason()) }
    }
}

/// Whether anything is asked.
pub(super) fn is_checked(health: Option<&Health>) -> bool {
    health.is_some_and(|health| health.kind != HealthKind::None)
}

/// Whether health is to be ignored: more is down than is up, and then the error is likelier in what the checks measure,
/// and the few that are left would not stand what all of them have to.
pub(super) fn panics(up: usize, all: usize) -> bool {
    up * 2 < all
}

/// Checks the pool's servers until dropped, so many at a time as there are `turns`, which several pools share.
pub(super) async fn watch(pool: &Pool, prober: &Prober, turns: &Semaphore, seed: u64) {
    let Some(health) = pool.config().health.as_ref().filter(|health| is_checked(Some(health))) else {
        return std::future::pending().await;
    };
    let mut checks = Checks { spec: health, rng: Rng::new(seed), servers: BTreeMap::new() };
    let mut under_way = FuturesUnordered::new();
    checks.sync(pool.standings(), now());
    loop {
        for (id, address) in checks.begin(now()) {
            let kind = aimed(&health.kind, address);
            under_way.push(async move {
                // The semaphore is never closed.
                let _turn = turns.acquire().await;
                (id, prober.probe(address.ip(), None, &kind, health.timeout).await)
            });
        }
        tokio::select! {
            Some((id, outcome)) = under_way.next(), if !under_way.is_empty() => {
                if let Some((standing, change)) = checks.judge(id, outcome, now()) {
                    pool.stand(id, standing, change.as_ref());
                }
            }
            () = sleep_until(checks.due()) => {}
            () = pool.changed() => checks.sync(pool.standings(), now()),
        }
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// The check of the server at `address`: at its own port, where none is told.
fn aimed(kind: &HealthKind, address: SocketAddr) -> HealthKind {
    let mut kind = kind.clone();
    match &mut kind {
        HealthKind::Tcp { port } | HealthKind::Http { port, .. } | HealthKind::Udp { port, .. }
            if *port == 0 =>
        {
            *port = address.port();
        }
        _ => {}
    }
    kind
}

/// The checks of one pool, at their times. Pure.
struct Checks<'a> {
    spec: &'a Health,
    rng: Rng,
    servers: BTreeMap<ServerId, (Check, SocketAddr)>,
}

impl Checks<'_> {
    /// Checks these servers, and no others.
    fn sync(&mut self, servers: Vec<(Arc<ServerInfo>, Condition)>, now: Instant) {
        let mut before = std::mem::take(&mut self.servers);
        for (info, condition) in servers {
            let check = before.remove(&info.id).unwrap_or_else(|| {
                (Check::new(self.spec.clone(), condition, now, &mut self.rng), info.address)
            });
            self.servers.insert(info.id, check);
        }
    }

    /// The servers that are to be checked now.
    fn begin(&mut self, now: Instant) -> Vec<(ServerId, SocketAddr)> {
        let due = self.servers.iter_mut().filter(|(_, (check, _))| check.due().is_some_and(|due| due <= now));
        due.map(|(id, (check, address))| {
            check.begin(now);
            (*id, *address)
        })
        .collect()
    }

    /// When the next check is to begin.
    fn due(&self) -> Option<Instant> {
        self.servers.values().filter_map(|(check, _)| check.due()).min()
    }

    /// How a server stands after a check; `None` if it is no longer one.
    fn judge(
        &mut self,
        id: ServerId,
        outcome: Result<(), String>,
        now: Instant,
    ) -> Option<(Standing, Option<Change>)> {
        let (check, _) = self.servers.get_mut(&id)?;
        let change = check.judge(outcome, now, &mut self.rng);
        Some((Standing::of(check), change))
    }
}

#[cfg(test)]
mod tests;
