//! Health checks as tasks of their own, a bounded number at once.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use xdp_lb_common::ids::BackendId;

use crate::config::HealthKind;
use crate::control::Event;
use crate::probe::probe;

/// Each holds a socket. More wait for their turn; their time limit begins with it.
const MOST_AT_ONCE: usize = 256;

#[derive(Debug)]
pub(super) struct Probes {
    turns: Arc<Semaphore>,
    events: mpsc::Sender<Event>,
}

impl Probes {
    pub(super) fn new(events: mpsc::Sender<Event>) -> Self {
        Self { turns: Arc::new(Semaphore::new(MOST_AT_ONCE)), events }
    }

    /// Checks the backend once; the outcome comes as an event.
    pub(super) fn start(&self, backend: BackendId, address: IpAddr, kind: HealthKind, timeout: Duration) {
        let turns = Arc::clone(&self.turns);
        let events = self.events.clone();
        tokio::spawn(async move {
            let turn = turns.acquire_owned().await;
            let outcome = probe(address, &kind, timeout).await;
            drop(turn);
            // The loop has ended when nobody receives.
            let _ = events.send(Event::Probed { backend, outcome }).await;
        });
    }
}
