//! Requests of the gateway's own: for keys, to a service that decides, copies to a mirror.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::Request;

use super::Body;
use super::upstream::{Origin, Pools, SendOptions, Trail, Worker, send_for};
use super::verify::{Answering, Ask};

/// Asks by way of the pools, over connections of the thread that asks.
pub(super) struct Asker {
    pub pools: Arc<Pools>,
    pub upstream: Arc<Worker>,
}

impl Ask for Asker {
    fn ask(&self, pool: usize, request: Request<Body>, timeout: Duration) -> Answering<'_> {
        Box::pin(async move {
            let (started, wall) = now();
            let origin = Origin { ends: None, started, wall };
            let options = SendOptions { timeout: Some(timeout) };
            let mut trail = Trail::default();
            send_for(self.pools.get(pool), &self.upstream, origin, &mut trail, request, options).await
        })
    }
}

/// The present, by both clocks.
#[expect(clippy::disallowed_methods, reason = "requests arrive here: this is the edge")]
pub(super) fn now() -> (Instant, SystemTime) {
    (Instant::now(), SystemTime::now())
}
