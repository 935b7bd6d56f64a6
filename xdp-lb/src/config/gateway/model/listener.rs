use std::net::SocketAddr;
use std::path::PathBuf;

/// `[[listener]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listener {
    /// In logs and metrics.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether each connection begins with a PROXY protocol header of version 2.
    pub proxy_protocol: bool,
    /// Whether HTTP/2 is spoken: by ALPN with TLS, by prior knowledge without.
    pub http2: bool,
    /// Encryption; without it the listener speaks plain HTTP.
    pub tls: Option<ListenerTls>,
}

/// `[listener.tls]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerTls {
    /// Certificates, each for the names in it; the first is for clients that name none of them. Read again on reload, and
    /// when a file changes.
    pub certificates: Vec<CertificateFiles>,
    /// Whether clients have to have a certificate.
    pub client_auth: ClientAuth,
    /// File with the authorities that clients' certificates are signed by; given if they are asked for.
    pub client_ca: Option<PathBuf>,
    /// Least version of TLS.
    pub min_version: TlsVersion,
}

/// A chain and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateFiles {
    /// The chain, the server's own first.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// `listener.tls.client_auth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// No certificate is asked for.
    Off,
    /// One that is given has to be valid.
    Optional,
    /// No request without one.
    Required,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}
