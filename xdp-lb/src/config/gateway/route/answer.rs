//! `[route.openapi]`, `[route.cors]`, `[route.compression]` and `[route.mirror]`: read and checked.

use std::time::Duration;

use http::uri::Authority;
use http::{HeaderName, Method};

use super::ROUTE;
use crate::config::gateway::model::{
    Compression, ContractMode, ContractUse, Cors, Encoding, Mirror, Origin, Origins,
};
use crate::config::gateway::names::Names;
use crate::config::gateway::rules::{bytes32, header, media_range, method, set};
use crate::config::live::Ratio;
use crate::config::rules::{Refusal, Rule, boolean, duration, one_of, ratio};
use crate::config::section::{Schema, Section};

const OPENAPI: Schema = Schema {
    header: "[route.openapi]",
    keys: &["document", "base_path", "requests", "responses", "most_bytes"],
    refused: &[("path", "the file is named by an [[openapi]], and this table names that by `document`")],
    outer: Some(&ROUTE),
};

const CORS: Schema = Schema {
    header: "[route.cors]",
    keys: &["origins", "methods", "headers", "expose", "credentials", "max_age"],
    refused: &[],
    outer: Some(&ROUTE),
};

const COMPRESSION: Schema = Schema {
    header: "[route.compression]",
    keys: &["encodings", "least_bytes", "types"],
    refused: &[],
    outer: Some(&ROUTE),
};

const MIRROR: Schema =
    Schema { header: "[route.mirror]", keys: &["pool", "share"], refused: &[], outer: Some(&ROUTE) };

#[cfg(test)]
pub(super) const SCHEMAS: [(&Schema, &[&str]); 4] =
    [(&OPENAPI, &[]), (&CORS, &[]), (&COMPRESSION, &[]), (&MIRROR, &[])];

/// What the API's description demands: `Some(None)` where the table is left out, `None` when something in it is wrong, as
/// with all of these.
pub(super) fn contract(route: &Section<'_>, documents: &Names) -> Option<Option<ContractUse>> {
    let table = route.table("openapi", &OPENAPI);
    if !table.is_given() {
        return Some(None);
    }
    let document = table.required("document", documents.rule());
    let base = Rule::string("a path that begins with '/', or \"\"", |text| {
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#{}".contains(&byte));
        let fits = (text.is_empty() || text.starts_with('/')) && text.len() <= 1_024 && plain;
        if fits { Ok(text.trim_end_matches('/').to_owned()) } else { Err(Refusal::Unexpected) }
    });
    let base_path = table.or("base_path", base, String::new());
    let requests = table.or("requests", one_of(MODES, &[]), ContractMode::Enforce);
    let responses = table.or("responses", one_of(MODES, &[]), ContractMode::Report);
    let most_bytes = table.or("most_bytes", bytes32(0..=64 << 20), 1 << 20);
    if (requests.value, responses.value) == (Some(ContractMode::Off), Some(ContractMode::Off)) {
        table.useless(
            "document",
            "has no effect, as requests and responses are \"off\": remove the table, or set one",
        );
    }
    Some(Some(ContractUse {
        document: document.value?,
        base_path: base_path.value?,
        requests: requests.value?,
        responses: responses.value?,
        most_bytes: most_bytes.value?,
    }))
}

/// Cross-origin requests.
pub(super) fn cors(route: &Section<'_>) -> Option<Option<Cors>> {
    const EXPECTED: &str = "a list of 1 to 256 origins, as [\"https://www.example.com\"], or [\"*\"] for any";
    const NAMES: &str = "a list of up to 64 names of headers, as [\"content-type\"]";
    let table = route.table("cors", &CORS);
    if !table.is_given() {
        return Some(None);
    }
    let listed = table.list("origins", EXPECTED, 1..=256, origin());
    if listed.is_none() {
        table.missing("origins", EXPECTED);
    }
    let listed = listed.unwrap_or_default();
    let seen = listed.iter().filter_map(|field| Some((field.value.clone()?, &field.place)));
    table.source().unique(seen, |line| format!("named in line {line} already: name each once"));
    let any = listed.iter().any(|field| field.value == Some(None));
    if let Some(beside) = listed.iter().find(|field| any && field.value.as_ref().is_some_and(Option::is_some))
    {
        table
            .source()
            .report(&beside.place, "is any origin's already, as \"*\" is there: remove one of the two");
    }
    let methods = set(
        &table,
        "methods",
        "a list of 1 to 32 methods, as [\"GET\"]",
        1..=32,
        method(),
        vec![Method::GET, Method::HEAD, Method::POST],
    );
    let headers: Option<Vec<HeaderName>> = set(&table, "headers", NAMES, 0..=64, header(&[]), Vec::new());
    let expose = set(&table, "expose", NAMES, 0..=64, header(&[]), Vec::new());
    let credentials = table.or("credentials", boolean(), false);
    let range = Duration::ZERO..=Duration::from_secs(86_400);
    let max_age = table.or("max_age", duration(range), Duration::from_secs(600));
    if any && credentials.value == Some(true) {
        let message = "with origins = [\"*\"], every site could act for whoever visits it: list the origins, or remove this";
        table.source().report(&credentials.place, message);
    }
    let origins: Option<Vec<Option<Origin>>> = listed.into_iter().map(|field| field.value).collect();
    let origins = origins?;
    Some(Some(Cors {
        origins: if any { Origins::Any } else { Origins::Listed(origins.into_iter().flatten().collect()) },
        methods: methods?,
        headers: headers?,
        expose: expose?,
        credentials: credentials.value?,
        max_age: max_age.value?,
    }))
}

/// An origin, `None` for any.
fn origin() -> Rule<'static, Option<Origin>> {
    let expected = "an origin, as \"https://www.example.com\" or \"https://*.example.com\", or \"*\"";
    Rule::string(expected, |text| {
        if text == "*" {
            return Ok(None);
        }
        let lower = text.to_ascii_lowercase();
        let (scheme, rest) = lower.split_once("://").ok_or(Refusal::Unexpected)?;
        let (below, name) = rest.strip_prefix("*.").map_or((false, rest), |name| (true, name));
        if !["http", "https"].contains(&scheme) || name.contains('*') {
            return Err(Refusal::Unexpected);
        }
        if name.contains(['/', '?', '#', '@']) {
            return Err(Refusal::Hint("scheme, host and port alone".to_owned()));
        }
        let _: Authority = name.parse().map_err(|_| Refusal::Unexpected)?;
        let default_port = if scheme == "http" { ":80" } else { ":443" };
        if let Some(short) = lower.strip_suffix(default_port) {
            return Err(Refusal::Hint(format!("browsers leave the scheme's own port out, write {short:?}")));
        }
        let below = below.then(|| Origin::Below(format!("{scheme}://"), format!(".{name}")));
        Ok(Some(below.unwrap_or_else(|| Origin::Exact(lower.clone()))))
    })
}

/// Compression of answers.
pub(super) fn compression(route: &Section<'_>) -> Option<Option<Compression>> {
    let table = route.table("compression", &COMPRESSION);
    if !table.is_given() {
        return Some(None);
    }
    let expected = "a list of 1 to 3 of \"zstd\", \"br\" and \"gzip\", the best first";
    let default = vec![Encoding::Zstd, Encoding::Brotli, Encoding::Gzip];
    let encodings = set(&table, "encodings", expected, 1..=3, one_of(ENCODINGS, REFUSED_ENCODINGS), default);
    let least_bytes = table.or("least_bytes", bytes32(0..=64 << 20), 1_024);
    let default = TYPES.iter().map(|kind| (*kind).to_owned()).collect();
    let expected = "a list of 1 to 64 media types, as [\"text/*\", \"application/json\"]";
    let types = set(&table, "types", expected, 1..=64, media_range(), default);
    Some(Some(Compression { encodings: encodings?, least_bytes: least_bytes.value?, types: types? }))
}

/// A copy of some requests to another pool.
pub(super) fn mirror(route: &Section<'_>, pools: &Names) -> Option<Option<Mirror>> {
    let table = route.table("mirror", &MIRROR);
    if !table.is_given() {
        return Some(None);
    }
    let pool = table.required("pool", pools.rule());
    let share = table.or("share", ratio(1..=1000), Ratio::thousandths(1000));
    Some(Some(Mirror { pool: pool.value?, share: share.value? }))
}

const MODES: &[(&str, ContractMode)] =
    &[("off", ContractMode::Off), ("report", ContractMode::Report), ("enforce", ContractMode::Enforce)];

const ENCODINGS: &[(&str, Encoding)] =
    &[("zstd", Encoding::Zstd), ("br", Encoding::Brotli), ("gzip", Encoding::Gzip)];

const REFUSED_ENCODINGS: &[(&str, &str)] =
    &[("brotli", "write \"br\""), ("deflate", "browsers do not agree on what it is: write \"gzip\"")];

const TYPES: [&str; 7] = [
    "text/*",
    "application/json",
    "application/problem+json",
    "application/javascript",
    "application/xml",
    "application/wasm",
    "image/svg+xml",
];
