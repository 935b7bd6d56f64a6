//! `[[rate_limit]]` and `[[openapi]]`: read and checked.

use std::time::Duration;

use super::model::{Document, RateKey, RateLimit};
use super::rules::{claim_name, header_name};
use crate::config::rules::{Refusal, Rule, absolute_path, integer};
use crate::config::section::{Schema, Section};

pub(super) const RATE_LIMIT: Schema = Schema {
    header: "[[rate_limit]]",
    keys: &["name", "key", "rate", "burst", "max_keys"],
    refused: &[
        ("requests", "unknown key: write rate = \"100/s\""),
        ("period", "unknown key: write rate = \"100/s\""),
        ("limit", "unknown key: it is called `rate`"),
    ],
    outer: None,
};

pub(super) const DOCUMENT: Schema = Schema {
    header: "[[openapi]]",
    keys: &["name", "path"],
    refused: &[("file", "unknown key: it is called `path`")],
    outer: None,
};

#[cfg(test)]
pub(super) const SCHEMAS: [(&Schema, &[&str]); 2] = [(&RATE_LIMIT, &[]), (&DOCUMENT, &[])];

/// A limit of rate; `None` when something in it is wrong.
pub(super) fn rate_limit(table: &Section<'_>, name: Option<String>) -> Option<RateLimit> {
    let key = table.required("key", key());
    let rate = table.required("rate", rate());
    let default = rate.value.map_or(1, |(requests, _)| requests);
    let burst = table.or("burst", integer(1..=MOST_REQUESTS, ""), default);
    let max_keys = table.or("max_keys", integer(1..=10_000_000, ""), 100_000);
    if key.value == Some(RateKey::Route) {
        table.useless(
            "max_keys",
            "has no effect with key = \"route\", of which there are as many as routes: remove this",
        );
    }
    let (requests, period) = rate.value?;
    Some(RateLimit {
        name: name?,
        key: key.value?,
        requests,
        period,
        burst: burst.value?,
        max_keys: max_keys.value?,
    })
}

/// A document; `None` when something in it is wrong.
pub(super) fn document(table: &Section<'_>, name: Option<String>) -> Option<Document> {
    let path = table.required("path", absolute_path(4_095));
    Some(Document { name: name?, path: path.value? })
}

fn key() -> Rule<'static, RateKey> {
    let expected = "\"route\", \"address\", \"api-key\", \"claim:NAME\" or \"header:NAME\"";
    Rule::string(expected, |text| {
        let key = match text.split_once(':') {
            None if text == "route" => Some(RateKey::Route),
            None if text == "address" => Some(RateKey::Address),
            None if text == "api-key" => Some(RateKey::ApiKey),
            None if text == "ip" => return Err(Refusal::Hint("write \"address\"".to_owned())),
            Some(("claim", name)) => claim_name(name).map(RateKey::Claim),
            Some(("header", name)) => header_name(name).map(RateKey::Header),
            _ => None,
        };
        key.ok_or(Refusal::Unexpected)
    })
}

/// Requests and the period they are counted in.
fn rate() -> Rule<'static, (u32, Duration)> {
    let expected =
        format!("a rate of 1 to {MOST_REQUESTS} in 1s to 1day, as \"100/s\", \"1000/m\" or \"5/10s\"");
    Rule::string(expected, |text| {
        let (requests, period) = text.split_once('/').ok_or(Refusal::Unexpected)?;
        let requests: u32 = requests.trim().parse().map_err(|_| Refusal::Unexpected)?;
        let period = match period.trim() {
            "s" => Duration::from_secs(1),
            "m" | "min" => Duration::from_secs(60),
            "h" => Duration::from_secs(3_600),
            "d" => DAY,
            period => humantime::parse_duration(period).map_err(|_| Refusal::Unexpected)?,
        };
        let fits =
            (1..=MOST_REQUESTS).contains(&requests) && (Duration::from_secs(1)..=DAY).contains(&period);
        if fits { Ok((requests, period)) } else { Err(Refusal::Unexpected) }
    })
}

const MOST_REQUESTS: u32 = 1_000_000;
const DAY: Duration = Duration::from_secs(86_400);
