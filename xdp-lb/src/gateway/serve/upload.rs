use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::activity::Activity;
use crate::config::gateway::Limits;
use crate::gateway::wire::is_forbidden_trailer;
use crate::gateway::{Body, BodyError, Reason};

/// How much of a body that nobody reads is read to keep its connection.
const SPARE: u64 = 64 * 1024;

/// How long that may take.
const SPARE_TIME: Duration = Duration::from_secs(2);

/// Waiting time from which on a body's rate counts.
const RATE_FROM: Duration = Duration::from_secs(5);

/// The body of a request on its way in.
///
/// Only the time is counted that its reader waited for it: a client is not slow if its server is.
pub(super) struct Upload {
    /// None once it ended.
    incoming: Option<Incoming>,
    activity: Arc<Activity>,
    silence: Duration,
    rate: u32,
    received: u64,
    waited: Duration,
    waits_since: Option<Instant>,
    /// Made when somebody first waits.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Whether the rest may be read in passing, for the connection's sake.
    spares: bool,
}

impl Upload {
    /// A body without any bytes costs nothing. `spares`: should its reader lose interest, what is left is read.
    pub(super) fn receive(
        incoming: Incoming,
        activity: &Arc<Activity>,
        limits: &Limits,
        spares: bool,
    ) -> Body {
        if incoming.is_end_stream() {
            return Body::empty();
        }
        activity.begin_upload();
        Body::wrap(Self {
            incoming: Some(incoming),
            activity: activity.clone(),
            silence: limits.body_timeout,
            rate: limits.body_rate,
            received: 0,
            waited: Duration::ZERO,
            waits_since: None,
            alarm: None,
            spares,
        })
    }

    /// Whether so little comes that it may be read in passing.
    pub(super) fn is_small(incoming: &Incoming) -> bool {
        incoming.size_hint().upper().is_some_and(|upper| upper <= SPARE)
    }

    fn end(&mut self, unread: bool) {
        if self.incoming.take().is_some() {
            self.activity.end_upload(unread);
        }
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.end(true);
        Poll::Ready(Some(Err(error)))
    }

    /// Something came: what of the time was the client's?
    fn stop_waiting(&mut self) {
        if let Some(since) = self.waits_since.take() {
            self.waited += since.elapsed();
        }
    }

    /// Nothing is there: for how long may that be?
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<BodyError> {
        let now = Instant::now();
        let since = *self.waits_since.get_or_insert(now);
        loop {
            let now = Instant::now();
            let silent = now - since;
            if silent >= self.silence {
                let cause = format!("nothing came for {}", humantime::format_duration(self.silence));
                return Poll::Ready(BodyError { reason: Reason::SlowBody, cause });
            }
            if let Some(error) = self.too_slow(self.waited + silent) {
                return Poll::Ready(error);
            }
            let mut next = since + self.silence;
            if self.rate > 0 {
                next = next.min(now + Duration::from_secs(1));
            }
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(next)));
            // One that is set for earlier is left: most bodies go on before it rings.
            let is_late = alarm.deadline() > next;
            if alarm.is_elapsed() || is_late {
                alarm.as_mut().reset(next);
            }
            ready!(alarm.as_mut().poll(context));
        }
    }

    fn too_slow(&self, waited: Duration) -> Option<BodyError> {
        let due = u128::from(self.rate) * waited.as_millis() / 1000;
        if self.rate == 0 || waited < RATE_FROM || u128::from(self.received) >= due {
            return None;
        }
        let cause = format!("{} bytes came in {} ms of waiting", self.received, waited.as_millis());
        Some(BodyError { reason: Reason::SlowBody, cause })
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let upload = &mut *self;
        let Some(incoming) = &mut upload.incoming else { return Poll::Ready(None) };
        match Pin::new(incoming).poll_frame(context) {
            Poll::Pending => {
                let error = ready!(upload.poll_patience(context));
                upload.fail(error)
            }
            Poll::Ready(None) => {
                upload.end(false);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                let error = error.into();
                upload.fail(error)
            }
            Poll::Ready(Some(Ok(frame))) => {
                upload.stop_waiting();
                // Those of HTTP/1 were looked at on the wire.
                if frame.trailers_ref().is_some_and(|trailers| trailers.keys().any(is_forbidden_trailer)) {
                    let cause = "a header of this name may not be a trailer".to_owned();
                    return upload.fail(BodyError { reason: Reason::BadTrailer, cause });
                }
                upload.received += frame.data_ref().map_or(0, Bytes::remaining) as u64;
                if let Some(error) = upload.too_slow(upload.waited) {
                    return upload.fail(error);
                }
                if upload.incoming.as_ref().is_some_and(Incoming::is_end_stream) {
                    upload.end(false);
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.is_end_stream() {
            self.end(false);
        } else if self.spares
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
            && let Some(incoming) = self.incoming.take()
        {
            let activity = self.activity.clone();
            runtime.spawn(async move {
                let whole = tokio::time::timeout(SPARE_TIME, read_off(incoming)).await;
                activity.end_upload(!matches!(whole, Ok(true)));
            });
        } else {
            self.end(true);
        }
    }
}

/// Reads to the end; whether there was one.
async fn read_off(mut incoming: Incoming) -> bool {
    loop {
        match incoming.frame().await {
            None => return true,
            Some(Ok(_)) => {}
            Some(Err(_)) => return false,
        }
    }
}
