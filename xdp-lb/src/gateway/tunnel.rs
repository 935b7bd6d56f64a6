//! What a client's connection keeps for as long as one of its streams is a tunnel.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// Among a request's extensions where it may become a tunnel on a connection that carries other requests too. Whoever
/// joins it with a server holds this until that is over: by it the connection knows that it is in use.
#[derive(Clone)]
pub struct Tunnel {
    _held: Arc<dyn Any + Send + Sync>,
}

impl Tunnel {
    /// Drops this once nobody holds the tunnel any more.
    pub fn holding(held: impl Any + Send + Sync) -> Self {
        Self { _held: Arc::new(held) }
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").finish_non_exhaustive()
    }
}
