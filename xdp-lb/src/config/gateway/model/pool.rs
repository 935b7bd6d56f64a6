use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::live::Ratio;
use crate::config::model::{Health, Weight};

/// `[[pool]]`: a microservice, as the servers that answer for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolConfig {
    /// In routes, logs and metrics.
    pub name: String,
    /// Where its servers come from.
    pub members: Members,
    /// What is spoken with them.
    pub protocol: UpstreamProtocol,
    /// Encryption.
    pub tls: Option<UpstreamTls>,
    /// Whether connections begin with a PROXY protocol header of version 2. Each then serves one client only.
    pub proxy_protocol: bool,
    /// Checks of each server beside what its answers tell; of kind none unless configured. A port in it is that of the
    /// check; HTTP checks go to the server's own port unless it says otherwise.
    pub health: Option<Health>,
    /// How a server is chosen.
    pub balance: Balance,
    /// Second tries.
    pub retry: Retry,
    /// A second request before the first failed.
    pub hedge: Option<Hedge>,
    /// How much it takes.
    pub breaker: Breaker,
    /// How long things may take.
    pub timeouts: UpstreamTimeouts,
    /// Idle connections kept for each server and thread.
    pub idle_connections: u32,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
}

/// Where a pool's servers come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Members {
    /// `[[pool.server]]`.
    Static(Vec<Server>),
    /// `[pool.dns]`: all addresses of a name, or of the targets of a service.
    Dns {
        /// What is looked up.
        name: String,
        /// Port of each address; `None`: the name is that of an SRV record, which tells port and weight.
        port: Option<u16>,
        /// Least and greatest time to the next look-up, whatever the TTL.
        refresh: (Duration, Duration),
        /// Servers that are asked; empty: those of `/etc/resolv.conf`.
        resolvers: Vec<SocketAddr>,
    },
    /// `[pool.file]`: a JSON list of objects with `address`, and `weight` and `name` if wanted, read again when it changes.
    File {
        /// The file.
        path: PathBuf,
        /// How often it is looked at.
        interval: Duration,
    },
}

/// `[[pool.server]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// In logs and metrics; the address unless given.
    pub name: String,
    /// Address and port.
    pub address: SocketAddr,
    /// Its capacity, in any unit.
    pub weight: Weight,
}

/// `pool.protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: by ALPN with TLS, by prior knowledge without.
    Http2,
}

/// `[pool.tls]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpstreamTls {
    /// Name that is asked for and has to be in the certificate; `None`: the request's host.
    pub server_name: Option<String>,
    /// Whether the certificate is verified.
    pub verify: bool,
    /// File with the authorities trusted; `None`: those of the machine.
    pub ca: Option<PathBuf>,
    /// What the gateway shows of itself.
    pub certificate: Option<super::CertificateFiles>,
}

/// `[pool.balance]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Balance {
    /// Servers drawn and compared.
    pub choices: u8,
    /// Age at which a server takes its whole share.
    pub warmup: Duration,
    /// Errors in a row that eject a server; 0: none does.
    pub eject_after: u32,
    /// First ejection; each further one takes twice as long.
    pub eject_least: Duration,
    /// Longest ejection.
    pub eject_most: Duration,
    /// Header with a utilization from 0 to 1, beside ORCA's `endpoint-load-metrics`; both are taken off the answer.
    pub utilization_header: Option<http::HeaderName>,
    /// Statuses that count as the server's failure.
    pub failures: Vec<u16>,
}

/// `[pool.retry]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// Tries in all, each at another server; 1: no retry.
    pub tries: u8,
    /// Retries as a share of requests, over ten seconds.
    pub budget: Ratio,
    /// Retries a second that are allowed whatever the budget says.
    pub least: u32,
    /// Statuses after which an idempotent request is tried again.
    pub statuses: Vec<u16>,
    /// Largest body kept for a second try, in bytes.
    pub body_bytes: u32,
}

/// `[pool.hedge]`: the same request to a second server, for idempotent requests without a body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hedge {
    /// How long the first server is waited for.
    pub after: Duration,
}

/// `[pool.breaker]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Breaker {
    /// Requests in flight; 0: no such limit.
    pub max_in_flight: u32,
    /// Requests that wait for one of those to end.
    pub max_pending: u32,
    /// How long one waits before it is refused with 503.
    pub pending_timeout: Duration,
}

/// `[pool.timeouts]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpstreamTimeouts {
    /// To connect, with the handshake of TLS.
    pub connect: Duration,
    /// From a try's begin to the head of its answer.
    pub per_try: Duration,
    /// From the request's arrival to the head of its answer, over all tries.
    pub request: Duration,
    /// Longest silence within an answer's body, or of both sides of an upgraded connection.
    pub idle: Duration,
}
