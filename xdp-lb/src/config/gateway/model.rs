//! What a valid configuration of the gateway is. Only the validator builds these: the private fields keep others from it.

mod access;
mod contract;
mod listener;
mod observe;
mod pool;
mod route;
mod transform;

pub use access::*;
pub use contract::*;
pub use listener::*;
pub use observe::*;
pub use pool::*;
pub use route::*;
pub use transform::*;

use std::time::Duration;

use ipnet::IpNet;

use crate::config::model::Valid;

/// A whole, consistent configuration of the gateway. Names are resolved: an index points into the list beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayConfig {
    /// The process as a whole.
    pub gateway: Gateway,
    /// Metrics, health and status, where wanted.
    pub admin: Option<GatewayAdmin>,
    /// The access log.
    pub log: AccessLog,
    /// Traces, where wanted.
    pub trace: Option<Trace>,
    /// Where requests come in; at least one.
    pub listeners: Vec<Listener>,
    /// Groups of servers that answer.
    pub pools: Vec<PoolConfig>,
    /// Ways for a client to say who it is.
    pub verifiers: Vec<Verifier>,
    /// Limits of rate that routes may name.
    pub rate_limits: Vec<RateLimit>,
    /// OpenAPI documents that routes may name.
    pub documents: Vec<Document>,
    /// What is done with which request, in the file's order.
    pub routes: Vec<Route>,
    pub(in crate::config) valid: Valid,
}

/// `[gateway]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gateway {
    /// Threads that serve, each with an event loop and connections of its own; 0: one for each processor.
    pub threads: u16,
    /// How long connections are still taken after a signal to end, while `/readyz` says that it is not ready.
    pub notice: Duration,
    /// How long requests and connections may take to end when the process stops or hands over.
    pub drain: Duration,
    /// Addresses from which `X-Forwarded-*`, `Forwarded` and a request's ID are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Header that holds the request's ID, in lower case.
    pub request_id_header: http::HeaderName,
    /// Which headers tell servers who asked.
    pub forwarded: Forwarded,
    /// Socket at which a successor asks for the listening sockets.
    pub handover_socket: Option<std::path::PathBuf>,
    /// Limits on each request and connection; a route may lower or raise those of the body.
    pub limits: Limits,
    /// Spellings of paths that servers read differently.
    pub paths: Paths,
    /// Requests in flight over all routes above which further ones are refused with 503; 0: no such limit.
    pub max_in_flight: u32,
    /// How late an event loop may run, as an average over a second, before requests are refused; zero: no such limit.
    pub max_lag: Duration,
}

/// `[gateway.paths]`: what becomes of paths that servers read differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// `%2F`.
    pub encoded_slash: EncodedSlash,
    /// `//`.
    pub empty_segments: EmptySegments,
}

/// `gateway.paths.encoded_slash`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncodedSlash {
    /// Such a path is refused.
    #[default]
    Refuse,
    /// It is passed on as it is.
    Pass,
}

/// `gateway.paths.empty_segments`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptySegments {
    /// Such a path is refused.
    #[default]
    Refuse,
    /// They are taken out before anything else looks at the path.
    Merge,
    /// It is passed on as it is.
    Pass,
}

/// `gateway.forwarded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// `X-Forwarded-For`, `-Host`, `-Proto`.
    X,
    /// `Forwarded`, RFC 7239.
    Standard,
    /// Both.
    Both,
    /// None: and those of clients are removed.
    Off,
}

/// `[gateway.limits]`: what a client may send, and how slowly.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Lines of a request's head, or fields of HTTP/2.
    pub headers: u32,
    /// Bytes of a request's head.
    pub header_bytes: u32,
    /// Bytes of a request's target.
    pub uri_bytes: u32,
    /// Bytes of a request's body.
    pub body_bytes: u64,
    /// From a connection's acceptance, or a request's first byte, to the end of its head; of TLS: to the handshake's end.
    pub header_timeout: Duration,
    /// Between two requests of a connection.
    pub idle_timeout: Duration,
    /// Longest silence within a body.
    pub body_timeout: Duration,
    /// Bytes a second that a request's body has to come at, as an average from its fifth second on; 0: no such limit.
    pub body_rate: u32,
    /// Longest time a client may take nothing of an answer that is ready for it.
    pub send_timeout: Duration,
    /// Requests after which a connection is closed in good order; 0: no such limit.
    pub requests_per_connection: u32,
    /// Streams open at once on one HTTP/2 connection.
    pub streams: u32,
    /// Streams that a client may reset within a second.
    pub resets_per_second: u32,
    /// Frames of HTTP/2 that carry nothing of a request, and that no request or answer calls for, within a second.
    pub idle_frames_per_second: u32,
    /// Connections at once over all listeners; further ones wait to be accepted.
    pub connections: u32,
}
