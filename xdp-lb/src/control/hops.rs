//! The way to each backend's address, as far as it is known.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use xdp_lb_common::ids::BackendId;

use super::message::NextHop;

/// What is known of a way: nothing yet, the way, or why there is none.
pub(super) type Way = Option<Result<NextHop, String>>;

/// Watched addresses and who needs them.
#[derive(Debug, Default)]
pub(super) struct Hops {
    watched: BTreeMap<IpAddr, Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    users: BTreeSet<BackendId>,
    way: Way,
}

impl Hops {
    /// `backend` needs the way to `address`. Whether it is the first.
    pub(super) fn watch(&mut self, address: IpAddr, backend: BackendId) -> bool {
        let users = &mut self.watched.entry(address).or_default().users;
        users.insert(backend);
        users.len() == 1
    }

    /// `backend` no longer needs it. Whether it was the last.
    pub(super) fn unwatch(&mut self, address: IpAddr, backend: BackendId) -> bool {
        let Some(watched) = self.watched.get_mut(&address) else { return false };
        watched.users.remove(&backend);
        let last = watched.users.is_empty();
        if last {
            self.watched.remove(&address);
        }
        last
    }

    /// News of a way: what was known before and whom it concerns, if it is news to anyone.
    pub(super) fn learn(
        &mut self,
        address: IpAddr,
        way: Result<NextHop, String>,
    ) -> Option<(Way, BTreeSet<BackendId>)> {
        let watched = self.watched.get_mut(&address)?;
        if watched.way.as_ref() == Some(&way) {
            return None;
        }
        Some((watched.way.replace(way), watched.users.clone()))
    }

    pub(super) fn next_hop(&self, address: IpAddr) -> Option<NextHop> {
        self.watched.get(&address)?.way.as_ref()?.as_ref().ok().copied()
    }

    /// "resolved", or why not.
    pub(super) fn describe(&self, address: IpAddr) -> String {
        match self.watched.get(&address).and_then(|watched| watched.way.as_ref()) {
            Some(Ok(_)) => "resolved".into(),
            Some(Err(reason)) => reason.clone(),
            None => "not resolved yet".into(),
        }
    }
}
