//! What passes the inspector is the same to hyper.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::limits::requests;
use super::{BOUNDS, read};
use crate::gateway::wire::inspect;

/// Method, target and content of a request.
type Seen = (String, String, Vec<u8>);

/// What hyper sees of these bytes behind the adapter, stand-ins left out.
async fn seen_by_hyper(bytes: &[u8]) -> Vec<Seen> {
    let (mut client, server) = tokio::io::duplex(64);
    let (stream, verdicts) = inspect(server, BOUNDS);
    let seen = Arc::new(Mutex::new(Vec::<Seen>::new()));
    let count = AtomicU64::new(0);
    let service = service_fn(|request: Request<Incoming>| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let refusal = verdicts.take(number);
        verdicts.answered(number, false);
        let seen = Arc::clone(&seen);
        async move {
            let (head, body) = request.into_parts();
            if refusal.is_none()
                && let Ok(body) = body.collect().await
            {
                let body = body.to_bytes().to_vec();
                seen.lock().unwrap().push((head.method.to_string(), head.uri.to_string(), body));
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let (mut reader, mut writer) = tokio::io::split(&mut client);
    let mut answers = Vec::new();
    let talk = async {
        tokio::join!(
            served,
            async {
                // What comes after a refusal may find nobody.
                let _ = writer.write_all(bytes).await;
                let _ = writer.shutdown().await;
            },
            reader.read_to_end(&mut answers)
        )
    };
    let ended = tokio::time::timeout(Duration::from_secs(10), talk).await;
    assert!(ended.is_ok(), "nothing happens any more: {}", bytes.escape_ascii());
    Arc::try_unwrap(seen).unwrap().into_inner().unwrap()
}

/// The same, as the inspector has it.
fn seen_by_inspector(bytes: &[u8]) -> Vec<Seen> {
    read(bytes, BOUNDS).0.into_iter().map(|(head, content)| request(head, content)).collect()
}

fn request(head: &[u8], content: &[u8]) -> Seen {
    let head = String::from_utf8_lossy(head);
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let content = if head.to_ascii_lowercase().contains("\ntransfer-encoding:") {
        unchunked(content)
    } else {
        content.to_vec()
    };
    (method, target, content)
}

/// Content of chunks that are known to be right.
fn unchunked(mut chunks: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let line = chunks.iter().position(|byte| *byte == b'\n').unwrap();
        let size = chunks[..line].split(|byte| !byte.is_ascii_hexdigit()).next().unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(size).unwrap(), 16).unwrap();
        if size == 0 {
            return content;
        }
        content.extend_from_slice(&chunks[line + 1..][..size]);
        chunks = &chunks[line + 1 + size + 2..];
    }
}

/// Those that hyper answers before the connection is to be closed.
fn until_close(bytes: &[u8], mut seen: Vec<Seen>) -> Vec<Seen> {
    let heads = read(bytes, BOUNDS).0;
    // HTTP/1.0 closes after the answer: none of the heads here asks for more.
    let last = heads.iter().position(|(head, _)| head.windows(8).any(|part| part == b"HTTP/1.0"));
    seen.truncate(last.map_or(usize::MAX, |last| last + 1));
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn hyper_sees_the_same_requests(bytes in requests()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let by_hyper = runtime.block_on(seen_by_hyper(&bytes));
        let mut expected = until_close(&bytes, seen_by_inspector(&bytes));
        for (_, target, _) in &mut expected {
            *target = target.parse::<http::Uri>().unwrap().to_string();
        }
        prop_assert_eq!(by_hyper, expected, "{}", bytes.escape_ascii());
    }
}
