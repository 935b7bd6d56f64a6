//! TLS for a check: whom it trusts, the handshake. One configuration for all checks that trust the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Limit, words};
use crate::config::CheckTls;

/// Configurations by what they trust. Those of certificates that no check names any more go when the next is made.
#[derive(Debug, Default)]
pub(super) struct Configs(Mutex<Made>);

#[derive(Debug, Default)]
struct Made {
    unverified: Option<Arc<ClientConfig>>,
    system: Option<Arc<ClientConfig>>,
    /// By the address of the certificates, which no other can have while the weak reference is there: comparing
    /// their bytes at each check would cost more than the check.
    own: HashMap<usize, (Weak<[u8]>, Arc<ClientConfig>)>,
}

/// One check's side of a handshake.
pub(super) struct Client {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Configs {
    /// What a check as `tls` says needs.
    pub(super) fn client(&self, tls: &CheckTls) -> Result<Client, String> {
        let name = ServerName::try_from(tls.server_name.clone())
            .map_err(|_| format!("{:?} is neither a DNS name nor an address", tls.server_name))?;
        // Nothing in there can panic half-way.
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Client { config: made.config(tls)?, name })
    }
}

impl Made {
    fn config(&mut self, tls: &CheckTls) -> Result<Arc<ClientConfig>, String> {
        match &tls.ca {
            _ if !tls.verify => match &self.unverified {
                Some(config) => Ok(Arc::clone(config)),
                None => Ok(Arc::clone(self.unverified.insert(unverified()?))),
            },
            None => match &self.system {
                Some(config) => Ok(Arc::clone(config)),
                None => Ok(Arc::clone(self.system.insert(trusting(system_roots()?)?))),
            },
            Some(ca) => self.own(ca),
        }
    }

    fn own(&mut self, ca: &Arc<[u8]>) -> Result<Arc<ClientConfig>, String> {
        let place = ca.as_ptr().addr();
        if let Some((_, config)) = self.own.get(&place) {
            return Ok(Arc::clone(config));
        }
        self.own.retain(|_, (ca, _)| ca.strong_count() > 0);
        let same = self.own.values().find(|(other, _)| other.upgrade().is_some_and(|other| other == *ca));
        let config = match same {
            Some((_, config)) => Arc::clone(config),
            None => trusting(roots(ca)?)?,
        };
        self.own.insert(place, (Arc::downgrade(ca), Arc::clone(&config)));
        Ok(config)
    }
}

impl Client {
    pub(super) async fn handshake(
        self,
        stream: TcpStream,
        limit: &Limit,
    ) -> Result<TlsStream<TcpStream>, String> {
        // Else the request waits for the acknowledgement of the handshake's last record.
        stream.set_nodelay(true).map_err(|e| words::io(&e))?;
        let handshake = TlsConnector::from(self.config).connect(self.name, stream);
        limit.hold("connected, but no TLS handshake", handshake).await?.map_err(|e| words::handshake(&e))
    }
}

fn trusting(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| words::tls(&e))?;
    Ok(finished(builder.with_root_certificates(roots).with_no_client_auth()))
}

fn unverified() -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(AnyCertificate(Arc::clone(&provider)));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| words::tls(&e))?;
    Ok(finished(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()))
}

fn finished(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed session shows no certificate: one that has expired since would go unnoticed, and so would a server
    // that has lost its key.
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// Those of a `ca` file, which was found good when the configuration was read.
fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| format!("health.ca: {e}"))?;
        roots.add(certificate).map_err(|e| format!("health.ca: {}", words::tls(&e)))?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Bundles hold a few old certificates that nobody can use any more.
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable > 0 {
        return Ok(roots);
    }
    let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
    Err(format!(
        "this machine has no trusted certificates{why}: install the package ca-certificates, or set health.ca"
    ))
}

/// `verify = false`: whoever answers is good enough. A broken certificate is no reason either, so nothing of it is
/// looked at.
#[derive(Debug)]
pub(crate) struct AnyCertificate(pub(crate) Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem() -> Arc<[u8]> {
        let pair = rcgen::generate_simple_self_signed(vec!["web.example".to_owned()]).unwrap();
        Arc::from(pair.cert.pem().as_bytes())
    }

    fn tls(verify: bool, ca: Option<&Arc<[u8]>>) -> CheckTls {
        CheckTls { server_name: "web.example".into(), verify, ca: ca.cloned() }
    }

    #[test]
    fn checks_that_trust_the_same_share_a_configuration() {
        let configs = Configs::default();
        let config = |tls: &CheckTls| configs.client(tls).unwrap().config;
        let (one, other) = (pem(), pem());
        let copy: Arc<[u8]> = Arc::from(&*one);
        let first = config(&tls(true, Some(&one)));
        assert!(Arc::ptr_eq(&first, &config(&tls(true, Some(&one)))));
        assert!(Arc::ptr_eq(&first, &config(&tls(true, Some(&copy)))), "the same certificates, read twice");
        assert!(!Arc::ptr_eq(&first, &config(&tls(true, Some(&other)))));
        let unverified = config(&tls(false, None));
        assert!(!Arc::ptr_eq(&first, &unverified));
        assert!(Arc::ptr_eq(&unverified, &config(&tls(false, None))));
    }

    #[test]
    fn configurations_go_with_their_certificates() {
        let configs = Configs::default();
        for _ in 0..10 {
            configs.client(&tls(true, Some(&pem()))).unwrap();
        }
        assert!(configs.0.lock().unwrap().own.len() <= 2, "that of the last, and of the one before");
    }

    #[test]
    fn what_is_no_name_is_said() {
        let tls = CheckTls { server_name: "a b".into(), verify: false, ca: None };
        let error = Configs::default().client(&tls).err();
        assert_eq!(error.as_deref(), Some("\"a b\" is neither a DNS name nor an address"));
    }
}
