//! `GET` over a fresh connection, judged by its status code.

use std::future::pending;
use std::ops::RangeInclusive;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{Limit, words};

/// Bytes of headers an answer may have.
const MOST_HEADERS: usize = 16 * 1024;

/// Bytes of body read before the connection is closed under the server.
const MOST_BODY: usize = 64 * 1024;

/// Asks for `path`; `Ok` when the status code is in `expect`.
pub(super) async fn get(
    stream: TcpStream,
    path: &str,
    host: &str,
    expect: &RangeInclusive<u16>,
    limit: &Limit,
) -> Result<(), String> {
    let request = Request::get(path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, "xdp-lb")
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|e| format!("the request for {path:?} at host {host:?} cannot be made: {e}"))?;
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
            .map_err(|e| words::hyper(&e))?;
        let status = answer.status().as_u16();
        // The status decides. The body is read so that a healthy server does not see its answer cut off, no more.
        let _ = limit.hold("", drain(answer.into_body())).await;
        match expect.contains(&status) {
            true => Ok(()),
            false if expect.start() == expect.end() => {
                Err(format!("status {status}, expected {}", expect.start()))
            }
            false => Err(format!("status {status}, expected {}-{}", expect.start(), expect.end())),
        }
    };
    tokio::select! {
        outcome = exchange => outcome,
        never = drive => never,
    }
}

/// Reads the body up to the bound, whatever it is.
async fn drain(mut body: Incoming) {
    let mut left = MOST_BODY;
    while let Some(Ok(frame)) = body.frame().await {
        let size = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(size) else { return };
        left = rest;
    }
}
