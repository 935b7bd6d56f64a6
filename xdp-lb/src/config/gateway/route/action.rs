//! What a route does with a request: exactly one thing.

use http::StatusCode;

use super::ROUTE;
use crate::config::gateway::model::Action;
use crate::config::gateway::names::Names;
use crate::config::gateway::rules::content_type;
use crate::config::gateway::template::{Scope, Use, template};
use crate::config::rules::{integer, integer_as};
use crate::config::section::{Schema, Section};

const SPLIT: Schema =
    Schema { header: "[[route.split]]", keys: &["pool", "weight"], refused: &[], outer: Some(&ROUTE) };

const REDIRECT: Schema = Schema {
    header: "[route.redirect]",
    keys: &["to", "status"],
    refused: &[("location", "unknown key: it is called `to`")],
    outer: Some(&ROUTE),
};

const RESPOND: Schema = Schema {
    header: "[route.respond]",
    keys: &["status", "body", "content_type"],
    refused: &[],
    outer: Some(&ROUTE),
};

#[cfg(test)]
pub(super) const SCHEMAS: [(&Schema, &[&str]); 3] = [(&SPLIT, &[]), (&REDIRECT, &[]), (&RESPOND, &[])];

/// The action; `None` when it is wrong.
pub(super) fn action(route: &Section<'_>, pools: &Names, scope: &Scope, answers: &Scope) -> Option<Action> {
    let given: Vec<&'static str> =
        ["pool", "split", "redirect", "respond"].into_iter().filter(|key| route.has(key)).collect();
    match given.as_slice() {
        [] => route.missing("pool", "one of pool = \"…\", split = […], [route.redirect] and [route.respond]"),
        [_] => {}
        [first, more @ ..] => more.iter().for_each(|key| {
            route.useless(
                key,
                &format!("a route does one thing, and `{first}` is there: remove one of the two"),
            );
        }),
    }
    if let [only @ ("redirect" | "respond")] = given.as_slice() {
        for key in ["timeout", "request", "mirror"] {
            route.useless(
                key,
                &format!("has no effect with `{only}`, as the request goes to no server: remove this"),
            );
        }
    }
    let read: Vec<Option<Action>> = given
        .into_iter()
        .map(|key| match key {
            "pool" => Some(Action::Forward(vec![(route.required("pool", pools.rule()).value?, 1)])),
            "split" => split(route, pools),
            "redirect" => redirect(&route.table("redirect", &REDIRECT), scope),
            _ => respond(&route.table("respond", &RESPOND), answers),
        })
        .collect();
    read.into_iter().next()?
}

fn split(route: &Section<'_>, pools: &Names) -> Option<Action> {
    let tables = route.tables("split", &SPLIT);
    let shares: Vec<_> = tables
        .iter()
        .map(|table| {
            (table.required("pool", pools.rule()), table.or("weight", integer(0..=1_000_000, ""), 1).value)
        })
        .collect();
    let named = shares.iter().filter_map(|(pool, _)| Some((pool.value?, &pool.place)));
    route.source().unique(named, |line| format!("named in line {line} already: its share is its weight"));
    if shares.is_empty() {
        route.missing(
            "split",
            "a list of 1 or more, as [{ pool = \"a\", weight = 90 }, { pool = \"b\", weight = 10 }]",
        );
        return None;
    }
    if shares.iter().all(|(_, weight)| *weight == Some(0)) {
        route.useless("split", "every weight is 0, so that no pool takes anything: raise one");
    }
    let shares: Option<_> = shares.into_iter().map(|(pool, weight)| Some((pool.value?, weight?))).collect();
    Some(Action::Forward(shares?))
}

fn redirect(table: &Section<'_>, scope: &Scope) -> Option<Action> {
    let to = table.required("to", template(Use::Location, scope));
    let status = integer_as("301, 302, 303, 307 or 308", |status| {
        let status =
            u16::try_from(status).ok().filter(|status| [301, 302, 303, 307, 308].contains(status))?;
        StatusCode::from_u16(status).ok()
    });
    let status = table.or("status", status, StatusCode::TEMPORARY_REDIRECT);
    Some(Action::Redirect { to: to.value?, status: status.value? })
}

fn respond(table: &Section<'_>, scope: &Scope) -> Option<Action> {
    let status = integer_as("a status from 200 to 599", |status| {
        let status = u16::try_from(status).ok().filter(|status| (200..=599).contains(status))?;
        StatusCode::from_u16(status).ok()
    });
    let status = table.or("status", status, StatusCode::OK);
    let nothing = crate::config::gateway::model::Template { parts: Vec::new() };
    let body = table.or("body", template(Use::Body, scope), nothing);
    let content_type = table.or("content_type", content_type(), "text/plain; charset=utf-8".to_owned());
    if let Some(bodiless @ (StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)) =
        status.value
    {
        for key in ["body", "content_type"] {
            table.useless(
                key,
                &format!("an answer with status {} has no body: remove this", bodiless.as_u16()),
            );
        }
    } else if !body.given {
        table.useless("content_type", "has no effect without `body`: remove this, or add one");
    }
    Some(Action::Respond { status: status.value?, body: body.value?, content_type: content_type.value? })
}
