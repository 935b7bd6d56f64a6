//! One try at one server: a connection, the request, the head of the answer.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{EXPECT, HOST};
use http::request::Parts;
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;

use super::answer::Carrier;
use super::connector::Kind;
use super::link::{Home, Link};
use super::mux::{Mux, Ticket};
use super::outgoing::{Go, Outgoing};
use super::trip::{Letter, Trip, now};
use super::verdict::tell;
use super::{Picked, ServerInfo, framing, harvest};
use crate::control::Report;
use crate::control::score::Verdict;
use crate::gateway::body::in_full;
use crate::gateway::{Reason, websocket};

/// What became of a try.
pub(super) struct Tried {
    pub(super) picked: Picked,
    pub(super) took: Duration,
    pub(super) result: Result<Arrived, Failure>,
}

/// The head of an answer.
pub(super) struct Arrived {
    pub(super) response: Response<Incoming>,
    pub(super) carrier: Carrier,
    /// It means that the server failed, which was told.
    pub(super) is_failure: bool,
    /// What the server says of itself.
    pub(super) report: Option<Report>,
}

/// Why there is none.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    pub(super) cause: String,
    /// No server has seen anything of the request.
    pub(super) is_unsent: bool,
    /// The connection had been idle, and nothing came on it: it was closed before the request.
    was_stale: bool,
    /// It is the server's fault.
    is_blamed: bool,
}

impl Failure {
    fn new(reason: Reason, cause: impl ToString) -> Self {
        Self { reason, cause: cause.to_string(), is_unsent: false, was_stale: false, is_blamed: true }
    }

    fn unsent(mut self) -> Self {
        self.is_unsent = true;
        self
    }

    fn inside(cause: impl ToString) -> Self {
        let mut failure = Self::new(Reason::Internal, cause);
        failure.is_blamed = false;
        failure
    }
}

/// How soon after a request the end of a connection shows that it had ended before: the request meets a closed socket,
/// which is told within a round trip.
const STALE: Duration = Duration::from_millis(250);

/// Tries a server, tells its balancer what came of it.
pub(super) async fn attempt(trip: &Trip<'_>, mut picked: Picked, letter: &mut Letter) -> Tried {
    let began = now();
    let config = trip.pool.config();
    let until = (began + config.timeouts.per_try).min(trip.deadline);
    let server = Arc::clone(picked.server());
    letter.is_sent = false;
    letter.began = Some(began);
    let answer = tokio::time::timeout_at(until.into(), both(trip, &server, letter)).await;
    let result = answer.unwrap_or_else(|_| {
        let mut failure = Failure::new(Reason::UpstreamSlow, "no answer in time");
        failure.is_unsent = !letter.is_sent;
        // Nobody can answer what has not come yet, or in the rest of a time that others have used up.
        let whole = trip.deadline.saturating_duration_since(trip.origin.started);
        let had_time = until.saturating_duration_since(began) >= config.timeouts.per_try.min(whole) / 2;
        let has_come = trip.upload.as_ref().is_none_or(|upload| !letter.is_sent || upload.is_sent());
        failure.is_blamed = had_time && has_come;
        Err(failure)
    });
    let ended = now();
    let took = ended.saturating_duration_since(began);
    let result = match result {
        Ok(arrived) => Ok(judge(trip, &mut picked, arrived, took, ended)),
        Err(mut failure) => {
            failure.cause = format!("{}: {}", server.name, failure.cause);
            if failure.is_blamed {
                tell(&mut picked, Verdict::Failure, took, None);
            }
            Err(failure)
        }
    };
    Tried { picked, took, result }
}

fn judge(
    trip: &Trip<'_>,
    picked: &mut Picked,
    mut arrived: Arrived,
    latency: Duration,
    now: Instant,
) -> Arrived {
    let balance = &trip.pool.config().balance;
    let status = arrived.response.status().as_u16();
    let headers = arrived.response.headers_mut();
    let unix_now = || trip.origin.unix(now);
    arrived.report = harvest::harvest(headers, balance.utilization_header.as_ref(), unix_now);
    arrived.is_failure =
        balance.failures.contains(&status) || harvest::grpc_failed(headers) && harvest::is_grpc(headers);
    // A success it is when the answer is whole.
    if arrived.is_failure {
        tell(picked, Verdict::Failure, latency, arrived.report.as_ref());
    }
    arrived
}

/// Over a connection that is there, or a new one. A connection that its server closed before the request came is
/// nobody's failure: the same server is asked once more, over a new one.
async fn both(trip: &Trip<'_>, server: &ServerInfo, letter: &mut Letter) -> Result<Arrived, Failure> {
    let first = over(trip, server, letter, false).await;
    match first {
        Err(failure) if failure.was_stale && (failure.is_unsent || may_repeat(trip)) => {
            over(trip, server, letter, true).await
        }
        other => other,
    }
}

/// Whether the request may be sent again though a server may have seen it, and can.
pub(super) fn may_repeat(trip: &Trip<'_>) -> bool {
    trip.repeats && can_begin_again(trip)
}

pub(super) fn can_begin_again(trip: &Trip<'_>) -> bool {
    trip.upload.as_ref().is_none_or(super::outgoing::Upload::can_begin_again)
}

async fn over(
    trip: &Trip<'_>,
    server: &ServerInfo,
    letter: &mut Letter,
    fresh: bool,
) -> Result<Arrived, Failure> {
    let host = letter.head().map(host).unwrap_or_default();
    let kind = trip.pool.connector().kind(host, trip.origin.ends);
    if trip.pool.connector().is_http2() {
        over_http2(trip, server, letter, kind, fresh).await
    } else {
        over_http1(trip, server, letter, kind, fresh).await
    }
}

/// The name that a request is for, without port.
fn host(head: &Parts) -> &str {
    let told =
        head.headers.get(HOST).and_then(|host| host.to_str().ok()).or(head.uri.host()).unwrap_or_default();
    match told.rsplit_once(':') {
        Some((name, port)) if !told.ends_with(']') && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => told,
    }
}

async fn over_http1(
    trip: &Trip<'_>,
    server: &ServerInfo,
    letter: &mut Letter,
    kind: Kind,
    fresh: bool,
) -> Result<Arrived, Failure> {
    let connector = trip.pool.connector();
    if !fresh && !trip.repeats {
        // What cannot be repeated should not meet a connection that its server has closed: the reactor gets to tell.
        tokio::task::yield_now().await;
    }
    let idle = if fresh { None } else { trip.worker.take(connector.id(), server.address, &kind) };
    let reused = idle.is_some();
    let mut link = match idle {
        Some(link) => link,
        None => open_link(trip, server, kind).await?,
    };
    let mut head = letter.write().ok_or_else(|| Failure::inside("a request to be sent once, twice"))?;
    framing::http1(&mut head, server.address, trip.upgrades).map_err(Failure::inside)?;
    let request = request(trip, head);
    letter.is_sent = true;
    let mut error = match link.send(request).await {
        Ok(response) => return arrived(trip, response, link),
        Err(error) => error,
    };
    let message = error.take_message();
    let is_unsent = message.is_some();
    if is_unsent {
        letter.came_back(message.map(|request| request.into_parts().0));
    }
    let heard = link.has_heard();
    let mut failure = classify(trip, error.error(), heard);
    failure.is_unsent = is_unsent;
    failure.was_stale = failure.is_blamed && reused && !heard && letter.is_fresh(STALE);
    Err(failure)
}

fn arrived(trip: &Trip<'_>, response: Response<Incoming>, link: Box<Link>) -> Result<Arrived, Failure> {
    check(trip, &response)?;
    let early = trip.upload.as_ref().is_some_and(|upload| !upload.is_sent());
    let carrier = if early { Carrier::Running { _running: link.run() } } else { Carrier::Link(link) };
    Ok(Arrived { response, carrier, is_failure: false, report: None })
}

fn check(trip: &Trip<'_>, response: &Response<Incoming>) -> Result<(), Failure> {
    framing::refuse(response.status(), response.version(), response.headers(), trip.upgrades)
        .map_err(|cause| Failure::new(Reason::UpstreamGarbage, cause))?;
    match &trip.accept {
        Some(accept)
            if response.status() == StatusCode::SWITCHING_PROTOCOLS
                && !websocket::is_accepted(response.headers(), accept) =>
        {
            Err(Failure::new(Reason::UpstreamGarbage, "a WebSocket opened with another key than was sent"))
        }
        _ => Ok(()),
    }
}

async fn open_link(trip: &Trip<'_>, server: &ServerInfo, kind: Kind) -> Result<Box<Link>, Failure> {
    let config = trip.pool.config();
    let connector = trip.pool.connector();
    let stream = open(trip, server, &kind).await?;
    let home = Home {
        worker: Arc::downgrade(trip.worker),
        connector: connector.id(),
        address: server.address,
        kind,
        most: config.idle_connections,
        keep: config.idle_timeout,
    };
    Link::open(stream, home).await.map_err(|e| Failure::new(Reason::ConnectFailed, e).unsent())
}

async fn open(trip: &Trip<'_>, server: &ServerInfo, kind: &Kind) -> Result<super::stream::Stream, Failure> {
    let limit = trip.pool.config().timeouts.connect;
    let failed = |cause: String| Failure::new(Reason::ConnectFailed, cause).unsent();
    tokio::time::timeout(limit, trip.pool.connector().open(server.address, kind))
        .await
        .map_err(|_| failed(format!("no connection to {} within {limit:?}", server.address)))?
        .map_err(failed)
}

async fn over_http2(
    trip: &Trip<'_>,
    server: &ServerInfo,
    letter: &mut Letter,
    kind: Kind,
    fresh: bool,
) -> Result<Arrived, Failure> {
    let mut ticket = ticket(trip, server, kind, fresh).await?;
    let mut head = letter.write().ok_or_else(|| Failure::inside("a request to be sent once, twice"))?;
    framing::http2(&mut head, server.address, trip.pool.connector().is_encrypted())
        .map_err(Failure::inside)?;
    let request = request(trip, head);
    letter.is_sent = true;
    let mut error = match ticket.sender.try_send_request(request).await {
        Ok(response) => {
            check(trip, &response)?;
            let carrier = Carrier::Stream { _ticket: ticket };
            return Ok(Arrived { response, carrier, is_failure: false, report: None });
        }
        Err(error) => error,
    };
    let message = error.take_message();
    let is_unsent = message.is_some() || is_refused(error.error());
    if message.is_some() {
        letter.came_back(message.map(|request| request.into_parts().0));
    }
    let mut failure = classify(trip, error.error(), false);
    failure.is_unsent = is_unsent;
    // A stream that was reset says that the connection lives.
    if failure.is_blamed && !is_reset(error.error()) {
        ticket.spend();
        failure.was_stale = is_unsent || ticket.reused && letter.is_fresh(STALE);
    }
    Err(failure)
}

async fn ticket(trip: &Trip<'_>, server: &ServerInfo, kind: Kind, fresh: bool) -> Result<Ticket, Failure> {
    let failed = |cause: String| Failure::new(Reason::ConnectFailed, cause).unsent();
    let id = trip.pool.connector().id();
    let there = || trip.worker.ticket(id, server.address, &kind);
    if !fresh && let Some(ticket) = there() {
        return Ok(ticket);
    }
    let opening = trip.worker.opening(id, server.address);
    // Who waits for another's connection waits no longer than for its own: a server that does not answer would hold them
    // up one after the other.
    let limit = trip.pool.config().timeouts.connect;
    let _opening = tokio::time::timeout(limit, opening.lock())
        .await
        .map_err(|_| failed(format!("no connection to {} within {limit:?}", server.address)))?;
    // Another request may have opened one meanwhile. One that is open now was not when the first try failed, or is
    // another that lives.
    if let Some(ticket) = there() {
        return Ok(ticket);
    }
    let stream = open(trip, server, &kind).await?;
    let mux =
        Mux::open(stream, kind, trip.pool.config().idle_timeout).await.map_err(|e| failed(e.to_string()))?;
    trip.worker
        .share(id, server.address, mux)
        .ok_or_else(|| failed(format!("{} does not speak HTTP/2, or allows no stream", server.address)))
}

fn request(trip: &Trip<'_>, mut head: Parts) -> Request<Outgoing> {
    let size = trip.upload.as_ref().map(super::outgoing::Upload::size);
    let http2 = head.version == Version::HTTP_2;
    framing::length(&mut head, size.as_ref());
    if http2 {
        head.headers.remove(http::header::TRANSFER_ENCODING);
    }
    let waits = head.headers.contains_key(EXPECT).then(Go::default);
    let body = match &trip.upload {
        None => Outgoing::Empty,
        Some(upload) => upload.begin(waits.clone()),
    };
    let mut request = Request::from_parts(head, body);
    if let Some(go) = waits {
        hyper::ext::on_informational(&mut request, move |response| {
            if response.status() == http::StatusCode::CONTINUE {
                go.give();
            }
        });
    }
    request
}

/// What hyper's error means.
fn classify(trip: &Trip<'_>, error: &hyper::Error, heard: bool) -> Failure {
    if let Some((reason, cause)) = trip.upload.as_ref().and_then(super::outgoing::Upload::failed) {
        let mut failure = Failure::new(reason, cause);
        failure.is_blamed = false;
        return failure;
    }
    let cause = in_full(error);
    let broken = error.is_parse() || heard && !error.is_incomplete_message() && !is_io(error);
    let by_protocol = stream_error(error).is_some_and(h2::Error::is_library);
    Failure::new(if broken || by_protocol { Reason::UpstreamGarbage } else { Reason::UpstreamClosed }, cause)
}

/// What it means that an answer's body is wrong before anything of the answer was passed on.
pub(super) fn spoilt(trip: &Trip<'_>, error: &hyper::Error, server: &str) -> Failure {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    if let Some((reason, cause)) = trip.upload.as_ref().and_then(super::outgoing::Upload::failed) {
        return Failure::new(reason, cause);
    }
    let closed = error.source().and_then(|source| source.downcast_ref::<std::io::Error>()).is_some_and(|e| {
        matches!(e.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
    });
    let reset = stream_error(error).is_some_and(|e| e.is_remote() || e.is_io());
    let reason = if closed || reset || error.is_incomplete_message() {
        Reason::UpstreamClosed
    } else {
        Reason::UpstreamGarbage
    };
    Failure::new(reason, format!("{server}: {}", in_full(error)))
}

fn is_io(error: &hyper::Error) -> bool {
    error.source().is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}

fn stream_error(error: &hyper::Error) -> Option<&h2::Error> {
    error.source().and_then(|source| source.downcast_ref())
}

fn is_reset(error: &hyper::Error) -> bool {
    stream_error(error).is_some_and(h2::Error::is_reset)
}

/// Whether the server says that it has not looked at it: RFC 9113, section 8.7.
fn is_refused(error: &hyper::Error) -> bool {
    stream_error(error).is_some_and(|error| {
        error.is_remote()
            && (error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM)
                || error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_told_without_its_port() {
        for (uri, header, expected) in [
            ("/", Some("a.example:8080"), "a.example"),
            ("/", Some("a.example"), "a.example"),
            ("/", Some("[2001:db8::1]:80"), "[2001:db8::1]"),
            ("/", Some("[2001:db8::1]"), "[2001:db8::1]"),
            ("http://b.example:80/", None, "b.example"),
            ("/", None, ""),
        ] {
            let mut request = Request::builder().uri(uri);
            if let Some(header) = header {
                request = request.header(HOST, header);
            }
            assert_eq!(host(&request.body(()).unwrap().into_parts().0), expected);
        }
    }
}
