//! Two connections that speak another protocol now: each side's bytes go to the other as they come.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf, copy_bidirectional};

use super::link::Link;
use super::verdict::Guards;
use crate::gateway::{Tunnel, websocket};

/// The client's side: a connection, or a stream of one.
pub(super) struct Client {
    pub(super) upgrade: OnUpgrade,
    /// Of a stream.
    pub(super) tunnel: Option<Tunnel>,
}

impl Client {
    /// What a server has to say to a WebSocket that is the gateway's own wish: of a client's own it is the client that
    /// looks.
    pub(super) fn accept(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        self.tunnel.as_ref().and_then(|_| websocket::accept(headers))
    }
}

/// Joins both, until both have ended, one failed, or nothing came from either for `idle`. The request is in flight as
/// long.
pub(super) fn splice(link: Box<Link>, client: Client, mut guards: Guards, idle: Duration) {
    guards.succeed();
    tokio::spawn(async move {
        let Client { upgrade, tunnel } = client;
        let _held = (guards, tunnel);
        // hyper gives the client's side up when the answer is written, or never.
        let Ok(Ok(client)) = tokio::time::timeout(idle, upgrade).await else { return };
        let (server, early) = link.into_stream().await;
        let stirred = Stirred::default();
        let mut client = Watched { inner: TokioIo::new(client), stirred: stirred.clone() };
        let mut server = Watched { inner: server, stirred: stirred.clone() };
        let copy = async {
            client.write_all(&early).await?;
            copy_bidirectional(&mut client, &mut server).await
        };
        tokio::select! {
            // How either side ended is nothing that could be told to anybody any more.
            _ = copy => {}
            () = stirred.silence(idle) => {}
        }
    });
}

/// Counts what goes by.
#[derive(Clone, Default)]
struct Stirred(Arc<AtomicU64>);

impl Stirred {
    /// Ends when nothing went by for so long; up to a quarter of it late.
    async fn silence(&self, idle: Duration) {
        let mut seen = self.0.load(Ordering::Relaxed);
        let mut quiet = 0;
        while quiet < 4 {
            tokio::time::sleep(idle / 4).await;
            let now = self.0.load(Ordering::Relaxed);
            quiet = if now == seen { quiet + 1 } else { 0 };
            seen = now;
        }
    }
}

struct Watched<S> {
    inner: S,
    stirred: Stirred,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        if polled.is_ready() {
            self.stirred.0.fetch_add(1, Ordering::Relaxed);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, buffer);
        if polled.is_ready() {
            self.stirred.0.fetch_add(1, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
