//! The body of an answer on its way to the client: as long as it comes, the request is in flight at its server.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::link::{Link, Polled, Running};
use super::mux::Ticket;
use super::outgoing::Upload;
use super::verdict::Guards;
use super::{ServerInfo, harvest};
use crate::gateway::{Body, BodyError, Reason};

/// What an answer comes over.
pub(super) enum Carrier {
    Link(Box<Link>),
    Running { _running: Running },
    Stream { _ticket: Ticket },
}

impl Carrier {
    fn poll_frame(&mut self, incoming: &mut Incoming, context: &mut Context<'_>) -> Polled {
        match self {
            Self::Link(link) => link.poll_frame(incoming, context),
            Self::Running { .. } | Self::Stream { .. } => Pin::new(incoming).poll_frame(context),
        }
    }

    fn release(self) {
        if let Self::Link(link) = self {
            link.go_home();
        }
    }
}

/// The rest of an answer.
struct Answer {
    incoming: Incoming,
    /// What came with the head.
    early: VecDeque<Frame<Bytes>>,
    held: Option<(Carrier, Guards)>,
    upload: Option<Upload>,
    utilization: Option<http::HeaderName>,
    is_grpc: bool,
    /// When the head came, since 1970.
    unix: Duration,
    idle: Duration,
    silence: Option<Pin<Box<Sleep>>>,
    /// Something came since the silence was measured.
    stirred: bool,
}

pub(super) struct Settings {
    pub(super) idle: Duration,
    pub(super) utilization: Option<http::HeaderName>,
    pub(super) is_grpc: bool,
    pub(super) unix: Duration,
}

/// The body. One that is there already holds nothing any more. One that is wrong already is none, so that the client is
/// told, instead of getting a head whose body never comes.
pub(super) fn body(
    mut incoming: Incoming,
    mut carrier: Carrier,
    mut guards: Guards,
    upload: Option<Upload>,
    settings: impl FnOnce() -> Settings,
) -> Result<Body, (hyper::Error, Arc<ServerInfo>)> {
    if incoming.is_end_stream() {
        carrier.release();
        return Ok(Body::empty());
    }
    let mut early = VecDeque::new();
    if !matches!(carrier, Carrier::Running { .. }) {
        // Nobody waits yet: whoever takes the body polls the connection again.
        let mut quiet = Context::from_waker(Waker::noop());
        let mut first = None;
        while let Poll::Ready(polled) = carrier.poll_frame(&mut incoming, &mut quiet) {
            match polled {
                Some(Ok(frame)) if first.is_none() && frame.is_data() => {
                    first = frame.into_data().ok();
                    if !incoming.is_end_stream() {
                        continue;
                    }
                }
                None => {}
                Some(Err(error)) => {
                    if upload.as_ref().and_then(Upload::failed).is_none() {
                        guards.fail();
                    }
                    return Err((error, Arc::clone(guards.server())));
                }
                Some(Ok(frame)) => {
                    early.push_back(frame);
                    break;
                }
            }
            carrier.release();
            return Ok(first.map_or_else(Body::empty, Body::full));
        }
        if let Some(first) = first {
            early.push_front(Frame::data(first));
        }
    }
    let Settings { idle, utilization, is_grpc, unix } = settings();
    let held = Some((carrier, guards));
    let (silence, stirred) = (None, true);
    let answer = Answer { incoming, early, held, upload, utilization, is_grpc, unix, idle, silence, stirred };
    Ok(Body::wrap(answer))
}

impl Answer {
    fn whole(&mut self) {
        if let Some((carrier, guards)) = self.held.take() {
            carrier.release();
            drop(guards);
        }
    }

    fn cut_short(&mut self, cause: String) -> BodyError {
        if let Some((carrier, mut guards)) = self.held.take() {
            drop(carrier);
            if let Some((reason, cause)) = self.upload.as_ref().and_then(Upload::failed) {
                return BodyError { reason, cause };
            }
            guards.fail();
        }
        BodyError { reason: Reason::AnswerCutShort, cause }
    }

    fn trailers(&mut self, trailers: &mut HeaderMap) {
        let report = harvest::harvest(trailers, self.utilization.as_ref(), || self.unix);
        let Some((_, guards)) = &mut self.held else { return };
        guards.report(report);
        if self.is_grpc && harvest::grpc_failed(trailers) {
            guards.fail();
        }
    }

    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let until = |idle| tokio::time::Instant::now() + idle;
        let idle = self.idle;
        let silence = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
        if std::mem::take(&mut self.stirred) {
            silence.as_mut().reset(until(idle));
        }
        silence.as_mut().poll(context)
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let answer = &mut *self;
        let polled = match answer.early.pop_front() {
            Some(early) => Poll::Ready(Some(Ok(early))),
            None => {
                let Some((carrier, _)) = &mut answer.held else { return Poll::Ready(None) };
                carrier.poll_frame(&mut answer.incoming, context)
            }
        };
        match polled {
            Poll::Ready(Some(Ok(mut frame))) => {
                answer.stirred = true;
                if let Some((_, guards)) = &mut answer.held {
                    guards.came();
                }
                if let Some(trailers) = frame.trailers_mut() {
                    answer.trailers(trailers);
                }
                if answer.early.is_empty() && (answer.incoming.is_end_stream() || frame.is_trailers()) {
                    answer.whole();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                answer.whole();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                let cause = BodyError::from(error).cause;
                Poll::Ready(Some(Err(answer.cut_short(cause))))
            }
            Poll::Pending if answer.poll_silence(context).is_ready() => {
                let cause = format!("nothing came for {:?}", answer.idle);
                Poll::Ready(Some(Err(answer.cut_short(cause))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.early.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let kept: u64 = self.early.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum();
        let rest = self.incoming.size_hint();
        let mut size = SizeHint::new();
        size.set_lower(rest.lower() + kept);
        if let Some(upper) = rest.upper() {
            size.set_upper(upper + kept);
        }
        size
    }
}
