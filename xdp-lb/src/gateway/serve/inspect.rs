//! Stands in for `wire` until that is there: the same interface, and it lets everything pass.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::config::gateway::Limits;
use crate::gateway::Refusal;

pub(super) struct Inspected<IO>(IO);

pub(super) struct Verdicts;

pub(super) fn inspect<IO>(io: IO, _limits: &Limits) -> (Inspected<IO>, Arc<Verdicts>) {
    (Inspected(io), Arc::new(Verdicts))
}

impl Verdicts {
    pub(super) fn take(&self, _request: u64) -> Option<Refusal> {
        None
    }

    pub(super) fn answered(&self, _request: u64, _switched: bool) {}

    pub(super) fn is_at_rest(&self) -> bool {
        true
    }
}

/// What was wrong with a body's bytes, if that ended it.
pub(super) fn fault(_error: &hyper::Error) -> Option<Refusal> {
    None
}

impl<IO> Inspected<IO> {
    pub(super) fn into_inner(self) -> IO {
        self.0
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Inspected<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Inspected<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
