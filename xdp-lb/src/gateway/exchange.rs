//! One request and its answer, as everybody who handles it knows them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderName, HeaderValue, Method};

use super::Reason;
use super::contract::Unchecked;

/// A connection, as its other end is known.
#[derive(Debug)]
pub struct Peer {
    /// Name of the listener it came in at.
    pub listener: Arc<str>,
    /// The other end: the socket's, or what the PROXY protocol tells.
    pub remote: SocketAddr,
    /// This end: the socket's, or what the PROXY protocol tells.
    pub local: SocketAddr,
    /// Encryption, where there is any.
    pub tls: Option<TlsPeer>,
}

/// What the handshake told.
#[derive(Debug)]
pub struct TlsPeer {
    /// `TLSv1.3`.
    pub version: &'static str,
    /// Name that the client asked for, in lower case.
    pub server_name: Option<Box<str>>,
    /// The client's certificate, verified.
    pub certificate: Option<ClientCertificate>,
}

/// A certificate that one of the listener's authorities signed.
#[derive(Debug)]
pub struct ClientCertificate {
    /// As it came.
    pub der: Vec<u8>,
    /// From when on it is valid no more, where that can be told.
    pub until: Option<SystemTime>,
    /// Its names: common name and alternative names, parsed when first asked for.
    pub names: OnceLock<Vec<String>>,
}

impl TlsPeer {
    /// Whether the client's certificate, valid at the handshake, is so no more.
    pub fn has_expired(&self, now: SystemTime) -> bool {
        self.certificate.as_ref().and_then(|certificate| certificate.until).is_some_and(|until| until <= now)
    }
}

/// What a request came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// As URIs have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Name of a request, for logs on both sides: as a trusted proxy gave it, else 32 hexadecimal digits by chance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub HeaderValue);

impl RequestId {
    /// As text. One that was made or accepted is visible ASCII.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// W3C trace context, level 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: u128,
    /// The span that this one is below of, if any.
    pub parent: Option<u64>,
    /// This request's span.
    pub span: u64,
    /// Whether it is recorded.
    pub sampled: bool,
}

/// Who asks, as verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// Index of the verifier.
    pub verifier: usize,
    /// The verifier's name.
    pub verifier_name: Arc<str>,
    /// The token's `sub`, the key's or user's name, the certificate's subject.
    pub subject: Arc<str>,
    /// The token's claims; null for others.
    pub claims: Arc<serde_json::Value>,
}

/// A request with what was decided and measured of it so far.
#[derive(Debug)]
pub struct Exchange {
    /// Its connection.
    pub peer: Arc<Peer>,
    /// Its name.
    pub id: RequestId,
    /// When its head was complete.
    pub started: Instant,
    /// The same by the calendar.
    pub wall: SystemTime,
    /// Who asks: the connection's other end, or whom a trusted proxy names.
    pub client: IpAddr,
    /// What the client used, a trusted proxy's word included.
    pub scheme: Scheme,
    /// As sent; GET of a WebSocket over HTTP/2.
    pub method: Method,
    /// In lower case, without port.
    pub host: Box<str>,
    /// Path as sent, though without empty segments where these are taken out; without query: that may hold secrets.
    pub path: Box<str>,
    /// `HTTP/1.1`, `HTTP/2.0`.
    pub version: http::Version,
    /// Index of its route.
    pub route: Option<usize>,
    /// The path's parameters.
    pub parameters: Vec<(Arc<str>, Box<str>)>,
    /// Who asks.
    pub identity: Option<Identity>,
    /// Its trace.
    pub trace: Option<TraceContext>,
    /// Headers that the access log shows, as sent.
    pub logged: Vec<(HeaderName, HeaderValue)>,
    /// Index of the pool it went to.
    pub pool: Option<usize>,
    /// Name of the server that answered, or was tried last.
    pub server: Option<Arc<str>>,
    /// Tries made.
    pub tries: u8,
    /// From its begin to the head of the server's answer.
    pub upstream: Option<Duration>,
    /// Why it was refused or failed.
    pub reason: Option<Reason>,
    /// What happened, in words for the log.
    pub cause: Option<String>,
    /// What of the API's description was violated, where that is only reported.
    pub violations: u32,
    /// Why the answer was not held against the API's description, where it should have been.
    pub unchecked: Option<Unchecked>,
    /// Status of the answer.
    pub status: u16,
    /// Bytes of the request's body passed on.
    pub received: u64,
    /// Bytes of the answer's body passed on.
    pub sent: u64,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A plain one.
    pub(crate) fn exchange() -> Exchange {
        let remote = "192.0.2.7:40000".parse().unwrap();
        let local = "203.0.113.10:80".parse().unwrap();
        Exchange {
            peer: Arc::new(Peer { listener: "http".into(), remote, local, tls: None }),
            id: RequestId(HeaderValue::from_static("0123456789abcdef")),
            started: tokio::time::Instant::now().into_std(),
            wall: SystemTime::UNIX_EPOCH,
            client: remote.ip(),
            scheme: Scheme::Http,
            method: Method::GET,
            host: "api.example.com".into(),
            path: "/".into(),
            version: http::Version::HTTP_11,
            route: None,
            parameters: Vec::new(),
            identity: None,
            trace: None,
            logged: Vec::new(),
            pool: None,
            server: None,
            tries: 0,
            upstream: None,
            reason: None,
            cause: None,
            violations: 0,
            unchecked: None,
            status: 200,
            received: 0,
            sent: 0,
        }
    }
}
