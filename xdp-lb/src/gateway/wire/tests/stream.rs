//! The adapter: order of answers, failing contents, time, upgrades, memory.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::BOUNDS;
use crate::gateway::wire::{Bounds, Inspected, Verdicts, inspect};
use crate::gateway::{BodyError, Reason};

/// Answers with the path and the content's length, or the reason it was refused for.
async fn answer(verdicts: &Verdicts, number: u64, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let respond = |status, text: String| {
        let mut response = Response::new(Full::from(text + ";"));
        *response.status_mut() = status;
        response
    };
    if let Some(refusal) = verdicts.take(number) {
        return respond(refusal.reason.status(), refusal.reason.word().to_owned());
    }
    verdicts.answered(number, false);
    let path = request.uri().path().to_owned();
    match request.into_body().collect().await.map_err(BodyError::from) {
        Ok(body) => respond(StatusCode::OK, format!("{path} {}", body.to_bytes().len())),
        Err(error) => respond(error.reason.status(), format!("{path} {}", error.reason.word())),
    }
}

async fn serve(stream: Inspected<DuplexStream>, verdicts: &Verdicts) {
    let count = AtomicU64::new(0);
    let service = service_fn(|request| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        async move { Ok::<_, Infallible>(answer(verdicts, number, request).await) }
    });
    // How it ended shows in the answers.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Status and text of each answer to these pieces, until the connection is closed.
async fn answers(pieces: &[&str]) -> Vec<String> {
    let (client, server) = tokio::io::duplex(1 << 16);
    let (stream, verdicts) = inspect(server, BOUNDS);
    let (mut reader, mut writer) = tokio::io::split(client);
    let mut bytes = Vec::new();
    let client = async {
        for piece in pieces {
            // After a refusal nobody may be there to read on.
            if writer.write_all(piece.as_bytes()).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        reader.read_to_end(&mut bytes).await.unwrap();
    };
    tokio::join!(serve(stream, &verdicts), client);
    let text = String::from_utf8(bytes).unwrap();
    text.split("HTTP/1.1 ")
        .skip(1)
        .map(|one| {
            let (head, body) = one.split_once("\r\n\r\n").unwrap();
            format!("{} {}", &head[..3], body.trim_end_matches(';'))
        })
        .collect()
}

const ONE: &str = "GET /1 HTTP/1.1\r\nhost: a\r\n\r\n";
const CHUNKS: &str = "POST /2 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
const LAST: &str = "GET /9 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn answers_come_in_order_and_the_refusal_last() {
    let bad = "GET /3 HTTP/1.1\r\nhost : a\r\n\r\n";
    let good = format!("{CHUNKS}3\r\nabc\r\n0\r\n\r\n");
    for (pieces, expected) in [
        (vec![ONE, LAST], vec!["200 /1 0", "200 /9 0"]),
        (vec![ONE, good.as_str(), bad, ONE], vec!["200 /1 0", "200 /2 3", "400 bad_syntax"]),
        (vec![ONE, "\r\n", LAST], vec!["200 /1 0", "200 /9 0"]),
        (vec![ONE, "\r", "\nGET", &LAST[3..]], vec!["200 /1 0", "200 /9 0"]),
        (vec![bad], vec!["400 bad_syntax"]),
        (vec!["CONNECT a:1 HTTP/1.1\r\n"], vec!["501 bad_method"]),
        (vec![CHUNKS, "3\r\nabc\r\n", "x\r\n", ONE], vec!["400 /2 bad_chunk"]),
        (vec![CHUNKS, "3\r\nabc\r\n0\r\n", "host: a\r\n\r\n"], vec!["400 /2 bad_trailer"]),
    ] {
        assert_eq!(answers(&pieces).await, expected, "{pieces:?}");
        let whole = pieces.concat();
        assert_eq!(answers(&[&whole]).await, expected, "{whole:?}");
        let single: Vec<_> = whole.split_inclusive(|_: char| true).collect();
        assert_eq!(answers(&single).await, expected, "{whole:?}");
    }
}

#[tokio::test]
async fn a_content_that_ends_early_is_told_apart() {
    // hyper gives no answer where the client has gone; what the service saw is what counts.
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let (stream, _verdicts) = inspect(server, BOUNDS);
    client.write_all(format!("{CHUNKS}5\r\nab").as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    let (told, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let service = service_fn(move |request: Request<Incoming>| {
        let told = told.clone();
        async move {
            let error = request.into_body().collect().await.unwrap_err();
            told.send(BodyError::from(error).reason).unwrap();
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    assert_eq!(seen.recv().await, Some(Reason::BodyCutShort));
}

#[tokio::test]
async fn a_head_has_its_time_from_its_first_byte() {
    let time = Duration::from_millis(100);
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let (stream, verdicts) = inspect(server, Bounds { header_timeout: time, ..BOUNDS });
    let client = async {
        // At rest no time runs.
        tokio::time::sleep(time * 2).await;
        client.write_all(ONE.as_bytes()).await.unwrap();
        tokio::time::sleep(time * 2).await;
        let begin = tokio::time::Instant::now();
        // It would take twice its time, and no byte prolongs it.
        for byte in LAST.as_bytes().chunks(1) {
            if client.write_all(byte).await.is_err() {
                break;
            }
            tokio::time::sleep(time * 2 / u32::try_from(LAST.len()).unwrap()).await;
        }
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).await.unwrap();
        (begin, String::from_utf8(bytes).unwrap())
    };
    let ((), (begin, text)) = tokio::join!(serve(stream, &verdicts), client);
    assert!(begin.elapsed() >= time, "{:?}", begin.elapsed());
    assert!(text.ends_with("slow_head;") && text.contains("HTTP/1.1 408"), "{text}");
    assert_eq!(verdicts.requests(), 1);
}

#[tokio::test]
async fn it_rests_between_requests_and_holds_nothing_then() {
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let (mut stream, verdicts) = inspect(server, BOUNDS);
    assert!(verdicts.is_at_rest());
    let mut buffer = [0; 1024];
    let request = format!("{CHUNKS}1\r\na\r\n0\r\n\r\n");
    let (first, second) = request.split_at(20);
    client.write_all(first.as_bytes()).await.unwrap();
    let none = tokio::time::timeout(Duration::from_millis(20), stream.read(&mut buffer)).await;
    assert!(none.is_err(), "a part of a head was passed on");
    assert!(!verdicts.is_at_rest());
    client.write_all(second.as_bytes()).await.unwrap();
    let mut read = 0;
    while read < request.len() {
        read += stream.read(&mut buffer[read..]).await.unwrap();
    }
    assert_eq!(&buffer[..read], request.as_bytes());
    assert!(verdicts.is_at_rest());
    assert_eq!((verdicts.requests(), stream.capacity()), (1, 0));
    stream.into_inner();
}

#[tokio::test]
async fn after_an_upgrade_everything_passes_and_without_one_nothing_else_does() {
    let ask = "GET /1 HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: b\r\n\r\n";
    for (switched, after) in [(true, "\0\n anything"), (false, ONE)] {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let (mut stream, verdicts) = inspect(server, BOUNDS);
        let mut buffer = [0; 1024];
        client.write_all(format!("{ask}{after}").as_bytes()).await.unwrap();
        let read = stream.read(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..read], ask.as_bytes());
        let answered = async {
            tokio::task::yield_now().await;
            assert!(!verdicts.is_at_rest());
            verdicts.answered(7, true);
            verdicts.answered(0, switched);
        };
        let (read, ()) = tokio::join!(stream.read(&mut buffer), answered);
        assert_eq!(&buffer[..read.unwrap()], after.as_bytes());
        client.write_all(b"\0").await.unwrap();
        let read = stream.read(&mut buffer).await.unwrap();
        assert_eq!(read > 1, !switched, "a stand-in comes where the other protocol was not spoken");
        assert_eq!(verdicts.take(verdicts.requests()).is_some(), !switched);
    }
}
