//! `GET` over a fresh connection, judged by its status code and, where wanted, by the beginning of its body.

use std::future::pending;
use std::ops::RangeInclusive;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::bounded::{self, Bounded};
use super::{Limit, contains, words};

/// Bytes of headers an answer may have.
const MOST_HEADERS: usize = 16 * 1024;

/// Bytes of body read before the connection is closed under the server.
const MOST_BODY: usize = 64 * 1024;

/// What is asked, and which answer is healthy.
pub(super) struct Question<'a> {
    /// Path and query.
    pub path: &'a str,
    /// `Host` header.
    pub host: &'a str,
    /// Status codes.
    pub expect: &'a RangeInclusive<u16>,
    /// Text in the first 64 KiB of the body.
    pub body: Option<&'a str>,
}

/// Asks over `stream`; `Ok` when the answer is healthy.
pub(super) async fn get<S>(stream: S, question: &Question<'_>, limit: &Limit) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Question { path, host, .. } = question;
    let request = Request::get(*path)
        .header(header::HOST, *host)
        .header(header::USER_AGENT, "xdp-lb")
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|e| format!("the request for {path:?} at host {host:?} cannot be made: {e}"))?;
    let stream = Bounded::once(stream);
    let excess = stream.excess();
    let (mut sender, connection) = limit
        .hold(
            "connected, but no answer",
            http1::Builder::new().max_buf_size(MOST_HEADERS).handshake(TokioIo::new(stream)),
        )
        .await?
        .map_err(|e| words::hyper(&e))?;

    // The connection makes progress only while it is polled. Its own error reaches the request as well.
    let drive = async {
        let _ = connection.await;
        pending().await
    };
    let exchange = async {
        let answer = limit
            .hold("connected, but no answer", sender.send_request(request))
            .await?
            .map_err(|e| if excess.happened() { bounded::words() } else { words::hyper(&e) })?;
        let status = answer.status().as_u16();
        // Read even where only the status decides, so that a healthy server does not see its answer cut off.
        let mut beginning = Vec::new();
        let end = limit.hold("", read(answer.into_body(), question.body.map(|_| &mut beginning))).await;
        judge_status(status, question.expect)?;
        match question.body {
            Some(text) if !contains(&beginning, text.as_bytes()) => Err(match end {
                Ok(End::Whole) => format!("the body does not contain {text:?}"),
                Ok(End::Bound) => format!("the body's first 64 KiB do not contain {text:?}"),
                Ok(End::CutOff) => format!("connection closed before the body contained {text:?}"),
                Err(_) => limit.late(&format!("no {text:?} in the body")),
            }),
            _ => Ok(()),
        }
    };
    tokio::select! {
        outcome = exchange => outcome,
        never = drive => never,
    }
}

fn judge_status(status: u16, expect: &RangeInclusive<u16>) -> Result<(), String> {
    match expect.contains(&status) {
        true => Ok(()),
        false if expect.start() == expect.end() => {
            Err(format!("status {status}, expected {}", expect.start()))
        }
        false => Err(format!("status {status}, expected {}-{}", expect.start(), expect.end())),
    }
}

/// How reading a body ended.
enum End {
    Whole,
    Bound,
    CutOff,
}

/// Reads the body up to the bound, whatever it is; `beginning` gets it where it matters.
async fn read(mut body: Incoming, mut beginning: Option<&mut Vec<u8>>) -> End {
    let mut left = MOST_BODY;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return End::CutOff };
        let Some(data) = frame.data_ref() else { continue };
        if let Some(beginning) = &mut beginning {
            beginning.extend(data.iter().take(left));
        }
        let Some(rest) = left.checked_sub(data.len()) else { return End::Bound };
        left = rest;
    }
    End::Whole
}
