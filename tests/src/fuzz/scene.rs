//! What all targets of the gateway need: a configuration, a request under way, a runtime.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::http::request::Parts;
use tokio::runtime::{Builder, Runtime};
use xdp_lb::config::gateway::{Action, GatewayConfig, Route};
use xdp_lb::gateway::transform::cors::Policy;
use xdp_lb::gateway::transform::{Redirect, RequestEdits, Respond, ResponseEdits};
use xdp_lb::gateway::{Exchange, Peer, RequestId, Scheme};

use crate::clock;

/// The wall clock of every target: inputs are judged alike whenever they run.
pub(super) const WALL: Duration = Duration::from_secs(1_300_000_000);

/// A configuration of these tables, and of a listener and a pool named `app`.
pub(super) fn configuration(tables: &str) -> GatewayConfig {
    let text = format!(
        "[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:8080\"\n\
         [[pool]]\nname = \"app\"\nserver = [{{ address = \"127.0.0.1:8081\" }}]\n{tables}"
    );
    GatewayConfig::from_toml(&text, Path::new("scene.toml")).unwrap_or_else(|errors| panic!("{errors}"))
}

/// What a route does, built of nothing but its configuration.
pub(super) struct Plan {
    pub(super) request: RequestEdits,
    pub(super) response: ResponseEdits,
    pub(super) redirect: Option<Redirect>,
    pub(super) respond: Option<Respond>,
    pub(super) cors: Option<Policy>,
}

impl Plan {
    /// What the validator let pass can be built.
    pub(super) fn build(route: &Route) -> Self {
        let (mut redirect, mut respond) = (None, None);
        match &route.action {
            Action::Forward(_) => {}
            Action::Redirect { to, status } => {
                redirect = Some(built(Redirect::build(&route.name, to, *status)));
            }
            Action::Respond { status, body, content_type } => {
                respond = Some(built(Respond::build(&route.name, *status, body, content_type)));
            }
        }
        Self {
            request: built(RequestEdits::build(route)),
            response: built(ResponseEdits::build(route)),
            redirect,
            respond,
            cors: route.cors.as_ref().map(Policy::new),
        }
    }
}

/// The part of a configuration that the validator accepted.
pub(super) fn built<T, E: std::fmt::Display>(part: Result<T, E>) -> T {
    part.unwrap_or_else(|error| panic!("the validator accepted what cannot be built: {error}"))
}

/// A request of a client in the open, under way.
pub(super) fn exchange(head: &Parts, host: &str) -> Exchange {
    let remote = SocketAddr::from(([192, 0, 2, 7], 40000));
    let local = SocketAddr::from(([203, 0, 113, 10], 80));
    Exchange {
        peer: Arc::new(Peer { listener: "http".into(), remote, local, tls: None }),
        id: RequestId(hyper::header::HeaderValue::from_static("0123456789abcdef")),
        started: clock::now(),
        wall: SystemTime::UNIX_EPOCH + WALL,
        client: remote.ip(),
        scheme: Scheme::Http,
        method: head.method.clone(),
        host: host.into(),
        path: head.uri.path().into(),
        version: head.version,
        route: None,
        parameters: Vec::new(),
        identity: None,
        trace: None,
        logged: Vec::new(),
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
    }
}

/// One that runs on the thread that waits for it.
pub(super) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}
