//! A request under way, and its end, whichever comes first: its answer's, or its client's patience's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, Version};

use crate::config::gateway::Route;
use crate::gateway::asker::now;
use crate::gateway::limit::{Phase, RateAnswer};
use crate::gateway::shed::InFlight;
use crate::gateway::site::Site;
use crate::gateway::transform::{forwarded, request_id, trace_context};
use crate::gateway::verify::Gate;
use crate::gateway::{Body, BodyError, End, Exchange, Peer, Reason, Refusal, Watcher, enforce};

/// Status in the log of a request whose client went away before the answer, as nginx has it.
const CLIENT_GONE: u16 = 499;

/// A request under way with what is held for it.
pub(super) struct Visit {
    pub(super) site: Arc<Site>,
    worker: usize,
    pub(super) exchange: Exchange,
    /// Counts it as in flight.
    pub(super) place: Option<InFlight>,
    /// Whether it is a call of gRPC.
    is_grpc: bool,
    /// Whether it asks for a WebSocket over HTTP/2.
    pub(super) is_websocket: bool,
    /// Origin of the script that asks.
    pub(super) origin: Option<HeaderValue>,
    /// What is told of its limits of rate.
    rate: Option<RateAnswer>,
    received: Option<Arc<AtomicU64>>,
    /// Log, metrics and traces know of its end.
    is_told: bool,
}

impl Visit {
    /// Of a request of which only the head is known.
    pub(super) fn begin(site: Arc<Site>, worker: usize, peer: &Arc<Peer>, head: &Parts) -> Box<Self> {
        let gateway = &site.config.gateway;
        let (started, wall) = now();
        let (client, scheme) = forwarded::client(gateway, peer, &head.headers);
        let id = request_id::of(gateway, forwarded::trusts(gateway, peer.remote.ip()), &head.headers);
        let trace = site.observer.tracer.as_ref().map(|tracer| {
            let ids = (fastrand::u128(..), fastrand::u64(..));
            tracer.context(trace_context::parse(&head.headers, ids.1), fastrand::f64(), ids)
        });
        let exchange = Exchange {
            peer: Arc::clone(peer),
            id,
            started,
            wall,
            client,
            scheme,
            method: head.method.clone(),
            host: Box::default(),
            path: head.uri.path().into(),
            version: head.version,
            route: None,
            parameters: Vec::new(),
            identity: None,
            trace,
            logged: site.observer.logged(&head.headers),
            pool: None,
            server: None,
            tries: 0,
            upstream: None,
            reason: None,
            cause: None,
            violations: 0,
            unchecked: None,
            status: 0,
            received: 0,
            sent: 0,
        };
        // An error of gRPC has a status that CONNECT would take for a tunnel.
        let is_grpc = head.method != Method::CONNECT
            && head
                .headers
                .get(CONTENT_TYPE)
                .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        Box::new(Self {
            site,
            worker,
            exchange,
            place: None,
            is_grpc,
            is_websocket: false,
            origin: None,
            rate: None,
            received: None,
            is_told: false,
        })
    }

    /// Its head could not be read: what stands in for it is not told of.
    pub(super) fn forget_head(&mut self) {
        self.exchange.path = "-".into();
        if let Ok(nothing) = Method::from_bytes(b"-") {
            self.exchange.method = nothing;
        }
    }

    /// It asks for a WebSocket over HTTP/2, which is a GET as far as anybody else is concerned.
    pub(super) fn asks_for_websocket(&mut self) {
        self.exchange.method = Method::GET;
        self.is_websocket = true;
    }

    /// Asks the route's limits of one phase.
    pub(super) fn limit(
        &mut self,
        site: &Site,
        phase: Phase,
        route: usize,
        config: &Route,
        head: &Parts,
    ) -> Result<(), Refusal> {
        let now = now().0;
        let answer =
            site.limits.check(&config.rate_limits, phase, route, &self.exchange, &head.headers, now)?;
        if let Some(answer) = answer {
            self.rate = Some(answer.or_tighter(self.rate.take()));
        }
        Ok(())
    }

    /// Counts the body that it watches.
    pub(super) fn count_received(&mut self) -> Box<dyn Watcher> {
        let count = Arc::new(AtomicU64::new(0));
        self.received = Some(Arc::clone(&count));
        Box::new(Received { count, gate: Arc::clone(&self.site.gate) })
    }

    /// What every answer bears, whoever gave it.
    fn decorate(&mut self, response: &mut Response<Body>) {
        let headers = response.headers_mut();
        let route = self.exchange.route;
        if let Some(policy) = route.and_then(|route| self.site.plans.get(route)?.cors.as_ref()) {
            policy.decorate(self.origin.as_ref(), headers);
        }
        if let Some(rate) = self.rate.take() {
            rate.tell(headers);
        }
        headers.insert(self.site.config.gateway.request_id_header.clone(), self.exchange.id.0.clone());
    }

    /// The answer, whose end is the visit's.
    pub(super) fn answer(mut self: Box<Self>, outcome: Result<Response<Body>, Refusal>) -> Response<Body> {
        // Of a refused call the log and the metrics have the status that says so, which gRPC has elsewhere.
        let mut status = None;
        let mut response = outcome.unwrap_or_else(|mut refusal| {
            self.exchange.reason = Some(refusal.reason);
            if let Some(cause) = refusal.cause.take() {
                self.exchange.cause = Some(cause);
            }
            status = Some(refusal.reason.status());
            let is_grpc = self.is_grpc && self.exchange.version == Version::HTTP_2;
            if is_grpc {
                refusal.into_grpc_response()
            } else {
                refusal.into_response(self.exchange.id.as_str())
            }
        });
        self.decorate(&mut response);
        self.exchange.status = status.unwrap_or(response.status()).as_u16();
        response.map(|body| body.watched(self))
    }

    fn tell(&mut self) {
        self.is_told = true;
        if let Some(received) = &self.received {
            self.exchange.received = received.load(Relaxed);
        }
        let took = now().0.saturating_duration_since(self.exchange.started);
        self.site.observer.finished(self.worker, &self.exchange, took, fastrand::f64);
    }
}

/// The bytes of a request's body, and its trailers.
struct Received {
    count: Arc<AtomicU64>,
    gate: Arc<Gate>,
}

impl Watcher for Received {
    fn data(&mut self, bytes: usize) {
        self.count.fetch_add(bytes as u64, Relaxed);
    }

    /// A server may take trailers for headers: what these may not say of who asks, those may not either.
    fn trailers(&mut self, trailers: &mut HeaderMap) -> Result<(), BodyError> {
        enforce::check_trailers(trailers)?;
        self.gate.strip(trailers);
        Ok(())
    }

    fn end(&mut self, _: End) {}
}

/// Without an answer, its client went away.
impl Drop for Visit {
    fn drop(&mut self) {
        if !self.is_told {
            self.exchange.status = CLIENT_GONE;
            self.exchange.reason = Some(Reason::ClientGone);
            self.tell();
        }
    }
}

impl Watcher for Visit {
    fn data(&mut self, bytes: usize) {
        self.exchange.sent += bytes as u64;
    }

    fn failed(&mut self, cause: &str) {
        self.exchange.cause = Some(cause.to_owned());
    }

    fn end(&mut self, how: End) {
        let reason = match how {
            End::Whole => None,
            End::Failed(reason) => Some(reason),
            End::Dropped => Some(Reason::ClientGone),
        };
        self.exchange.reason = self.exchange.reason.or(reason);
        self.tell();
    }
}
