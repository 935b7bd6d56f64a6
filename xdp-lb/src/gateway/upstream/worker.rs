//! The connections to servers that a thread keeps: those of HTTP/1.1 while they are idle, those of HTTP/2 always.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::connector::Kind;
use super::link::Link;
use super::mux::{Mux, Ticket};

/// How often connections are looked at that nobody asks for.
const SWEEP: Duration = Duration::from_secs(1);

/// One thread's connections. Made once for each thread; nothing of it is shared between threads.
pub struct Worker {
    store: Mutex<Store>,
    weak: Weak<Worker>,
}

#[derive(Default)]
struct Store {
    /// By connector and address.
    shelves: HashMap<(u64, SocketAddr), Shelf>,
    is_swept: bool,
}

#[derive(Default)]
struct Shelf {
    /// The last one used is taken first, so that those not needed age.
    idle: Vec<(Instant, Box<Link>)>,
    muxes: Vec<Mux>,
    /// Held by who opens a connection of HTTP/2, so that others wait for it instead of opening more.
    opening: Arc<tokio::sync::Mutex<()>>,
}

impl Worker {
    /// Without a connection.
    pub fn new() -> Arc<Self> {
        Arc::new_cyclic(|weak| Self { store: Mutex::default(), weak: weak.clone() })
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        // Nothing in there can be left half done.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle connection.
    pub(super) fn take(&self, connector: u64, address: SocketAddr, kind: &Kind) -> Option<Box<Link>> {
        let mut store = self.store();
        let shelf = store.shelves.get_mut(&(connector, address))?;
        loop {
            let at = shelf.idle.iter().rposition(|(_, link)| link.home.kind == *kind)?;
            let (since, mut link) = shelf.idle.remove(at);
            if now().saturating_duration_since(since) < link.home.keep && link.is_ready() {
                return Some(link);
            }
        }
    }

    /// Keeps a connection that is ready for the next request.
    pub(super) fn keep(&self, link: Box<Link>) {
        let most = link.home.most as usize;
        if most == 0 {
            return;
        }
        let mut store = self.store();
        let shelf = store.shelves.entry((link.home.connector, link.home.address)).or_default();
        if shelf.idle.len() >= most {
            shelf.idle.remove(0);
        }
        shelf.idle.push((now(), link));
        self.swept(&mut store);
    }

    /// A stream of a connection that is open.
    pub(super) fn ticket(&self, connector: u64, address: SocketAddr, kind: &Kind) -> Option<Ticket> {
        let store = self.store();
        let shelf = store.shelves.get(&(connector, address))?;
        shelf.muxes.iter().filter(|mux| mux.kind == *kind).find_map(Mux::ticket)
    }

    /// What to hold while a connection of HTTP/2 is opened.
    pub(super) fn opening(&self, connector: u64, address: SocketAddr) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(&self.store().shelves.entry((connector, address)).or_default().opening)
    }

    /// Keeps a connection of HTTP/2 and takes its first stream. One that has none is not kept: the next request would
    /// open another beside it.
    pub(super) fn share(&self, connector: u64, address: SocketAddr, mux: Mux) -> Option<Ticket> {
        let ticket = mux.ticket()?;
        let mut store = self.store();
        store.shelves.entry((connector, address)).or_default().muxes.push(mux);
        self.swept(&mut store);
        Some(ticket)
    }

    /// Connections kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.store().shelves.values().map(|shelf| shelf.idle.len() + shelf.muxes.len()).sum()
    }

    fn swept(&self, store: &mut Store) {
        if std::mem::replace(&mut store.is_swept, true) {
            return;
        }
        let weak = self.weak.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                let Some(worker) = weak.upgrade() else { return };
                if !worker.store().sweep(now()) {
                    return;
                }
            }
        });
    }
}

impl Store {
    /// Drops what is too old or was closed. Whether anything is left.
    fn sweep(&mut self, now: Instant) -> bool {
        self.shelves.retain(|_, shelf| {
            shelf.idle.retain_mut(|(since, link)| {
                now.saturating_duration_since(*since) < link.home.keep && link.is_ready()
            });
            shelf.muxes.retain_mut(|mux| !mux.is_stale(now));
            let is_opened = Arc::strong_count(&shelf.opening) > 1;
            is_opened || !shelf.idle.is_empty() || !shelf.muxes.is_empty()
        });
        self.is_swept = !self.shelves.is_empty();
        self.is_swept
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}
