//! TLS towards servers: whom they have to be, what the gateway shows of itself. Made when the configuration is.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::ConnectorError;
use crate::config::gateway::{CertificateFiles, UpstreamProtocol, UpstreamTls};
use crate::probe::tls::AnyCertificate;

/// What handshakes with the servers of `whose` need. Reads files.
pub(in crate::gateway) fn config(
    whose: &str,
    tls: &UpstreamTls,
    protocol: UpstreamProtocol,
) -> Result<Arc<ClientConfig>, ConnectorError> {
    let provider = Arc::new(ring::default_provider());
    let fail = |what: &str, value: String, mend: &str| ConnectorError {
        whose: whose.to_owned(),
        what: what.to_owned(),
        value,
        mend: mend.to_owned(),
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| fail("tls", e.to_string(), "this is a fault of the program: report it"))?;
    let builder = if tls.verify {
        builder.with_root_certificates(roots(tls.ca.as_deref(), &fail)?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    };
    let mut config = match &tls.certificate {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let (chain, key) = identity(files, &fail)?;
            builder.with_client_auth_cert(chain, key).map_err(|e| {
                let value = format!("{}: {e}", files.certificate.display());
                fail(
                    "tls.certificate",
                    value,
                    "give a chain and the key that belongs to its first certificate",
                )
            })?
        }
    };
    config.alpn_protocols = vec![match protocol {
        UpstreamProtocol::Http1 => b"http/1.1".to_vec(),
        UpstreamProtocol::Http2 => b"h2".to_vec(),
    }];
    Ok(Arc::new(config))
}

fn roots(
    ca: Option<&Path>,
    fail: &dyn Fn(&str, String, &str) -> ConnectorError,
) -> Result<RootCertStore, ConnectorError> {
    let mut roots = RootCertStore::empty();
    let Some(ca) = ca else {
        let found = rustls_native_certs::load_native_certs();
        // Bundles hold a few old certificates that nobody can use any more.
        if roots.add_parsable_certificates(found.certs).0 > 0 {
            return Ok(roots);
        }
        let why = found.errors.first().map(ToString::to_string).unwrap_or_default();
        let value = format!("this machine has no trusted certificates {why}");
        return Err(fail("tls.ca", value, "install the package ca-certificates, or name a file"));
    };
    let mend = "give a PEM file with the certificates of the authorities to trust";
    let broken = |e: String| fail("tls.ca", format!("{}: {e}", ca.display()), mend);
    for certificate in CertificateDer::pem_file_iter(ca).map_err(|e| broken(e.to_string()))? {
        let certificate = certificate.map_err(|e| broken(e.to_string()))?;
        roots.add(certificate).map_err(|e| broken(e.to_string()))?;
    }
    if roots.is_empty() { Err(broken("no certificate is in it".to_owned())) } else { Ok(roots) }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(
    files: &CertificateFiles,
    fail: &dyn Fn(&str, String, &str) -> ConnectorError,
) -> Result<Identity, ConnectorError> {
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(&files.certificate).and_then(Iterator::collect);
    let chain = chain.map_err(|e| {
        let value = format!("{}: {e}", files.certificate.display());
        fail("tls.certificate", value, "give a PEM file with the certificate chain")
    })?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| {
        let value = format!("{}: {e}", files.key.display());
        fail("tls.key", value, "give a PEM file with the certificate's key")
    })?;
    Ok((chain, key))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let error = config("pool \"books\"", &tls, UpstreamProtocol::Http1).unwrap_err().to_string();
            assert!(error.contains("books") && words.iter().all(|word| error.contains(word)), "{error}");
        }
    }
}
