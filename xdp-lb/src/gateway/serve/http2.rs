use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2::{Builder, Connection as Served};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Handler;
use super::activity::{Activity, InFlight};
use super::answer::{Answer, Offer};
use super::connection::Connection;
use super::frames::Frames;
use super::guarded::Guarded;
use super::settings::Settings;
use super::spawner::{Begun, Spawner, Task};
use super::stream::Stream;
use super::upload::Upload;
use crate::gateway::Tunnel;

/// How often a client has to prove that it is there, and how long it may take to.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);

/// How long the last words may take to leave, on a connection that is given up.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How long a client has to close a connection without streams after it was told that there will be none.
const FAREWELL: Duration = Duration::from_secs(1);

/// Bytes that a client may send ahead on one stream, and on all together. Well more than one: a stream whose server
/// does not read must not hold up the others' bodies.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 16 * STREAM_WINDOW;

/// Most bytes of an answer kept for a client that does not take them, per stream.
const UNSENT: usize = 64 * 1024;

/// Serves HTTP/2 until the connection ends.
pub(super) async fn serve<H: Handler>(stream: Stream, connection: &Arc<Connection<H>>) {
    let settings = connection.worker.shared.settings.load_full();
    let begun = Begun::default();
    let service = service_fn({
        let (connection, settings, begun) = (connection.clone(), settings.clone(), begun.clone());
        move |request: Request<Incoming>| {
            let offer = Arc::new(Offer::default());
            begun.put(Task::Stream(offer.clone()));
            // Here and not within the future: a stream may be reset before that is polled.
            let in_flight = connection.activity.begin();
            let flooded = connection.activity.cut() > settings.limits.resets_per_second;
            let tunnels = (request.method() == Method::CONNECT).then(|| begun.clone());
            let (connection, settings) = (connection.clone(), settings.clone());
            async move {
                if flooded {
                    return Err(Flooded);
                }
                let Some(begun) = tunnels else {
                    return Ok(answer(&connection, &settings, request, in_flight, offer).await);
                };
                let (tunnel, ended) = tunnel(&connection.activity);
                let mut request = request;
                request.extensions_mut().insert(tunnel);
                let response = answer(&connection, &settings, request, in_flight, offer).await;
                if response.status().is_success() {
                    begun.put(Task::Tunnel(ended));
                }
                Ok(response)
            }
        }
    });
    let spawner = Spawner { begun, send_timeout: settings.limits.send_timeout };
    let activity = &connection.activity;
    let frames = Frames::new(stream, activity.clone(), settings.limits.idle_frames_per_second);
    let io = TokioIo::new(Guarded::new(frames, Bytes::new(), activity.clone()));
    let mut served = builder(spawner, &settings).serve_connection(io, service);
    if let Some(reason) = drive(Pin::new(&mut served), connection, &settings).await {
        let counters = &connection.worker.shared.counters;
        match reason {
            GivenUp::Flooded => counters.reset_floods.add(),
            GivenUp::Stalled => counters.stalled.add(),
            GivenUp::Slow => counters.slow_heads.add(),
            GivenUp::Stays => {}
        }
        tracing::debug!(remote = %connection.peer.remote, ?reason, "HTTP/2 connection is given up");
        Pin::new(&mut served).graceful_shutdown();
        let _ = tokio::time::timeout(LAST_WORDS, served).await;
    }
}

fn builder(spawner: Spawner, settings: &Settings) -> Builder<Spawner> {
    let limits = &settings.limits;
    let resets = limits.resets_per_second.max(1) as usize;
    let mut builder = Builder::new(spawner);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.header_bytes)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(UNSENT)
        .max_pending_accept_reset_streams(resets)
        .max_local_error_reset_streams(resets)
        .enable_connect_protocol()
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    builder
}

async fn answer<H: Handler>(
    connection: &Connection<H>,
    settings: &Settings,
    request: Request<Incoming>,
    in_flight: InFlight,
    offer: Arc<Offer>,
) -> Response<Answer> {
    let activity = &connection.activity;
    // An answer that comes before a small body has is not followed by a reset, which some clients take for a failure.
    let spares = Upload::is_small(request.body());
    let request = request.map(|incoming| Upload::receive(incoming, activity, &settings.limits, spares));
    let response = connection.worker.handler.handle(&connection.peer, request).await;
    response.map(|body| Answer::new(body, in_flight).offering(offer))
}

/// The connection's streams are not answered any more.
#[derive(Debug, thiserror::Error)]
#[error("the client resets too many streams")]
struct Flooded;

/// Why a connection is not waited for any more.
#[derive(Debug)]
enum GivenUp {
    /// Its client resets too many streams.
    Flooded,
    /// Its client takes nothing.
    Stalled,
    /// Its client has begun something and does not go on.
    Slow,
    /// Its client keeps it though it was told not to.
    Stays,
}

/// What hyper reads and writes.
type Io = TokioIo<Guarded<Frames<Stream>>>;

/// None once it ended by itself.
async fn drive<H, S, E>(
    mut served: Pin<&mut Served<Io, S, Spawner>>,
    connection: &Connection<H>,
    settings: &Settings,
) -> Option<GivenUp>
where
    H: Handler,
    S: HttpService<Incoming, ResBody = Answer, Error = E>,
    S::Future: Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
{
    let (activity, limits) = (&connection.activity, &settings.limits);
    let mut tick = pin!(sleep(settings.tick));
    let mut second = Instant::now();
    let mut idle = Idle { since: second, requests: activity.requests() };
    // What has begun and not ended, and since when that is known.
    let mut partial = (None, second);
    // Since when the client knows that it is to go, and its requests until then.
    let mut told: Option<(Instant, u32)> = None;
    poll_fn(|context| {
        loop {
            if let Poll::Ready(result) = served.as_mut().poll(context) {
                if let Err(error) = result {
                    if is_flood(&error) || activity.idle_frames() > limits.idle_frames_per_second {
                        connection.worker.shared.counters.reset_floods.add();
                    }
                    tracing::debug!(%error, remote = %connection.peer.remote, "connection broke");
                }
                count_resets(connection);
                return Poll::Ready(None);
            }
            if activity.cut() > limits.resets_per_second {
                count_resets(connection);
                return Poll::Ready(Some(GivenUp::Flooded));
            }
            let spent =
                limits.requests_per_connection > 0 && activity.requests() >= limits.requests_per_connection;
            if told.is_none() && (spent || connection.worker.shared.is_draining()) {
                told = Some((Instant::now(), activity.requests()));
                served.as_mut().graceful_shutdown();
                continue;
            }
            // Streams are taken until the client has answered a ping, which it may never do.
            let most = limits.streams.saturating_mul(2);
            if told.is_some_and(|(_, requests)| activity.requests().wrapping_sub(requests) > most) {
                return Poll::Ready(Some(GivenUp::Stays));
            }
            ready!(tick.as_mut().poll(context));
            let now = Instant::now();
            tick.as_mut().reset(now + settings.tick);
            if now - second >= Duration::from_secs(1) {
                second = now;
                count_resets(connection);
                activity.restart_idle_frames();
            }
            if activity.partial() != partial.0 {
                partial = (activity.partial(), now);
            }
            if partial.0.is_some() && now - partial.1 >= limits.header_timeout {
                return Poll::Ready(Some(GivenUp::Slow));
            }
            if activity.is_stalled(now, limits.send_timeout) {
                return Poll::Ready(Some(GivenUp::Stalled));
            }
            let idle = idle.time(now, activity.is_idle(), activity.requests());
            match told {
                Some((told, _)) if idle >= FAREWELL && now - told >= FAREWELL => {
                    return Poll::Ready(Some(GivenUp::Stays));
                }
                None if idle >= limits.idle_timeout => {
                    told = Some((now, activity.requests()));
                    served.as_mut().graceful_shutdown();
                }
                _ => {}
            }
        }
    })
    .await
}

/// Whether the connection was given up below, for streams that were reset before anybody looked at them, or for a head
/// in too many pieces.
fn is_flood(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error);
    source.and_then(|source| source.downcast_ref::<h2::Error>()).is_some_and(|error| {
        error.is_library() && error.is_go_away() && error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM)
    })
}

fn count_resets<H>(connection: &Connection<H>) {
    for _ in 0..connection.activity.restart_cut() {
        connection.worker.shared.counters.resets.add();
    }
}

/// For how long there has been no stream.
struct Idle {
    since: Instant,
    requests: u32,
}

impl Idle {
    fn time(&mut self, now: Instant, is_idle: bool, requests: u32) -> Duration {
        if !is_idle || requests != self.requests {
            *self = Self { since: now, requests };
        }
        now - self.since
    }
}

/// A tunnel that may come to be: what is held for it, and what tells that nobody does any more.
fn tunnel(activity: &Arc<Activity>) -> (Tunnel, CancellationToken) {
    let ended = CancellationToken::new();
    activity.begin_upload();
    let held = TunnelHeld { activity: activity.clone(), _ended: ended.clone().drop_guard() };
    (Tunnel::holding(held), ended)
}

/// While this is there, a client may still send: its connection is not idle.
struct TunnelHeld {
    activity: Arc<Activity>,
    _ended: DropGuard,
}

impl Drop for TunnelHeld {
    fn drop(&mut self) {
        self.activity.end_upload(false);
    }
}
