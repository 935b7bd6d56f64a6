//! `[route.access]`: read and checked.

use std::ops::RangeInclusive;

use super::model::{Access, Verifier, VerifierKind};
use super::names::Names;
use super::route::ROUTE;
use super::rules::{claims, set};
use crate::config::net::any_prefix;
use crate::config::section::{Schema, Section};

pub(super) const ACCESS: Schema = Schema {
    header: "[route.access]",
    keys: &["allow", "deny", "any_of", "claims", "external"],
    refused: &[
        ("verifier", "unknown key: write any_of = [\"…\"]"),
        ("verifiers", "unknown key: it is called `any_of`"),
        ("rate_limits", "belongs to [[route]]: move it above [route.access]"),
    ],
    outer: Some(&ROUTE),
};

/// Who may use a route; `None` when something in it is wrong. `kinds` has `None` for each verifier that is wrong.
pub(super) fn access(route: &Section<'_>, verifiers: &Names, kinds: &[Option<Verifier>]) -> Option<Access> {
    let table = route.table("access", &ACCESS);
    let allow = set(&table, "allow", PREFIXES, COUNT, any_prefix(), Vec::new());
    let deny = set(&table, "deny", PREFIXES, COUNT, any_prefix(), Vec::new());
    let expected = "a list of up to 16 names of verifiers, as [\"tokens\"]";
    let any_of = table.list("any_of", expected, 0..=16, verifiers.rule()).unwrap_or_default();
    let external = table.optional("external", verifiers.rule());
    let claims = claims(&table);

    let kind = |index: usize| kinds.get(index).and_then(Option::as_ref).map(|verifier| &verifier.kind);
    let named = any_of.iter().filter_map(|field| Some((field.value?, &field.place)));
    table.source().unique(named, |line| format!("named in line {line} already: name each once"));
    for field in &any_of {
        if let Some(VerifierKind::External(_)) = field.value.and_then(kind) {
            let message = "is a service that is asked in addition to these: write it as access.external";
            table.source().report(&field.place, message);
        }
    }
    if let Some(other) = external.value.and_then(kind)
        && !matches!(other, VerifierKind::External(_))
    {
        let message =
            "is no service that can be asked, which [verifier.external] is: write it in access.any_of";
        table.source().report(&external.place, message);
    }
    if any_of.is_empty() {
        table.useless(
            "claims",
            "has no effect without access.any_of: name a verifier of tokens there, or remove this",
        );
    } else if any_of
        .iter()
        .filter_map(|field| field.value.and_then(kind))
        .any(|kind| !matches!(kind, VerifierKind::Jwt(_)))
    {
        table.useless(
            "claims",
            "is refused to whoever comes by a verifier in access.any_of that has no claims: name verifiers of tokens only, \
             or remove this",
        );
    }
    Some(Access {
        allow: allow?,
        deny: deny?,
        any_of: any_of.into_iter().map(|field| field.value).collect::<Option<_>>()?,
        claims: claims?,
        external: external.maybe()?,
    })
}

const PREFIXES: &str = "a list of up to 1024 prefixes, as [\"10.0.0.0/8\"]";
const COUNT: RangeInclusive<usize> = 0..=1024;
