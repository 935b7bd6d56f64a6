//! `[[route]]`: read and checked.

mod action;
mod answer;
mod body;
mod changes;
mod matching;

use std::time::Duration;

pub(super) use self::matching::{Matching, matched_as};

use super::access::access;
use super::model::{Action, MethodOverride, PathPattern, Route, Verifier, VerifierKind};
use super::names::Names;
use super::rules::{bytes, set};
use super::template::Scope;
use crate::config::rules::{duration, one_of};
use crate::config::section::{Schema, Section};
use crate::config::source::Place;

pub(super) const ROUTE: Schema = Schema {
    header: "[[route]]",
    keys: &[
        "name",
        "hosts",
        "path",
        "prefix",
        "methods",
        "method_override",
        "header",
        "query",
        "pool",
        "split",
        "redirect",
        "respond",
        "body_bytes",
        "timeout",
        "rate_limits",
        "access",
        "openapi",
        "request",
        "response",
        "cors",
        "compression",
        "mirror",
    ],
    refused: &[
        ("host", "unknown key: write hosts = [\"…\"]; to change the host, request.host"),
        ("method", "unknown key: write methods = [\"…\"]"),
        (
            "headers",
            "unknown key: a condition is a table [[route.header]]; changes are [route.request.headers]",
        ),
        ("rewrite", "unknown key: the path is changed by request.path"),
        ("rate_limit", "unknown key: write rate_limits = [\"…\"]"),
        ("pools", "unknown key: write split = [{ pool = \"…\", weight = 1 }]"),
    ],
    outer: None,
};

/// What routes may name.
pub(super) struct Known<'n> {
    pub pools: &'n Names,
    pub verifiers: &'n Names,
    /// The verifiers, `None` for each that is wrong.
    pub kinds: &'n [Option<Verifier>],
    pub rate_limits: &'n Names,
    pub documents: &'n Names,
}

/// A route as read, with what is compared between routes.
pub(super) struct RawRoute {
    pub place: Place,
    pub matching: Matching,
    /// `None` when something in it is wrong.
    pub built: Option<Route>,
}

/// Every table that is read here, and its keys that are tables themselves.
#[cfg(test)]
pub(super) fn schemas() -> Vec<(&'static Schema, &'static [&'static str])> {
    const TABLES: &[&str] = &[
        "header",
        "query",
        "split",
        "redirect",
        "respond",
        "access",
        "openapi",
        "request",
        "response",
        "cors",
        "compression",
        "mirror",
    ];
    let mut all: Vec<(&Schema, &[&str])> = vec![(&ROUTE, TABLES), (&super::access::ACCESS, &[])];
    all.extend(matching::SCHEMAS);
    all.extend(action::SCHEMAS);
    all.extend(changes::SCHEMAS);
    all.extend(body::SCHEMAS);
    all.extend(answer::SCHEMAS);
    all
}

/// A route.
pub(super) fn route(table: &Section<'_>, name: Option<String>, known: &Known<'_>) -> RawRoute {
    let matching = Matching::read(table);
    let built = build(table, name, &matching, known);
    RawRoute { place: table.place().clone(), matching, built }
}

fn build(table: &Section<'_>, name: Option<String>, matching: &Matching, known: &Known<'_>) -> Option<Route> {
    let access = access(table, known.verifiers, known.kinds);
    let is = |test: fn(&VerifierKind) -> bool| match &access {
        None => true,
        Some(access) => access.any_of.iter().chain(&access.external).any(|index| {
            known.kinds.get(*index).and_then(Option::as_ref).is_none_or(|verifier| test(&verifier.kind))
        }),
    };
    let scope = Scope {
        parameters: matching.parameters(),
        has_rest: !matches!(matching.path.value, Some(PathPattern::Path(_))),
        has_identity: is(|_| true),
        has_claims: is(|kind| matches!(kind, VerifierKind::Jwt(_))),
        is_answer: false,
    };
    let answers = Scope { is_answer: true, ..scope.clone() };

    let action = action::action(table, known.pools, &scope, &answers);
    let body_bytes = table.optional("body_bytes", bytes(0..=1 << 40));
    let timeout = table.optional("timeout", duration(Duration::from_millis(1)..=Duration::from_secs(3_600)));
    let expected = "a list of up to 16 names of rate limits, as [\"by-address\"]";
    let rate_limits = set(table, "rate_limits", expected, 0..=16, known.rate_limits.rule(), Vec::new());
    let contract = answer::contract(table, known.documents);
    let request = changes::request(table, &scope);
    let response = changes::response(table, &answers);
    let cors = answer::cors(table);
    let compression = answer::compression(table);
    let mirror = answer::mirror(table, known.pools);
    let overrides = table.or("method_override", one_of(OVERRIDES, &[]), MethodOverride::Refuse);
    let route = Route {
        name: name?,
        hosts: matching.hosts.clone()?,
        path: matching.path.value.clone()?,
        methods: matching.methods.clone()?,
        method_override: overrides.value?,
        conditions: matching.conditions.clone()?,
        action: action?,
        body_bytes: body_bytes.maybe()?,
        timeout: timeout.maybe()?,
        access: access?,
        rate_limits: rate_limits?,
        contract: contract?,
        request: request?,
        response: response?,
        cors: cors?,
        compression: compression?,
        mirror: mirror?,
    };
    if !matches!(route.action, Action::Forward(_)) || !route.decides_by_method() {
        table.useless(
            "method_override",
            "has no effect, as nothing is decided by the method of what goes to a pool: that is by `methods`, \
             access.external, or openapi with requests = \"enforce\"; remove this",
        );
    }
    Some(route)
}

const OVERRIDES: &[(&str, MethodOverride)] =
    &[("refuse", MethodOverride::Refuse), ("pass", MethodOverride::Pass)];
