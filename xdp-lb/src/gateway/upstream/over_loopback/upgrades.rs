//! Another protocol on the same connections: through a real front, as that is where upgrades come from.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::bed::{Bed, Scripted, config, head};
use crate::gateway::{Body, Reason, Tunnel};

/// A gateway in small: hyper's server, and the way to the pool.
async fn front(bed: Arc<Bed>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let bed = Arc::clone(&bed);
            let service = service_fn(move |request| {
                let bed = Arc::clone(&bed);
                async move {
                    let answer = bed.send(request_of(request)).await;
                    Ok::<_, std::convert::Infallible>(answer.unwrap_or_else(|e| e.into_response("x")))
                }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            tokio::spawn(connection);
        }
    });
    address
}

fn request_of(request: http::Request<hyper::body::Incoming>) -> http::Request<Body> {
    request.map(Body::incoming)
}

async fn asks(front: SocketAddr, protocol: &str) -> (TcpStream, String) {
    let mut client = TcpStream::connect(front).await.unwrap();
    let request =
        format!("GET /chat HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: {protocol}\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let answer = head(&mut client).await.unwrap();
    (client, answer)
}

/// Changes to the protocol, greets at once, echoes until the client's end, and says goodbye.
async fn echo() -> Scripted {
    Scripted::new(|_, mut stream| async move {
        let head = head(&mut stream).await.unwrap().to_ascii_lowercase();
        assert!(
            head.contains("connection: upgrade\r\n") && head.contains("upgrade: websocket\r\n"),
            "{head}"
        );
        let answer =
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let mut some = [0; 4096];
        while let Ok(bytes @ 1..) = stream.read(&mut some).await {
            stream.write_all(&some[..bytes]).await.unwrap();
        }
        stream.write_all(b"bye").await.ok();
    })
    .await
}

#[tokio::test]
async fn both_sides_are_joined_until_both_have_ended() {
    let server = echo().await;
    let bed = Arc::new(Bed::new(&config(&[server.address])));
    let (mut client, answer) = asks(front(Arc::clone(&bed)).await, "websocket").await;
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.contains("upgrade: websocket"), "{answer}");
    let mut hello = [0; 5];
    client.read_exact(&mut hello).await.unwrap();
    assert_eq!(&hello, b"hello");
    for size in [1, 1000, 100_000] {
        let sent = vec![b'x'; size];
        let (mut from, mut to) = client.split();
        let mut got = vec![0; size];
        let (written, read) = tokio::join!(to.write_all(&sent), from.read_exact(&mut got));
        written.unwrap();
        read.unwrap();
        assert_eq!(got, sent);
    }
    assert_eq!(bed.busy(), (1, 1));
    client.shutdown().await.unwrap();
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "bye");
    bed.quiet().await;
    assert_eq!((bed.failures(), bed.worker.kept()), (0, 0));
}

#[tokio::test]
async fn silence_ends_it() {
    let server = echo().await;
    let mut config = config(&[server.address]);
    config.timeouts.idle = Duration::from_millis(200);
    let bed = Arc::new(Bed::new(&config));
    let (mut client, _) = asks(front(Arc::clone(&bed)).await, "websocket").await;
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "hello");
    bed.quiet().await;
}

#[tokio::test]
async fn a_server_that_does_not_want_to_gives_an_ordinary_answer() {
    let server = Scripted::keeps_saying(b"HTTP/1.1 426 Upgrade\r\ncontent-length: 2\r\n\r\nno").await;
    let bed = Arc::new(Bed::new(&config(&[server.address])));
    let (_client, answer) = asks(front(Arc::clone(&bed)).await, "websocket").await;
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    bed.quiet().await;
    assert_eq!(bed.worker.kept(), 1);
}

#[tokio::test]
async fn a_server_that_answers_another_key_opens_no_websocket() {
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    for (accept, status) in [("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", Some(101)), ("wrong", None)] {
        let server = Scripted::new(move |_, mut stream| async move {
            head(&mut stream).await.unwrap();
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-accept: {accept}\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let bed = Bed::new(&config(&[server.address]));
        let mut request = http::Request::get("/chat").body(Body::empty()).unwrap();
        let fields = [("host", "x"), ("upgrade", "websocket"), ("sec-websocket-key", KEY)];
        for (name, value) in fields {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let nobody = hyper::upgrade::on(http::Request::new(()));
        request.extensions_mut().insert(nobody);
        request.extensions_mut().insert(Tunnel::holding(()));
        match (bed.send(request).await, status) {
            (Ok(response), Some(status)) => assert_eq!(response.status(), status),
            (Err(refusal), None) => assert_eq!(refusal.reason, Reason::UpstreamGarbage),
            (other, _) => panic!("{accept}: {other:?}"),
        }
        bed.quiet().await;
    }
}

#[tokio::test]
async fn http_in_another_version_is_not_smuggled() {
    for protocol in ["h2c", "H2C", "websocket, h2c", "websocket\r\nUpgrade: h2c", "TLS/1.0", "HTTP/2.0"] {
        let server = Scripted::new(|_, mut stream| async move {
            let head = head(&mut stream).await.unwrap().to_ascii_lowercase();
            assert!(!head.contains("upgrade"), "{head}");
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        })
        .await;
        let bed = Arc::new(Bed::new(&config(&[server.address])));
        let (_client, answer) = asks(front(Arc::clone(&bed)).await, protocol).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{protocol}: {answer}");
        bed.quiet().await;
    }
}
