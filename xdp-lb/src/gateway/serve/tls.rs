//! TLS on the side of clients: which certificate for which name, and who has to have one.

mod certificate;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, RootCertStore, ServerConfig, ServerConnection};

use crate::config::gateway::{ClientAuth, ListenerTls, TlsVersion};
use crate::gateway::{ClientCertificate, TlsPeer};
use certificate::ByName;

/// Sessions that a worker of TLS 1.2 without tickets may resume.
const SESSIONS: usize = 4096;

/// What a listener needs to speak TLS. Never changed: read anew when a file is.
pub struct TlsContext {
    config: Arc<ServerConfig>,
    settings: ListenerTls,
    http2: bool,
    authorities: Vec<CertificateDer<'static>>,
    files: Vec<(PathBuf, Stamp)>,
    /// State of the files that could not be used: told of once.
    refused: Mutex<Vec<Stamp>>,
}

/// A file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}; {mend}", file.display())]
pub struct TlsError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: String,
    /// What helps.
    pub mend: &'static str,
}

/// Tells one state of a file from another. None if there is no such file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(Option<(SystemTime, u64, u64)>);

impl TlsContext {
    /// Reads all files. Sessions begun under `before` can be resumed, unless that could pass over what is now asked of
    /// clients.
    ///
    /// # Errors
    /// If a file cannot be read, or is not what it has to be.
    pub fn load(
        settings: &ListenerTls,
        http2: bool,
        now: SystemTime,
        before: Option<&Self>,
    ) -> Result<Self, TlsError> {
        // Stamped before they are read: a change in between is seen as one later.
        let pairs = settings.certificates.iter().flat_map(|files| [&files.certificate, &files.key]);
        let files = pairs.chain(&settings.client_ca).map(|file| (file.clone(), Stamp::of(file))).collect();

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certificates = ByName::load(&settings.certificates, &provider, now)?;
        let authorities = settings.client_ca.as_deref().map(authorities).transpose()?.unwrap_or_default();
        let verifier = verifier(settings, &authorities, &provider)?;
        let first = settings.certificates.first().map(|files| files.certificate.clone());
        let internal = |error: rustls::Error| TlsError {
            file: first.clone().unwrap_or_default(),
            problem: error.to_string(),
            mend: "this build's cryptography does not offer what is asked for",
        };

        let versions = match settings.min_version {
            TlsVersion::Tls12 => &[&TLS13, &TLS12][..],
            TlsVersion::Tls13 => &[&TLS13][..],
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(internal)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(certificates));
        let protocols: &[&[u8]] = if http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        match before.filter(|before| before.asks_the_same(settings, &authorities)) {
            Some(before) => {
                config.ticketer = before.config.ticketer.clone();
                config.session_storage = before.config.session_storage.clone();
            }
            None => {
                config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(internal)?;
                config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
            }
        }
        Ok(Self {
            config: Arc::new(config),
            settings: settings.clone(),
            http2,
            authorities,
            files,
            refused: Mutex::new(Vec::new()),
        })
    }

    /// The same, read again; none if no file has changed since, or since that failed.
    ///
    /// # Errors
    /// As for [`Self::load`].
    pub fn refresh(&self, now: SystemTime) -> Option<Result<Self, TlsError>> {
        let stamps: Vec<_> = self.files.iter().map(|(file, _)| Stamp::of(file)).collect();
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let same = self.files.iter().map(|(_, stamp)| stamp).eq(&stamps);
        if same || *refused == stamps {
            return None;
        }
        let read = Self::load(&self.settings, self.http2, now, Some(self));
        if read.is_err() {
            *refused = stamps;
        }
        Some(read)
    }

    /// For handshakes.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }

    /// A session that is resumed brings its client's certificate along unverified.
    fn asks_the_same(&self, settings: &ListenerTls, authorities: &[CertificateDer<'_>]) -> bool {
        self.settings.client_auth == settings.client_auth
            && self.settings.min_version == settings.min_version
            && self.authorities == authorities
    }
}

/// What a finished handshake told.
pub(super) fn peer(connection: &ServerConnection) -> TlsPeer {
    let certificate = connection.peer_certificates().and_then(|chain| chain.first());
    TlsPeer {
        version: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLSv1.2",
        },
        server_name: connection.server_name().map(|name| name.to_ascii_lowercase().into()),
        certificate: certificate
            .map(|certificate| ClientCertificate { der: certificate.to_vec(), names: OnceLock::new() }),
    }
}

fn verifier(
    settings: &ListenerTls,
    authorities: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    if settings.client_auth == ClientAuth::Off {
        return Ok(Arc::new(NoClientAuth));
    }
    let error = |problem: String| TlsError {
        file: settings.client_ca.clone().unwrap_or_default(),
        problem,
        mend: "name a file with the certificates, in PEM, of those who sign clients' certificates",
    };
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone()).map_err(|cause| error(cause.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder = match settings.client_auth {
        ClientAuth::Optional => builder.allow_unauthenticated(),
        ClientAuth::Off | ClientAuth::Required => builder,
    };
    builder.build().map_err(|cause| error(cause.to_string()))
}

fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    certificates(file)
}

/// All certificates of a PEM file; there is at least one.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let mend = "name a file that holds certificates in PEM: -----BEGIN CERTIFICATE-----";
    let error = |problem: String| TlsError { file: file.to_owned(), problem, mend };
    let text = read(file)?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let parsed = parsed.map_err(|cause| error(format!("no valid PEM: {cause}")))?;
    if parsed.is_empty() {
        return Err(error("it holds no certificate".to_owned()));
    }
    Ok(parsed)
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(file).map_err(|cause| TlsError {
        file: file.to_owned(),
        problem: format!("it cannot be read: {cause}"),
        mend: "check that it is there and that the gateway's user may read it",
    })
}

impl Stamp {
    fn of(file: &Path) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        let stamp = |metadata: fs::Metadata| {
            metadata.modified().ok().map(|modified| (modified, metadata.len(), metadata.ino()))
        };
        Self(fs::metadata(file).ok().and_then(stamp))
    }
}
