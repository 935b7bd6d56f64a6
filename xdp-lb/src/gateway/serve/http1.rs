use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1::UpgradeableConnection;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep};

use super::Handler;
use super::activity::InFlight;
use super::answer::Answer;
use super::connection::Connection;
use super::guarded::Guarded;
use super::settings::Settings;
use super::stream::Stream;
use super::upload::Upload;
use crate::gateway::wire::{Inspected, Verdicts, inspect};

/// What becomes of a connection that hyper served for a while.
pub(super) enum Next {
    /// It is at rest.
    Park(Stream),
    /// It ends here, in good order.
    Close(Stream),
    /// It is another's now, or broken.
    Gone,
}

/// Serves HTTP/1 until the connection rests or ends.
pub(super) async fn serve<H: Handler>(stream: Stream, connection: &Arc<Connection<H>>) -> Next {
    let settings = connection.worker.shared.settings.load_full();
    let (mut io, verdicts) = inspect(stream, &settings.limits);
    let talk = Arc::new(Talk {
        connection: connection.clone(),
        settings: settings.clone(),
        verdicts,
        requests: AtomicU64::new(0),
    });
    let mut ahead = Bytes::new();
    loop {
        let service = service_fn({
            let talk = talk.clone();
            move |request: Request<Incoming>| {
                let talk = talk.clone();
                // Here and not within the future: that may never be polled.
                let in_flight = talk.connection.activity.begin();
                async move { Ok::<_, Infallible>(talk.answer(request, in_flight).await) }
            }
        });
        let guarded = Guarded::new(io, ahead, connection.activity.clone());
        let mut served = settings.http1.serve_connection(TokioIo::new(guarded), service).with_upgrades();
        let end = drive(&mut served, &talk).await;
        let Some(parts) = served.into_parts() else { return Next::Gone };
        io = parts.io.into_inner().into_inner();
        ahead = parts.read_buf;
        match end {
            End::Rest if ahead.is_empty() => {
                let stream = io.into_inner();
                return if connection.worker.shared.is_draining() {
                    Next::Close(stream)
                } else {
                    Next::Park(stream)
                };
            }
            // Its next request had begun to come after all.
            End::Rest => {}
            End::Done => return Next::Close(io.into_inner()),
            End::Broken => return Next::Gone,
            End::Stalled => {
                connection.worker.shared.counters.stalled.add();
                let stream = io.into_inner();
                // What the client does not take the kernel need not keep.
                let _ = stream.socket().set_zero_linger();
                return Next::Gone;
            }
        }
    }
}

enum End {
    Rest,
    Done,
    Broken,
    Stalled,
}

async fn drive<H, S, E>(
    served: &mut UpgradeableConnection<TokioIo<Guarded<Inspected<Stream>>>, S>,
    talk: &Talk<H>,
) -> End
where
    H: Handler,
    S: HttpService<Incoming, ResBody = Answer, Error = E> + Unpin,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Connection { activity, .. } = &*talk.connection;
    let Settings { tick, first_glance, glance, .. } = *talk.settings;
    // Requests at the last look.
    let mut before = activity.requests();
    let mut pause = if before == 0 { first_glance } else { glance };
    let mut look = pin!(sleep(pause));
    poll_fn(|context| {
        loop {
            if let Poll::Ready(result) = Pin::new(&mut *served).poll(context) {
                return Poll::Ready(match result {
                    Ok(()) => End::Done,
                    Err(error) => {
                        tracing::debug!(%error, remote = %talk.connection.peer.remote, "connection broke");
                        End::Broken
                    }
                });
            }
            if look.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if activity.is_stalled(now, talk.settings.limits.send_timeout) {
                return Poll::Ready(End::Stalled);
            }
            let rests = activity.is_at_rest() && talk.is_at_rest();
            let requests = activity.requests();
            let begun = requests.wrapping_sub(before);
            before = requests;
            if rests && begun == 0 {
                return Poll::Ready(End::Rest);
            }
            // Soon again where there was only one request, later and later while that lasts; those in the midst of many
            // are not to be disturbed.
            pause = match begun {
                0 | 1 if rests => pause,
                0 | 1 => (2 * pause).min(tick),
                _ => tick,
            };
            look.as_mut().reset(now + pause);
        }
    })
    .await
}

/// A connection between two rests.
struct Talk<H> {
    connection: Arc<Connection<H>>,
    settings: Arc<Settings>,
    verdicts: Arc<Verdicts>,
    /// Requests since it woke up, as `verdicts` count them.
    requests: AtomicU64,
}

impl<H: Handler> Talk<H> {
    async fn answer(&self, request: Request<Incoming>, mut in_flight: InFlight) -> Response<Answer> {
        let Connection { peer, activity, worker } = &*self.connection;
        let number = self.requests.fetch_add(1, Relaxed);
        // Whether the connection outlives the request even if nobody wants its body.
        let mut spares = true;
        let (mut response, closes) = if let Some(refusal) = self.verdicts.take(number) {
            (worker.handler.refuse(peer, refusal), true)
        } else {
            // A client that waits for leave does not send until asked, and asking for what nobody wants is wrong.
            spares = !request.headers().contains_key(EXPECT) && Upload::is_small(request.body());
            let limits = &self.settings.limits;
            let request = request.map(|incoming| Upload::receive(incoming, activity, limits, spares));
            (worker.handler.handle(peer, request).await, false)
        };
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        self.verdicts.answered(number, switches);
        if switches {
            activity.set_upgraded();
            in_flight.finish();
        } else if closes || self.is_last() || activity.has_unread() || (activity.is_uploading() && !spares) {
            // What is answered before it has come may never be read: the client is told now, as it cannot be later.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response.map(|body| Answer::new(body, in_flight))
    }

    /// Whether nothing of a request is inside that has yet to be answered.
    fn is_at_rest(&self) -> bool {
        self.verdicts.is_at_rest() && self.verdicts.requests() == self.requests.load(Relaxed)
    }

    fn is_last(&self) -> bool {
        let most = self.settings.limits.requests_per_connection;
        let reached = most > 0 && self.connection.activity.requests() >= most;
        reached || self.connection.worker.shared.is_draining()
    }
}
