//! Bodies as they go by: as fast as the slower side, whole or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::bed::{Bed, OK, Scripted, config, get, head, request, until};
use crate::gateway::{Body, Reason};

const PIECE: usize = 64 << 10;
/// What sockets and buffers of a connection may hold.
const HELD: usize = 16 << 20;

/// Waits until a count does not grow any more.
async fn settled(count: &AtomicUsize) -> usize {
    let mut last = count.load(Ordering::Relaxed);
    let mut same = 0;
    while same < 10 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = count.load(Ordering::Relaxed);
        same = if now == last && now > 0 { same + 1 } else { 0 };
        last = now;
        assert!(now < 4 * HELD, "{now} bytes were taken that nobody wants");
    }
    last
}

async fn write_for_ever(stream: &mut TcpStream, count: &AtomicUsize) {
    let piece = vec![b'x'; PIECE];
    while stream.write_all(&piece).await.is_ok() {
        count.fetch_add(PIECE, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_stops_the_server() {
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let server = Scripted::new(move |_, mut stream| {
        let count = Arc::clone(&count);
        async move {
            head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            write_for_ever(&mut stream, &count).await;
        }
    })
    .await;
    let bed = Bed::new(&config(&[server.address]));
    let mut body = bed.send(get()).await.unwrap().into_body();
    let before = settled(&written).await;
    let mut taken = 0;
    while taken < 2 * HELD {
        taken += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
    }
    until("it goes on", || written.load(Ordering::Relaxed) > before).await;
    assert_eq!(bed.busy(), (1, 1));
    drop(body);
    bed.quiet().await;
    assert_eq!(bed.failures(), 0);
}

#[tokio::test]
async fn a_server_that_takes_nothing_stops_the_client() {
    let server = Scripted::new(|_, mut stream| async move {
        head(&mut stream).await;
        std::future::pending::<()>().await;
        stream.write_all(OK).await.unwrap();
    })
    .await;
    let bed = Bed::new(&config(&[server.address]));
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let pieces = futures_util::stream::repeat_with(move || {
        count.fetch_add(PIECE, Ordering::Relaxed);
        Ok(Frame::data(Bytes::from(vec![b'x'; PIECE])))
    });
    let body = Body::wrap(StreamBody::new(pieces));
    tokio::select! {
        _ = bed.send(request("POST", body)) => panic!("answered by whom?"),
        _ = settled(&taken) => {}
    }
    bed.quiet().await;
}

#[tokio::test]
async fn a_large_answer_comes_whole() {
    const BYTES: usize = 20 << 20;
    let server = Scripted::new(|_, mut stream| async move {
        while head(&mut stream).await.is_some() {
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {BYTES}\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.write_all(&vec![b'x'; BYTES]).await.unwrap();
        }
    })
    .await;
    let bed = Bed::new(&config(&[server.address]));
    for _ in 0..2 {
        let response = bed.send(get()).await.unwrap();
        assert_eq!(http_body::Body::size_hint(response.body()).exact(), Some(BYTES as u64));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), BYTES);
        assert_eq!((bed.worker.kept(), server.connections()), (1, 1));
    }
    bed.quiet().await;
}

#[tokio::test]
async fn a_server_killed_within_its_answer_cuts_it_short() {
    let server = Scripted::new(|_, mut stream| async move {
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await.unwrap();
        stream.write_all(&[b'x'; 1000]).await.unwrap();
        // Sends a reset.
        stream.set_zero_linger().unwrap();
    })
    .await;
    let bed = Bed::new(&config(&[server.address]));
    match bed.send(get()).await {
        Ok(response) => {
            let error = response.into_body().collect().await.unwrap_err();
            assert_eq!(error.reason, Reason::AnswerCutShort);
        }
        // The reset may take with it what came before.
        Err(refusal) => assert_eq!(refusal.reason, Reason::UpstreamClosed),
    }
    bed.quiet().await;
    assert_eq!((bed.failures(), bed.worker.kept()), (1, 0));
}

#[tokio::test]
async fn a_server_that_falls_silent_is_given_up() {
    let server = Scripted::new(|_, mut stream| async move {
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n").await.unwrap();
        for _ in 0..5 {
            stream.write_all(b"x").await.unwrap();
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        assert!(stream.read_u8().await.is_err());
    })
    .await;
    let mut config = config(&[server.address]);
    config.timeouts.idle = Duration::from_millis(200);
    let bed = Bed::new(&config);
    let mut body = bed.send(get()).await.unwrap().into_body();
    let mut bytes = 0;
    let error = loop {
        match body.frame().await.unwrap() {
            Ok(frame) => bytes += frame.into_data().unwrap().len(),
            Err(error) => break error,
        }
    };
    assert_eq!((bytes, error.reason), (5, Reason::AnswerCutShort));
    bed.quiet().await;
    assert_eq!(bed.failures(), 1);
}

#[tokio::test]
async fn an_answer_before_the_whole_request_is_passed_on_and_both_go_on() {
    let server = Scripted::new(|_, mut stream| async move {
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n").await.unwrap();
        // The body as it came, in chunks: "3", "abc".
        let mut chunk = [0; 8];
        stream.read_exact(&mut chunk).await.unwrap();
        stream.write_all(&chunk[3..6]).await.unwrap();
        stream.read_u8().await.ok();
    })
    .await;
    let bed = Bed::new(&config(&[server.address]));
    let (pieces, source) = by_and_by();
    let response = bed.send(request("POST", source)).await.unwrap();
    assert_eq!(response.status(), 200);
    pieces.send("abc").await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "abc");
    assert_eq!(bed.worker.kept(), 0, "the request was not whole");
    bed.quiet().await;
}

/// A body that comes by and by.
fn by_and_by() -> (tokio::sync::mpsc::Sender<&'static str>, Body) {
    let (sender, mut pieces) = tokio::sync::mpsc::channel::<&'static str>(1);
    let frames = futures_util::stream::poll_fn(move |context| {
        pieces.poll_recv(context).map(|piece| Some(Ok(Frame::data(Bytes::from_static(piece?.as_bytes())))))
    });
    (sender, Body::wrap(StreamBody::new(frames)))
}

#[tokio::test]
async fn an_expected_body_is_asked_for_when_the_server_wants_it() {
    for (answer, wanted) in [
        (&b"HTTP/1.1 100 Continue\r\n\r\n"[..], true),
        (b"HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n", false),
    ] {
        let server = Scripted::new(move |_, mut stream| async move {
            let head = head(&mut stream).await.unwrap();
            assert!(head.contains("expect: 100-continue"));
            // Nothing of the body comes before the server has spoken.
            let early = tokio::time::timeout(Duration::from_millis(50), stream.read_u8()).await;
            assert!(early.is_err());
            stream.write_all(answer).await.unwrap();
            if wanted {
                let mut body = [0; 3];
                stream.read_exact(&mut body).await.unwrap();
                stream.write_all(OK).await.unwrap();
            }
            stream.read_u8().await.ok();
        })
        .await;
        let bed = Bed::new(&config(&[server.address]));
        let mut request = request("POST", Body::full("abc"));
        request.headers_mut().insert("expect", "100-continue".parse().unwrap());
        let (status, _) = bed.text(request).await.unwrap();
        assert_eq!((status, bed.worker.kept()), if wanted { (200, 1) } else { (417, 0) });
        bed.quiet().await;
    }
}

#[tokio::test]
async fn what_a_server_tells_of_its_load_is_not_passed_on() {
    let answer = b"HTTP/1.1 200 OK\r\nx-load: 0.5\r\nendpoint-load-metrics: TEXT cpu_utilization=0.5\r\n\
                   etag: x\r\ncontent-length: 0\r\n\r\n";
    let server = Scripted::keeps_saying(answer).await;
    let mut config = config(&[server.address]);
    config.balance.utilization_header = Some("x-load".parse().unwrap());
    let response = Bed::new(&config).send(get()).await.unwrap();
    let mut names: Vec<_> = response.headers().keys().map(|name| name.as_str().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["content-length", "etag"]);
}
