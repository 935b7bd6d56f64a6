use std::time::Duration;

use async_compression::tokio::write::{BrotliDecoder, GzipDecoder, ZstdDecoder};
use bytes::Bytes;
use http::{HeaderName, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use proptest::prelude::*;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use super::*;
use crate::gateway::{BodyError, Reason};

const ALL: [Encoding; 3] = [Encoding::Brotli, Encoding::Gzip, Encoding::Zstd];

fn used() -> Compression {
    let types = ["text/*", "application/json"].map(str::to_owned).to_vec();
    Compression { encodings: ALL.to_vec(), least_bytes: 10, types }
}

fn asked(encodings: &str) -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT_ENCODING, encodings.parse().unwrap())])
}

fn head(status: u16, lines: &[(&'static str, &'static str)]) -> response::Parts {
    let mut head = Response::new(()).into_parts().0;
    head.status = StatusCode::from_u16(status).unwrap();
    for &(name, value) in lines {
        head.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    head
}

/// A body whose frames come as they are sent.
fn streamed() -> (mpsc::UnboundedSender<Result<Frame<Bytes>, BodyError>>, Body) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let frames = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
    (sender, Body::wrap(StreamBody::new(frames)))
}

async fn decoded(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
    macro_rules! decode {
        ($decoder:ident) => {{
            let mut decoder = $decoder::new(Vec::new());
            decoder.write_all(bytes).await.unwrap();
            decoder.flush().await.unwrap();
            decoder.into_inner()
        }};
    }
    match encoding {
        Encoding::Brotli => decode!(BrotliDecoder),
        Encoding::Gzip => decode!(GzipDecoder),
        Encoding::Zstd => decode!(ZstdDecoder),
    }
}

#[test]
fn only_what_gains_is_compressed() {
    let json = ("content-type", "application/json");
    let get = Method::GET;
    let long = "0123456789";
    for (name, method, status, lines, body, want) in [
        ("plain", &get, 200, vec![json], long, true),
        ("by its main type", &get, 200, vec![("content-type", "Text/CSS; charset=utf-8")], long, true),
        ("an error", &get, 500, vec![json], long, true),
        ("identity is none", &get, 200, vec![json, ("content-encoding", "identity")], long, true),
        ("short", &get, 200, vec![json], "012345678", false),
        ("empty", &get, 200, vec![json], "", false),
        ("other type", &get, 200, vec![("content-type", "image/png")], long, false),
        ("no type", &get, 200, vec![], long, false),
        ("gRPC", &get, 200, vec![("content-type", "application/grpc+proto")], long, false),
        ("encoded", &get, 200, vec![json, ("content-encoding", "br")], long, false),
        ("not to be changed", &get, 200, vec![json, ("cache-control", "public, No-Transform")], long, false),
        ("a range", &get, 206, vec![json], long, false),
        ("no content", &get, 204, vec![json], long, false),
        ("HEAD", &Method::HEAD, 200, vec![json, ("content-length", "10")], "", true),
        ("HEAD of an answer without a length", &Method::HEAD, 200, vec![json], "", true),
        ("HEAD of a short one", &Method::HEAD, 200, vec![json, ("content-length", "9")], "", false),
        ("switching", &get, 101, vec![json], long, false),
    ] {
        let mut head = head(status, &lines);
        compress(&used(), method, &asked("gzip"), &mut head, Body::full(body));
        assert_eq!(head.headers.get(CONTENT_ENCODING).is_some_and(|its| its == "gzip"), want, "{name}");
        assert_eq!(head.headers.contains_key(VARY), want, "{name}");
    }
}

#[test]
fn the_head_tells_what_was_done() {
    let lines = [
        ("content-type", "text/plain"),
        ("content-length", "10"),
        ("accept-ranges", "bytes"),
        ("etag", "\"abc\""),
        ("content-digest", "sha-256=:x:"),
        ("vary", "Origin"),
    ];
    let mut done = head(200, &lines);
    compress(&used(), &Method::GET, &asked("br"), &mut done, Body::full("0123456789"));
    for gone in ["content-length", "accept-ranges", "content-digest"] {
        assert!(!done.headers.contains_key(gone), "{gone}");
    }
    assert_eq!(
        (&done.headers[ETAG], &done.headers[CONTENT_ENCODING]),
        (&HeaderValue::from_static("W/\"abc\""), &HeaderValue::from_static("br"))
    );
    assert_eq!(done.headers.get_all(VARY).iter().collect::<Vec<_>>(), ["Origin", "accept-encoding"]);

    // Who takes none gets it as it is, but caches are told.
    let mut plain = head(200, &lines);
    compress(&used(), &Method::GET, &HeaderMap::new(), &mut plain, Body::full("0123456789"));
    assert_eq!(plain.headers[CONTENT_LENGTH], "10");
    assert!(has_token(&plain.headers, VARY, "Accept-Encoding"));
    let mut told = head(200, &[("content-type", "text/plain"), ("vary", "Accept-Encoding, Origin")]);
    compress(&used(), &Method::GET, &asked("br"), &mut told, Body::full("0123456789"));
    assert_eq!(told.headers.get_all(VARY).iter().count(), 1);
}

#[test]
fn an_answer_without_its_body_has_the_head_that_it_would_have_with_it() {
    let lines =
        [("content-type", "text/plain"), ("content-length", "10"), ("etag", "\"abc\""), ("vary", "Origin")];
    let mut whole = head(200, &lines);
    compress(&used(), &Method::GET, &asked("br"), &mut whole, Body::full("0123456789"));
    let mut bare = head(200, &lines);
    assert!(compress(&used(), &Method::HEAD, &asked("br"), &mut bare, Body::empty()).is_empty());
    assert_eq!(bare.headers, whole.headers);
    for (name, encodings, more, etag, varies) in [
        ("nothing said of the type", "br", None, "W/\"abc\"", true),
        ("a type that is compressed", "br", Some(("content-type", "text/css")), "W/\"abc\"", true),
        ("a client that takes none", "identity", None, "\"abc\"", true),
        ("a type that is not", "br", Some(("content-type", "image/png")), "\"abc\"", false),
        ("not to be changed", "br", Some(("cache-control", "no-transform")), "\"abc\"", false),
    ] {
        let mut same = head(304, &[("etag", "\"abc\"")].into_iter().chain(more).collect::<Vec<_>>());
        assert!(compress(&used(), &Method::GET, &asked(encodings), &mut same, Body::empty()).is_empty());
        assert_eq!(
            (&same.headers[ETAG], same.headers.contains_key(VARY)),
            (&etag.parse().unwrap(), varies),
            "{name}"
        );
        assert!(!same.headers.contains_key(CONTENT_ENCODING), "{name}");
    }
}

#[tokio::test]
async fn what_was_sent_is_not_held_back_and_trailers_are_kept() {
    for encoding in ALL {
        let (sender, body) = streamed();
        let mut body = Body::wrap(Compressed::new(body, encoding));
        let mut got = Vec::new();
        for event in ["data: one\n\n", "data: two\n\n", "data: three\n\n"] {
            sender.send(Ok(Frame::data(event.into()))).unwrap();
            let before = decoded(encoding, &got).await;
            // Nothing more comes from the source: the event has to be whole all the same.
            let frame =
                tokio::time::timeout(Duration::from_secs(5), body.frame()).await.unwrap().unwrap().unwrap();
            got.extend_from_slice(&frame.into_data().unwrap());
            let after = decoded(encoding, &got).await;
            assert_eq!(after, [&before, event.as_bytes()].concat(), "{encoding:?}");
        }
        let trailers = HeaderMap::from_iter([(ETAG, HeaderValue::from_static("x"))]);
        sender.send(Ok(Frame::trailers(trailers.clone()))).unwrap();
        drop(sender);
        let rest = body.collect().await.unwrap();
        assert_eq!(rest.trailers(), Some(&trailers), "{encoding:?}");
        got.extend_from_slice(&rest.to_bytes());
        assert_eq!(
            decoded(encoding, &got).await,
            b"data: one\n\ndata: two\n\ndata: three\n\n",
            "{encoding:?}"
        );
    }
}

#[tokio::test]
async fn a_failing_source_fails_the_answer() {
    let (sender, body) = streamed();
    sender.send(Ok(Frame::data("abc".into()))).unwrap();
    sender.send(Err(BodyError { reason: Reason::AnswerCutShort, cause: String::new() })).unwrap();
    let error = Compressed::new(body, Encoding::Gzip).collect().await.unwrap_err();
    assert_eq!(error.reason, Reason::AnswerCutShort);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn each_byte_comes_back(pieces in prop::collection::vec((any::<u8>(), 0_usize..40_000, any::<bool>()), 0..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for encoding in ALL {
            let (sender, body) = streamed();
            let mut random = fastrand::Rng::with_seed(pieces.len() as u64);
            let pieces: Vec<Vec<u8>> = pieces
                .iter()
                .map(|&(byte, length, noise)| (0..length).map(|_| if noise { random.u8(..) } else { byte }).collect())
                .collect();
            let whole = pieces.concat();
            let got = runtime.block_on(async {
                let feed = async {
                    for piece in pieces {
                        sender.send(Ok(Frame::data(piece.into()))).unwrap();
                        tokio::task::yield_now().await;
                    }
                    drop(sender);
                };
                let (got, ()) = tokio::join!(Compressed::new(body, encoding).collect(), feed);
                decoded(encoding, &got.unwrap().to_bytes()).await
            });
            prop_assert!(got == whole, "{encoding:?}: {} bytes instead of {}", got.len(), whole.len());
        }
    }
}
