//! One request from head to end: every part of the gateway in its order, and nothing decided here but that order.
//!
//! ```text
//! head ─► strict? ─► room? ─► route ─► limits ─► who asks? ─► limits ─► contract ─► changes ─► pool
//! answer ◄─ limits, request ID ◄─ CORS ◄─ compression ◄─ changes ◄─ contract ◄─────────────────┘
//! ```

mod forward;
mod mirror;
mod visit;

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::{ALLOW, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, Version};

use self::forward::Way;
use self::visit::Visit;
use super::asker::Asker;
use super::limit::Phase;
use super::route::Match;
use super::serve::Handler;
use super::shed::{Lag, Shedder};
use super::site::{Plan, Site, Step};
use super::transform::{Context, cors};
use super::upstream::Worker;
use super::{Body, BodyError, Peer, Reason, Refusal, enforce, websocket};
use crate::config::gateway::EmptySegments;

/// A worker thread's.
pub(super) struct Handle {
    pub site: Arc<ArcSwap<Site>>,
    /// Index of the thread.
    pub worker: usize,
    /// Its connections to servers.
    pub upstream: Arc<Worker>,
    pub shedder: Arc<Shedder>,
    pub lag: Arc<Lag>,
}

impl Handler for Handle {
    async fn handle(&self, peer: &Arc<Peer>, request: Request<Body>) -> Response<Body> {
        let site = self.site.load_full();
        let (head, body) = request.into_parts();
        let mut visit = Visit::begin(Arc::clone(&site), self.worker, peer, &head);
        let mut outcome = self.answer(&site, &mut visit, head, body).await;
        if visit.is_websocket {
            outcome = outcome.and_then(websocket::answer);
        }
        visit.answer(outcome)
    }

    fn refuse(&self, peer: &Arc<Peer>, refusal: Refusal) -> Response<Body> {
        let (head, ()) = Request::new(()).into_parts();
        let mut visit = Visit::begin(self.site.load_full(), self.worker, peer, &head);
        visit.forget_head();
        visit.answer(Err(refusal))
    }
}

impl Handle {
    async fn answer(
        &self,
        site: &Arc<Site>,
        visit: &mut Visit,
        mut head: Parts,
        body: Body,
    ) -> Result<Response<Body>, Refusal> {
        let paths = site.config.gateway.paths;
        if paths.empty_segments == EmptySegments::Merge {
            enforce::merge_empty_segments(&mut head.uri);
            visit.exchange.path = head.uri.path().into();
        }
        visit.exchange.host = enforce::check(&head, site.bounds, paths)?.name.into();
        if head.version == Version::HTTP_2 {
            enforce::join_cookies(&mut head.headers);
        }
        // Others cannot be told to go on, and do not wait for it (RFC 9110 section 10.1.1).
        if head.version != Version::HTTP_11 {
            head.headers.remove(EXPECT);
        }
        let chunked = head.headers.contains_key(TRANSFER_ENCODING);
        let upgrades = head.headers.contains_key(UPGRADE);
        enforce::strip_hop_by_hop(&mut head.headers, upgrades).map_err(Refusal::from)?;
        if head.method == Method::CONNECT {
            websocket::ask(&mut head, fastrand::u128(..))?;
            visit.asks_for_websocket();
        }
        if visit.exchange.peer.tls.as_ref().is_some_and(|tls| tls.has_expired(visit.exchange.wall)) {
            let detail =
                "the client's certificate has expired since it connected: connect again with another";
            let refusal = Refusal::new(Reason::Forbidden, detail);
            // Of HTTP/2 it is only the stream that ends.
            return Err(if head.version == Version::HTTP_2 { refusal } else { refusal.closing() });
        }
        visit.place = Some(self.shedder.admit(&self.lag, fastrand::f64)?);
        site.gate.strip(&mut head.headers);
        let (route, rest) = find(site, visit, &head)?;
        let (Some(plan), Some(config)) = (site.plans.get(route), site.config.routes.get(route)) else {
            return Err(Refusal::new(Reason::Internal, "the route is not there").because(route));
        };
        if let Some(policy) = &plan.cors {
            visit.origin = cors::origin(&head.headers);
            if cors::preflight_method(&head).is_some() {
                return policy.preflight(&head);
            }
        }
        if plan.one_method {
            enforce::check_method_override(&head.method, &head.headers)?;
        }
        let body = receive(visit, plan, &head.headers, body, chunked).await?;
        self.admit(site, visit, route, config, &mut head).await?;
        let way = Way { plan, config, rest };
        match &plan.step {
            Step::Forward(pools) => self.forward(site, visit, way, pools, head, body).await,
            Step::Redirect(redirect) => {
                let rest = way.rest(&visit.exchange);
                redirect.answer(&Context { exchange: &visit.exchange, head: &head, rest, status: None })
            }
            Step::Respond(respond) => {
                let rest = way.rest(&visit.exchange);
                let context = Context { exchange: &visit.exchange, head: &head, rest, status: None };
                let mut response = respond.answer(&context);
                plan.response.apply(&context, &mut response);
                Ok(response)
            }
        }
    }

    /// Whether the request may use its route now.
    async fn admit(
        &self,
        site: &Arc<Site>,
        visit: &mut Visit,
        route: usize,
        config: &crate::config::gateway::Route,
        head: &mut Parts,
    ) -> Result<(), Refusal> {
        if !config.rate_limits.is_empty() {
            visit.limit(site, Phase::Before, route, config, head)?;
        }
        // Asks only if a verifier of the route does.
        let asker = Asker { pools: Arc::clone(&site.pools), upstream: Arc::clone(&self.upstream) };
        site.gate.admit(&config.access, &mut visit.exchange, head, &asker).await?;
        if !config.rate_limits.is_empty() {
            visit.limit(site, Phase::After, route, config, head)?;
        }
        Ok(())
    }
}

/// The route's index, and where in the path that begins which follows its prefix.
fn find(site: &Site, visit: &mut Visit, head: &Parts) -> Result<(usize, usize), Refusal> {
    match site.table.find(head, &visit.exchange.host) {
        Match::Route(found) => {
            visit.exchange.route = Some(found.route);
            visit.exchange.parameters = found.parameters;
            Ok((found.route, found.rest))
        }
        Match::WrongMethod { allow } => {
            let detail = "no route takes this method for this host and path";
            Err(Refusal::new(Reason::WrongMethod, detail).with(ALLOW, allow))
        }
        Match::Ambiguous => {
            let detail = "the path leads elsewhere without what follows `;` in it";
            Err(Refusal::new(Reason::BadTarget, detail))
        }
        Match::None => Err(Refusal::new(Reason::NoRoute, "no route is for this host and path")),
    }
}

/// The body, as far as it may come. Its first piece is looked at where its framing may be wrong, so that nothing of such a
/// request goes to a server.
async fn receive(
    visit: &mut Visit,
    plan: &Plan,
    headers: &HeaderMap,
    body: Body,
    chunked: bool,
) -> Result<Body, Refusal> {
    if body.is_empty() {
        return Ok(body);
    }
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > plan.body_bytes) {
        let detail = format!("the body is larger than {} bytes", plan.body_bytes);
        return Err(Refusal::new(Reason::BodyTooLarge, detail).closing());
    }
    let body = body.limited(plan.body_bytes).watched(visit.count_received());
    // Who waits for "100 Continue" goes on when a server wants the body, not before.
    if chunked && !headers.contains_key(EXPECT) { Ok(body.begun().await?) } else { Ok(body) }
}

impl From<BodyError> for Refusal {
    /// A request's body that ended early, before its answer.
    fn from(error: BodyError) -> Self {
        let detail = match error.reason {
            Reason::BodyTooLarge => "the body is larger than this route allows",
            Reason::SlowBody => "the body came too slowly",
            Reason::BadChunk | Reason::BadTrailer => "the body's chunks are not as RFC 9112 has them",
            _ => "the body ended early",
        };
        Self::new(error.reason, detail).because(error.cause).closing()
    }
}
