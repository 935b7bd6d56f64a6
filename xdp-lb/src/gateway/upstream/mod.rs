//! Servers: which one a request goes to, the connections to them, and the life of one request over its tries.
//!
//! [`send()`] is the way through: enter the pool, pick a server, connect or take an idle connection, send, wait for the
//! head of the answer, and try another server where that is safe. Never decides whether a request is allowed.

mod answer;
mod attempt;
mod connector;
mod framing;
mod harvest;
mod link;
mod method;
mod mux;
mod outgoing;
#[cfg(test)]
mod over_loopback;
mod pool;
mod proxy_out;
mod send;
mod splice;
mod stream;
mod tee;
mod tls;
mod trip;
mod verdict;
mod worker;

pub use connector::{Connector, ConnectorError};
pub use pool::{Entry, Picked, Pool, Pools, ServerInfo};
pub use send::{SendOptions, send};
pub use trip::{Origin, Trail, send_for};
pub use worker::Worker;
