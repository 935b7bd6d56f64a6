//! The body of a request on its way to servers: read from the client as a server takes it, and kept as far as the pool
//! allows, so that a second try can begin again.
//!
//! `Expect: 100-continue` is passed on. hyper asks for a body as soon as the head is written, whatever the server
//! thinks of it, and asking is what makes the gateway tell its client to go on; so the body waits here for the server's
//! 100, for a second at most (RFC 9110, section 10.1.1: never for ever).

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::Sleep;

use super::tee::Tee;
use crate::gateway::{Body, BodyError, Reason};

/// How long a server may leave an expectation unanswered.
const EXPECT: Duration = Duration::from_secs(1);

/// What is handed to hyper: the body of one try.
pub(super) enum Outgoing {
    Empty,
    Upload(Reader),
}

/// A request's body over all its tries.
#[derive(Clone)]
pub(super) struct Upload(Arc<Mutex<State>>);

struct State {
    source: Body,
    size: SizeHint,
    tee: Tee,
    /// The try that reads. Those before it get nothing any more.
    turn: u32,
    /// The reading try has everything.
    whole: bool,
    failed: Option<(Reason, String)>,
}

pub(super) struct Reader {
    upload: Upload,
    turn: u32,
    next: usize,
    size: SizeHint,
    waits: Option<(Go, Pin<Box<Sleep>>)>,
}

/// The server's word that the body is wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Go(Arc<Mutex<(bool, Option<Waker>)>>);

impl Upload {
    /// Keeps up to `most` bytes.
    pub(super) fn new(source: Body, most: u32) -> Self {
        let (size, tee) = (source.size_hint(), Tee::new(most as usize));
        Self(Arc::new(Mutex::new(State { source, size, tee, turn: 0, whole: false, failed: None })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in there can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The body, from its begin. Only while [`can_begin_again`](Self::can_begin_again).
    pub(super) fn begin(&self, waits: Option<Go>) -> Outgoing {
        let mut state = self.state();
        state.turn += 1;
        state.whole = false;
        Outgoing::Upload(Reader {
            upload: self.clone(),
            turn: state.turn,
            next: 0,
            size: state.size,
            waits: waits.map(|go| (go, Box::pin(tokio::time::sleep(EXPECT)))),
        })
    }

    pub(super) fn can_begin_again(&self) -> bool {
        let state = self.state();
        state.tee.is_whole() && state.failed.is_none()
    }

    /// Whether the present try has taken all of it.
    pub(super) fn is_sent(&self) -> bool {
        self.state().whole
    }

    /// Why its source failed.
    pub(super) fn failed(&self) -> Option<(Reason, String)> {
        self.state().failed.clone()
    }

    pub(super) fn size(&self) -> SizeHint {
        self.state().size
    }
}

impl State {
    fn poll(
        &mut self,
        next: &mut usize,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.tee.is_whole()
            && let Some(frame) = self.tee.get(*next)
        {
            *next += 1;
            self.whole = self.is_over(*next);
            return Poll::Ready(Some(Ok(frame)));
        }
        match ready!(Pin::new(&mut self.source).poll_frame(context)) {
            None => {
                self.whole = true;
                Poll::Ready(None)
            }
            Some(Err(error)) => {
                self.failed = Some((error.reason, error.cause.clone()));
                Poll::Ready(Some(Err(error)))
            }
            Some(Ok(frame)) => {
                self.tee.push(&frame);
                *next += 1;
                self.whole = self.is_over(*next);
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_over(&self, next: usize) -> bool {
        self.failed.is_none()
            && self.source.is_end_stream()
            && (!self.tee.is_whole() || next >= self.tee.len())
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Self::Upload(reader) = &mut *self else { return Poll::Ready(None) };
        if let Some((go, limit)) = &mut reader.waits {
            if !go.given(context) && limit.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            reader.waits = None;
        }
        let mut state = reader.upload.state();
        if state.turn != reader.turn {
            let (reason, cause) = (Reason::Internal, "another try has begun".to_owned());
            return Poll::Ready(Some(Err(BodyError { reason, cause })));
        }
        state.poll(&mut reader.next, context)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Upload(reader) => reader.upload.state().is_over(reader.next),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Upload(reader) => reader.size,
        }
    }
}

impl Go {
    /// It came.
    pub(super) fn give(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = true;
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    }

    fn given(&self, context: &Context<'_>) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.0 {
            state.1 = Some(context.waker().clone());
        }
        state.0
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    fn body(pieces: &'static [&'static str]) -> Body {
        let frames = pieces.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))));
        Body::wrap(StreamBody::new(futures_util::stream::iter(frames)))
    }

    #[tokio::test]
    async fn a_second_try_gets_the_same_and_the_first_no_more() {
        let upload = Upload::new(body(&["ab", "cd", "ef"]), 100);
        let mut first = upload.begin(None);
        assert_eq!(first.frame().await.unwrap().unwrap().into_data().unwrap(), "ab");
        assert!(!upload.is_sent() && upload.can_begin_again());
        let second = upload.begin(None);
        first.frame().await.unwrap().unwrap_err();
        assert_eq!(second.collect().await.unwrap().to_bytes(), "abcdef");
        assert!(upload.is_sent());
    }

    #[tokio::test]
    async fn what_is_too_long_is_sent_once() {
        let upload = Upload::new(body(&["ab", "cd", "ef"]), 3);
        let sent = upload.begin(None).collect().await.unwrap().to_bytes();
        assert_eq!(sent, "abcdef");
        assert!(upload.is_sent() && !upload.can_begin_again());
    }

    #[tokio::test]
    async fn a_source_that_fails_is_remembered() {
        let upload = Upload::new(body(&["ab", "cd"]).limited(3), 100);
        upload.begin(None).collect().await.unwrap_err();
        assert_eq!(upload.failed().unwrap().0, Reason::BodyTooLarge);
        assert!(!upload.can_begin_again() && !upload.is_sent());
    }

    #[tokio::test]
    async fn an_expectation_holds_the_body_back_for_a_second_at_most() {
        let upload = Upload::new(Body::full("ab"), 100);
        let go = Go::default();
        let mut reader = upload.begin(Some(go.clone()));
        let started = tokio::time::Instant::now();
        assert!(futures_util::poll!(reader.frame()).is_pending());
        go.give();
        assert_eq!(reader.frame().await.unwrap().unwrap().into_data().unwrap(), "ab");
        assert!(started.elapsed() < EXPECT);
        let mut unanswered = upload.begin(Some(Go::default()));
        unanswered.frame().await.unwrap().unwrap();
        assert!(started.elapsed() >= EXPECT);
    }
}
