//! To a server and back: what is held against the API's description and changed on both ways.

use std::sync::Arc;

use http::header::{ACCEPT_ENCODING, CONNECTION, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};

use super::Handle;
use super::visit::Visit;
use crate::config::gateway::{ContractMode, Route, Template};
use crate::gateway::contract::{Operation, Unchecked};
use crate::gateway::route::choose;
use crate::gateway::site::{Plan, Site};
use crate::gateway::transform::{Context, Escape, forwarded, render, trace_context};
use crate::gateway::upstream::{SendOptions, send};
use crate::gateway::{Body, Exchange, Refusal, compress, enforce, json};

/// The way that a request takes.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) plan: &'a Plan,
    pub(super) config: &'a Route,
    /// Where in the path that begins which follows the route's prefix.
    pub(super) rest: usize,
}

impl Way<'_> {
    /// What follows the route's prefix in the request's path.
    pub(super) fn rest<'e>(&self, exchange: &'e Exchange) -> &'e str {
        exchange.path.get(self.rest..).unwrap_or_default()
    }
}

/// What of a request is still wanted when its answer comes.
struct Asked {
    method: Method,
    /// As the client sent it, where compression looks at it.
    encodings: HeaderMap,
    /// Where the answer is made with it.
    head: Option<Parts>,
    operation: Option<Operation>,
}

impl Handle {
    pub(super) async fn forward(
        &self,
        site: &Arc<Site>,
        visit: &mut Visit,
        way: Way<'_>,
        pools: &[(usize, u32)],
        mut head: Parts,
        mut body: Body,
    ) -> Result<Response<Body>, Refusal> {
        let mut operation = None;
        if let Some(used) = &way.config.contract {
            // In a box, so that the future of each request stays small.
            let checked =
                Box::pin(site.contracts.check_request(used, &head, &visit.exchange.path, body)).await?;
            (body, operation) = (checked.0, checked.1);
            visit.exchange.violations += u32::try_from(checked.2.len()).unwrap_or(u32::MAX);
        }
        let kept = way.plan.keeps_head.then(|| head.clone());
        if let Some(transform) = &way.config.request.body {
            let exchange = &visit.exchange;
            let rest = way.rest(exchange);
            let before = head.clone();
            let fill = |template: &Template| {
                let context = Context { exchange, head: &before, rest, status: None };
                render(template, &context, Escape::None)
            };
            body = Box::pin(json::transform_request_body(transform, &mut head.headers, body, &fill)).await?;
        }
        let asked = Asked {
            method: head.method.clone(),
            encodings: encodings(way.config, &mut head.headers),
            head: kept,
            operation,
        };
        write_head(site, visit, way, &mut head)?;
        if let Some(mirror) = &way.config.mirror
            && fastrand::f64() < mirror.share.get()
        {
            body = self.mirror(site, mirror, &head, body);
        }
        let pool = choose(pools, fastrand::u64(..));
        visit.exchange.pool = Some(pool);
        let request = Request::from_parts(head, body);
        let options = SendOptions { timeout: way.config.timeout };
        let response =
            send(site.pools.get(pool), &self.upstream, &mut visit.exchange, request, options).await?;
        answer(site, visit, way, asked, response).await
    }
}

/// What the client takes. Where its answer is to be read here, the server is not to encode it.
fn encodings(config: &Route, headers: &mut HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    if config.compression.is_some() {
        for value in headers.get_all(ACCEPT_ENCODING) {
            kept.append(ACCEPT_ENCODING, value.clone());
        }
    }
    let is_read = config.response.body.is_some() || config.contract.is_some();
    if is_read {
        headers.remove(ACCEPT_ENCODING);
    }
    kept
}

fn write_head(site: &Site, visit: &Visit, way: Way<'_>, head: &mut Parts) -> Result<(), Refusal> {
    let gateway = &site.config.gateway;
    let exchange = &visit.exchange;
    forwarded::apply(gateway, exchange, head);
    head.headers.insert(gateway.request_id_header.clone(), exchange.id.0.clone());
    if let Some(trace) = &exchange.trace {
        head.headers.insert(trace_context::TRACEPARENT, trace_context::format(trace));
    }
    way.plan.request.apply(exchange, way.rest(exchange), head)
}

async fn answer(
    site: &Site,
    visit: &mut Visit,
    way: Way<'_>,
    asked: Asked,
    mut response: Response<Body>,
) -> Result<Response<Body>, Refusal> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(switched(response));
    }
    // What a server nominates, it nominates for this hop alone.
    let _ = enforce::strip_hop_by_hop(response.headers_mut(), false);
    if let Some(used) = &way.config.contract {
        if let Some(operation) = &asked.operation {
            let (head, body) = response.into_parts();
            let checked = Box::pin(site.contracts.check_response(used, operation, &head, body)).await?;
            visit.exchange.violations += u32::try_from(checked.violations.len()).unwrap_or(u32::MAX);
            visit.exchange.unchecked = checked.unchecked;
            response = Response::from_parts(head, checked.body);
        } else if used.responses != ContractMode::Off {
            visit.exchange.unchecked = Some(Unchecked::UnknownRequest);
        }
    }
    let empty;
    let head = match &asked.head {
        Some(head) => head,
        None => {
            empty = Request::new(()).into_parts().0;
            &empty
        }
    };
    if let Some(transform) = &way.config.response.body {
        let exchange = &visit.exchange;
        let (mut answer, body) = response.into_parts();
        let (rest, status) = (way.rest(exchange), Some(answer.status));
        let fill =
            |template: &Template| render(template, &Context { exchange, head, rest, status }, Escape::None);
        let body = Box::pin(json::transform_response_body(
            transform,
            &asked.method,
            answer.status,
            &mut answer.headers,
            body,
            &fill,
        ));
        let body = body.await?;
        response = Response::from_parts(answer, body);
    }
    let exchange = &visit.exchange;
    let context = Context { exchange, head, rest: way.rest(exchange), status: Some(response.status()) };
    way.plan.response.apply(&context, &mut response);
    if let Some(compression) = &way.config.compression {
        let (mut head, body) = response.into_parts();
        let body = compress::compress(compression, &asked.method, &asked.encodings, &mut head, body);
        response = Response::from_parts(head, body);
    }
    Ok(response)
}

/// Both sides are joined: only what says so is left of the connection's headers.
fn switched(mut response: Response<Body>) -> Response<Body> {
    let upgrade = response.headers_mut().remove(UPGRADE);
    let _ = enforce::strip_hop_by_hop(response.headers_mut(), false);
    if let Some(upgrade) = upgrade {
        response.headers_mut().insert(UPGRADE, upgrade);
        response.headers_mut().insert(CONNECTION, http::HeaderValue::from_static("upgrade"));
    }
    response
}
