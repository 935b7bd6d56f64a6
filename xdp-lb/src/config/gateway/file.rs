//! The whole of `gateway.toml`.

use super::conflict;
use super::limit::{self, DOCUMENT, RATE_LIMIT};
use super::listener::{self, LISTENER};
use super::model::GatewayConfig;
use super::names::Names;
use super::observe;
use super::pool::{self, POOL};
use super::process;
use super::route::{self, Known, ROUTE};
use super::verifier::{self, VERIFIER};
use crate::config::model::Valid;
use crate::config::section::{Schema, Section};

/// The tables of the file.
pub(in crate::config) const FILE: Schema = Schema {
    header: "gateway.toml",
    keys: &[
        "gateway",
        "admin",
        "log",
        "trace",
        "listener",
        "pool",
        "verifier",
        "rate_limit",
        "openapi",
        "route",
    ],
    refused: &[
        ("agent", "belongs to a balancer's lb.toml, which `xdp-lb run` reads"),
        (
            "vip",
            "belongs to a balancer's lb.toml, which `xdp-lb run` reads: here clients come in by [[listener]]",
        ),
        ("decap", "belongs to a backend's decap.toml, which `xdp-lb decap` reads"),
        ("limits", "belongs to the gateway: write it as [gateway.limits]"),
        ("tls", "belongs to a listener or pool: write it as [listener.tls] or [pool.tls]"),
        ("upstream", "unknown key: a group of servers is called [[pool]]"),
        ("service", "unknown key: a group of servers is called [[pool]]"),
    ],
    outer: None,
};

/// The configuration; `None` when something was reported.
pub(in crate::config) fn whole(root: &Section<'_>) -> Option<GatewayConfig> {
    let gateway = process::gateway(root);
    let admin = observe::admin(root);
    let trace = observe::trace(root);

    let listeners = root.tables("listener", &LISTENER);
    if listeners.is_empty() {
        root.missing("listener", "at least one table [[listener]], where requests come in");
    }
    let listeners = listener::all(&listeners, &admin);

    let tables = root.tables("pool", &POOL);
    let pools = Names::read(&tables, "[[pool]]");
    let built_pools: Option<Vec<_>> =
        every(tables.iter().zip(pools.each()).map(|(t, name)| pool::pool(t, name)));

    let tables = root.tables("rate_limit", &RATE_LIMIT);
    let rate_limits = Names::read(&tables, "[[rate_limit]]");
    let built_limits =
        every(tables.iter().zip(rate_limits.each()).map(|(t, name)| limit::rate_limit(t, name)));

    let tables = root.tables("openapi", &DOCUMENT);
    let documents = Names::read(&tables, "[[openapi]]");
    let built_documents =
        every(tables.iter().zip(documents.each()).map(|(t, name)| limit::document(t, name)));

    let tables = root.tables("verifier", &VERIFIER);
    let verifiers = Names::read(&tables, "[[verifier]]");
    let built_verifiers: Vec<_> =
        tables.iter().zip(verifiers.each()).map(|(t, name)| verifier::verifier(t, name, &pools)).collect();
    let log = observe::log(root, &built_verifiers);
    conflict::passed_on(&tables, &built_verifiers);
    conflict::certificates(&tables, &built_verifiers, listeners.as_deref());

    let tables = root.tables("route", &ROUTE);
    let names = Names::read(&tables, "[[route]]");
    let known = Known {
        pools: &pools,
        verifiers: &verifiers,
        kinds: &built_verifiers,
        rate_limits: &rate_limits,
        documents: &documents,
    };
    let routes: Vec<_> =
        tables.iter().zip(names.each()).map(|(t, name)| route::route(t, name, &known)).collect();
    conflict::routes(root.source(), &routes);

    Some(GatewayConfig {
        gateway: gateway?,
        admin: admin.maybe()?,
        log: log?,
        trace: trace?,
        listeners: listeners?,
        pools: built_pools?,
        verifiers: every(built_verifiers)?,
        rate_limits: built_limits?,
        documents: built_documents?,
        routes: every(routes.into_iter().map(|route| route.built))?,
        valid: Valid,
    })
}

/// All of them, read to the end even if one is wrong.
fn every<T>(built: impl IntoIterator<Item = Option<T>>) -> Option<Vec<T>> {
    let built: Vec<Option<T>> = built.into_iter().collect();
    built.into_iter().collect()
}

/// Every table that is read, and its keys that are tables themselves.
#[cfg(test)]
pub(in crate::config) fn schemas() -> Vec<(&'static Schema, &'static [&'static str])> {
    let mut all: Vec<(&Schema, &[&str])> = Vec::new();
    all.extend(process::SCHEMAS);
    all.extend(observe::SCHEMAS);
    all.extend(listener::SCHEMAS);
    all.extend(pool::schemas());
    all.extend(verifier::SCHEMAS);
    all.extend(limit::SCHEMAS);
    all.extend(route::schemas());
    all
}
