//! A server on loopback with a handler that does what the path says.

mod bytes;
mod end;
mod life;
mod memory;
mod streams;
mod tls;
mod tunnels;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::{Handler, Server, Sockets};
use crate::config::gateway::{Forwarded, Gateway, Limits, Listener};
use crate::gateway::{Body, Peer, Reason, Refusal, Tunnel};

/// Longest time anything here may take.
const DEADLINE: Duration = Duration::from_secs(20);

struct Obedient;

impl Handler for Obedient {
    async fn handle(&self, peer: &Arc<Peer>, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        match path.as_str() {
            "/echo" => match request.into_body().collect().await {
                Ok(body) => Response::new(Body::full(body.to_bytes())),
                Err(error) => Refusal::new(error.reason, "no").closing().into_response("test"),
            },
            "/too-large" => Refusal::new(Reason::BodyTooLarge, "no").closing().into_response("test"),
            "/unread" => Response::new(Body::full("unread")),
            "/early" => {
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    drop(request);
                });
                Response::new(Body::full("early"))
            }
            "/slow" => {
                tokio::time::sleep(Duration::from_millis(300)).await;
                Response::new(Body::full("slow"))
            }
            "/never" => std::future::pending().await,
            "/endless" => {
                let piece = Bytes::from(vec![b'x'; 64 * 1024]);
                let frames = stream::repeat_with(move || Ok(Frame::data(piece.clone())));
                Response::new(Body::wrap(StreamBody::new(frames)))
            }
            "/peer" => Response::new(Body::full(describe(peer))),
            "/upgrade" => {
                let connects = request.method() == Method::CONNECT;
                tokio::spawn(async move {
                    let _held = request.extensions().get::<Tunnel>().cloned();
                    let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
                    let mut io = TokioIo::new(upgraded);
                    let mut buffer = [0; 1024];
                    while let Ok(count @ 1..) = io.read(&mut buffer).await {
                        if io.write_all(&buffer[..count]).await.is_err() {
                            return;
                        }
                    }
                    let _ = io.shutdown().await;
                });
                let mut response = Response::new(Body::empty());
                if connects {
                    return response;
                }
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                response.headers_mut().insert("connection", "upgrade".parse().unwrap());
                response.headers_mut().insert("upgrade", "raw".parse().unwrap());
                response
            }
            _ => Response::new(Body::full("hello")),
        }
    }

    fn refuse(&self, _peer: &Arc<Peer>, refusal: Refusal) -> Response<Body> {
        refusal.into_response("test")
    }
}

fn describe(peer: &Peer) -> String {
    let tls = peer.tls.as_ref().map_or_else(
        || "plain".to_owned(),
        |tls| {
            let name = tls.server_name.as_deref().unwrap_or("-");
            format!("{} {name} {}", tls.version, tls.certificate.is_some())
        },
    );
    format!("{} {} {} {tls}", peer.listener, peer.remote, peer.local)
}

fn gateway() -> Gateway {
    let long = Duration::from_secs(30);
    Gateway {
        threads: 2,
        notice: Duration::ZERO,
        drain: long,
        trusted_proxies: Vec::new(),
        request_id_header: http::HeaderName::from_static("x-request-id"),
        forwarded: Forwarded::Off,
        handover_socket: None,
        limits: Limits {
            headers: 100,
            header_bytes: 16 * 1024,
            uri_bytes: 8 * 1024,
            body_bytes: 1 << 20,
            header_timeout: long,
            idle_timeout: long,
            body_timeout: long,
            body_rate: 0,
            send_timeout: long,
            requests_per_connection: 0,
            streams: 100,
            resets_per_second: 50,
            idle_frames_per_second: 1000,
            connections: 20_000,
        },
        max_in_flight: 0,
        max_lag: Duration::ZERO,
        paths: crate::config::gateway::Paths::default(),
    }
}

/// One whose connections are parked within a few hundredths of a second.
fn hasty() -> Gateway {
    let mut gateway = gateway();
    gateway.limits.send_timeout = Duration::from_millis(20);
    gateway
}

fn listener(name: &str) -> Listener {
    Listener {
        name: name.to_owned(),
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        proxy_protocol: false,
        http2: true,
        tls: None,
    }
}

fn start(listener: &Listener, gateway: &Gateway) -> (Arc<Server>, SocketAddr) {
    start_with(listener, gateway, Sockets::none())
}

fn start_with(listener: &Listener, gateway: &Gateway, sockets: Sockets) -> (Arc<Server>, SocketAddr) {
    let server = Server::start(std::slice::from_ref(listener), gateway, sockets, |_| Obedient).unwrap();
    let address = server.addresses()[0].1;
    (Arc::new(server), address)
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

async fn get(stream: &mut (impl AsyncRead + tokio::io::AsyncWrite + Unpin), path: &str) -> (String, String) {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.unwrap();
    answer(stream).await.unwrap()
}

/// Head and body of one answer that has a length. None at the end of the connection.
async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, String)> {
    timeout(DEADLINE, read_answer(stream)).await.expect("an answer in time")
}

async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) if head.is_empty() => return None,
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&head)),
        }
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.unwrap();
    Some((head, String::from_utf8(body).unwrap()))
}

/// Whether the other end closes, and does so without a reset.
async fn closes(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut rest = Vec::new();
    matches!(timeout(DEADLINE, stream.read_to_end(&mut rest)).await, Ok(Ok(0)))
}

/// Waits for a condition.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < DEADLINE, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
