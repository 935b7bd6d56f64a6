//! How connections to a pool's servers are opened.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::stream::Stream;
use super::{proxy_out, tls};
use crate::config::gateway::{PoolConfig, UpstreamProtocol, UpstreamTls};
use crate::probe::words;

/// Opens connections for one pool. Connections of two connectors are never exchanged for each other.
pub struct Connector {
    id: u64,
    /// What of the pool's configuration it was made from.
    made_from: MadeFrom,
    tls: Option<TlsConnector>,
    name: Option<ServerName<'static>>,
}

#[derive(Clone, PartialEq, Eq)]
struct MadeFrom {
    protocol: UpstreamProtocol,
    /// With what the files held that it names: they may change under the same names.
    tls: Option<(UpstreamTls, tls::Print)>,
    proxy_protocol: bool,
}

/// Why a connector cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{whose}: {what}: {value}; {mend}")]
pub struct ConnectorError {
    /// What it is for, as `pool "web"`.
    pub whose: String,
    /// The key.
    pub what: String,
    /// What it says.
    pub value: String,
    /// What it should say.
    pub mend: String,
}

/// What tells apart connections to one address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kind {
    /// Name that the server's certificate was verified for, where that is the request's host.
    pub(super) name: Option<Box<str>>,
    /// Both ends of the client's connection, where this one was opened in its name.
    pub(super) client: Option<(SocketAddr, SocketAddr)>,
}

impl Connector {
    /// Reads the files that the pool's configuration names. What runs, if its connections serve as well, is kept.
    pub fn build(config: &PoolConfig, before: Option<&Arc<Self>>) -> Result<Arc<Self>, ConnectorError> {
        static IDS: AtomicU64 = AtomicU64::new(0);
        let whose = format!("pool {:?}", config.name);
        let read = |settings: &UpstreamTls| {
            let material = tls::Material::read(&whose, settings)?;
            Ok(((settings.clone(), material.print()), material))
        };
        let (tls, material) = config.tls.as_ref().map(read).transpose()?.unzip();
        let made_from = MadeFrom { protocol: config.protocol, tls, proxy_protocol: config.proxy_protocol };
        if let Some(before) = before.filter(|before| before.made_from == made_from) {
            return Ok(Arc::clone(before));
        }
        let (mut connector, mut name) = (None, None);
        if let (Some(settings), Some(material)) = (&config.tls, material) {
            connector = Some(material.config(&whose, settings, config.protocol)?.into());
            if let Some(asked) = &settings.server_name {
                name = Some(ServerName::try_from(asked.clone()).map_err(|_| ConnectorError {
                    whose,
                    what: "tls.server_name".to_owned(),
                    value: format!("{asked:?}"),
                    mend: "give a DNS name or an address".to_owned(),
                })?);
            }
        }
        Ok(Arc::new(Self { id: IDS.fetch_add(1, Ordering::Relaxed), made_from, tls: connector, name }))
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn is_http2(&self) -> bool {
        self.made_from.protocol == UpstreamProtocol::Http2
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Which connections a request of this host and client may go over.
    pub(super) fn kind(&self, host: &str, ends: Option<(SocketAddr, SocketAddr)>) -> Kind {
        Kind {
            name: (self.tls.is_some() && self.name.is_none()).then(|| host.into()),
            client: ends.filter(|_| self.made_from.proxy_protocol),
        }
    }

    /// Opens a connection. The error says what went wrong, for the log.
    pub(super) async fn open(&self, address: SocketAddr, kind: &Kind) -> Result<Stream, String> {
        let mut stream =
            TcpStream::connect(address).await.map_err(|e| format!("no connection to {address}: {e}"))?;
        stream.set_nodelay(true).map_err(|e| format!("connection to {address}: {e}"))?;
        if self.made_from.proxy_protocol {
            let header = proxy_out::header(kind.client);
            stream.write_all(&header).await.map_err(|e| format!("connection to {address}: {e}"))?;
        }
        let Some(tls) = &self.tls else { return Ok(Stream::plain(stream)) };
        let name = match (&self.name, &kind.name) {
            (Some(name), _) => name.clone(),
            (None, Some(host)) => ServerName::try_from(bare(host).to_owned())
                .map_err(|_| format!("{host:?} is no name that a certificate can have"))?,
            (None, None) => ServerName::from(address.ip()),
        };
        let connected = tls.connect(name, stream).await;
        let stream = connected.map_err(|e| format!("no TLS with {address}: {}", words::handshake(&e)))?;
        if self.is_http2() && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(format!("{address} does not speak HTTP/2: it did not choose \"h2\" by ALPN"));
        }
        Ok(Stream::tls(stream))
    }
}

/// A host without the brackets of IPv6.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("id", &self.id).finish_non_exhaustive()
    }
}
