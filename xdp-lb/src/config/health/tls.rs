//! How a check speaks TLS: whose name, and whom it trusts.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::super::model::CheckTls;
use super::super::net::server_name;
use super::super::rules::{absolute_path, boolean};
use super::super::section::{Field, Section};
use crate::regular;

/// The keys that only `https` has.
pub(in crate::config) struct Tls {
    server_name: Field<String>,
    verify: Field<bool>,
    ca: Field<PathBuf>,
}

impl Tls {
    pub(in crate::config) fn read(section: &Section<'_>) -> Self {
        Self {
            server_name: section.optional("server_name", server_name()),
            verify: section.or("verify", boolean(), true),
            ca: section.optional("ca", absolute_path(4095)),
        }
    }

    /// `host` is the given one, empty where it is wrong. Where none is given, the VIP's address stands in for it, which
    /// hardly any certificate names: so the name has to be given, or not to matter.
    pub(in crate::config) fn build(
        self,
        section: &Section<'_>,
        host: Option<&str>,
        address: Option<&str>,
    ) -> Option<CheckTls> {
        let server_name = self.server_name(section, host, address);
        let verify = self.verify.value;
        let ca = match (verify?, &self.ca.value) {
            (false, _) => {
                section.useless("ca", "has no effect with verify = false: remove one of the two");
                None
            }
            (true, None) if self.ca.given => return None,
            (true, None) => None,
            (true, Some(path)) => match read(path) {
                Ok(pem) => Some(pem),
                Err(message) => {
                    section.source().report(&self.ca.place, message);
                    return None;
                }
            },
        };
        Some(CheckTls { server_name: server_name?, verify: verify?, ca })
    }

    fn server_name(
        &self,
        section: &Section<'_>,
        host: Option<&str>,
        address: Option<&str>,
    ) -> Option<String> {
        if self.server_name.given {
            return self.server_name.value.clone();
        }
        let expected = match (host.map(without_port), self.verify.value?) {
            (Some(""), _) => return None,
            (Some(name), _) if ServerName::try_from(name).is_ok() => return Some(name.to_owned()),
            (Some(_), _) => "the name or address in the backends' certificates, as host is none",
            (None, false) => return address.map(|address| without_port(address).to_owned()),
            (None, true) => {
                "the name or address in the backends' certificates, as no host is given, or verify = false"
            }
        };
        section.missing("server_name", expected);
        None
    }
}

/// A host without what follows its last colon, where that is a port; without brackets.
fn without_port(host: &str) -> &str {
    if let Some(bracketed) = host.strip_prefix('[') {
        return bracketed.split(']').next().unwrap_or(bracketed);
    }
    match host.split_once(':') {
        Some((name, port)) if !port.contains(':') => name,
        _ => host,
    }
}

/// More than three times what a whole system's bundle has.
const LONGEST: u64 = 1 << 20;

/// The file's text, in which each certificate was found usable.
fn read(path: &Path) -> Result<Arc<[u8]>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let mut pem = Vec::new();
    let file = regular::open(path);
    file.and_then(|file| file.take(LONGEST + 1).read_to_end(&mut pem)).map_err(unreadable)?;
    if pem.len() as u64 > LONGEST {
        return Err("is longer than 1 MiB, which no list of certificates is".to_owned());
    }
    let mut roots = RootCertStore::empty();
    for (number, certificate) in (1..).zip(CertificateDer::pem_slice_iter(&pem)) {
        let broken = |why: String| format!("certificate {number} in it is broken: {why}");
        let certificate = certificate.map_err(|error| broken(in_words(&error)))?;
        roots.add(certificate).map_err(|error| broken(error.to_string()))?;
    }
    match (roots.is_empty(), PrivateKeyDer::from_pem_slice(&pem).is_ok()) {
        (false, _) => Ok(Arc::from(pem)),
        (true, true) => {
            Err("holds a private key and no certificate: name the file with the CA's certificate".to_owned())
        }
        (true, false) => {
            Err("holds no certificate: expected PEM, with -----BEGIN CERTIFICATE-----".to_owned())
        }
    }
}

fn in_words(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => {
            "its last line -----END CERTIFICATE----- is missing".to_owned()
        }
        pem::Error::Base64Decode(_) => {
            "what stands between its first line and its last is not base64".to_owned()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_port;

    #[test]
    fn a_host_is_cut_off_at_its_port() {
        for (host, name) in [
            ("web.example", "web.example"),
            ("web.example:8443", "web.example"),
            ("192.0.2.1:8443", "192.0.2.1"),
            ("[2001:db8::1]:8443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(without_port(host), name);
        }
    }
}
