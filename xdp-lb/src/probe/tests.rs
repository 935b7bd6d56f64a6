//! Checks against real sockets on loopback.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::oneshot;

use super::*;
use crate::config::CheckTls;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const QUICK: Duration = Duration::from_millis(300);

async fn probe(address: IpAddr, kind: &HealthKind, timeout: Duration) -> Result<(), String> {
    Prober::default().probe(address, None, kind, timeout).await
}

fn http(port: u16) -> HealthKind {
    HealthKind::Http {
        port,
        path: "/healthz?deep=1".into(),
        host: "web.example".into(),
        expect: 200..=399,
        body: None,
        tls: None,
    }
}

/// Accepts one connection, reads what is asked, answers with `parts` and a pause after each, then waits for the end.
/// Gives the request back.
async fn server(parts: &'static [&'static [u8]], pause: Duration) -> (u16, oneshot::Receiver<String>) {
    let listener = TcpListener::bind((LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, asked) = oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let size = stream.read(&mut request).await.unwrap_or(0);
        let _ = tell.send(String::from_utf8_lossy(&request[..size]).into_owned());
        for part in parts {
            if stream.write_all(part).await.is_err() {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    });
    (port, asked)
}

#[tokio::test]
async fn connecting_is_enough_for_tcp() {
    let (port, _asked) = server(&[], Duration::ZERO).await;
    assert_eq!(probe(LOCALHOST, &HealthKind::Tcp { port }, QUICK).await, Ok(()));
}

#[tokio::test]
async fn nothing_is_asked_where_nothing_is_checked() {
    assert_eq!(probe(LOCALHOST, &HealthKind::None, QUICK).await, Ok(()));
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind((LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let refused = Err("connection refused".to_owned());
    assert_eq!(probe(LOCALHOST, &HealthKind::Tcp { port }, QUICK).await, refused);
    assert_eq!(probe(LOCALHOST, &http(port), QUICK).await, refused);
}

#[tokio::test]
async fn a_tcp_check_leaves_no_connection_behind() {
    let listener = TcpListener::bind((LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    assert_eq!(probe(LOCALHOST, &HealthKind::Tcp { port }, QUICK).await, Ok(()));
    let (mut stream, _) = listener.accept().await.unwrap();
    let seen = stream.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(seen.kind(), std::io::ErrorKind::ConnectionReset, "a reset, not a FIN that ends in TIME_WAIT");
}

#[tokio::test]
async fn the_request_is_complete() {
    let (port, asked) = server(&[b"HTTP/1.1 204 No Content\r\n\r\n"], Duration::ZERO).await;
    assert_eq!(probe(LOCALHOST, &http(port), QUICK).await, Ok(()));
    let request = asked.await.unwrap().to_lowercase();
    assert!(request.starts_with("get /healthz?deep=1 http/1.1\r\n"), "{request}");
    for header in ["host: web.example", "user-agent: xdp-lb", "connection: close"] {
        assert!(request.contains(&format!("\r\n{header}\r\n")), "{header} missing in {request}");
    }
}

#[tokio::test]
async fn answers_are_judged_by_their_status() {
    type Row = (&'static str, &'static [&'static [u8]], Result<(), &'static str>);
    let rows: [Row; 9] = [
        ("healthy", &[b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"], Ok(())),
        ("redirect", &[b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n"], Ok(())),
        ("in two pieces", &[b"HTTP/1.1 20", b"0 OK\r\n\r\n"], Ok(())),
        (
            "unavailable",
            &[b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nsick"],
            Err("status 503, expected 200-399"),
        ),
        ("garbage", &[b"SSH-2.0-OpenSSH_9.2\r\n"], Err("the answer is not HTTP/1")),
        ("binary garbage", &[b"\0\x01\x02\xff\xfe\r\n\r\n"], Err("the answer is not HTTP/1")),
        ("closes at once", &[], Err("connection closed before the answer")),
        ("half an answer", &[b"HTTP/1.1 200 OK\r\ncont"], Err("connection closed before the answer")),
        ("body cut off", &[b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort"], Ok(())),
    ];
    for (row, parts, expected) in rows {
        let (port, _asked) = server(parts, Duration::from_millis(10)).await;
        let outcome = probe(LOCALHOST, &http(port), Duration::from_secs(2)).await;
        assert_eq!(outcome, expected.map_err(str::to_owned), "{row}");
    }
}

#[tokio::test]
async fn interim_answers_without_end_are_not_read_until_the_limit() {
    let listener = TcpListener::bind((LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        while stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_ok() {}
    });
    let outcome = probe(LOCALHOST, &http(port), Duration::from_secs(20)).await;
    assert_eq!(outcome, Err("more than 128 KiB were sent: the connection was ended".to_owned()));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_late() {
    let (port, _asked) = server(&[b""], Duration::from_secs(60)).await;
    let outcome = probe(LOCALHOST, &http(port), QUICK).await;
    assert_eq!(outcome, Err("connected, but no answer within 300ms".into()));
}

#[tokio::test]
async fn a_slow_body_does_not_matter_but_ends_in_time() {
    let (port, _asked) = server(
        &[b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", b"slow", b"-", b"er"],
        Duration::from_secs(30),
    )
    .await;
    let began = Instant::now();
    assert_eq!(probe(LOCALHOST, &http(port), QUICK).await, Ok(()));
    assert!(began.elapsed() < Duration::from_secs(5), "the check ends with its time limit");
}

#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let listener = TcpListener::bind((LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let mut sent = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        while stream.write_all(&sent).await.is_ok() {
            sent = vec![b'x'; 16 * 1024];
        }
    });
    assert_eq!(probe(LOCALHOST, &http(port), Duration::from_secs(20)).await, Ok(()));
}

#[tokio::test]
async fn answers_are_judged_by_their_body() {
    let healthy = http_with_body("\"status\":\"ok\"");
    type Row = (&'static str, &'static [&'static [u8]], Result<(), &'static str>);
    let rows: [Row; 6] = [
        ("there", &[b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"status\":\"ok\"}"], Ok(())),
        ("in pieces", &[b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"stat", b"us\":\"ok\"}"], Ok(())),
        (
            "another text",
            &[b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno"],
            Err(r#"the body does not contain "\"status\":\"ok\"""#),
        ),
        (
            "no body",
            &[b"HTTP/1.1 204 No Content\r\n\r\n"],
            Err(r#"the body does not contain "\"status\":\"ok\"""#),
        ),
        (
            "cut off",
            &[b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort"],
            Err(r#"connection closed before the body contained "\"status\":\"ok\"""#),
        ),
        (
            "the status decides first",
            &[b"HTTP/1.1 500 Sick\r\ncontent-length: 15\r\n\r\n{\"status\":\"ok\"}"],
            Err("status 500, expected 200-399"),
        ),
    ];
    for (row, parts, expected) in rows {
        let (port, _asked) = server(parts, Duration::from_millis(10)).await;
        let outcome = probe(LOCALHOST, &healthy(port), Duration::from_secs(2)).await;
        assert_eq!(outcome, expected.map_err(str::to_owned), "{row}");
    }
}

#[tokio::test]
async fn a_text_that_does_not_come_in_time_or_at_the_beginning_is_not_there() {
    let healthy = http_with_body("ok");
    let (port, _asked) =
        server(&[b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nslow"], Duration::from_secs(60)).await;
    let outcome = probe(LOCALHOST, &healthy(port), QUICK).await;
    assert_eq!(outcome, Err("no \"ok\" in the body within 300ms".into()));

    const LONG: &[&[u8]] = &[b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 65_536], b"ok"];
    let (port, _asked) = server(LONG, Duration::ZERO).await;
    let outcome = probe(LOCALHOST, &healthy(port), Duration::from_secs(5)).await;
    assert_eq!(outcome, Err("the body's first 64 KiB do not contain \"ok\"".into()));
}

fn http_with_body(text: &'static str) -> impl Fn(u16) -> HealthKind {
    move |port| match http(port) {
        HealthKind::Http { port, path, host, expect, tls, .. } => {
            HealthKind::Http { port, path, host, expect, body: Some(text.into()), tls }
        }
        other => other,
    }
}

/// Not verified: what is wrong comes before any certificate.
fn https(port: u16) -> HealthKind {
    let tls = CheckTls { server_name: "web.example".into(), verify: false, ca: None };
    match http(port) {
        HealthKind::Http { port, path, host, expect, body, .. } => {
            HealthKind::Http { port, path, host, expect, body, tls: Some(tls) }
        }
        other => other,
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_found_out() {
    type Row = (&'static str, &'static [&'static [u8]], &'static str);
    let rows: [Row; 3] = [
        ("plain HTTP", &[b"HTTP/1.1 400 Bad Request\r\n\r\n"], "TLS handshake: the answer is not TLS"),
        ("closes at once", &[], "TLS handshake: connection closed before the answer"),
        // A fatal alert, handshake_failure (RFC 8446, section 6).
        (
            "refuses",
            &[b"\x15\x03\x03\x00\x02\x02\x28"],
            "TLS handshake: the server refuses: HandshakeFailure",
        ),
    ];
    for (row, parts, expected) in rows {
        let (port, _asked) = server(parts, Duration::from_millis(10)).await;
        let outcome = probe(LOCALHOST, &https(port), Duration::from_secs(2)).await;
        assert_eq!(outcome, Err(expected.to_owned()), "{row}");
    }
    let (port, _asked) = server(&[b""], Duration::from_secs(60)).await;
    let outcome = probe(LOCALHOST, &https(port), QUICK).await;
    assert_eq!(outcome, Err("connected, but no TLS handshake within 300ms".into()));
}

/// Answers the first datagram by these.
async fn answering(answer: Option<&'static [u8]>) -> (u16, oneshot::Receiver<Vec<u8>>) {
    let socket = UdpSocket::bind((LOCALHOST, 0)).await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let (tell, asked) = oneshot::channel();
    tokio::spawn(async move {
        let mut request = vec![0; 2048];
        let (size, from) = socket.recv_from(&mut request).await.unwrap();
        request.truncate(size);
        let _ = tell.send(request);
        match answer {
            Some(answer) => drop(socket.send_to(answer, from).await),
            None => std::future::pending().await,
        }
    });
    (port, asked)
}

#[tokio::test]
async fn datagrams_are_judged_by_their_answer() {
    type Row = (&'static str, &'static [u8], Option<&'static [u8]>, Result<(), &'static str>);
    let rows: [Row; 6] = [
        ("as expected", b"pong", Some(b"a pong b"), Ok(())),
        ("any answer", b"", Some(b"whatever"), Ok(())),
        ("an empty answer", b"", Some(b""), Ok(())),
        ("another answer", b"pong", Some(b"ping"), Err("the answer does not contain \"pong\"")),
        ("bytes", b"\x00\x80", Some(b"\x00\x81"), Err("the answer does not contain hex:0080")),
        ("silent", b"pong", None, Err("no answer within 300ms")),
    ];
    for (row, expect, answer, expected) in rows {
        let (port, asked) = answering(answer).await;
        let kind = HealthKind::Udp { port, request: b"ping\0".to_vec(), expect: expect.to_vec() };
        assert_eq!(probe(LOCALHOST, &kind, QUICK).await, expected.map_err(str::to_owned), "{row}");
        assert_eq!(asked.await.unwrap(), b"ping\0", "{row}");
    }
}

#[tokio::test]
async fn a_closed_udp_port_refuses() {
    let socket = UdpSocket::bind((LOCALHOST, 0)).await.unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    let kind = HealthKind::Udp { port, request: Vec::new(), expect: Vec::new() };
    assert_eq!(probe(LOCALHOST, &kind, Duration::from_secs(5)).await, Err("connection refused".into()));
}

#[tokio::test]
async fn a_mark_is_set_or_its_capability_is_asked_for() {
    let socket = UdpSocket::bind((LOCALHOST, 0)).await.unwrap();
    match set_mark(&socket, Some(0x7864)) {
        Ok(()) => assert_eq!(SockRef::from(&socket).mark().unwrap(), 0x7864),
        Err(error) => assert!(error.contains("CAP_NET_ADMIN"), "{error}"),
    }
}
