//! Connections: kept, shared, told apart, and noticed when they are gone.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;

use super::bed::{Bed, OK, Scripted, config, get, head, request, until};
use crate::config::gateway::{CertificateFiles, UpstreamTls};
use crate::gateway::{Body, Reason};

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    for answer in [
        OK,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x\r\n\r\n2\r\nok\r\n0\r\nx: y\r\n\r\n",
    ] {
        let server = Scripted::keeps_saying(answer).await;
        let bed = Bed::new(&config(&[server.address]));
        for method in ["GET", "POST", "GET", "DELETE"] {
            assert_eq!(bed.text(request(method, Body::empty())).await.unwrap(), (200, "ok".into()));
            assert_eq!((server.connections(), bed.worker.kept()), (1, 1));
        }
        bed.quiet().await;
    }
}

#[tokio::test]
async fn no_more_are_kept_than_allowed() {
    let server = Scripted::keeps_saying(OK).await;
    let mut config = config(&[server.address]);
    config.idle_connections = 3;
    let bed = Bed::new(&config);
    for answer in join_all((0..10).map(|_| bed.text(get()))).await {
        assert_eq!(answer.unwrap().0, 200);
    }
    assert_eq!((server.connections(), bed.worker.kept()), (10, 3));
    config.idle_connections = 0;
    let none = Bed::new(&config);
    none.text(get()).await.unwrap();
    assert_eq!(none.worker.kept(), 0);
}

#[tokio::test]
async fn connections_that_are_old_or_closed_go() {
    let close = Arc::new(Notify::new());
    let told = Arc::clone(&close);
    let server = Scripted::new(move |index, mut stream| {
        let close = Arc::clone(&told);
        async move {
            head(&mut stream).await;
            stream.write_all(OK).await.unwrap();
            if index == 0 {
                close.notified().await;
            } else {
                stream.read_u8().await.ok();
            }
        }
    })
    .await;
    let mut config = config(&[server.address]);
    let bed = Bed::new(&config);
    bed.text(get()).await.unwrap();
    assert_eq!(bed.worker.kept(), 1);
    close.notify_one();
    until("the closed one is noticed", || bed.worker.kept() == 0).await;
    config.idle_timeout = Duration::from_millis(300);
    let bed = Bed::new(&config);
    bed.text(get()).await.unwrap();
    assert_eq!(bed.worker.kept(), 1);
    until("the old one is dropped", || bed.worker.kept() == 0).await;
}

#[tokio::test]
async fn a_request_that_meets_a_connection_just_closed_is_sent_again_there() {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&bodies);
    let server = Scripted::new(move |_, mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            // The second request of each connection is read, and answered by its end.
            for round in 0..2 {
                let Some(head) = head(&mut stream).await else { return };
                if head.starts_with("PUT") {
                    let mut body = [0; 3];
                    stream.read_exact(&mut body).await.unwrap();
                    seen.lock().unwrap().push(body);
                }
                if round == 0 {
                    stream.write_all(OK).await.unwrap();
                }
            }
        }
    })
    .await;
    let bed = Bed::new(&config(&[server.address]));
    for round in 0..5 {
        assert_eq!(bed.text(request("PUT", Body::full("abc"))).await.unwrap().0, 200);
        assert_eq!((bed.tries(), server.connections()), (1, round + 1));
    }
    assert_eq!(*bodies.lock().unwrap(), [*b"abc"; 9]);
    assert_eq!(bed.failures(), 0, "nobody has failed");
    // Nobody knows whether the server has acted on this one.
    let refusal = bed.send(request("POST", Body::empty())).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::UpstreamClosed);
    bed.quiet().await;
}

#[tokio::test]
async fn what_cannot_be_repeated_does_not_meet_a_closed_connection() {
    let server = Scripted::new(|_, mut stream| async move {
        head(&mut stream).await;
        stream.write_all(OK).await.unwrap();
    })
    .await;
    let bed = Bed::new(&config(&[server.address]));
    for round in 1..20 {
        assert_eq!(bed.text(request("POST", Body::empty())).await.unwrap().0, 200);
        assert_eq!(server.connections(), round);
    }
}

#[tokio::test]
async fn a_proxied_connection_serves_one_client() {
    let server = Scripted::new(|_, mut stream| async move {
        let mut header = [0; 28];
        stream.read_exact(&mut header).await.unwrap();
        assert_eq!(&header[..16], b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c");
        while head(&mut stream).await.is_some() {
            let port = u16::from_be_bytes([header[24], header[25]]);
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{port:05}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let mut config = config(&[server.address]);
    config.proxy_protocol = true;
    let bed = Bed::new(&config);
    let local: SocketAddr = "203.0.113.10:443".parse().unwrap();
    for (port, connections) in [(1001, 1), (1002, 2), (1001, 2), (1003, 3), (1002, 3)] {
        let client = SocketAddr::from(([192, 0, 2, 1], port));
        let response = bed.send_from(get(), Some((client, local))).await.unwrap();
        let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
        assert_eq!(body, format!("{port:05}"));
        assert_eq!(server.connections(), connections);
    }
    bed.quiet().await;
}

#[tokio::test]
async fn tls_verifies_the_server_and_shows_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let signed = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        (certificate, key)
    };
    let (certificate, key) = signed("a.example");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(issuer.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
            .build()
            .unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server_config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server_config));
    let server = Scripted::new(move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut some = [0; 1000];
            while stream.read(&mut some).await.is_ok_and(|bytes| bytes > 0) {
                stream.write_all(OK).await.unwrap();
            }
        }
    })
    .await;
    let (shown, shown_key) = signed("gateway");
    let files = CertificateFiles {
        certificate: write("shown.pem", shown.pem()),
        key: write("shown.key", shown_key.serialize_pem()),
    };
    let good = UpstreamTls {
        server_name: None,
        verify: true,
        ca: Some(write("ca.pem", issuer.pem())),
        certificate: Some(files),
    };
    let named = |name: &str| UpstreamTls { server_name: Some(name.to_owned()), ..good.clone() };
    for (what, tls, works) in [
        ("by the request's host", good.clone(), true),
        ("by a name of its own", named("a.example"), true),
        ("another name", named("b.example"), false),
        ("no certificate of the gateway", UpstreamTls { certificate: None, ..good.clone() }, false),
        ("authorities of the machine", UpstreamTls { ca: None, ..good.clone() }, false),
        ("not verified", UpstreamTls { verify: false, ..named("b.example") }, true),
    ] {
        let mut config = config(&[server.address]);
        config.tls = Some(tls);
        let Ok(pool) = crate::gateway::upstream::Pools::build(&[config.clone()], None) else {
            assert_eq!(what, "authorities of the machine", "a machine may have none");
            continue;
        };
        drop(pool);
        let bed = Bed::new(&config);
        for _ in 0..2 {
            match bed.text(get()).await {
                Ok(answer) => assert!(works && answer.0 == 200, "{what}"),
                Err(refusal) => assert!(!works, "{what}: {:?}", refusal.cause),
            }
        }
        assert_eq!(bed.worker.kept(), usize::from(works), "{what}");
        if what == "by the request's host" {
            let mut other = get();
            other.headers_mut().insert("host", "b.example".parse().unwrap());
            let refusal = bed.send(other).await.unwrap_err();
            assert_eq!(
                refusal.reason,
                Reason::ConnectFailed,
                "a connection for a.example is not for b.example"
            );
        }
        bed.quiet().await;
    }
}
