use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{TlsError, certificates, read};
use crate::config::gateway::CertificateFiles;

/// Certificates by the names in them; the first that has a name keeps it.
pub(super) struct ByName {
    /// Also for clients that name none.
    first: Arc<CertifiedKey>,
    exact: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// By what follows `*.`: that stands for one label (RFC 6125, section 6.4.3).
    wildcards: HashMap<Box<str>, Arc<CertifiedKey>>,
}

/// A chain with its key, and the names that it is for, in lower case.
pub(super) struct Certificate {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
}

impl ByName {
    pub(super) fn of<'c>(certificates: impl Iterator<Item = &'c Certificate>) -> Result<Self, TlsError> {
        let mut all: Option<Self> = None;
        for Certificate { key, names } in certificates {
            let by_name = all.get_or_insert_with(|| Self {
                first: key.clone(),
                exact: HashMap::new(),
                wildcards: HashMap::new(),
            });
            for name in names {
                match name.strip_prefix("*.") {
                    Some(parent) => by_name.wildcards.entry(parent.into()).or_insert_with(|| key.clone()),
                    None => by_name.exact.entry(name.as_str().into()).or_insert_with(|| key.clone()),
                };
            }
        }
        all.ok_or_else(|| TlsError {
            file: "listener.tls.certificates".into(),
            problem: "there is none".to_owned(),
            mend: "name at least one certificate and its key",
        })
    }

    fn find(&self, name: &str) -> &Arc<CertifiedKey> {
        let lower;
        let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            lower = name.to_ascii_lowercase();
            &lower
        } else {
            name
        };
        let wildcard = || name.split_once('.').and_then(|(_, parent)| self.wildcards.get(parent));
        self.exact.get(name).or_else(wildcard).unwrap_or(&self.first)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(hello.server_name().map_or(&self.first, |name| self.find(name)).clone())
    }
}

impl fmt::Debug for ByName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.exact.keys()).entries(self.wildcards.keys()).finish()
    }
}

impl Certificate {
    /// Reads both files.
    pub(super) fn load(
        files: &CertificateFiles,
        provider: &CryptoProvider,
        now: SystemTime,
    ) -> Result<Arc<Self>, TlsError> {
        let chain = certificates(&files.certificate)?;
        let names = names(&files.certificate, &chain[0], now)?;
        let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|cause| TlsError {
            file: files.key.clone(),
            problem: format!("it holds no private key: {cause}"),
            mend: "name a file that holds one in PEM, not encrypted: -----BEGIN PRIVATE KEY-----",
        })?;
        let certified = CertifiedKey::from_der(chain, key, provider).map_err(|cause| match cause {
            rustls::Error::InconsistentKeys(_) => TlsError {
                file: files.key.clone(),
                problem: format!("it is not the key of the first certificate in {}", files.certificate.display()),
                mend: "name the key that the certificate was asked for with, and in the chain the server's own \
                       certificate first",
            },
            other => TlsError {
                file: files.key.clone(),
                problem: other.to_string(),
                mend: "use a key of RSA (2048 bits or more), ECDSA (P-256, P-384) or Ed25519",
            },
        })?;
        Ok(Arc::new(Self { key: Arc::new(certified), names }))
    }
}

/// From when on a certificate is valid no more, where it can be told: its last second is over then.
pub(super) fn until(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let seconds = u64::try_from(parsed.validity().not_after.timestamp()).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds.checked_add(1)?))
}

fn names(file: &Path, certificate: &CertificateDer<'_>, now: SystemTime) -> Result<Vec<String>, TlsError> {
    let error = |cause: &dyn fmt::Display| TlsError {
        file: file.to_owned(),
        problem: format!("its first certificate cannot be parsed: {cause}"),
        mend: "check it with `openssl x509 -noout -text -in`",
    };
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|cause| error(&cause))?;
    let now =
        now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    if parsed.validity().not_after.timestamp() < now {
        let expired = parsed.validity().not_after;
        tracing::warn!(file = %file.display(), %expired, "certificate has expired, clients refuse it: renew it");
    } else if parsed.validity().not_before.timestamp() > now {
        let begins = parsed.validity().not_before;
        tracing::warn!(file = %file.display(), %begins, "certificate is not valid yet: check this machine's clock");
    }
    let alternative = parsed.subject_alternative_name().map_err(|cause| error(&cause))?;
    let names: Vec<_> = alternative
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    if !names.is_empty() {
        return Ok(names);
    }
    // Old certificates of one's own have their name here; no client asks for it otherwise.
    let common = parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    Ok(common.map(str::to_ascii_lowercase).collect())
}
