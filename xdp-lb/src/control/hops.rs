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

    /// News of a way: whom it concerns, if it is news to anyone.
    pub(super) fn learn(&mut self, address: IpAddr, way: Result<NextHop, String>) -> BTreeSet<BackendId> {
        let way = Some(way);
        match self.watched.get_mut(&address) {
            Some(watched) if watched.way != way => {
                watched.way = way;
                watched.users.clone()
            }
            _ => BTreeSet::new(),
        }
    }

    pub(super) fn way(&self, address: IpAddr) -> Way {
        self.watched.get(&address)?.way.clone()
    }
}
