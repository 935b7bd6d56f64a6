//! What hyper reads in some bytes, alone and behind the inspector. Answers go nowhere.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{io, mem};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, join, sink};
use xdp_lb::gateway::wire::{Bounds, Verdicts, inspect};

/// A request that came whole.
pub(super) struct Seen {
    pub(super) head: Parts,
    pub(super) content: Vec<u8>,
}

/// By hyper alone.
pub(super) async fn by_hyper(bytes: &[u8], seed: u64) -> Vec<Seen> {
    serve(join(Pieces { bytes, seed }, sink()), None).await
}

/// By hyper behind the inspector, without what stands in for a request that was refused.
pub(super) async fn behind_the_inspector(bytes: &[u8], seed: u64, bounds: Bounds) -> Vec<Seen> {
    let (stream, verdicts) = inspect(join(Pieces { bytes, seed }, sink()), bounds);
    serve(stream, Some(&*verdicts)).await
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, verdicts: Option<&Verdicts>) -> Vec<Seen> {
    let seen = Mutex::new(Vec::new());
    let count = AtomicU64::new(0);
    let service = service_fn(|request: Request<Incoming>| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let is_refused = verdicts.is_some_and(|verdicts| verdicts.take(number).is_some());
        if let Some(verdicts) = verdicts {
            verdicts.answered(number, false);
        }
        let seen = &seen;
        async move {
            let (head, body) = request.into_parts();
            if !is_refused && let Ok(body) = body.collect().await {
                let content = body.to_bytes().to_vec();
                seen.lock().unwrap().push(Seen { head, content });
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let server = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    // How a connection of arbitrary bytes ends does not matter, but that it does.
    let ended = tokio::time::timeout(Duration::from_secs(10), server).await;
    assert!(ended.is_ok(), "a connection does not end");
    mem::take(&mut *seen.lock().unwrap())
}

/// Bytes that come in pieces.
struct Pieces<'a> {
    bytes: &'a [u8],
    seed: u64,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Knuth's: any cuts will do.
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let most = usize::try_from(self.seed >> 58).unwrap_or(0) + 1;
        let (piece, rest) = self.bytes.split_at(most.min(buffer.remaining()).min(self.bytes.len()));
        buffer.put_slice(piece);
        self.bytes = rest;
        Poll::Ready(Ok(()))
    }
}
