//! `[route.request]` and `[route.response]`: changes on the way there and back.

use std::hash::Hash;

use super::ROUTE;
use super::body::body;
use crate::config::gateway::model::{
    HeaderChanges, QueryChanges, RequestChanges, ResponseChanges, ResponseTemplate, Template,
};
use crate::config::gateway::rules::{FRAMING, content_type, header, set};
use crate::config::gateway::template::{Scope, Use, template};
use crate::config::net::status_codes;
use crate::config::rules::{Rule, bounded_text};
use crate::config::section::{Schema, Section};

pub(super) const REQUEST: Schema = Schema {
    header: "[route.request]",
    keys: &["path", "host", "headers", "query", "body"],
    refused: &[("header", "unknown key: it is called `headers`")],
    outer: Some(&ROUTE),
};

pub(super) const RESPONSE: Schema = Schema {
    header: "[route.response]",
    keys: &["headers", "body", "template"],
    refused: &[
        ("header", "unknown key: it is called `headers`"),
        ("templates", "write each as a table of its own, headed [[route.response.template]]"),
    ],
    outer: Some(&ROUTE),
};

const CHANGES: &[&str] = &["remove", "set", "add"];

const REQUEST_HEADERS: Schema =
    Schema { header: "[route.request.headers]", keys: CHANGES, refused: &[], outer: Some(&REQUEST) };

const RESPONSE_HEADERS: Schema =
    Schema { header: "[route.response.headers]", keys: CHANGES, refused: &[], outer: Some(&RESPONSE) };

const QUERY: Schema =
    Schema { header: "[route.request.query]", keys: CHANGES, refused: &[], outer: Some(&REQUEST) };

const TEMPLATE: Schema = Schema {
    header: "[[route.response.template]]",
    keys: &["statuses", "body", "content_type"],
    refused: &[("status", "unknown key: it is called `statuses`")],
    outer: Some(&RESPONSE),
};

#[cfg(test)]
pub(super) const SCHEMAS: [(&Schema, &[&str]); 6] = [
    (&REQUEST, &["headers", "query", "body"]),
    (&RESPONSE, &["headers", "body", "template"]),
    (&REQUEST_HEADERS, &[]),
    (&RESPONSE_HEADERS, &[]),
    (&QUERY, &[]),
    (&TEMPLATE, &[]),
];

/// Changes of a request; `None` when something in them is wrong.
pub(super) fn request(route: &Section<'_>, scope: &Scope) -> Option<RequestChanges> {
    let table = route.table("request", &REQUEST);
    let path = table.optional("path", template(Use::Path, scope));
    let host = table.optional("host", template(Use::Host, scope));
    let headers =
        Changes::read(&table.table("headers", &REQUEST_HEADERS), || header(FRAMING), Use::Header, scope);
    let query = Changes::read(&table.table("query", &QUERY), || bounded_text(1..=256), Use::Query, scope);
    let body = body(&table, false, scope);
    let (headers, query) = (headers?, query?);
    Some(RequestChanges {
        path: path.maybe()?,
        host: host.maybe()?,
        headers: HeaderChanges { remove: headers.remove, set: headers.set, add: headers.add },
        query: QueryChanges { remove: query.remove, set: query.set, add: query.add },
        body: body?,
    })
}

/// Changes of an answer; `None` when something in them is wrong.
pub(super) fn response(route: &Section<'_>, scope: &Scope) -> Option<ResponseChanges> {
    let table = route.table("response", &RESPONSE);
    let headers =
        Changes::read(&table.table("headers", &RESPONSE_HEADERS), || header(FRAMING), Use::Header, scope);
    let body = body(&table, true, scope);
    let templates = templates(&table, scope);
    let headers = headers?;
    Some(ResponseChanges {
        headers: HeaderChanges { remove: headers.remove, set: headers.set, add: headers.add },
        body: body?,
        templates: templates?,
    })
}

/// Removed first, then set, then added.
struct Changes<N> {
    remove: Vec<N>,
    set: Vec<(N, Template)>,
    add: Vec<(N, Template)>,
}

impl<N: Clone + Eq + Hash> Changes<N> {
    fn read<'r>(table: &Section<'_>, name: impl Fn() -> Rule<'r, N>, to: Use, scope: &Scope) -> Option<Self> {
        let removed = set(table, "remove", "a list of up to 64 names", 0..=64, name(), Vec::new());
        let entries = |key| {
            let entries = table.entries(key, "{ name = \"value\" }", &name(), &template(to, scope));
            let names = entries.iter().filter_map(|(name, _)| Some((name.value.clone()?, &name.place)));
            table
                .source()
                .unique(names, |line| format!("named in line {line} already: remove one of the two"));
            entries.into_iter().map(|(name, value)| Some((name.value?, value.value?))).collect()
        };
        let (put, add): (Option<Vec<_>>, Option<Vec<_>>) = (entries("set"), entries("add"));
        Some(Self { remove: removed?, set: put?, add: add? })
    }
}

fn templates(response: &Section<'_>, scope: &Scope) -> Option<Vec<ResponseTemplate>> {
    let tables = response.tables("template", &TEMPLATE);
    let read: Vec<_> = tables
        .iter()
        .map(|table| {
            let statuses = table.required("statuses", status_codes());
            let body = table.required("body", template(Use::Body, scope)).value;
            let content_type =
                table.or("content_type", content_type(), "text/plain; charset=utf-8".to_owned()).value;
            (statuses, body, content_type)
        })
        .collect();
    for (at, (statuses, ..)) in read.iter().enumerate() {
        let Some(range) = &statuses.value else { continue };
        let overlaps = |other: &std::ops::RangeInclusive<u16>| {
            other.start() <= range.end() && range.start() <= other.end()
        };
        let earlier = read.iter().take(at).map(|(statuses, ..)| statuses);
        if let Some(other) = earlier.into_iter().find(|other| other.value.as_ref().is_some_and(overlaps)) {
            let line = response.source().line(other.place.offset);
            response.source().report(
                &statuses.place,
                format!("the template in line {line} has one of these too: give each its own"),
            );
        }
    }
    let templates = read.into_iter().map(|(statuses, body, content_type)| {
        Some(ResponseTemplate { statuses: statuses.value?, body: body?, content_type: content_type? })
    });
    templates.collect()
}
