//! A connection from which only so much is read: frames and headers that carry nothing are bounded by no limit of
//! their protocols, and who sends them as fast as it can would have the agent's only thread to itself.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Bytes read of one exchange, or in one interval of a stream: more than any answer that counts may take.
const MOST: usize = 128 * 1024;

/// The connection; past the bound reading fails.
pub(crate) struct Bounded<S> {
    stream: S,
    left: usize,
    /// How often the bound begins anew, and since when it holds.
    renewed: Option<(Duration, Instant)>,
    excess: Excess,
}

/// Whether the bound was passed: the libraries above hand an error's words on at most, not what it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Excess(Arc<AtomicBool>);

impl Excess {
    pub(crate) fn happened(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<S> Bounded<S> {
    /// For one exchange.
    pub(crate) fn once(stream: S) -> Self {
        Self { stream, left: MOST, renewed: None, excess: Excess::default() }
    }

    /// For a stream, of which so much is read in each `interval`.
    pub(crate) fn each(stream: S, interval: Duration) -> Self {
        Self { renewed: Some((interval, Instant::now())), ..Self::once(stream) }
    }

    /// What tells later whether the bound was passed.
    pub(crate) fn excess(&self) -> Excess {
        self.excess.clone()
    }
}

/// Why nothing more is read.
pub(crate) fn words() -> String {
    format!("more than {} KiB were sent: the connection was ended", MOST / 1024)
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some((interval, since)) = self.renewed
            && since.elapsed() >= interval
        {
            self.left = MOST;
            self.renewed = Some((interval, Instant::now()));
        }
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        match self.left.checked_sub(buf.filled().len() - before) {
            Some(left) => self.left = left,
            None => {
                self.excess.0.store(true, Ordering::Relaxed);
                return Poll::Ready(Err(io::Error::other(words())));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
