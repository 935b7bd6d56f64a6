//! A copy of a request to another pool, whose answer nobody waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use http::Request;
use http::request::Parts;
use http_body_util::BodyExt as _;

use super::Handle;
use crate::config::gateway::Mirror;
use crate::gateway::asker::Asker;
use crate::gateway::collect::{Collected, collect};
use crate::gateway::site::Site;
use crate::gateway::verify::Ask as _;
use crate::gateway::{Body, Refusal};

/// Largest body that is copied; requests with larger ones are not.
const MOST_BYTES: u64 = 64 << 10;

/// Copies under way at once in the process; beyond them none is made, so that a slow mirror holds nothing up.
const MOST_COPIES: u32 = 256;

/// How long a copy's answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

static COPIES: AtomicU32 = AtomicU32::new(0);

/// One of them.
struct Copy;

impl Copy {
    fn take() -> Option<Self> {
        // The guard gives back what it took too much.
        let copy = Self;
        (COPIES.fetch_add(1, Relaxed) < MOST_COPIES).then_some(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        COPIES.fetch_sub(1, Relaxed);
    }
}

impl Handle {
    /// Sends the copy on its way and gives the body back.
    pub(super) async fn mirror(
        &self,
        site: &Arc<Site>,
        mirror: &Mirror,
        head: &Parts,
        body: Body,
    ) -> Result<Body, Refusal> {
        let upgrades = head.headers.contains_key(http::header::UPGRADE);
        let Some(copy) = Copy::take().filter(|_| !upgrades) else { return Ok(body) };
        let whole = match collect(body, MOST_BYTES).await? {
            Collected::Larger(body) => return Ok(body),
            Collected::Whole(whole) => whole,
        };
        let mut request = Request::new(Body::full(whole.data.clone()));
        request.method_mut().clone_from(&head.method);
        request.uri_mut().clone_from(&head.uri);
        request.headers_mut().clone_from(&head.headers);
        let asker = Asker { pools: Arc::clone(&site.pools), upstream: Arc::clone(&self.upstream) };
        let pool = mirror.pool;
        tokio::spawn(async move {
            let read = async {
                if let Ok(response) = asker.ask(pool, request, PATIENCE).await {
                    let mut body = response.into_body();
                    while let Some(Ok(_)) = body.frame().await {}
                }
            };
            // What the mirror makes of it is its own affair; its pool's metrics tell.
            let _ = tokio::time::timeout(PATIENCE, read).await;
            drop(copy);
        });
        Ok(whole.into_body())
    }
}
