use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use super::answer::Offer;

/// Runs each stream as a task of its own, and ends it once its client has taken nothing of the answer for too long:
/// HTTP/2 lets a client hold back each stream for itself.
#[derive(Clone)]
pub(super) struct Spawner {
    pub(super) begun: Begun,
    pub(super) send_timeout: Duration,
}

/// What hyper is about to spawn, as it does with nothing else in between.
#[derive(Clone, Default)]
pub(super) struct Begun(Arc<Mutex<Option<Task>>>);

pub(super) enum Task {
    /// A stream, and whether its answer waits for its client.
    Stream(Arc<Offer>),
    /// The half of a tunnel that writes to the client, and what tells that nobody has anything to write any more.
    Tunnel(CancellationToken),
}

impl Begun {
    pub(super) fn put(&self, task: Task) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    fn take(&self) -> Option<Task> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<F: Future + Send + 'static> Executor<F> for Spawner {
    fn execute(&self, stream: F) {
        let begun = self.begun.take();
        let patience = self.send_timeout;
        tokio::spawn(async move {
            match begun {
                Some(Task::Stream(offer)) => patiently(stream, &offer, patience).await,
                Some(Task::Tunnel(ended)) => until_ended(stream, &ended, patience).await,
                None => drop(stream.await),
            }
        });
    }
}

/// What is left of a tunnel when both sides have ended has so long to leave.
async fn until_ended(writes: impl Future, ended: &CancellationToken, patience: Duration) {
    let mut writes = pin!(async move { drop(writes.await) });
    tokio::select! {
        _ = &mut writes => {}
        () = ended.cancelled() => {
            // What has not left then is taken back.
            let _ = tokio::time::timeout(patience, writes).await;
        }
    }
}

async fn patiently(stream: impl Future, offer: &Offer, patience: Duration) {
    let mut stream = pin!(stream);
    // The frame that waits, and until when it may.
    let mut alarm: Option<(u32, Pin<Box<Sleep>>)> = None;
    poll_fn(|context| {
        if stream.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let Some(frame) = offer.waiting() else { return Poll::Pending };
        let (waiting, sleep) = alarm.get_or_insert_with(|| (frame, Box::pin(tokio::time::sleep(patience))));
        if *waiting != frame {
            *waiting = frame;
            sleep.as_mut().reset(Instant::now() + patience);
        }
        sleep.as_mut().poll(context)
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_client_does_not_take_of_a_tunnel_is_given_up_when_that_has_ended() {
        let ended = CancellationToken::new();
        let patience = Duration::from_millis(20);
        let mut left = pin!(until_ended(std::future::pending::<()>(), &ended, patience));
        let early = tokio::time::timeout(patience * 5, left.as_mut()).await;
        assert!(early.is_err(), "it goes on as long as the tunnel is there");
        ended.cancel();
        tokio::time::timeout(Duration::from_secs(10), left).await.expect("it ends");
    }
}
