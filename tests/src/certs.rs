//! Certificates, made for one test: an authority, and what it issues.

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

/// An authority of its own.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Valid {
    /// From long ago to long after.
    Now,
    /// Until a year long ago.
    Formerly,
    /// From a year far away on.
    Later,
    /// From long ago until so many seconds from now, and up to one more.
    For(u64),
}

impl Authority {
    /// One called `name`.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?).context("making an authority")?))
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Its own certificate, as a server would show it that has no other.
    pub fn shown_by_a_server(&self) -> Issued {
        Issued { certificate: self.0.pem(), key: self.0.key().serialize_pem() }
    }

    /// A server's certificate for these names and addresses.
    pub fn issue(&self, names: &[&str], valid: Valid) -> Result<Issued> {
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        (params.not_before, params.not_after) = match valid {
            Valid::Now => (date_time_ymd(2020, 1, 1), date_time_ymd(4000, 1, 1)),
            Valid::Formerly => (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1)),
            Valid::For(seconds) => {
                let now = crate::clock::wall().duration_since(std::time::UNIX_EPOCH)?;
                let end = date_time_ymd(1970, 1, 1) + now + std::time::Duration::from_secs(seconds + 1);
                (date_time_ymd(2020, 1, 1), end)
            }
            Valid::Later => (date_time_ymd(3999, 1, 1), date_time_ymd(4000, 1, 1)),
        };
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0).context("issuing a certificate")?;
        Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}
