//! ORCA over HTTP: `GET` over a fresh connection, and the report in the answer's headers.
//!
//! The status does not matter: a server that answers 404 with a report has reported.

use std::future::pending;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;

use super::{Limit, connect, unix_now};
use crate::control::{NoReport, NoReportKind, Report};
use crate::probe::bounded::{self, Bounded};
use crate::probe::words;
use crate::utilization::orca;
use crate::utilization::refuse::no;

/// Bytes of headers an answer may have: the least that hyper takes as a bound. The report in them has its own.
const MOST_HEADERS: usize = 8 * 1024;

/// Bytes of body read before the connection is closed under the server.
const MOST_BODY: usize = 16 * 1024;

pub(crate) async fn ask(
    address: SocketAddr,
    path: &str,
    host: &str,
    limit: &Limit,
) -> Result<Report, NoReport> {
    let request = Request::get(path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, "xdp-lb")
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|e| {
            let detail = format!("the request for {path:?} at host {host:?} cannot be made: {e}");
            no(NoReportKind::Unreachable, detail)
        })?;
    let stream = Bounded::once(connect(address, limit).await?);
    let excess = stream.excess();
    let handshake = http1::Builder::new().max_buf_size(MOST_HEADERS).handshake(TokioIo::new(stream));
    let (mut sender, connection) =
        limit.hold("connected, but no answer", handshake).await?.map_err(|e| refused(&e))?;

    // The connection makes progress only while it is polled. Its own error reaches the request as well.
    let drive = async {
        let _ = connection.await;
        pending().await
    };
    let exchange = async {
        let answer =
            limit.hold("connected, but no answer", sender.send_request(request)).await?.map_err(|e| {
                match excess.happened() {
                    true => no(NoReportKind::TooLong, bounded::words()),
                    false => refused(&e),
                }
            })?;
        let report = orca::parse_headers(answer.headers(), unix_now()).map_err(|mut refusal| {
            if refusal.kind == NoReportKind::Missing {
                refusal.detail = format!("status {}: {}", answer.status().as_u16(), refusal.detail);
            }
            refusal
        });
        // Read so that the server does not see its answer cut off, no more.
        let _ = limit.hold("", drain(answer.into_body())).await;
        report
    };
    tokio::select! {
        outcome = exchange => outcome,
        never = drive => never,
    }
}

fn refused(error: &hyper::Error) -> NoReport {
    let kind = if error.is_parse_too_large() {
        NoReportKind::TooLong
    } else if error.is_parse() {
        NoReportKind::Garbage
    } else {
        NoReportKind::Unreachable
    };
    no(kind, words::hyper(error))
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
