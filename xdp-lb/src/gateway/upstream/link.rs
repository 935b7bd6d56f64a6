//! A connection of HTTP/1.1 to a server: one request at a time.
//!
//! It has no task of its own: whoever waits for an answer over it drives it, so that a request costs no hand-over
//! between tasks. Only where a server answers before it has the whole request is the connection given a task, as then
//! both directions have to go on whatever the client takes of the answer.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;
use tokio::task::coop::unconstrained;

use super::Worker;
use super::connector::Kind;
use super::outgoing::Outgoing;
use super::stream::{Heard, Stream};

/// Largest head of an answer, and largest trailers.
pub(super) const HEAD_BYTES: usize = 64 << 10;

pub(super) struct Link {
    sender: SendRequest<Outgoing>,
    connection: Connection<TokioIo<Stream>, Outgoing>,
    /// hyper has ended the connection, and must not be asked again.
    over: bool,
    heard: Heard,
    pub(super) home: Home,
}

/// Where a connection is kept while nobody uses it.
pub(super) struct Home {
    pub(super) worker: Weak<Worker>,
    pub(super) connector: u64,
    pub(super) address: SocketAddr,
    pub(super) kind: Kind,
    pub(super) most: u32,
    pub(super) keep: Duration,
}

/// A connection that runs by itself; it ends with this.
pub(super) struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) type Polled = Poll<Option<Result<Frame<Bytes>, hyper::Error>>>;

impl Link {
    pub(super) async fn open(stream: Stream, home: Home) -> Result<Box<Self>, hyper::Error> {
        let heard = stream.heard();
        let (sender, connection) =
            Builder::new().max_header_size(HEAD_BYTES).handshake(TokioIo::new(stream)).await?;
        Ok(Box::new(Self { sender, connection, over: false, heard, home }))
    }

    /// Whether a request can be sent: looks at the socket, so that one which was closed is noticed.
    pub(super) fn is_ready(&mut self) -> bool {
        // Nobody waits for this: who takes the connection next polls it again.
        self.poll(&mut Context::from_waker(Waker::noop()));
        !self.over && self.sender.is_ready()
    }

    pub(super) fn has_heard(&self) -> bool {
        self.heard.anything()
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Outgoing>>> {
        self.heard.reset();
        // Only polling the connection brings the answer, so that it needs no waker of its own; a budget that ran out
        // would then be waited for in vain.
        let mut answer = std::pin::pin!(unconstrained(self.sender.try_send_request(request)));
        let (connection, over) = (&mut self.connection, &mut self.over);
        std::future::poll_fn(move |context| {
            if !*over {
                *over = Pin::new(&mut *connection).poll(context).is_ready();
            }
            if *over {
                // Its end drops what it still owes, and so decides the answer.
                return answer.as_mut().poll(context);
            }
            answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await
    }

    /// The next piece of an answer's body.
    pub(super) fn poll_frame(&mut self, incoming: &mut Incoming, context: &mut Context<'_>) -> Polled {
        let mut quiet = Context::from_waker(Waker::noop());
        if let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(&mut quiet) {
            return Poll::Ready(frame);
        }
        self.poll(context);
        if self.over {
            return Pin::new(incoming).poll_frame(context);
        }
        Pin::new(incoming).poll_frame(&mut quiet)
    }

    fn poll(&mut self, context: &mut Context<'_>) {
        if !self.over {
            self.over = Pin::new(&mut self.connection).poll(context).is_ready();
        }
    }

    /// Lets it run by itself.
    pub(super) fn run(self: Box<Self>) -> Running {
        let Self { sender, connection, over, .. } = *self;
        let task = tokio::spawn(async move {
            if !over {
                // How it ends is told to the answer's body.
                let _ = connection.await;
            }
            drop(sender);
        });
        Running(task.abort_handle())
    }

    /// Back to its worker, if another request can be sent over it.
    pub(super) fn go_home(mut self: Box<Self>) {
        if self.is_ready()
            && let Some(worker) = self.home.worker.upgrade()
        {
            worker.keep(self);
        }
    }

    /// After an answer 101: the bare stream, and what came on it already.
    pub(super) async fn into_stream(mut self: Box<Self>) -> (Stream, Bytes) {
        std::future::poll_fn(|context| {
            self.poll(context);
            if self.over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let parts = self.connection.into_parts();
        (parts.io.into_inner(), parts.read_buf)
    }
}
