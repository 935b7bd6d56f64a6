//! TLS towards servers: whom they have to be, what the gateway shows of itself. Made when the configuration is.

use std::path::Path;
use std::sync::Arc;

use ring::digest::{Context, SHA256};
use rustls::crypto::ring as provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::ConnectorError;
use crate::config::gateway::{CertificateFiles, UpstreamProtocol, UpstreamTls};
use crate::probe::tls::AnyCertificate;
use crate::regular;

/// What handshakes with the servers of `whose` need. Reads files.
pub(in crate::gateway) fn config(
    whose: &str,
    tls: &UpstreamTls,
    protocol: UpstreamProtocol,
) -> Result<Arc<ClientConfig>, ConnectorError> {
    Material::read(whose, tls)?.config(whose, tls, protocol)
}

/// What the files that a client's TLS names hold.
pub(super) struct Material {
    /// Who is trusted; `None` where any certificate is taken.
    roots: Option<Vec<CertificateDer<'static>>>,
    /// What the gateway shows of itself.
    identity: Option<Identity>,
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Material {
    /// Reads files.
    pub(super) fn read(whose: &str, tls: &UpstreamTls) -> Result<Self, ConnectorError> {
        let fail = |what: &str, value: String, mend: &str| error(whose, what, value, mend);
        let roots = tls.verify.then(|| roots(tls.ca.as_deref(), &fail)).transpose()?;
        let identity = tls.certificate.as_ref().map(|files| identity(files, &fail)).transpose()?;
        Ok(Self { roots, identity })
    }

    /// The same for the same, whichever files it came from.
    pub(super) fn print(&self) -> Print {
        let mut context = Context::new(&SHA256);
        let mut add = |parts: &[&[u8]]| {
            // With their lengths, so that what is of one part is not of the next.
            context.update(&(parts.len() as u64).to_be_bytes());
            for part in parts {
                context.update(&(part.len() as u64).to_be_bytes());
                context.update(part);
            }
        };
        let mut roots: Vec<&[u8]> = self.roots.iter().flatten().map(|root| &**root).collect();
        roots.sort_unstable();
        add(&roots);
        let chain = self.identity.iter().flat_map(|(chain, _)| chain).map(|certificate| &**certificate);
        add(&chain.collect::<Vec<_>>());
        add(&self.identity.iter().map(|(_, key)| key.secret_der()).collect::<Vec<_>>());
        let mut print = Print::default();
        print.copy_from_slice(context.finish().as_ref());
        print
    }

    /// What handshakes need.
    pub(super) fn config(
        self,
        whose: &str,
        tls: &UpstreamTls,
        protocol: UpstreamProtocol,
    ) -> Result<Arc<ClientConfig>, ConnectorError> {
        let provider = Arc::new(provider::default_provider());
        let fail = |what: &str, value: String, mend: &str| error(whose, what, value, mend);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| fail("tls", e.to_string(), "this is a fault of the program: report it"))?;
        let builder = match self.roots {
            Some(roots) => {
                let mut store = RootCertStore::empty();
                // That each can be used was made sure of.
                store.add_parsable_certificates(roots);
                builder.with_root_certificates(store)
            }
            None => builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))),
        };
        let mut config = match self.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|e| {
                let file = tls.certificate.as_ref().map(|files| files.certificate.display());
                let value = file.map_or_else(|| e.to_string(), |file| format!("{file}: {e}"));
                let mend = "give a chain and the key that belongs to its first certificate";
                fail("tls.certificate", value, mend)
            })?,
        };
        config.alpn_protocols = vec![match protocol {
            UpstreamProtocol::Http1 => b"http/1.1".to_vec(),
            UpstreamProtocol::Http2 => b"h2".to_vec(),
        }];
        Ok(Arc::new(config))
    }
}

/// A digest of all that is in some files.
pub(super) type Print = [u8; 32];

fn error(whose: &str, what: &str, value: String, mend: &str) -> ConnectorError {
    ConnectorError { whose: whose.to_owned(), what: what.to_owned(), value, mend: mend.to_owned() }
}

/// The certificates of those who are trusted; at least one, and each can be used.
fn roots(
    ca: Option<&Path>,
    fail: &dyn Fn(&str, String, &str) -> ConnectorError,
) -> Result<Vec<CertificateDer<'static>>, ConnectorError> {
    let Some(ca) = ca else {
        let mut found = rustls_native_certs::load_native_certs();
        // Bundles hold a few old certificates that nobody can use any more.
        found.certs.retain(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok());
        if !found.certs.is_empty() {
            return Ok(found.certs);
        }
        let why = found.errors.first().map(ToString::to_string).unwrap_or_default();
        let value = format!("this machine has no trusted certificates {why}");
        return Err(fail("tls.ca", value, "install the package ca-certificates, or name a file"));
    };
    let mend = "give a PEM file with the certificates of the authorities to trust";
    let broken = |e: String| fail("tls.ca", format!("{}: {e}", ca.display()), mend);
    let mut roots = Vec::new();
    let text = regular::read(ca).map_err(|e| broken(e.to_string()))?;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|e| broken(e.to_string()))?;
        RootCertStore::empty().add(certificate.clone()).map_err(|e| broken(e.to_string()))?;
        roots.push(certificate);
    }
    if roots.is_empty() { Err(broken("no certificate is in it".to_owned())) } else { Ok(roots) }
}

fn identity(
    files: &CertificateFiles,
    fail: &dyn Fn(&str, String, &str) -> ConnectorError,
) -> Result<Identity, ConnectorError> {
    let broken = |key: &str, file: &Path, why: String, mend: &str| {
        fail(key, format!("{}: {why}", file.display()), mend)
    };
    let chain = |why| {
        let mend = "give a PEM file with the certificate chain";
        broken("tls.certificate", &files.certificate, why, mend)
    };
    let text = regular::read(&files.certificate).map_err(|e| chain(e.to_string()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = certificates.map_err(|e| chain(e.to_string()))?;
    let key = |why| broken("tls.key", &files.key, why, "give a PEM file with the certificate's key");
    let text = regular::read(&files.key).map_err(|e| key(e.to_string()))?;
    let private = PrivateKeyDer::from_pem_slice(&text).map_err(|e| key(e.to_string()))?;
    Ok((certificates, private))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::config::gateway::PoolConfig;
    use crate::gateway::upstream::{Connector, fixtures};

    #[test]
    fn an_error_names_the_pool_the_key_and_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "").unwrap();
        let plain = UpstreamTls { server_name: None, verify: true, ca: None, certificate: None };
        let certificate = Some(CertificateFiles { certificate: empty.clone(), key: "/none/key.pem".into() });
        for (tls, words) in [
            (UpstreamTls { ca: Some("/none/ca.pem".into()), ..plain.clone() }, ["tls.ca", "/none/ca.pem"]),
            (UpstreamTls { ca: Some(empty.clone()), ..plain.clone() }, ["tls.ca", "no certificate is in it"]),
            (UpstreamTls { certificate, verify: false, ..plain.clone() }, ["tls.key", "/none/key.pem"]),
        ] {
            let error = Material::read("pool \"books\"", &tls).err().unwrap().to_string();
            assert!(error.contains("books") && words.iter().all(|word| error.contains(word)), "{error}");
        }
    }

    #[test]
    fn a_connector_goes_on_while_the_files_hold_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let write = |certificate: &str, key: &str| {
            let own = KeyPair::generate().unwrap();
            let signed = CertificateParams::new(Vec::new()).unwrap().self_signed(&own).unwrap();
            std::fs::write(file(certificate), signed.pem()).unwrap();
            std::fs::write(file(key), own.serialize_pem()).unwrap();
        };
        write("ca.pem", "ca.key");
        write("own.pem", "own.key");
        let certificate = CertificateFiles { certificate: file("own.pem"), key: file("own.key") };
        let (ca, certificate) = (Some(file("ca.pem")), Some(certificate));
        let mut config = fixtures::pool("books", &[]);
        config.tls = Some(UpstreamTls { server_name: None, verify: true, ca, certificate });
        let first = Connector::build(&config, None).unwrap();
        let again = |config: &PoolConfig| Connector::build(config, Some(&first)).unwrap().id() == first.id();
        assert!(again(&config));
        // Written anew, with the same in it.
        let same = std::fs::read(file("ca.pem")).unwrap();
        std::fs::write(file("ca.pem"), &same).unwrap();
        assert!(again(&config));
        write("ca.pem", "ca.key");
        assert!(!again(&config), "others are trusted");
        std::fs::write(file("ca.pem"), same).unwrap();
        assert!(again(&config));
        write("own.pem", "own.key");
        assert!(!again(&config), "another certificate is shown");
        config.proxy_protocol = true;
        assert!(!again(&config));
    }
}
