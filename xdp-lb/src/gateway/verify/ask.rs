use std::pin::Pin;
use std::time::Duration;

use http::{Request, Response};

use crate::gateway::{Body, Refusal};

/// Sends requests of the gateway's own to a pool: for keys, to the service that decides.
pub trait Ask: Send + Sync {
    /// Sends `request`, with a path as its target and a `Host`, to a server of the pool with this index.
    fn ask(&self, pool: usize, request: Request<Body>, timeout: Duration) -> Answering<'_>;
}

/// An answer under way.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<Response<Body>, Refusal>> + Send + 'a>>;
