//! Who is a server of a pool, under which id. Pure.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::super::ServerInfo;
use super::super::health::Standing;
use super::Member;
use crate::control::score::ServerId;

/// The servers of a pool. A server is the same as long as its name and its address are; its id is never another's.
#[derive(Debug, Default)]
pub(in super::super) struct Membership {
    /// Sorted by id.
    servers: Vec<Known>,
    /// Those that are no servers any more, and may have requests to finish.
    leaving: Vec<Arc<ServerInfo>>,
    ids: u32,
}

/// One server.
#[derive(Clone, Debug)]
pub(in super::super) struct Known {
    pub(in super::super) info: Arc<ServerInfo>,
    pub(in super::super) weight: f64,
    /// As its health checks find it.
    pub(in super::super) standing: Standing,
}

/// What an update changed.
#[derive(Debug, Default)]
pub(in super::super) struct Change {
    pub(in super::super) kept: usize,
    pub(in super::super) added: Vec<Arc<ServerInfo>>,
    pub(in super::super) removed: Vec<Arc<ServerInfo>>,
    /// Whether one that was kept has another weight.
    pub(in super::super) reweighted: bool,
}

impl Change {
    /// Whether anything is other than it was.
    pub(in super::super) fn is_some(&self) -> bool {
        self.reweighted || !self.added.is_empty() || !self.removed.is_empty()
    }
}

impl Membership {
    /// Makes these the servers. Of one that is listed twice, the first entry counts. New ones stand as `newcomer`.
    pub(in super::super) fn update(&mut self, wanted: &[Member], newcomer: &Standing) -> Change {
        let mut change = Change::default();
        let mut before: HashMap<(Arc<str>, SocketAddr), Known> = std::mem::take(&mut self.servers)
            .into_iter()
            .map(|known| ((Arc::clone(&known.info.name), known.info.address), known))
            .collect();
        let mut seen = HashSet::new();
        for member in wanted {
            let key = (Arc::clone(&member.name), member.address);
            if !seen.insert(key.clone()) {
                continue;
            }
            if let Some(known) = before.remove(&key) {
                change.kept += 1;
                change.reweighted |= known.weight != member.weight;
                self.servers.push(Known { weight: member.weight, ..known });
                continue;
            }
            let info = Arc::new(ServerInfo { id: ServerId(self.ids), name: key.0, address: key.1 });
            self.ids = self.ids.wrapping_add(1);
            change.added.push(Arc::clone(&info));
            self.servers.push(Known { info, weight: member.weight, standing: newcomer.clone() });
        }
        self.servers.sort_unstable_by_key(|known| known.info.id);
        change.removed = before.into_values().map(|known| known.info).collect();
        change.removed.sort_unstable_by_key(|info| info.id);
        self.leaving.extend(change.removed.iter().cloned());
        change
    }

    /// Forgets those that left and of which `is_busy` no longer holds.
    pub(in super::super) fn forget(&mut self, is_busy: impl Fn(ServerId) -> bool) {
        self.leaving.retain(|info| is_busy(info.id));
    }

    /// Sorted by id.
    pub(in super::super) fn servers(&self) -> &[Known] {
        &self.servers
    }

    pub(in super::super) fn servers_mut(&mut self) -> &mut [Known] {
        &mut self.servers
    }

    pub(in super::super) fn leaving(&self) -> &[Arc<ServerInfo>] {
        &self.leaving
    }

    pub(in super::super) fn get(&self, id: ServerId) -> Option<&Known> {
        let position = self.position(id)?;
        self.servers.get(position)
    }

    pub(in super::super) fn get_mut(&mut self, id: ServerId) -> Option<&mut Known> {
        let position = self.position(id)?;
        self.servers.get_mut(position)
    }

    fn position(&self, id: ServerId) -> Option<usize> {
        // Without changes, ids have no gaps.
        let first = self.servers.first()?.info.id.0;
        let guess = id.0.wrapping_sub(first) as usize;
        if self.servers.get(guess).is_some_and(|known| known.info.id == id) {
            return Some(guess);
        }
        self.servers.binary_search_by_key(&id, |known| known.info.id).ok()
    }
}
