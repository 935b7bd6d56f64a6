//! Pools that speak HTTP/2.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use super::bed::{Bed, Scripted, config, get, request, until};
use crate::config::gateway::{PoolConfig, UpstreamProtocol, UpstreamTls};
use crate::gateway::{Body, Reason};

struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    at_once: Arc<AtomicUsize>,
}

/// Answers after a while by what the path asks for.
async fn server(streams: u32) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (connections, at_once) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let server = Server { address, connections: Arc::clone(&connections), at_once: Arc::clone(&at_once) };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::Relaxed);
            let at_once = Arc::clone(&at_once);
            let service = service_fn(move |request| {
                let at_once = Arc::clone(&at_once);
                async move {
                    at_once.fetch_add(1, Ordering::Relaxed);
                    let answer = answer(request).await;
                    at_once.fetch_sub(1, Ordering::Relaxed);
                    Ok::<_, Infallible>(answer)
                }
            });
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .max_concurrent_streams(streams)
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    server
}

async fn answer(request: http::Request<Incoming>) -> Response<Body> {
    assert_eq!(request.uri().authority().unwrap(), "a.example");
    assert_eq!((request.uri().scheme_str(), request.headers().get("host")), (Some("http"), None));
    let grpc = |status: &str| {
        let response = Response::builder().header("content-type", "application/grpc+proto");
        if status.is_empty() { response } else { response.header("grpc-status", status) }
    };
    match request.uri().path() {
        "/slow" => {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Response::new(Body::full("ok"))
        }
        "/large" => Response::new(Body::full(vec![b'x'; 1 << 20])),
        "/for-ever" => std::future::pending().await,
        "/trailers" => {
            assert_eq!(request.headers()["te"], "trailers");
            let sent = request.into_body().collect().await.unwrap();
            let mut trailers = sent.trailers().cloned().unwrap_or_default();
            trailers.insert("grpc-status", "0".parse().unwrap());
            trailers.insert("endpoint-load-metrics-bin", "CQAAAAAAAOA/".parse().unwrap());
            let frames = [Ok(Frame::data(sent.to_bytes())), Ok(Frame::trailers(trailers))];
            grpc("").body(Body::wrap(StreamBody::new(futures_util::stream::iter(frames)))).unwrap()
        }
        "/unavailable" => grpc("14").body(Body::empty()).unwrap(),
        "/not-found" => grpc("5").body(Body::empty()).unwrap(),
        _ => Response::new(Body::full("ok")),
    }
}

fn http2(server: SocketAddr) -> PoolConfig {
    let mut config = config(&[server]);
    config.protocol = UpstreamProtocol::Http2;
    config
}

fn path(path: &str) -> http::Request<Body> {
    let mut request = get();
    *request.uri_mut() = path.parse().unwrap();
    request
}

#[tokio::test]
async fn requests_share_a_connection_up_to_its_streams() {
    let wide = server(1000).await;
    let bed = Bed::new(&http2(wide.address));
    for answer in join_all((0..50).map(|_| bed.text(path("/slow")))).await {
        assert_eq!(answer.unwrap(), (200, "ok".into()));
    }
    assert_eq!((wide.connections.load(Ordering::Relaxed), bed.worker.kept()), (1, 1));
    bed.quiet().await;
    let narrow = server(5).await;
    let bed = Bed::new(&http2(narrow.address));
    for answer in join_all((0..20).map(|_| bed.text(path("/slow")))).await {
        assert_eq!(answer.unwrap().0, 200);
    }
    let connections = narrow.connections.load(Ordering::Relaxed);
    assert!((2..=5).contains(&connections), "{connections}");
    bed.quiet().await;
}

#[tokio::test]
async fn trailers_go_both_ways() {
    let server = server(100).await;
    let bed = Bed::new(&http2(server.address));
    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), "7".parse().unwrap())]);
    let frames = [Ok(Frame::data(Bytes::from_static(b"abc"))), Ok(Frame::trailers(trailers))];
    let mut request = request("POST", Body::wrap(StreamBody::new(futures_util::stream::iter(frames))));
    *request.uri_mut() = "/trailers".parse().unwrap();
    request.headers_mut().insert("te", "trailers".parse().unwrap());
    let answer = bed.send(request).await.unwrap().into_body().collect().await.unwrap();
    let trailers = answer.trailers().unwrap();
    assert!(
        trailers["x-sum"] == "7" && trailers["grpc-status"] == "0" && trailers.len() == 2,
        "{trailers:?}"
    );
    assert_eq!(answer.to_bytes(), "abc");
    assert_eq!(bed.failures(), 0);
    for (what, failures) in [("/unavailable", 1), ("/not-found", 0)] {
        assert_eq!(bed.text(path(what)).await.unwrap().0, 200);
        assert_eq!(bed.failures(), failures, "{what}");
    }
    bed.quiet().await;
}

#[tokio::test]
async fn a_client_that_goes_away_resets_its_stream_alone() {
    let server = server(100).await;
    let bed = Bed::new(&http2(server.address));
    tokio::select! {
        _ = bed.send(path("/for-ever")) => panic!("answered by whom?"),
        () = until("it came", || server.at_once.load(Ordering::Relaxed) == 1) => {}
    }
    bed.quiet().await;
    assert_eq!(bed.text(get()).await.unwrap().0, 200);
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn connections_without_a_stream_go() {
    let server = server(100).await;
    let mut config = http2(server.address);
    config.idle_timeout = Duration::from_millis(100);
    let bed = Bed::new(&config);
    bed.text(get()).await.unwrap();
    assert_eq!(bed.worker.kept(), 1);
    until("it is dropped", || bed.worker.kept() == 0).await;
    assert_eq!(bed.text(get()).await.unwrap().0, 200);
    assert_eq!(server.connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn who_does_not_speak_it_is_told() {
    let http1 = Scripted::keeps_saying(b"HTTP/1.1 400 Bad\r\ncontent-length: 0\r\n\r\n").await;
    let bed = Bed::new(&http2(http1.address));
    let refusal = bed.send(get()).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::ConnectFailed, "{:?}", refusal.cause);
    bed.quiet().await;
    // By TLS: a server that knows nothing of ALPN.
    let pair = rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pair.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let server = Scripted::new(move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            let _stream = acceptor.accept(stream).await;
            std::future::pending::<()>().await;
        }
    })
    .await;
    let mut config = http2(server.address);
    config.tls = Some(UpstreamTls { server_name: None, verify: false, ca: None, certificate: None });
    let refusal = Bed::new(&config).send(get()).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::ConnectFailed);
    assert!(refusal.cause.unwrap().contains("ALPN"));
}

#[tokio::test]
async fn a_connection_that_allows_no_stream_is_not_kept() {
    let server = server(0).await;
    let bed = Bed::new(&http2(server.address));
    for connections in 1..4 {
        assert_eq!(bed.send(get()).await.unwrap_err().reason, Reason::ConnectFailed);
        assert_eq!((server.connections.load(Ordering::Relaxed), bed.worker.kept()), (connections, 0));
    }
    bed.quiet().await;
}

#[tokio::test]
async fn nobody_waits_for_connections_that_others_fail_to_open() {
    let silent = Scripted::new(|_, stream| async move {
        let _stream = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let mut config = http2(silent.address);
    config.tls = Some(UpstreamTls { server_name: None, verify: false, ca: None, certificate: None });
    config.timeouts.connect = Duration::from_millis(200);
    let bed = Bed::new(&config);
    let began = tokio::time::Instant::now();
    for answer in join_all((0..30).map(|_| bed.send(get()))).await {
        assert_eq!(answer.unwrap_err().reason, Reason::ConnectFailed);
    }
    assert!(began.elapsed() < Duration::from_secs(3), "one after the other: {:?}", began.elapsed());
    bed.quiet().await;
}

#[tokio::test]
async fn clients_that_take_nothing_hold_nobody_up() {
    let server = server(1000).await;
    let bed = Bed::new(&http2(server.address));
    let answers = join_all((0..40).map(|_| bed.send(path("/large")))).await;
    assert_eq!(bed.busy(), (40, 40));
    // Meanwhile all comes that there is room for.
    for _ in 0..100 {
        let other = tokio::time::timeout(Duration::from_secs(10), bed.text(get()));
        assert_eq!(other.await.expect("it is held up").unwrap(), (200, "ok".into()));
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
    for answer in answers {
        assert_eq!(answer.unwrap().into_body().collect().await.unwrap().to_bytes().len(), 1 << 20);
    }
    bed.quiet().await;
}
