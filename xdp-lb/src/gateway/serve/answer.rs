use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::activity::InFlight;
use crate::gateway::{Body, BodyError};

/// An answer's body on its way out: tells when it has left.
pub(super) struct Answer {
    body: Body,
    in_flight: InFlight,
    offer: Option<Arc<Offer>>,
}

/// Whether a stream's answer waits for its client. Even: the answer has nothing at the moment. Odd: a frame was given
/// out, and nobody came for the next one yet. It only grows, so that who looks again sees whether anything moved.
#[derive(Default)]
pub(super) struct Offer(AtomicU32);

impl Answer {
    pub(super) fn new(body: Body, in_flight: InFlight) -> Self {
        Self { body, in_flight, offer: None }
    }

    /// Tells of each frame that waits for the client.
    pub(super) fn offering(mut self, offer: Arc<Offer>) -> Self {
        self.offer = Some(offer);
        self
    }
}

impl Offer {
    fn set(&self, waits: bool) {
        let count = self.0.load(Relaxed);
        if (count % 2 == 1) != waits {
            self.0.store(count.wrapping_add(1), Relaxed);
        }
    }

    /// Which frame waits for the client, if one does.
    pub(super) fn waiting(&self) -> Option<u32> {
        let count = self.0.load(Relaxed);
        (count % 2 == 1).then_some(count)
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(offer) = &self.offer {
            offer.set(false);
        }
        let frame = Pin::new(&mut self.body).poll_frame(context);
        match &frame {
            Poll::Pending => {}
            Poll::Ready(None | Some(Err(_))) => self.in_flight.finish(),
            Poll::Ready(Some(Ok(_))) => {
                if let Some(offer) = &self.offer {
                    offer.set(true);
                }
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if http_body::Body::is_end_stream(&self.body) {
            self.in_flight.finish();
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use tokio::time::Instant;

    use super::*;
    use crate::gateway::serve::activity::Activity;

    #[tokio::test]
    async fn an_answer_is_cut_unless_it_was_wanted_to_its_end() {
        for (body, frames, cut) in
            [(Body::empty(), 0, 0), (Body::full("a"), 0, 1), (Body::full("a"), 1, 0), (Body::full("a"), 2, 0)]
        {
            let activity = Activity::new(Instant::now());
            let mut answer = Answer::new(body, activity.begin());
            assert!(!activity.is_idle());
            for _ in 0..frames {
                answer.frame().await;
            }
            drop(answer);
            assert!(activity.is_idle());
            assert_eq!(activity.restart_cut(), cut);
        }
    }

    #[tokio::test]
    async fn a_frame_waits_until_the_next_is_asked_for() {
        let activity = Activity::new(Instant::now());
        let offer = Arc::new(Offer::default());
        let mut answer = Answer::new(Body::full("a"), activity.begin()).offering(offer.clone());
        assert_eq!(offer.waiting(), None);
        answer.frame().await;
        assert!(offer.waiting().is_some());
        answer.frame().await;
        assert_eq!(offer.waiting(), None);
    }
}
