//! A configuration, built: everything that requests are answered by, whole and never changed. A reload builds another.

use std::sync::Arc;

use thiserror::Error;

use super::asker::now;
use super::contract::{self, Contracts};
use super::limit::RateLimits;
use super::observe::{AccessLogError, LogWriter, Meters, Observer, Tracer};
use super::route::{self, Table};
use super::transform::cors::Policy;
use super::transform::{self, Redirect, RequestEdits, Respond, ResponseEdits};
use super::upstream::{self, Pools};
use super::verify::{self, Gate};
use super::wire::Bounds;
use crate::config::gateway::{Action, GatewayConfig, LogFormat, MethodOverride, Route};

/// What answers requests.
pub(super) struct Site {
    pub config: Arc<GatewayConfig>,
    pub table: Table,
    /// By index of the route.
    pub plans: Vec<Plan>,
    pub gate: Arc<Gate>,
    pub limits: RateLimits,
    pub contracts: Contracts,
    pub pools: Arc<Pools>,
    pub observer: Observer,
    pub bounds: Bounds,
}

/// What is done with a route's requests, compiled.
pub(super) struct Plan {
    pub step: Step,
    pub request: RequestEdits,
    pub response: ResponseEdits,
    pub cors: Option<Policy>,
    pub body_bytes: u64,
    /// Whether no header may ask for another method.
    pub one_method: bool,
    /// Whether answers are made with what the request's head says.
    pub keeps_head: bool,
}

pub(super) enum Step {
    /// To one of these pools, by weight.
    Forward(Vec<(usize, u32)>),
    Redirect(Redirect),
    Respond(Respond),
}

/// Why a valid configuration cannot be put into effect: mostly a file that it names.
#[derive(Debug, Error)]
pub enum SiteError {
    /// Routes.
    #[error(transparent)]
    Route(#[from] route::BuildError),
    /// Changes of requests and answers.
    #[error(transparent)]
    Transform(#[from] transform::BuildError),
    /// Verifiers and their files.
    #[error(transparent)]
    Verify(#[from] verify::BuildError),
    /// OpenAPI documents.
    #[error(transparent)]
    Contract(#[from] contract::BuildError),
    /// Pools.
    #[error(transparent)]
    Pools(#[from] upstream::BuildError),
    /// TLS with the collector of spans.
    #[error(transparent)]
    Trace(#[from] upstream::ConnectorError),
    /// The access log.
    #[error(transparent)]
    Log(#[from] AccessLogError),
}

impl Site {
    /// Builds it all; reads the files that the configuration names. What is known of servers, clients and keys is taken
    /// over from `before`.
    ///
    /// # Errors
    /// The first thing that cannot be had; nothing has changed then.
    pub(super) fn build(
        config: GatewayConfig,
        before: Option<&Self>,
        meters: &Arc<Meters>,
    ) -> Result<Self, SiteError> {
        let table = Table::build(&config.routes)?;
        let limits = config.gateway.limits.body_bytes;
        let plans = config.routes.iter().map(|route| Plan::build(route, limits)).collect::<Result<_, _>>()?;
        let gate = Gate::build(&config.verifiers, before.map(|site| &*site.gate))?;
        let names = config.routes.iter().map(|route| route.name.as_str());
        let known = before.map(|site| &site.limits);
        let rates = RateLimits::build(&config.rate_limits, names, &config.verifiers, known, now().0);
        let contracts = Contracts::build(&config.documents)?;
        let pools = Pools::build(&config.pools, before.map(|site| &*site.pools))?;
        let observer = observer(&config, before.map(|site| &site.observer), meters)?;
        Ok(Self {
            table,
            plans,
            gate: Arc::new(gate),
            limits: rates,
            contracts,
            pools: Arc::new(pools),
            observer,
            bounds: Bounds::from(&config.gateway.limits),
            config: Arc::new(config),
        })
    }
}

/// Whether routes and their changes can be put into effect: all that needs neither files nor the network.
///
/// # Errors
/// The first thing that cannot be.
pub fn check(config: &GatewayConfig) -> Result<(), SiteError> {
    Table::build(&config.routes)?;
    for route in &config.routes {
        Plan::build(route, config.gateway.limits.body_bytes)?;
    }
    Ok(())
}

impl Plan {
    fn build(route: &Route, body_bytes: u64) -> Result<Self, transform::BuildError> {
        let response = ResponseEdits::build(route)?;
        let step = match &route.action {
            Action::Forward(pools) => Step::Forward(pools.clone()),
            Action::Redirect { to, status } => Step::Redirect(Redirect::build(&route.name, to, *status)?),
            Action::Respond { status, body, content_type } => {
                Step::Respond(Respond::build(&route.name, *status, body, content_type)?)
            }
        };
        Ok(Self {
            step,
            request: RequestEdits::build(route)?,
            keeps_head: response.need_head() || route.response.body.is_some(),
            response,
            cors: route.cors.as_ref().map(Policy::new),
            body_bytes: route.body_bytes.unwrap_or(body_bytes),
            one_method: route.method_override == MethodOverride::Refuse
                && matches!(route.action, Action::Forward(_))
                && route.decides_by_method(),
        })
    }
}

fn observer(
    config: &GatewayConfig,
    before: Option<&Observer>,
    meters: &Arc<Meters>,
) -> Result<Observer, SiteError> {
    let path = config.log.path.as_deref();
    let same_file = before.filter(|before| before.log.path == config.log.path);
    let writer = match same_file.and_then(|before| before.writer.clone()) {
        _ if config.log.format == LogFormat::Off => None,
        Some(writer) => Some(writer),
        None => Some(Arc::new(LogWriter::open(path)?)),
    };
    let known = before.and_then(|before| before.tracer.as_deref());
    let tracer = config.trace.as_ref().map(|trace| Tracer::build(trace, known).map(Arc::new)).transpose()?;
    let name = |name: &str| -> Arc<str> { name.into() };
    Ok(Observer {
        log: config.log.clone(),
        writer,
        meters: Arc::clone(meters),
        tracer,
        routes: config.routes.iter().map(|route| (name(&route.name), meters.route(&route.name))).collect(),
        unrouted: meters.route(""),
        pools: config.pools.iter().map(|pool| (name(&pool.name), meters.pool(&pool.name))).collect(),
    })
}
