//! The downstream side: takes connections in, and gives each request on them to a [`Handler`].
//!
//! It decides how long a client may take for anything, how many connections and streams there may be, and when a
//! connection ends. It never looks at what a request asks for, and never refuses one for its contents: the bytes are
//! checked by `wire`, the rest by the handler.
//!
//! ```text
//! accept ─► PROXY header ─► TLS ─┬─► park ─► HTTP/1 ─┬─► close (lingering)
//!                                │     ▲      │      └─► upgraded: the handler's
//!                                │     └ rest ┘
//!                                └─► HTTP/2 ─► GOAWAY ─► close
//! ```
//!
//! A connection belongs to one worker thread for its whole life. One at rest is parked: neither buffers nor a state of
//! HTTP exist for it until its next byte comes.

mod accept;
mod activity;
mod answer;
mod connection;
mod counters;
mod frames;
mod guarded;
pub mod handover;
mod http1;
mod http2;
mod linger;
mod proxy_protocol;
mod server;
mod settings;
mod slots;
mod sockets;
mod spawner;
mod stream;
mod tls;
mod upload;
mod worker;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::{Request, Response};

pub use counters::Counts;
pub use server::{ServeError, Server};
pub use sockets::{SocketError, Sockets};
pub use tls::{TlsContext, TlsError};

use super::{Body, Peer, Refusal};

/// Answers requests. Each worker thread has one.
pub trait Handler: Send + Sync + 'static {
    /// One request from head to end. Dropped when its client went away.
    ///
    /// A body that is not read to its end costs an HTTP/1 client its connection, unless little of it is left.
    fn handle(&self, peer: &Arc<Peer>, request: Request<Body>)
    -> impl Future<Output = Response<Body>> + Send;

    /// The answer to a request that could not even be read.
    fn refuse(&self, peer: &Arc<Peer>, refusal: Refusal) -> Response<Body>;
}
