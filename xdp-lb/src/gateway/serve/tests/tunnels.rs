//! CONNECT over HTTP/2.

use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioExecutor;

use super::*;

async fn client(address: SocketAddr) -> SendRequest<Body> {
    let io = TokioIo::new(connect(address).await);
    let (sender, connection) = handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn tunnel(sender: &mut SendRequest<Body>, path: &str) -> Result<TokioIo<Upgraded>, StatusCode> {
    let mut request = Request::connect(format!("http://a{path}")).body(Body::empty()).unwrap();
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    // The server has to have said that it takes these.
    let response = timeout(DEADLINE, sender.send_request(request)).await.unwrap().unwrap();
    if response.status() != 200 {
        return Err(response.status());
    }
    Ok(TokioIo::new(hyper::upgrade::on(response).await.unwrap()))
}

async fn echoes(tunnel: &mut TokioIo<Upgraded>, bytes: &[u8]) {
    tunnel.write_all(bytes).await.unwrap();
    let mut back = vec![0; bytes.len()];
    timeout(DEADLINE, tunnel.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(back, bytes);
}

#[tokio::test]
async fn a_tunnel_keeps_its_connection_and_others_use_it_meanwhile() {
    let mut gateway = gateway();
    gateway.limits.idle_timeout = Duration::from_millis(200);
    let (server, address) = start(&listener("web"), &gateway);
    let mut sender = client(address).await;
    let mut first = tunnel(&mut sender, "/upgrade").await.unwrap();
    // Silent for longer than a connection without requests is kept.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    echoes(&mut first, b"still there").await;
    let answer = sender.send_request(Request::get("http://a/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut second = tunnel(&mut sender, "/upgrade").await.unwrap();
    echoes(&mut second, &vec![b'x'; 1000]).await;
    first.shutdown().await.unwrap();
    let mut rest = Vec::new();
    timeout(DEADLINE, first.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.is_empty());
    echoes(&mut second, b"its own").await;
    drop((first, second));
    until("the connection is closed", || server.connections().open == 0).await;
    assert_eq!((server.connections().resets, server.connections().stalled), (0, 0));
}

#[tokio::test]
async fn a_refused_tunnel_leaves_nothing_behind() {
    let mut gateway = gateway();
    gateway.limits.idle_timeout = Duration::from_millis(200);
    let (server, address) = start(&listener("web"), &gateway);
    let mut sender = client(address).await;
    assert_eq!(tunnel(&mut sender, "/too-large").await.err(), Some(StatusCode::PAYLOAD_TOO_LARGE));
    until("the connection is closed", || server.connections().open == 0).await;
}

#[tokio::test]
async fn draining_waits_for_a_tunnel_as_long_as_it_may() {
    let (server, address) = start(&listener("web"), &gateway());
    let mut sender = client(address).await;
    let mut tunnel = tunnel(&mut sender, "/upgrade").await.unwrap();
    let drain = tokio::spawn({
        let server = server.clone();
        async move { server.drain(DEADLINE).await }
    });
    until("nobody else gets in", || std::net::TcpStream::connect(address).is_err()).await;
    echoes(&mut tunnel, b"in the drain").await;
    assert!(!drain.is_finished());
    drop(tunnel);
    timeout(DEADLINE, drain).await.unwrap().unwrap();
}
