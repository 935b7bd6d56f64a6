//! Servers that answer with what is no HTTP, or could be read in two ways.

use std::sync::Arc;

use http_body_util::BodyExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Notify;

use super::bed::{Bed, Scripted, config, get, head, request};
use crate::gateway::{Body, Reason};

#[tokio::test]
async fn heads_that_are_wrong_are_refused() {
    let long: &'static [u8] =
        Box::leak(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(70_000)).into_bytes().into());
    let many: &'static [u8] =
        Box::leak(format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(200)).into_bytes().into());
    for (what, answer) in [
        ("another protocol", &b"SSH-2.0-OpenSSH\r\n"[..]),
        ("binary", b"\x00\x01\x02\x03\r\n\r\n"),
        ("a wrong version", b"HTTP/3.7 200 OK\r\n\r\n"),
        ("no status", b"HTTP/1.1 OK\r\n\r\n"),
        ("a status that is none", b"HTTP/1.1 2000 OK\r\n\r\n"),
        ("a blank before the colon", b"HTTP/1.1 200 OK\r\nx : y\r\n\r\n"),
        ("a folded line", b"HTTP/1.1 200 OK\r\nx: y\r\n z\r\n\r\n"),
        ("NUL in a value", b"HTTP/1.1 200 OK\r\nx: y\0z\r\n\r\n"),
        ("a bare CR in a value", b"HTTP/1.1 200 OK\r\nx: y\rz\r\n\r\n"),
        ("no name", b"HTTP/1.1 200 OK\r\n: y\r\n\r\n"),
        ("no colon", b"HTTP/1.1 200 OK\r\nx\r\n\r\n"),
        (
            "length and chunks",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        ("two lengths", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok"),
        ("the same length twice", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok"),
        ("a length with a sign", b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok"),
        ("a length below zero", b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok"),
        ("a length too long", b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n"),
        ("an unknown coding", b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n"),
        ("a coding before chunked", b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ("chunks in HTTP/1.0", b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("another protocol, unasked", b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n"),
        ("too long a head", long),
        ("too many lines", many),
    ] {
        let server = Scripted::says(answer).await;
        let bed = Bed::new(&config(&[server.address]));
        let refusal = bed.send(get()).await.expect_err(what);
        assert_eq!(refusal.reason, Reason::UpstreamGarbage, "{what}: {:?}", refusal.cause);
        assert!(refusal.cause.unwrap().len() > "server-0: ".len(), "{what}");
        assert_eq!((bed.worker.kept(), bed.failures()), (0, 1), "{what}");
        bed.quiet().await;
    }
}

#[tokio::test]
async fn bodies_that_are_wrong_when_the_head_comes_are_refused() {
    let (closed, garbage) = (Reason::UpstreamClosed, Reason::UpstreamGarbage);
    for (what, expected, answer) in [
        ("ends early", closed, &b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc"[..]),
        ("ends within a chunk", closed, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc"),
        (
            "ends before the last chunk",
            closed,
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ),
        (
            "a size that is none",
            garbage,
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nabc\r\n",
        ),
        (
            "a size too large",
            garbage,
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n",
        ),
        (
            "a chunk without its end",
            garbage,
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        ),
        ("a bare LF", garbage, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\nabc\n0\n\n"),
    ] {
        let server = Scripted::says(answer).await;
        let bed = Bed::new(&config(&[server.address]));
        match bed.send(get()).await {
            Err(refusal) => {
                assert_eq!(refusal.reason, expected, "{what}: {:?}", refusal.cause);
                assert!(refusal.cause.unwrap().starts_with("server-0: "), "{what}");
            }
            // The end of the connection may come later than its bytes.
            Ok(response) => {
                assert_eq!(expected, closed, "{what}");
                let error = response.into_body().collect().await.expect_err(what);
                assert_eq!(error.reason, Reason::AnswerCutShort, "{what}: {error}");
            }
        }
        assert_eq!(bed.worker.kept(), 0, "{what}");
        assert_eq!(bed.failures(), 1, "{what}");
        bed.quiet().await;
    }
}

#[tokio::test]
async fn bodies_that_go_wrong_later_cut_the_answer_short() {
    for (what, rest) in [
        ("ends within a chunk", &b"5\r\nabc"[..]),
        ("ends before the last chunk", b"3\r\nabc\r\n"),
        ("a size that is none", b"xyz\r\nabc\r\n"),
        ("a chunk without its end", b"3\r\nabcdef\r\n0\r\n\r\n"),
    ] {
        let go_on = Arc::new(Notify::new());
        let told = Arc::clone(&go_on);
        let server = Scripted::new(move |_, mut stream| {
            let go_on = Arc::clone(&told);
            async move {
                head(&mut stream).await;
                let begin = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n";
                stream.write_all(begin).await.unwrap();
                go_on.notified().await;
                stream.write_all(rest).await.ok();
            }
        })
        .await;
        let bed = Bed::new(&config(&[server.address]));
        let mut body = bed.send(get()).await.expect(what).into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ok", "{what}");
        go_on.notify_one();
        let error = body.collect().await.expect_err(what);
        assert_eq!(error.reason, Reason::AnswerCutShort, "{what}: {error}");
        assert_eq!((bed.worker.kept(), bed.failures()), (0, 1), "{what}");
        bed.quiet().await;
    }
}

#[tokio::test]
async fn what_comes_after_an_answer_spoils_the_connection() {
    for (method, answer, status, body) in [
        ("GET", &b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n"[..], 200, "ok"),
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, ""),
        ("GET", b"HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nok", 204, ""),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\nok", 304, ""),
    ] {
        let server = Scripted::keeps_saying(answer).await;
        let bed = Bed::new(&config(&[server.address]));
        for round in 1..3 {
            let (got, text) = bed.text(request(method, Body::empty())).await.unwrap();
            assert_eq!((got, text.as_str(), bed.worker.kept()), (status, body, 0));
            assert_eq!(server.connections(), round);
        }
        bed.quiet().await;
    }
}

#[tokio::test]
async fn what_is_unusual_and_right_is_taken() {
    for (what, method, answer, status, body) in [
        ("HTTP/1.0, to the end", "GET", &b"HTTP/1.0 200 OK\r\n\r\nabc"[..], 200, "abc"),
        ("HTTP/1.1, to the end", "GET", b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc", 200, "abc"),
        ("HEAD", "HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n", 200, ""),
        ("no content", "GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        (
            "early hints",
            "GET",
            b"HTTP/1.1 103 Hints\r\nlink: x\r\n\r\nHTTP/1.1 201 Made\r\ncontent-length: 0\r\n\r\n",
            201,
            "",
        ),
        ("an unknown status", "GET", b"HTTP/1.1 799 What\r\ncontent-length: 1\r\n\r\nx", 799, "x"),
        (
            "an extension",
            "GET",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n",
            200,
            "abc",
        ),
        ("no reason", "GET", b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", 200, ""),
    ] {
        let server = Scripted::says(answer).await;
        let bed = Bed::new(&config(&[server.address]));
        let got = bed.text(request(method, Body::empty())).await.expect(what);
        assert_eq!(got, (status, body.to_owned()), "{what}");
        bed.quiet().await;
    }
}
