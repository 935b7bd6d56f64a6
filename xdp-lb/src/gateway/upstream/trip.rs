//! One request on its way: what all its tries have in common, and what is told of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::request::Parts;
use http::{HeaderValue, Request, Response};

use super::outgoing::Upload;
use super::send::{SendOptions, run};
use super::{Pool, Worker};
use crate::gateway::{Body, Exchange, Reason, Refusal};

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// Both ends of the client's connection, the client's first; `None`: the gateway itself asks.
    pub ends: Option<(SocketAddr, SocketAddr)>,
    /// When it arrived.
    pub started: Instant,
    /// The same by the calendar.
    pub wall: SystemTime,
}

impl Origin {
    /// As the exchange tells.
    pub fn of(exchange: &Exchange) -> Self {
        let ends = Some((exchange.peer.remote, exchange.peer.local));
        Self { ends, started: exchange.started, wall: exchange.wall }
    }

    /// Time since 1970, by the clock that was read when the request arrived.
    pub(super) fn unix(&self, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.started);
        self.wall.duration_since(UNIX_EPOCH).unwrap_or_default() + passed
    }
}

/// What was found on the way; the fields of [`Exchange`] by the same names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    /// Server that answered, or was tried last.
    pub server: Option<Arc<str>>,
    /// Tries made.
    pub tries: u8,
    /// From the last try's begin to the head of its answer.
    pub upstream: Option<Duration>,
    /// Why it failed.
    pub reason: Option<Reason>,
    /// What happened, for the log; also of tries that were followed by a better one.
    pub cause: Option<String>,
}

/// As [`send`](super::send()), for requests of the gateway's own.
pub async fn send_for(
    pool: &Arc<Pool>,
    worker: &Arc<Worker>,
    origin: Origin,
    trail: &mut Trail,
    request: Request<Body>,
    options: SendOptions,
) -> Result<Response<Body>, Refusal> {
    let answer = run(pool, worker, origin, trail, request, options).await;
    if let Err(refusal) = &answer {
        trail.reason = Some(refusal.reason);
        trail.cause.clone_from(&refusal.cause);
    }
    answer
}

/// What tries share.
pub(super) struct Trip<'a> {
    pub(super) pool: &'a Arc<Pool>,
    pub(super) worker: &'a Arc<Worker>,
    pub(super) origin: Origin,
    /// When the head of an answer has to be there, whatever the try.
    pub(super) deadline: Instant,
    /// May be sent again though a server may have seen it.
    pub(super) repeats: bool,
    pub(super) upload: Option<Upload>,
    /// The client asks for another protocol on its connection.
    pub(super) upgrades: bool,
    /// What a server has to accept it with, where the gateway vouches for that.
    pub(super) accept: Option<HeaderValue>,
}

/// The head of a request, for one try or for several.
pub(super) struct Letter {
    head: Option<Parts>,
    repeats: bool,
    /// A server may have seen it.
    pub(super) is_sent: bool,
    /// When its present try did.
    pub(super) began: Option<Instant>,
}

impl Letter {
    pub(super) fn new(head: Parts, repeats: bool) -> Self {
        Self { head: Some(head), repeats, is_sent: false, began: None }
    }

    pub(super) fn head(&self) -> Option<&Parts> {
        self.head.as_ref()
    }

    /// The head for a try; that of one that is sent once is gone with it.
    pub(super) fn write(&mut self) -> Option<Parts> {
        if self.repeats { self.head.clone() } else { self.head.take() }
    }

    /// Whether its try began so short a time ago.
    pub(super) fn is_fresh(&self, limit: Duration) -> bool {
        self.began.is_some_and(|began| now().saturating_duration_since(began) <= limit)
    }

    /// It never left the house.
    pub(super) fn came_back(&mut self, head: Option<Parts>) {
        self.is_sent = false;
        self.head = self.head.take().or(head);
    }

    /// For a second server at the same time.
    pub(super) fn copy(&self) -> Self {
        Self { head: self.head.clone(), repeats: self.repeats, is_sent: self.is_sent, began: None }
    }
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
