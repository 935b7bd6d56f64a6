use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;
use super::stream::give_out;

/// What hyper reads from and writes to: tells the connection's [`Activity`] whether either waits for the client.
///
/// It never closes what is below while HTTP is spoken: the end of a connection is decided by who drives it, which
/// gets it back and lingers.
pub(super) struct Guarded<IO> {
    io: IO,
    /// Read before by a connection of hyper that was taken apart.
    ahead: Bytes,
    activity: Arc<Activity>,
}

impl<IO> Guarded<IO> {
    pub(super) fn new(io: IO, ahead: Bytes, activity: Arc<Activity>) -> Self {
        Self { io, ahead, activity }
    }

    pub(super) fn into_inner(self) -> IO {
        self.io
    }

    fn wrote<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.activity.set_blocked(written.is_pending());
        written
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Guarded<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            self.activity.set_read_waits(false);
            give_out(&mut self.ahead, buffer);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        self.activity.set_read_waits(read.is_pending());
        let read = ready!(read);
        if read.is_err() || buffer.filled().len() == before {
            self.activity.set_ended();
        }
        Poll::Ready(read)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Guarded<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, pieces);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        self.wrote(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.activity.is_upgraded() {
            return Pin::new(&mut self.io).poll_shutdown(context);
        }
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        self.wrote(flushed)
    }
}
