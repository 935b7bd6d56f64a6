//! TLS with the collector of spans.

use std::fmt;

use http::Uri;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::gateway::{UpstreamProtocol, UpstreamTls};
use crate::gateway::upstream::{ConnectorError, tls};
use crate::probe::words;

/// What handshakes with it need.
pub(super) struct Encryption {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Encryption {
    /// Reads the files that it names.
    pub(super) fn build(config: &UpstreamTls, endpoint: &Uri) -> Result<Self, ConnectorError> {
        let connector = tls::config("[trace]", config, UpstreamProtocol::Http1)?.into();
        let host = endpoint.host().unwrap_or_default().trim_matches(['[', ']']);
        let name = config.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| ConnectorError {
            whose: "[trace]".to_owned(),
            what: "tls.server_name".to_owned(),
            value: format!("{name:?}"),
            mend: "give the DNS name or address in the collector's certificate".to_owned(),
        })?;
        Ok(Self { connector, name })
    }

    pub(super) async fn connect(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
        let connected = self.connector.connect(self.name.clone(), stream).await;
        connected.map_err(|error| format!("no TLS with it: {}", words::handshake(&error)))
    }
}

impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encryption").field("name", &self.name).finish_non_exhaustive()
    }
}
