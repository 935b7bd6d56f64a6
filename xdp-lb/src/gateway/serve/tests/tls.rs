//! TLS: certificates by name, reload, clients' certificates, ALPN.

use std::path::Path;
use std::time::SystemTime;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::config::gateway::{CertificateFiles, ClientAuth, ListenerTls, TlsVersion};
use crate::gateway::serve::TlsContext;

const H1: &[u8] = b"http/1.1";
const H2: &[u8] = b"h2";

struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { pem, der, issuer: Issuer::new(params, key) }
    }

    /// Certificate and key in PEM.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn write(&self, directory: &Path, name: &str) -> CertificateFiles {
        let (certificate, key) = self.sign(name);
        let file = name.replace('*', "wildcard");
        let files = CertificateFiles {
            certificate: directory.join(format!("{file}.pem")),
            key: directory.join(format!("{file}.key")),
        };
        std::fs::write(&files.certificate, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
        files
    }
}

fn settings(certificates: Vec<CertificateFiles>) -> ListenerTls {
    ListenerTls {
        certificates,
        client_auth: ClientAuth::Off,
        client_ca: None,
        min_version: TlsVersion::Tls12,
    }
}

fn client(
    authority: &Authority,
    certificate: Option<&(String, String)>,
    protocols: &[&[u8]],
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

/// Connects under a name, which is not compared with the certificate's: that is what is asked about.
async fn handshake(
    address: SocketAddr,
    authority: &Authority,
    name: &str,
    certificate: Option<&(String, String)>,
    protocols: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let connector = client(authority, certificate, protocols);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    timeout(DEADLINE, connector.connect(name, connect(address).await)).await.unwrap()
}

fn served(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn der(files: &CertificateFiles) -> Vec<u8> {
    CertificateDer::from_pem_file(&files.certificate).unwrap().to_vec()
}

#[tokio::test]
async fn certificates_are_chosen_by_name_and_read_again() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    let names = ["first.example", "second.example", "*.third.example"];
    let files = names.map(|name| authority.write(directory.path(), name));
    let tls = settings(files.to_vec());
    let listener = Listener { tls: Some(tls), ..listener("secure") };
    let (server, address) = start(&listener, &hasty());
    for (name, index) in [("first.example", 0), ("SECOND.example", 1), ("a.third.example", 2)] {
        let mut stream = handshake(address, &authority, name, None, &[]).await.unwrap();
        assert_eq!(served(&stream), der(&files[index]), "{name}");
        let (_, body) = get(&mut stream, "/peer").await;
        assert!(body.ends_with(&format!("TLSv1.3 {} false", name.to_lowercase())), "{body}");
        // Encrypted or not, it is parked and comes back.
        until("it is parked", || server.connections().parked == 1).await;
        assert_eq!(get(&mut stream, "/").await.1, "hello");
        drop(stream);
        until("it has ended", || server.connections().open == 0).await;
    }
    // A name that none has gets the first, which its client does not take.
    let error = handshake(address, &authority, "b.a.third.example", None, &[]).await.unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");

    let old = der(&files[1]);
    server.refresh_certificates();
    let stream = handshake(address, &authority, names[1], None, &[]).await.unwrap();
    assert_eq!(served(&stream), old);
    std::fs::write(&files[1].key, "no key").unwrap();
    server.refresh_certificates();
    let stream = handshake(address, &authority, names[1], None, &[]).await.unwrap();
    assert_eq!(served(&stream), old, "a broken file changes nothing");
    authority.write(directory.path(), names[1]);
    server.refresh_certificates();
    let stream = handshake(address, &authority, names[1], None, &[]).await.unwrap();
    assert_eq!(served(&stream), der(&files[1]));
    assert_ne!(served(&stream), old);
}

#[tokio::test]
async fn a_broken_certificate_keeps_no_other_from_being_renewed() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    let client_ca = directory.path().join("ca.pem");
    std::fs::write(&client_ca, &authority.pem).unwrap();
    let names = ["first.example", "second.example"];
    let files = names.map(|name| authority.write(directory.path(), name));
    let asked = ListenerTls {
        client_auth: ClientAuth::Optional,
        client_ca: Some(client_ca.clone()),
        ..settings(files.to_vec())
    };
    let tls = TlsContext::load(&asked, true, SystemTime::UNIX_EPOCH, None).unwrap();
    let listener = Listener { tls: Some(asked), ..listener("secure") };
    let (server, address) = start(&listener, &hasty());
    let old = files.clone().map(|files| der(&files));

    std::fs::write(&files[0].certificate, "no certificate").unwrap();
    std::fs::write(&client_ca, "no authority").unwrap();
    authority.write(directory.path(), names[1]);
    let refreshed = tls.refresh(SystemTime::UNIX_EPOCH);
    let mut told: Vec<_> = refreshed.errors.into_iter().map(|error| error.file).collect();
    told.sort();
    assert_eq!((refreshed.read, told), (1, vec![client_ca.clone(), files[0].certificate.clone()]));
    let again = refreshed.context.unwrap().refresh(SystemTime::UNIX_EPOCH);
    assert!(again.context.is_none() && again.errors.is_empty(), "told of once");

    server.refresh_certificates();
    for (name, expected) in names.into_iter().zip([old[0].clone(), der(&files[1])]) {
        let stream = handshake(address, &authority, name, None, &[]).await.unwrap();
        assert_eq!(served(&stream), expected, "{name}");
    }
    assert_ne!(der(&files[1]), old[1]);
    authority.write(directory.path(), names[0]);
    server.refresh_certificates();
    let stream = handshake(address, &authority, names[0], None, &[]).await.unwrap();
    assert_eq!(served(&stream), der(&files[0]), "what was broken is read when it is whole again");
}

#[tokio::test]
async fn clients_have_to_have_a_certificate_or_need_not() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let directory = tempfile::tempdir().unwrap();
    let client_ca = directory.path().join("ca.pem");
    std::fs::write(&client_ca, &authority.pem).unwrap();
    let files = authority.write(directory.path(), "a.example");
    let (known, unknown) = (authority.sign("client"), stranger.sign("client"));
    for (client_auth, certificate, served) in [
        (ClientAuth::Off, None, Some(false)),
        (ClientAuth::Off, Some(&known), Some(false)),
        (ClientAuth::Optional, None, Some(false)),
        (ClientAuth::Optional, Some(&known), Some(true)),
        (ClientAuth::Optional, Some(&unknown), None),
        (ClientAuth::Required, None, None),
        (ClientAuth::Required, Some(&known), Some(true)),
        (ClientAuth::Required, Some(&unknown), None),
    ] {
        let client_ca = Some(client_ca.clone());
        let tls = ListenerTls { client_auth, client_ca, ..settings(vec![files.clone()]) };
        let listener = Listener { tls: Some(tls), ..listener("secure") };
        let (server, address) = start(&listener, &gateway());
        let mut stream = handshake(address, &authority, "a.example", certificate, &[]).await.unwrap();
        if let Some(has_certificate) = served {
            let (_, body) = get(&mut stream, "/peer").await;
            assert!(body.ends_with(&has_certificate.to_string()), "{client_auth:?}: {body}");
        } else {
            // With TLS 1.3 a client learns of it by the first thing that it reads.
            let mut rest = Vec::new();
            assert!(stream.read_to_end(&mut rest).await.is_err(), "{client_auth:?}");
            until("it is counted", || server.connections().handshakes_failed == 1).await;
        }
    }
}

#[tokio::test]
async fn no_session_brings_a_clients_certificate_along() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    let client_ca = directory.path().join("ca.pem");
    std::fs::write(&client_ca, &authority.pem).unwrap();
    let files = authority.write(directory.path(), "a.example");
    let known = authority.sign("client");
    let name = ServerName::try_from("a.example").unwrap();
    for (client_auth, resumes) in
        [(ClientAuth::Off, true), (ClientAuth::Optional, false), (ClientAuth::Required, false)]
    {
        let client_ca = Some(client_ca.clone());
        let tls = ListenerTls { client_auth, client_ca, ..settings(vec![files.clone()]) };
        let listener = Listener { tls: Some(tls), ..listener("secure") };
        let (_server, address) = start(&listener, &gateway());
        let client = client(&authority, Some(&known), &[]);
        for expected in
            [HandshakeKind::Full, if resumes { HandshakeKind::Resumed } else { HandshakeKind::Full }]
        {
            let connected = client.connect(name.clone(), connect(address).await);
            let mut stream = timeout(DEADLINE, connected).await.unwrap().unwrap();
            assert_eq!(get(&mut stream, "/").await.1, "hello");
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(expected), "{client_auth:?}");
        }
    }
}

#[tokio::test]
async fn the_protocol_is_agreed_on() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    let tls = settings(vec![authority.write(directory.path(), "a.example")]);
    for (http2, offered, agreed) in [
        (true, vec![H2, H1], Some(H2)),
        (false, vec![H2, H1], Some(H1)),
        (true, vec![H1], Some(H1)),
        (true, vec![], None),
    ] {
        let listener = Listener { http2, tls: Some(tls.clone()), ..listener("secure") };
        let (_server, address) = start(&listener, &gateway());
        let mut stream = handshake(address, &authority, "a.example", None, &offered).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed);
        if agreed == Some(H2) {
            let io = TokioIo::new(stream);
            let executor = hyper_util::rt::TokioExecutor::new();
            let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
            tokio::spawn(connection);
            let request = Request::get("https://a.example/").body(Body::empty()).unwrap();
            assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
        } else {
            assert_eq!(get(&mut stream, "/").await.1, "hello");
        }
    }
}

#[tokio::test]
async fn a_handshake_takes_no_longer_than_a_head() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    let tls = settings(vec![authority.write(directory.path(), "a.example")]);
    let mut gateway = gateway();
    gateway.limits.header_timeout = Duration::from_millis(100);
    let (server, address) = start(&Listener { tls: Some(tls), ..listener("secure") }, &gateway);
    let mut stream = connect(address).await;
    assert!(closes(&mut stream).await);
    until("it is counted", || server.connections().handshakes_failed == 1).await;
}

#[test]
fn errors_name_the_file_and_the_mend() {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
    let good = authority.write(directory.path(), "good.example");
    let other = authority.write(directory.path(), "other.example");
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let missing = directory.path().join("missing.pem");
    let with = |certificate: &Path, key: &Path| CertificateFiles {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
    };
    for (files, file, problem) in [
        (with(&missing, &good.key), &missing, "cannot be read"),
        (with(&empty, &good.key), &empty, "holds no certificate"),
        (with(&good.certificate, &empty), &empty, "holds no private key"),
        (with(&good.certificate, &other.key), &other.key, "not the key of the first certificate"),
    ] {
        let error = TlsContext::load(&settings(vec![files]), true, SystemTime::UNIX_EPOCH, None);
        let error = error.err().expect("it is refused").to_string();
        assert!(error.contains(file.to_str().unwrap()) && error.contains(problem), "{error}");
    }
    let tls = ListenerTls {
        client_auth: ClientAuth::Required,
        client_ca: Some(empty.clone()),
        ..settings(vec![good])
    };
    let error = TlsContext::load(&tls, true, SystemTime::UNIX_EPOCH, None).err().unwrap().to_string();
    assert!(error.contains("empty.pem"), "{error}");
}
