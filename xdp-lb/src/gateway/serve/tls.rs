//! TLS on the side of clients: which certificate for which name, and who has to have one.

mod certificate;
mod watched;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, RootCertStore, ServerConfig, ServerConnection};

use crate::config::gateway::{CertificateFiles, ClientAuth, ListenerTls, TlsVersion};
use crate::gateway::{ClientCertificate, TlsPeer};
use crate::regular;
use certificate::{ByName, Certificate};
use watched::{Changes, FromFiles};

/// Sessions that a worker of TLS 1.2 without tickets may resume.
const SESSIONS: usize = 4096;

/// What a listener needs to speak TLS. Never changed: read anew when a file is.
pub struct TlsContext {
    config: Arc<ServerConfig>,
    settings: ListenerTls,
    http2: bool,
    /// In the order of the settings.
    certificates: Vec<FromFiles<Arc<Certificate>>>,
    /// Whom clients' certificates have to be signed by.
    authorities: FromFiles<Arc<dyn ClientCertVerifier>>,
}

/// What came of looking at the files again.
#[derive(Default)]
pub struct Refreshed {
    /// To be used from now on, if any file has changed. What could not be read again is in it as it was.
    pub context: Option<TlsContext>,
    /// How many certificates or lists of authorities were read again.
    pub read: usize,
    /// What could not be; each state of a file is told of once.
    pub errors: Vec<TlsError>,
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

impl TlsContext {
    /// Reads all files. Sessions begun under `before` can be resumed, where clients are asked for nothing.
    ///
    /// # Errors
    /// If a file cannot be read, or is not what it has to be.
    pub fn load(
        settings: &ListenerTls,
        http2: bool,
        now: SystemTime,
        before: Option<&Self>,
    ) -> Result<Self, TlsError> {
        let provider = provider();
        let certificate = |files: &CertificateFiles| {
            FromFiles::read(&paths(files), || Certificate::load(files, &provider, now))
        };
        let certificates = settings.certificates.iter().map(certificate).collect::<Result<_, _>>()?;
        let authorities = FromFiles::read(settings.client_ca.as_slice(), || verifier(settings, &provider))?;
        Self::assemble(settings, http2, certificates, authorities, before)
    }

    /// The same, with each certificate read again whose files have changed, and each by itself: one that cannot be used
    /// stays as it was and keeps no other from being renewed.
    pub fn refresh(&self, now: SystemTime) -> Refreshed {
        let provider = provider();
        let mut changes = Changes::default();
        let settings = &self.settings;
        let certificates = settings.certificates.iter().zip(&self.certificates).map(|(files, known)| {
            known.again(&paths(files), || Certificate::load(files, &provider, now), &mut changes)
        });
        let certificates = certificates.collect();
        let authorities = self.authorities.again(
            settings.client_ca.as_slice(),
            || verifier(settings, &provider),
            &mut changes,
        );
        let Changes { read, mut errors } = changes;
        if read == 0 && errors.is_empty() {
            return Refreshed::default();
        }
        let context = Self::assemble(settings, self.http2, certificates, authorities, Some(self));
        let context = context.map_err(|error| errors.push(error)).ok();
        Refreshed { context, read, errors }
    }

    fn assemble(
        settings: &ListenerTls,
        http2: bool,
        certificates: Vec<FromFiles<Arc<Certificate>>>,
        authorities: FromFiles<Arc<dyn ClientCertVerifier>>,
        before: Option<&Self>,
    ) -> Result<Self, TlsError> {
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
        let by_name = ByName::of(certificates.iter().map(|read| &*read.value))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .map_err(internal)?
            .with_client_cert_verifier(authorities.value.clone())
            .with_cert_resolver(Arc::new(by_name));
        let protocols: &[&[u8]] = if http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        if settings.client_auth != ClientAuth::Off {
            // A session that is resumed brings its client's certificate along unverified: it may have expired since, or
            // nobody that is trusted may stand for it any more.
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(NoServerSessionStorage {});
        } else if let Some(before) = before.filter(|before| before.asks_the_same(settings)) {
            config.ticketer = before.config.ticketer.clone();
            config.session_storage = before.config.session_storage.clone();
        } else {
            config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(internal)?;
            config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        }
        let (config, settings) = (Arc::new(config), settings.clone());
        Ok(Self { config, settings, http2, certificates, authorities })
    }

    /// For handshakes.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }

    fn asks_the_same(&self, settings: &ListenerTls) -> bool {
        self.settings.client_auth == settings.client_auth && self.settings.min_version == settings.min_version
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
        certificate: certificate.map(|certificate| ClientCertificate {
            until: certificate::until(certificate),
            der: certificate.to_vec(),
            names: OnceLock::new(),
        }),
    }
}

fn verifier(
    settings: &ListenerTls,
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
    for authority in settings.client_ca.as_deref().map(certificates).transpose()?.unwrap_or_default() {
        roots.add(authority).map_err(|cause| error(cause.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder = match settings.client_auth {
        ClientAuth::Optional => builder.allow_unauthenticated(),
        ClientAuth::Off | ClientAuth::Required => builder,
    };
    builder.build().map_err(|cause| error(cause.to_string()))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn paths(files: &CertificateFiles) -> [PathBuf; 2] {
    [files.certificate.clone(), files.key.clone()]
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
    regular::read(file).map_err(|cause| TlsError {
        file: file.to_owned(),
        problem: format!("it cannot be read: {cause}"),
        mend: "check that it is there and that the gateway's user may read it",
    })
}
