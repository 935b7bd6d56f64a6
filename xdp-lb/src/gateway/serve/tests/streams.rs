//! HTTP/2.

use std::task::Poll;

use http::HeaderName;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::TokioExecutor;

use super::*;
use crate::gateway::BodyError;

async fn client(address: SocketAddr) -> SendRequest<Body> {
    let io = TokioIo::new(connect(address).await);
    let (sender, connection) = handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(path: &str) -> Request<Body> {
    Request::get(format!("http://a{path}")).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn many_streams_at_once() {
    let (server, address) = start(&listener("web"), &gateway());
    let sender = client(address).await;
    let answers = (0..50).map(|index| {
        let mut sender = sender.clone();
        async move {
            let body = Body::full(format!("body {index}"));
            let request = Request::post("http://a/echo").body(body).unwrap();
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), format!("body {index}"));
        }
    });
    timeout(DEADLINE, futures_util::future::join_all(answers)).await.unwrap();
    assert_eq!(server.connections().accepted, 1);
    assert_eq!(server.connections().resets, 0);
}

#[tokio::test]
async fn a_client_that_resets_streams_rapidly_is_sent_away() {
    let mut gateway = gateway();
    gateway.limits.resets_per_second = 10;
    let (server, address) = start(&listener("web"), &gateway);
    let mut sender = client(address).await;
    let mut begun = 0;
    for _ in 0..1000 {
        if timeout(DEADLINE, sender.ready()).await.unwrap().is_err() {
            break;
        }
        let answer = sender.send_request(request("/never"));
        begun += 1;
        // Sent, and then given up.
        let _ = timeout(Duration::from_micros(200), answer).await;
    }
    assert!(begun < 1000, "all were taken");
    until("the connection is closed", || server.connections().open == 0).await;
    let mut other = client(address).await;
    assert_eq!(other.send_request(request("/")).await.unwrap().status(), 200, "others are served");
}

#[tokio::test]
async fn resets_before_anybody_looked_at_the_streams_are_a_flood_too() {
    let mut gateway = gateway();
    gateway.limits.resets_per_second = 10;
    let (server, address) = start(&listener("web"), &gateway);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for stream in (1u32..200).step_by(2) {
        // HEADERS of `GET http://a/`, and RST_STREAM with CANCEL.
        bytes.extend([0, 0, 6, 1, 5]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(b"\x82\x86\x84\x41\x01a");
        bytes.extend([0, 0, 4, 3, 0]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend([0, 0, 0, 8]);
    }
    let mut stream = connect(address).await;
    stream.write_all(&bytes).await.unwrap();
    until("it is counted", || server.connections().reset_floods == 1).await;
    until("the connection is closed", || server.connections().open == 0).await;
}

/// What begins each connection: the preface, and settings that say nothing.
const BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn what_has_begun_has_to_end_in_time() {
    let mut gateway = gateway();
    gateway.limits.header_timeout = Duration::from_millis(300);
    let (server, address) = start(&listener("web"), &gateway);
    let open = b"\0\0\x06\x01\x01\0\0\0\x01\x82\x86\x84\x41\x01a";
    let rows: [&[u8]; 5] =
        [&open[..], &open[..12], &open[..4], b"\0\0\x08\x06\0\0\0\0\0\0", b"\0\0\x05\xfa\0\0\0\0\0"];
    for (closed, bytes) in (1..).zip(rows) {
        let mut stream = connect(address).await;
        stream.write_all(BEGIN).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut end = Vec::new();
        // A byte now and then makes no difference; the client of a connection that is gone is told of an error.
        let _ = timeout(DEADLINE, stream.read_to_end(&mut end)).await.expect("it is closed");
        until("it is counted", || server.connections().slow_heads == closed).await;
    }
    // One that says nothing, or is in the midst of a body, has other limits.
    let mut quiet = connect(address).await;
    quiet.write_all(BEGIN).await.unwrap();
    let mut sender = client(address).await;
    let never = tokio::spawn(sender.send_request(request("/never")));
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(sender.send_request(request("/")).await.unwrap().status(), 200);
    assert_eq!((server.connections().slow_heads, server.connections().open), (5, 2));
    never.abort();
}

#[tokio::test]
async fn frames_that_carry_nothing_are_a_flood() {
    let mut gateway = gateway();
    gateway.limits.idle_frames_per_second = 200;
    let (server, address) = start(&listener("web"), &gateway);
    let ping: &[u8] = b"\0\0\x08\x06\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let settings: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    let window: &[u8] = b"\0\0\x04\x08\0\0\0\0\0\0\0\0\x01";
    let priority: &[u8] = b"\0\0\x05\x02\0\0\0\0\x01\0\0\0\0\x10";
    let unknown: &[u8] = b"\0\0\0\xfa\0\0\0\0\0";
    for (closed, frame) in (1..).zip([ping, settings, window, priority, unknown]) {
        let mut stream = connect(address).await;
        stream.write_all(BEGIN).await.unwrap();
        // As many as are allowed, and then twice as many; nobody reads the answers.
        stream.write_all(&frame.repeat(150)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!((server.connections().reset_floods, server.connections().open), (closed - 1, 1));
        stream.write_all(&frame.repeat(300)).await.unwrap();
        until("it is counted", || server.connections().reset_floods == closed).await;
        until("the connection is closed", || server.connections().open == 0).await;
    }
}

#[tokio::test]
async fn a_small_body_may_come_after_its_answer() {
    let (_server, address) = start(&listener("web"), &gateway());
    let mut sender = client(address).await;
    for (length, is_reset) in [(Some("4"), false), (None, true)] {
        let alive = Arc::new(());
        let held = alive.clone();
        let never = stream::poll_fn(move |_| {
            let _ = &held;
            Poll::<Option<Result<Frame<Bytes>, BodyError>>>::Pending
        });
        let mut request = Request::post("http://a/").body(Body::wrap(StreamBody::new(never))).unwrap();
        if let Some(length) = length {
            request.headers_mut().insert("content-length", length.parse().unwrap());
        }
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
        // The body of a stream that was reset is dropped. What comes on the connection comes in order.
        if is_reset {
            until("the stream is reset", || Arc::strong_count(&alive) == 1).await;
        } else {
            assert_eq!(sender.send_request(self::request("/")).await.unwrap().status(), 200);
            assert_eq!(Arc::strong_count(&alive), 2, "it was reset");
        }
    }
}

#[tokio::test]
async fn trailers_that_may_not_be_are_refused_as_in_http_1() {
    let (_server, address) = start(&listener("web"), &gateway());
    let mut sender = client(address).await;
    for (name, status) in [("x-checksum", 200), ("authorization", 400), ("x-forwarded-for", 400)] {
        let trailers = std::iter::once((name.parse::<HeaderName>().unwrap(), "a".parse().unwrap())).collect();
        let frames = [Frame::data(Bytes::from_static(b"data")), Frame::trailers(trailers)];
        let body = Body::wrap(StreamBody::new(stream::iter(frames.map(Ok))));
        let response = sender.send_request(Request::post("http://a/echo").body(body).unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{name}");
    }
}

#[tokio::test]
async fn a_few_resets_are_nothing() {
    let (server, address) = start(&listener("web"), &gateway());
    let mut sender = client(address).await;
    for _ in 0..20 {
        sender.ready().await.unwrap();
        let _ = timeout(Duration::from_millis(2), sender.send_request(request("/never"))).await;
    }
    assert_eq!(sender.send_request(request("/")).await.unwrap().status(), 200);
    until("they are counted", || server.connections().resets > 0).await;
    assert_eq!(server.connections().reset_floods, 0);
}

#[tokio::test]
async fn a_stream_whose_client_takes_nothing_is_cut_and_the_others_go_on() {
    let mut gateway = gateway();
    gateway.limits.send_timeout = Duration::from_millis(200);
    let (server, address) = start(&listener("web"), &gateway);
    let mut sender = client(address).await;
    let stalled = sender.send_request(request("/endless")).await.unwrap();
    until("the stream is cut", || server.connections().resets == 1).await;
    let mut body = stalled.into_body();
    let end = timeout(DEADLINE, async {
        loop {
            match body.frame().await {
                Some(Ok(_)) => {}
                other => return other.is_some_and(|frame| frame.is_err()),
            }
        }
    });
    assert!(end.await.unwrap(), "it ends with an error");
    assert_eq!(sender.send_request(request("/")).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_body_that_nobody_reads_holds_up_no_other() {
    let (_server, address) = start(&listener("web"), &gateway());
    let mut sender = client(address).await;
    let unread = Request::post("http://a/never").body(Body::full(vec![b'x'; 8 << 20])).unwrap();
    let unread = tokio::spawn(sender.send_request(unread));
    // Longer than any window: it stands still.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let body = vec![b'y'; 500_000];
    let request = Request::post("http://a/echo").body(Body::full(body.clone())).unwrap();
    let response = timeout(DEADLINE, sender.send_request(request)).await.unwrap().unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), body);
    unread.abort();
}

#[tokio::test]
async fn draining_and_counting_say_goaway() {
    let mut gateway = gateway();
    gateway.limits.requests_per_connection = 3;
    let (server, address) = start(&listener("web"), &gateway);
    let mut sender = client(address).await;
    for _ in 0..3 {
        assert_eq!(sender.send_request(request("/")).await.unwrap().status(), 200);
    }
    until("the connection is closed", || server.connections().open == 0).await;

    let mut sender = client(address).await;
    let slow = sender.send_request(request("/slow"));
    let drain = server.drain(DEADLINE);
    let (answer, ()) = tokio::join!(slow, async {
        until("it is there", || server.connections().open == 1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        drain.await;
    });
    assert_eq!(answer.unwrap().into_body().collect().await.unwrap().to_bytes(), "slow");
}

#[tokio::test]
async fn a_client_that_goes_on_after_goaway_is_sent_away() {
    let mut gateway = gateway();
    gateway.limits.requests_per_connection = 3;
    gateway.limits.streams = 2;
    let (server, address) = start(&listener("web"), &gateway);
    let mut stream = connect(address).await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let begun = Instant::now();
    // One request after another, and no ping is ever answered.
    for id in (1u32..).step_by(2) {
        assert!(begun.elapsed() < Duration::from_secs(5), "it is still served");
        let head = [&[0, 0, 6, 1, 5][..], &id.to_be_bytes(), b"\x82\x86\x84\x41\x01a"].concat();
        let sent = stream.write_all(&head).await;
        let answered = async {
            let mut seen = Vec::new();
            while !seen.ends_with(b"hello") {
                let mut piece = [0; 1024];
                match stream.read(&mut piece).await {
                    Ok(count @ 1..) => seen.extend(&piece[..count]),
                    _ => return false,
                }
            }
            true
        };
        if sent.is_err() || !timeout(DEADLINE, answered).await.unwrap() {
            break;
        }
    }
    until("the connection is closed", || server.connections().open == 0).await;
}

#[tokio::test]
async fn a_connection_without_streams_ends() {
    let mut gateway = gateway();
    gateway.limits.idle_timeout = Duration::from_millis(200);
    let (server, address) = start(&listener("web"), &gateway);
    let mut sender = client(address).await;
    assert_eq!(sender.send_request(request("/")).await.unwrap().status(), 200);
    until("the connection is closed", || server.connections().open == 0).await;
}
