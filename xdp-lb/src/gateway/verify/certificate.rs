//! The certificate that the client showed, by the names in it. That one of the listener's authorities signed it, and that
//! the client has its key, was made sure of in the handshake.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use std::sync::Arc;

use super::known::{Check, Known, NO_CLAIMS, Passing};
use crate::gateway::{ClientCertificate, Peer};

pub(super) struct Certificates {
    subjects: Vec<String>,
    passing: Passing,
}

impl Certificates {
    pub(super) fn new(subjects: &[String], passing: Passing) -> Self {
        Self { subjects: subjects.to_vec(), passing }
    }

    pub(super) fn check(&self, peer: &Peer) -> Check {
        let Some(certificate) = peer.tls.as_ref().and_then(|tls| tls.certificate.as_ref()) else {
            return Check::Absent;
        };
        let names = names(certificate);
        let name = if self.subjects.is_empty() {
            names.first()
        } else {
            names.iter().find(|name| self.subjects.iter().any(|subject| fits(subject, name)))
        };
        match name {
            Some(name) => {
                Check::Known(Arc::new(Known::new(&self.passing, name.as_str().into(), NO_CLAIMS.clone())))
            }
            None => Check::Refused("the certificate is not one of those allowed here"),
        }
    }
}

/// Common names, then alternative names (DNS, e-mail, URI). Names with control characters are left out: no honest one has
/// any.
fn names(certificate: &ClientCertificate) -> &[String] {
    certificate.names.get_or_init(|| {
        let Ok((_, parsed)) = X509Certificate::from_der(&certificate.der) else { return Vec::new() };
        let common = parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        let alternative = parsed.subject_alternative_name().ok().flatten();
        let alternative = alternative.iter().flat_map(|names| &names.value.general_names);
        let alternative = alternative.filter_map(|name| match name {
            GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
                Some(*name)
            }
            _ => None,
        });
        let mut names: Vec<String> = Vec::new();
        for name in common.chain(alternative) {
            if !name.is_empty()
                && !name.contains(char::is_control)
                && !names.iter().any(|other| other == name)
            {
                names.push(name.to_owned());
            }
        }
        names
    })
}

/// Whether a name is a subject, or below it by one label of a DNS name where it begins with `*.`.
fn fits(subject: &str, name: &str) -> bool {
    let Some(parent) = subject.strip_prefix("*.") else { return subject == name };
    let label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    name.split_once('.').is_some_and(|(first, rest)| {
        !first.is_empty() && first.bytes().all(label) && rest.eq_ignore_ascii_case(parent)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;
    use crate::gateway::TlsPeer;

    fn peer(certificate: Option<Vec<u8>>) -> Peer {
        let certificate =
            certificate.map(|der| ClientCertificate { der, until: None, names: OnceLock::new() });
        Peer {
            listener: "test".into(),
            remote: "192.0.2.1:1000".parse().unwrap(),
            local: "192.0.2.2:443".parse().unwrap(),
            tls: Some(TlsPeer { version: "TLSv1.3", server_name: None, certificate }),
        }
    }

    fn certificate(common: &str, dns: &[&str]) -> Vec<u8> {
        let mut params =
            CertificateParams::new(dns.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        params.subject_alt_names.push(SanType::URI("spiffe://example.com/api".try_into().unwrap()));
        params.subject_alt_names.push(SanType::Rfc822Name("ops@mail.example.com".try_into().unwrap()));
        params.distinguished_name.push(DnType::CommonName, common);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn names_are_matched() {
        let der = certificate("client 1", &["a.example.com", "deep.b.example.com"]);
        for (subjects, known) in [
            (&[][..], Some("client 1")),
            (&["client 1"], Some("client 1")),
            (&["a.example.com"], Some("a.example.com")),
            (&["other", "*.example.com"], Some("a.example.com")),
            (&["*.EXAMPLE.com"], Some("a.example.com")),
            (&["*.b.example.com"], Some("deep.b.example.com")),
            (&["spiffe://example.com/api"], Some("spiffe://example.com/api")),
            (&["ops@mail.example.com"], Some("ops@mail.example.com")),
            (&["*.mail.example.com"], None),
            (&["*.com"], None),
            (&["*"], None),
            (&["client"], None),
            (&["spiffe://example.com/ap"], None),
        ] {
            let subjects: Vec<_> = subjects.iter().map(ToString::to_string).collect();
            let passing = Passing { verifier: "mtls".into(), pass: Vec::new() };
            let verifier = Certificates::new(&subjects, passing);
            let seen = match verifier.check(&peer(Some(der.clone()))) {
                Check::Known(known) => Some(known.subject.to_string()),
                Check::Refused(_) => None,
                _ => panic!("a certificate was shown"),
            };
            assert_eq!(seen.as_deref(), known, "{subjects:?}");
            assert!(matches!(verifier.check(&peer(None)), Check::Absent));
            assert!(matches!(verifier.check(&peer(Some(vec![0x30, 0x00]))), Check::Refused(_)));
        }
    }
}
