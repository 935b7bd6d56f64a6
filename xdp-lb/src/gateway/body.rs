//! The one body type, of requests and answers on both sides: streamed, limited and watched.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::Reason;
use super::wire::Fault;

/// A body. Nothing of it is read before it is asked for: who is slow to take it slows down its source.
pub struct Body {
    source: Source,
    /// Bytes that may still come.
    left: u64,
    watchers: Vec<Box<dyn Watcher>>,
    /// Its first piece, looked at already and yet to be passed on.
    first: Option<Box<Frame<Bytes>>>,
    over: bool,
}

enum Source {
    Empty,
    Full(Bytes),
    Incoming(Incoming),
    Other(Pin<Box<dyn http_body::Body<Data = Bytes, Error = BodyError> + Send>>),
}

/// Sees a body go by.
pub trait Watcher: Send {
    /// So many bytes were passed on.
    fn data(&mut self, bytes: usize);

    /// These trailers are about to be passed on. It may change them, or have the body fail.
    ///
    /// # Errors
    /// Why they are not to be passed on.
    fn trailers(&mut self, _: &mut HeaderMap) -> Result<(), BodyError> {
        Ok(())
    }

    /// Its source failed for this cause, or a limit was reached. The end is told next.
    fn failed(&mut self, _cause: &str) {}

    /// It is over. Told once, also when the body is dropped.
    fn end(&mut self, how: End);
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Whole.
    Whole,
    /// Its source failed, or a limit was reached.
    Failed(Reason),
    /// Nobody wanted the rest.
    Dropped,
}

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", reason.word())]
pub struct BodyError {
    /// What it is, for programs.
    pub reason: Reason,
    /// What happened, for the log.
    pub cause: String,
}

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Self::from_source(Source::Empty)
    }

    /// These bytes.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::from_source(if bytes.is_empty() { Source::Empty } else { Source::Full(bytes) })
    }

    /// What hyper receives.
    pub fn incoming(incoming: Incoming) -> Self {
        Self::from_source(if incoming.is_end_stream() { Source::Empty } else { Source::Incoming(incoming) })
    }

    /// Any other.
    pub fn wrap(body: impl http_body::Body<Data = Bytes, Error = BodyError> + Send + 'static) -> Self {
        Self::from_source(Source::Other(Box::pin(body)))
    }

    fn from_source(source: Source) -> Self {
        Self { source, left: u64::MAX, watchers: Vec::new(), first: None, over: false }
    }

    /// Fails with [`Reason::BodyTooLarge`] once more than so many bytes come.
    #[must_use]
    pub fn limited(mut self, most: u64) -> Self {
        self.left = self.left.min(most);
        self
    }

    /// Is watched from here on.
    #[must_use]
    pub fn watched(mut self, watcher: Box<dyn Watcher>) -> Self {
        self.watchers.push(watcher);
        self
    }

    /// Looks at what is there already, without waiting: a body that is wrong from its begin fails now.
    pub async fn begun(mut self) -> Result<Self, BodyError> {
        let first = std::future::poll_fn(|context| {
            Poll::Ready(match Pin::new(&mut self).poll_frame(context) {
                Poll::Ready(Some(first)) => first.map(Some),
                Poll::Ready(None) | Poll::Pending => Ok(None),
            })
        });
        self.first = first.await?.map(Box::new);
        Ok(self)
    }

    /// Whether it is known to hold nothing.
    pub fn is_empty(&self) -> bool {
        self.first.is_none() && matches!(self.source, Source::Empty)
    }

    fn finish(&mut self, how: End) {
        if !std::mem::replace(&mut self.over, true) {
            for mut watcher in self.watchers.drain(..) {
                watcher.end(how);
            }
        }
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.source = Source::Empty;
        for watcher in &mut self.watchers {
            watcher.failed(&error.cause);
        }
        self.finish(End::Failed(error.reason));
        Poll::Ready(Some(Err(error)))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let body = &mut *self;
        if let Some(first) = body.first.take() {
            return Poll::Ready(Some(Ok(*first)));
        }
        let frame = match &mut body.source {
            Source::Empty => None,
            Source::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                body.source = Source::Empty;
                Some(Ok(Frame::data(bytes)))
            }
            Source::Incoming(incoming) => {
                ready!(Pin::new(incoming).poll_frame(context)).map(|frame| frame.map_err(BodyError::from))
            }
            Source::Other(other) => ready!(other.as_mut().poll_frame(context)),
        };
        match frame {
            None => {
                body.source = Source::Empty;
                body.finish(End::Whole);
                Poll::Ready(None)
            }
            Some(Err(error)) => body.fail(error),
            Some(Ok(mut frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    let mut watchers = body.watchers.iter_mut();
                    if let Err(error) = watchers.try_for_each(|watcher| watcher.trailers(trailers)) {
                        return body.fail(error);
                    }
                }
                let bytes = frame.data_ref().map_or(0, Bytes::remaining);
                let Some(left) = body.left.checked_sub(bytes as u64) else {
                    let cause = "more bytes came than are allowed".to_owned();
                    return body.fail(BodyError { reason: Reason::BodyTooLarge, cause });
                };
                body.left = left;
                for watcher in &mut body.watchers {
                    watcher.data(bytes);
                }
                // Who knows that this was all may not ask again.
                if body.source_is_over() {
                    body.finish(End::Whole);
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.source_is_over()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Incoming(incoming) => incoming.size_hint(),
            Source::Other(other) => other.size_hint(),
        };
        let first = self.first.as_deref().and_then(Frame::data_ref).map_or(0, |bytes| bytes.len() as u64);
        if first > 0 {
            let upper = hint.upper().map(|upper| upper.saturating_add(first));
            let lower = hint.lower().saturating_add(first);
            hint = SizeHint::new();
            if let Some(upper) = upper {
                hint.set_upper(upper);
            }
            hint.set_lower(lower);
        }
        hint
    }
}

impl Body {
    fn source_is_over(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Full(_) => false,
            Source::Incoming(incoming) => incoming.is_end_stream(),
            Source::Other(other) => other.is_end_stream(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let how = if self.is_end_stream() { End::Whole } else { End::Dropped };
        self.finish(how);
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("size", &http_body::Body::size_hint(self)).finish_non_exhaustive()
    }
}

impl From<hyper::Error> for BodyError {
    /// What ends a body that hyper receives: the fault that a read failed for, else its sender, unless said otherwise
    /// by what wraps it.
    fn from(error: hyper::Error) -> Self {
        let reason = Fault::within(&error).map_or(Reason::BodyCutShort, |fault| fault.reason);
        Self { reason, cause: in_full(&error) }
    }
}

/// An error with what caused it.
pub(super) fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<(usize, Vec<End>)>>, Arc<Mutex<String>>);

    impl Watcher for Seen {
        fn data(&mut self, bytes: usize) {
            self.0.lock().unwrap().0 += bytes;
        }

        fn failed(&mut self, cause: &str) {
            self.1.lock().unwrap().push_str(cause);
        }

        fn end(&mut self, how: End) {
            self.0.lock().unwrap().1.push(how);
        }
    }

    fn pieces(pieces: &[&'static str]) -> Body {
        let frames: Vec<_> =
            pieces.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))).collect();
        Body::wrap(StreamBody::new(futures_util::stream::iter(frames)))
    }

    #[tokio::test]
    async fn watchers_see_each_byte_and_one_end() {
        let limit = End::Failed(Reason::BodyTooLarge);
        for (body, bytes, end) in [
            (Body::empty(), 0, End::Whole),
            (Body::full("abc"), 3, End::Whole),
            (pieces(&["abc", "de"]), 5, End::Whole),
            (pieces(&["abc", "de"]).limited(5), 5, End::Whole),
            (pieces(&["abc", "de"]).limited(4), 3, limit),
            (Body::full("abc").limited(2), 0, limit),
        ] {
            let seen = Seen::default();
            let collected = body.watched(Box::new(seen.clone())).collect().await;
            assert_eq!(collected.is_ok(), end == End::Whole);
            assert_eq!(*seen.0.lock().unwrap(), (bytes, vec![end]));
            let cause = if end == limit { "more bytes came than are allowed" } else { "" };
            assert_eq!(*seen.1.lock().unwrap(), cause);
        }
    }

    #[tokio::test]
    async fn watchers_may_change_trailers_or_refuse_them() {
        struct Judge;
        impl Watcher for Judge {
            fn data(&mut self, _: usize) {}
            fn end(&mut self, _: End) {}
            fn trailers(&mut self, trailers: &mut HeaderMap) -> Result<(), BodyError> {
                trailers.remove("x-own");
                let refused = BodyError { reason: Reason::BadTrailer, cause: String::new() };
                if trailers.contains_key("host") { Err(refused) } else { Ok(()) }
            }
        }
        for (names, left) in [(&["x-own", "x-sum"][..], Some(1)), (&["host", "x-sum"], None)] {
            let trailers: HeaderMap = names
                .iter()
                .map(|&name| (http::HeaderName::from_static(name), http::HeaderValue::from_static("1")))
                .collect();
            let frames = [Ok(Frame::data(Bytes::from_static(b"a"))), Ok(Frame::trailers(trailers))];
            let body = Body::wrap(StreamBody::new(futures_util::stream::iter(frames)));
            let read = body.watched(Box::new(Judge)).collect().await;
            assert_eq!(read.ok().map(|read| read.trailers().map_or(0, HeaderMap::len)), left);
        }
    }

    #[tokio::test]
    async fn what_was_looked_at_still_comes() {
        let seen = Seen::default();
        let body = pieces(&["abc", "de"]).watched(Box::new(seen.clone())).begun().await.unwrap();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abcde");
        assert_eq!(*seen.0.lock().unwrap(), (5, vec![End::Whole]));
        let one = Body::full("abc").begun().await.unwrap();
        assert_eq!(http_body::Body::size_hint(&one).exact(), Some(3));
        assert!(!one.is_empty() && !http_body::Body::is_end_stream(&one));
        assert_eq!(one.collect().await.unwrap().to_bytes(), "abc");
        let error = pieces(&["abc"]).limited(2).begun().await.unwrap_err();
        assert_eq!(error.reason, Reason::BodyTooLarge);
    }

    #[tokio::test]
    async fn a_body_that_is_dropped_has_ended_too() {
        let seen = Seen::default();
        let mut body = pieces(&["abc", "de"]).watched(Box::new(seen.clone()));
        body.frame().await.unwrap().unwrap();
        drop(body);
        assert_eq!(*seen.0.lock().unwrap(), (3, vec![End::Dropped]));
    }
}
