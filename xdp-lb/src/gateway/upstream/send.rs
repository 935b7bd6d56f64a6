//! One request to a pool: its tries, until an answer begins.
//!
//! A try may be followed by another at another server if the request is idempotent or no server has seen it, if its body
//! is still there, if the time is not over and the pool's budget allows it. Of a request that may be hedged, two are
//! under way at once.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;

use super::answer::{self, Carrier};
use super::attempt::{Arrived, Failure, Tried, attempt, can_begin_again, may_repeat, spoilt};
use super::outgoing::Upload;
use super::splice::{Client, splice};
use super::trip::{Letter, Origin, Trail, Trip, now};
use super::verdict::{Guards, tell};
use super::{Picked, Pool, Worker, harvest, method, send_for};
use crate::control::score::{ServerId, Verdict};
use crate::gateway::{Body, Exchange, Reason, Refusal, Tunnel};

/// What a route may say of how its requests are sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct SendOptions {
    /// From the request's arrival to the head of its answer, instead of the pool's.
    pub timeout: Option<Duration>,
}

/// Sends a request to one of the pool's servers and gives the head of the answer; its body comes as it is taken.
///
/// The request has the path, query and `Host` that the server is to see, and no hop-by-hop headers, but `Upgrade` and
/// hyper's `OnUpgrade` where the client may change protocols. The answer's headers come as the server sent them,
/// hop-by-hop ones included, without what the server says of its load. An answer 101 has both sides joined already.
pub async fn send(
    pool: &Arc<Pool>,
    worker: &Arc<Worker>,
    exchange: &mut Exchange,
    request: Request<Body>,
    options: SendOptions,
) -> Result<Response<Body>, Refusal> {
    let origin = Origin::of(exchange);
    let mut told = Told { exchange, trail: Trail::default() };
    send_for(pool, worker, origin, &mut told.trail, request, options).await
}

/// Tells the exchange what was found on the way, also when its client goes away before the answer.
struct Told<'a> {
    exchange: &'a mut Exchange,
    trail: Trail,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        let (exchange, trail) = (&mut *self.exchange, std::mem::take(&mut self.trail));
        exchange.server = trail.server;
        exchange.tries = trail.tries;
        exchange.upstream = trail.upstream;
        exchange.reason = trail.reason.or(exchange.reason);
        exchange.cause = trail.cause.or(exchange.cause.take());
    }
}

pub(super) async fn run(
    pool: &Arc<Pool>,
    worker: &Arc<Worker>,
    origin: Origin,
    trail: &mut Trail,
    request: Request<Body>,
    options: SendOptions,
) -> Result<Response<Body>, Refusal> {
    let config = pool.config();
    let deadline = origin.started + options.timeout.unwrap_or(config.timeouts.request);
    let entry = tokio::time::timeout_at(deadline.into(), pool.enter()).await.map_err(|_| too_late())??;
    let entered = now();
    if entered >= deadline {
        return Err(too_late());
    }
    let (mut head, body) = request.into_parts();
    let is_idempotent = method::is_idempotent(&head.method);
    let client = upgrade(&mut head, &body, pool);
    let accept = client.as_ref().and_then(|client| client.accept(&head.headers));
    let upload = (!body.is_empty()).then(|| {
        Upload::new(body, if is_idempotent || config.retry.tries > 1 { config.retry.body_bytes } else { 0 })
    });
    let upgrades = client.is_some();
    let trip = Trip { pool, worker, origin, deadline, repeats: is_idempotent, upload, upgrades, accept };
    // A server of HTTP/2 may say that it has not looked at a request that left.
    let mut letter = Letter::new(head, is_idempotent || pool.connector().is_http2());
    let mut tried = Vec::new();
    let mut picked = pool.pick(&tried, entered).ok_or_else(no_server)?;
    loop {
        let this = picked.server().id;
        trail.tries = trail.tries.saturating_add(1);
        trail.server = Some(Arc::clone(&picked.server().name));
        let done =
            match config.hedge.as_ref().filter(|_| tried.is_empty() && trip.repeats && trip.upload.is_none())
            {
                Some(hedge) => hedged(&trip, picked, &mut letter, hedge.after, trail, &mut tried).await,
                None => attempt(&trip, picked, &mut letter).await,
            };
        trail.server = Some(Arc::clone(&done.picked.server().name));
        trail.upstream = Some(done.took);
        tried.push(this);
        let may_go_on = match &done.result {
            Ok(arrived) => {
                config.retry.statuses.contains(&arrived.response.status().as_u16()) && may_repeat(&trip)
            }
            Err(failure) => may_repeat(&trip) || failure.is_unsent && can_begin_again(&trip),
        };
        if may_go_on && let Some(next) = next(&trip, &tried) {
            let Tried { picked: mut before, took, result } = done;
            trail.cause = Some(match result {
                Ok(arrived) => {
                    if !arrived.is_failure {
                        tell(&mut before, Verdict::Success, took, arrived.report.as_ref());
                    }
                    format!("{}: status {}", before.server().name, arrived.response.status().as_u16())
                }
                Err(failure) => failure.cause,
            });
            picked = next;
            continue;
        }
        let Tried { picked, took, result } = done;
        return match result {
            Ok(mut arrived) => {
                let report = arrived.report.take();
                let guards = Guards::new(entry, picked, arrived.is_failure, took, report);
                settle(&trip, arrived, guards, client)
            }
            Err(failure) => Err(refusal(failure)),
        };
    }
}

/// The client's wish for another protocol, if it can be passed on.
fn upgrade(head: &mut Parts, body: &Body, pool: &Arc<Pool>) -> Option<Client> {
    let (upgrade, tunnel) = (head.extensions.remove::<OnUpgrade>()?, head.extensions.remove::<Tunnel>());
    if !head.headers.contains_key(UPGRADE) {
        return None;
    }
    // HTTP in another version, or under TLS, would carry requests that nobody has looked at.
    let lines = head.headers.get_all(UPGRADE).iter();
    let is_http = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).any(|protocol| {
        let protocol = protocol.trim_ascii().to_ascii_lowercase();
        [&b"h2"[..], b"http", b"tls"].iter().any(|http| protocol.starts_with(http))
    });
    if is_http || !body.is_empty() || pool.connector().is_http2() {
        head.headers.remove(UPGRADE);
        return None;
    }
    Some(Client { upgrade, tunnel })
}

/// Another server, if the time and the budget allow one.
fn next(trip: &Trip<'_>, tried: &[ServerId]) -> Option<Picked> {
    let now = now();
    let tries = usize::from(trip.pool.config().retry.tries);
    if tried.len() >= tries || now >= trip.deadline {
        return None;
    }
    trip.pool.pick_again(tried, now)
}

/// The same request to a second server, if the first takes long. The first good head wins.
async fn hedged(
    trip: &Trip<'_>,
    picked: Picked,
    letter: &mut Letter,
    after: Duration,
    trail: &mut Trail,
    tried: &mut Vec<ServerId>,
) -> Tried {
    let first_server = picked.server().id;
    let mut second_letter = letter.copy();
    let mut first = std::pin::pin!(attempt(trip, picked, letter));
    tokio::select! {
        biased;
        done = &mut first => return done,
        () = tokio::time::sleep(after) => {}
    }
    let now = now();
    let Some(second) = trip.pool.pick_again(&[first_server], now) else { return first.await };
    trail.tries = trail.tries.saturating_add(1);
    tried.push(second.server().id);
    let mut second = std::pin::pin!(attempt(trip, second, &mut second_letter));
    tokio::select! {
        biased;
        done = &mut first => better(trip, done, second).await,
        done = &mut second => better(trip, done, first).await,
    }
}

/// What came first if it is good, else the better of both.
async fn better(trip: &Trip<'_>, first: Tried, other: impl Future<Output = Tried>) -> Tried {
    let is_good = |tried: &Tried| {
        let statuses = &trip.pool.config().retry.statuses;
        tried.result.as_ref().is_ok_and(|arrived| {
            !arrived.is_failure && !statuses.contains(&arrived.response.status().as_u16())
        })
    };
    if is_good(&first) {
        return first;
    }
    let second = other.await;
    if is_good(&second) || first.result.is_err() { second } else { first }
}

fn settle(
    trip: &Trip<'_>,
    arrived: Arrived,
    guards: Guards,
    client: Option<Client>,
) -> Result<Response<Body>, Refusal> {
    let config = trip.pool.config();
    let Arrived { response, carrier, .. } = arrived;
    let (mut head, incoming) = response.into_parts();
    match (carrier, client) {
        (Carrier::Link(link), Some(client)) if head.status == StatusCode::SWITCHING_PROTOCOLS => {
            head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            head.extensions.clear();
            splice(link, client, guards, config.timeouts.idle);
            Ok(Response::from_parts(head, Body::empty()))
        }
        (carrier, _) => {
            let body = answer::body(incoming, carrier, guards, trip.upload.clone(), || answer::Settings {
                idle: config.timeouts.idle,
                utilization: config.balance.utilization_header.clone(),
                is_grpc: harvest::is_grpc(&head.headers),
                unix: trip.origin.unix(now()),
            });
            match body {
                Ok(body) => Ok(Response::from_parts(head, body)),
                Err((error, server)) => Err(refusal(spoilt(trip, &error, &server.name))),
            }
        }
    }
}

fn too_late() -> Refusal {
    let refusal = Refusal::new(Reason::UpstreamSlow, "the service did not answer in time");
    refusal.because("no time was left to ask a server")
}

fn no_server() -> Refusal {
    Refusal::new(Reason::NoServer, "the service has no server at present").retry_after(Duration::from_secs(1))
}

fn refusal(failure: Failure) -> Refusal {
    let detail = match failure.reason {
        Reason::ConnectFailed => "the service cannot be reached",
        Reason::UpstreamClosed => "the service ended the connection before it answered",
        Reason::UpstreamGarbage => "the service did not answer in valid HTTP",
        Reason::UpstreamSlow => "the service did not answer in time",
        Reason::BodyTooLarge => "the request's body is larger than allowed",
        Reason::SlowBody => "the request's body came too slowly",
        Reason::Internal => "the gateway failed",
        _ => "the request's body did not come whole, or not as it should",
    };
    let by_client = failure.reason.status().is_client_error();
    let refusal = Refusal::new(failure.reason, detail).because(failure.cause);
    if by_client { refusal.closing() } else { refusal }
}
