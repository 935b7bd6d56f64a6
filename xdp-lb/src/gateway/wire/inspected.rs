//! The inspector around a stream.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::{Bounds, Fault, Inspector, Verdicts};
use crate::gateway::Reason::SlowHead;

/// What hyper gets to see in place of a head that is refused, so that its answer comes in order after those to the
/// requests before it. The server side knows it by its number, see [`Verdicts::take`].
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// A stream of which only what the [`Inspector`] lets pass can be read. Heads and trailers come whole. A connection
/// at rest holds no buffer.
///
/// Where a head is refused a stand-in comes in its place, and then nothing: hyper, at the end of the stream, would
/// drop the answer. Where content is refused reading fails, with an error that carries the [`Fault`].
#[derive(Debug)]
pub struct Inspected<IO> {
    io: IO,
    bounds: Bounds,
    inspector: Inspector,
    verdicts: Arc<Verdicts>,
    /// Bytes read and not passed on.
    held: Vec<u8>,
    /// How many of them may be passed on.
    ready: usize,
    /// When the head of which request has to be complete.
    deadline: Option<(u64, Pin<Box<Sleep>>)>,
    fault: Option<Fault>,
    /// How much of the stand-in was passed on.
    stand_in: usize,
}

impl<IO> Inspected<IO> {
    pub(super) fn new(io: IO, bounds: Bounds, verdicts: Arc<Verdicts>) -> Self {
        let inspector = Inspector::new(bounds);
        let (held, deadline) = (Vec::new(), None);
        Self { io, bounds, inspector, verdicts, held, ready: 0, deadline, fault: None, stand_in: 0 }
    }

    /// The stream itself. What was read and not passed on is lost: to be asked for at rest.
    pub fn into_inner(self) -> IO {
        self.io
    }

    /// The stream itself, to be looked at.
    pub fn get_ref(&self) -> &IO {
        &self.io
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.held.capacity()
    }

    /// Shows bytes to the inspector: how many of them may be passed on, and how many after them go away.
    fn inspect(&mut self, bytes: &[u8]) -> (usize, usize) {
        let before = self.inspector.requests();
        let step = self.inspector.advance(bytes);
        let requests = self.inspector.requests();
        if requests != before {
            self.verdicts.passed(requests, self.inspector.is_asked());
        }
        if let Some(fault) = step.fault {
            self.refuse(fault);
        }
        (step.pass, step.skip)
    }

    fn refuse(&mut self, fault: Fault) {
        self.fault = Some(fault);
        self.inspector.refuse(fault);
        if !self.inspector.is_within_content() {
            self.verdicts.refuse(self.inspector.requests(), fault);
        }
    }

    /// Inspects what is held and was not let pass yet.
    fn inspect_held(&mut self) {
        loop {
            let held = std::mem::take(&mut self.held);
            let (pass, skip) = self.inspect(&held[self.ready..]);
            self.held = held;
            self.ready += pass;
            self.held.drain(self.ready..self.ready + skip);
            if skip == 0 {
                break;
            }
        }
        if self.fault.is_some() {
            self.held.truncate(self.ready);
        }
    }

    fn settle(&mut self) {
        self.verdicts.rest(self.held.is_empty() && self.inspector.is_at_rest());
    }

    /// Passes on what may be; whether there was anything.
    fn pass_on(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let count = self.ready.min(buf.remaining());
        if count == 0 {
            return false;
        }
        buf.put_slice(&self.held[..count]);
        self.held.drain(..count);
        self.ready -= count;
        if self.held.is_empty() {
            self.held = Vec::new();
        }
        self.settle();
        true
    }
}

impl<IO: AsyncRead + Unpin> Inspected<IO> {
    /// Takes in what was read to `buf` behind its first `before` bytes, and leaves there what may be passed on.
    fn take_in(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        if self.held.is_empty() {
            let (pass, skip) = self.inspect(&buf.filled()[before..]);
            let rest = &buf.filled()[before + pass + skip..];
            if !rest.is_empty() && self.fault.is_none() {
                self.held.extend_from_slice(rest);
            }
            buf.set_filled(before + pass);
            if skip > 0 {
                self.inspect_held();
            }
        } else {
            self.held.extend_from_slice(&buf.filled()[before..]);
            buf.set_filled(before);
            self.inspect_held();
        }
        self.settle();
    }

    /// Nothing more comes for now: a head that has begun has until its deadline.
    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.inspector.is_within_head() {
            self.deadline = None;
            return Poll::Pending;
        }
        let (request, time) = (self.inspector.requests(), self.bounds.header_timeout);
        let (_, sleep) = match self.deadline.take() {
            Some(running) if running.0 == request => self.deadline.insert(running),
            _ => self.deadline.insert((request, Box::pin(tokio::time::sleep(time)))),
        };
        sleep.as_mut().poll(context)
    }

    /// What follows a fault: the stand-in of a head, with all that still comes thrown away, so that the answer is
    /// not lost to a reset; the failure of a content.
    fn poll_after(
        &mut self,
        fault: Fault,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.inspector.is_within_content() {
            return Poll::Ready(Err(fault.into()));
        }
        let rest = &STAND_IN[self.stand_in..];
        if !rest.is_empty() {
            let count = rest.len().min(buf.remaining());
            buf.put_slice(&rest[..count]);
            self.stand_in += count;
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        loop {
            ready!(Pin::new(&mut self.io).poll_read(context, buf))?;
            if buf.filled().len() == before {
                return Poll::Pending;
            }
            buf.set_filled(before);
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Inspected<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if this.inspector.is_asked()
                && let Some(switched) = this.verdicts.answer(context)
            {
                this.inspector.answered(switched);
                this.inspect_held();
                this.settle();
            }
            if this.pass_on(buf) {
                return Poll::Ready(Ok(()));
            }
            if let Some(fault) = this.fault {
                return this.poll_after(fault, context, buf);
            }
            if this.inspector.waits() && this.held.len() >= this.bounds.header_bytes as usize {
                return Poll::Pending;
            }
            let before = buf.filled().len();
            match Pin::new(&mut this.io).poll_read(context, buf) {
                Poll::Ready(Ok(())) if buf.filled().len() == before => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => {
                    this.take_in(buf, before);
                    if buf.filled().len() > before {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    ready!(this.poll_deadline(context));
                    this.refuse(Fault::new(SlowHead, "the head did not come in time"));
                    this.held = Vec::new();
                    this.settle();
                }
            }
        }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Inspected<IO> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}
