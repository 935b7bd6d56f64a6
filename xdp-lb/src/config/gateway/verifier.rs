//! `[[verifier]]` and the table in it that says how: read and checked.

use std::time::Duration;

use http::HeaderName;

use super::model::{External, Jwt, JwtAlgorithm, JwtKeys, Pass, Verifier, VerifierKind};
use super::names::Names;
use super::rules::{FRAMING, claim_name, claims, header, set};
use crate::config::net::{host, path};
use crate::config::rules::{Refusal, Rule, absolute_path, boolean, bounded_text, duration, one_of};
use crate::config::section::{Schema, Section};

pub(super) const VERIFIER: Schema = Schema {
    header: "[[verifier]]",
    keys: &["name", "pass", "jwt", "api_key", "basic", "certificate", "external"],
    refused: &[
        ("kind", "unknown key: the table below says it, as [verifier.jwt]"),
        ("api-key", "unknown key: write [verifier.api_key]"),
        ("mtls", "unknown key: write [verifier.certificate]"),
    ],
    outer: None,
};

const JWT: Schema = Schema {
    header: "[verifier.jwt]",
    keys: &[
        "file",
        "pool",
        "path",
        "host",
        "refresh",
        "refresh_least",
        "algorithms",
        "issuer",
        "audience",
        "claims",
        "leeway",
        "header",
    ],
    refused: &[(
        "jwks",
        "unknown key: a file of keys is `file`; fetched ones have `pool`, `host` and `path`",
    )],
    outer: Some(&VERIFIER),
};

const API_KEY: Schema = Schema {
    header: "[verifier.api_key]",
    keys: &["header", "file"],
    refused: &[("path", "unknown key: it is called `file`")],
    outer: Some(&VERIFIER),
};

const BASIC: Schema = Schema {
    header: "[verifier.basic]",
    keys: &["realm", "file"],
    refused: &[("path", "unknown key: it is called `file`")],
    outer: Some(&VERIFIER),
};

const CERTIFICATE: Schema =
    Schema { header: "[verifier.certificate]", keys: &["subjects"], refused: &[], outer: Some(&VERIFIER) };

const EXTERNAL: Schema = Schema {
    header: "[verifier.external]",
    keys: &["pool", "prefix", "request_headers", "response_headers", "timeout", "fail_open"],
    refused: &[],
    outer: Some(&VERIFIER),
};

const KINDS: [&str; 5] = ["jwt", "api_key", "basic", "certificate", "external"];

#[cfg(test)]
pub(super) const SCHEMAS: [(&Schema, &[&str]); 6] =
    [(&VERIFIER, &KINDS), (&JWT, &[]), (&API_KEY, &[]), (&BASIC, &[]), (&CERTIFICATE, &[]), (&EXTERNAL, &[])];

/// A verifier; `None` when something in it is wrong.
pub(super) fn verifier(table: &Section<'_>, name: Option<String>, pools: &Names) -> Option<Verifier> {
    let given: Vec<&'static str> = KINDS.into_iter().filter(|kind| table.has(kind)).collect();
    let pass = pass(table, given.as_slice() == ["jwt"]);
    match given.as_slice() {
        [] => table.missing(
            "jwt",
            "one of [verifier.jwt], [verifier.api_key], [verifier.basic], [verifier.certificate] and [verifier.external]",
        ),
        [_] => {}
        [first, more @ ..] => more.iter().for_each(|kind| {
            table.useless(kind, &format!("is a second way beside `{first}`: give each a [[verifier]] of its own"));
        }),
    }
    let kinds: Vec<Option<VerifierKind>> = given
        .iter()
        .map(|kind| match *kind {
            "jwt" => jwt(&table.table("jwt", &JWT), pools).map(VerifierKind::Jwt),
            "api_key" => api_key(&table.table("api_key", &API_KEY)),
            "basic" => basic(&table.table("basic", &BASIC)),
            "certificate" => certificate(&table.table("certificate", &CERTIFICATE)),
            _ => external(&table.table("external", &EXTERNAL), pools).map(VerifierKind::External),
        })
        .collect();
    Some(Verifier { name: name?, kind: kinds.into_iter().next()??, pass: pass? })
}

/// Headers that tell who asks.
fn pass(table: &Section<'_>, has_claims: bool) -> Option<Vec<(HeaderName, Pass)>> {
    let what = Rule::string("\"subject\", \"verifier\" or \"claim:NAME\"", |text| match text {
        "subject" => Ok(Pass::Subject),
        "verifier" => Ok(Pass::Verifier),
        _ => match text.strip_prefix("claim:").and_then(claim_name) {
            Some(_) if !has_claims => Err(Refusal::Hint("only tokens have claims".to_owned())),
            Some(claim) => Ok(Pass::Claim(claim)),
            None => Err(Refusal::Unexpected),
        },
    });
    let Rule { expected, read } = header(FRAMING);
    let name = Rule::new(expected, move |value| match read(value)? {
        name if is_of_proxies(name.as_str()) => {
            Err(Refusal::Hint("the gateway writes or removes it itself: take another, as x-user".to_owned()))
        }
        name => Ok(name),
    });
    let entries = table.entries("pass", "{ x-user = \"subject\" }", &name, &what);
    let names = entries.iter().filter_map(|(name, _)| Some((name.value.clone()?, &name.place)));
    table.source().unique(names, |line| format!("set in line {line} already: remove one of the two"));
    entries.into_iter().map(|(name, what)| Some((name.value?, what.value?))).collect()
}

/// Whether a header tells servers of the way that a request came: after those of who asks are written, these are.
fn is_of_proxies(name: &str) -> bool {
    let ends =
        ["", "-by", "-for", "-host", "-port", "-prefix", "-proto", "-scheme", "-server", "-ssl", "-uri"];
    let others = [
        "forwarded",
        "traceparent",
        "x-real-ip",
        "true-client-ip",
        "client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-original-url",
        "x-rewrite-url",
    ];
    let end = name.strip_prefix("x-forwarded");
    end.map_or_else(|| others.contains(&name), |end| ends.contains(&end))
}

fn jwt(table: &Section<'_>, pools: &Names) -> Option<Jwt> {
    let keys = keys(table, pools);
    let algorithms =
        set(table, "algorithms", ALGORITHM_LIST, 1..=12, one_of(ALGORITHMS, REFUSED_ALGORITHMS), Vec::new());
    if !table.has("algorithms") {
        table.missing("algorithms", ALGORITHM_LIST);
    }
    let symmetric = algorithms.iter().flatten().any(|algorithm| {
        matches!(algorithm, JwtAlgorithm::Hs256 | JwtAlgorithm::Hs384 | JwtAlgorithm::Hs512)
    });
    if symmetric && table.has("pool") {
        table.useless(
            "algorithms",
            "has HS256, HS384 or HS512, whose key is a secret that everybody who fetches it could sign with: \
             remove them, or read the keys from a file",
        );
    }
    let issuer = table.optional("issuer", bounded_text(1..=1_024));
    let expected = "a list of up to 64 texts, as [\"api\"]";
    let audience = set(table, "audience", expected, 0..=64, bounded_text(1..=1_024), Vec::new());
    let claims = claims(table);
    let leeway =
        table.or("leeway", duration(Duration::ZERO..=Duration::from_secs(600)), Duration::from_secs(30));
    let header = table.or("header", header(FRAMING), http::header::AUTHORIZATION);
    Some(Jwt {
        keys: keys?,
        algorithms: algorithms?,
        issuer: issuer.maybe()?,
        audience: audience?,
        claims: claims?,
        leeway: leeway.value?,
        header: header.value?,
    })
}

fn keys(table: &Section<'_>, pools: &Names) -> Option<JwtKeys> {
    let file = table.optional("file", absolute_path(4_095));
    let pool = table.optional("pool", pools.rule());
    let path = table.or("path", path(), "/.well-known/jwks.json".to_owned());
    let host = table.optional("host", host());
    let day = Duration::from_secs(86_400);
    let refresh = table.or("refresh", duration(Duration::from_secs(10)..=day), Duration::from_secs(600));
    let least = Duration::from_secs(30).min(refresh.value.unwrap_or(day));
    let least = table.or("refresh_least", duration(Duration::from_secs(1)..=day), least);
    if least.value > refresh.value {
        table.source().report(&least.place, "is longer than refresh: lower it, or raise refresh");
    }
    match (file.given, pool.given) {
        (true, _) => {
            for key in ["pool", "path", "host", "refresh", "refresh_least"] {
                table.useless(
                    key,
                    "has no effect beside `file`: keys are read from it, or fetched from a pool",
                );
            }
            Some(JwtKeys::File(file.value?))
        }
        (false, false) => {
            table.missing("file", "an absolute path of a JWKS, or `pool` and `host` to fetch it from");
            None
        }
        (false, true) => {
            if !host.given {
                table.missing("host", "the host that the keys are asked of, as \"login.example.com\"");
            }
            Some(JwtKeys::Fetched {
                pool: pool.value?,
                path: path.value?,
                host: host.value?,
                refresh: refresh.value?,
                least: least.value?,
            })
        }
    }
}

fn api_key(table: &Section<'_>) -> Option<VerifierKind> {
    let header = table.or("header", header(FRAMING), HeaderName::from_static("x-api-key"));
    let file = table.required("file", absolute_path(4_095));
    Some(VerifierKind::ApiKey { header: header.value?, path: file.value? })
}

fn basic(table: &Section<'_>) -> Option<VerifierKind> {
    let expected = "a text of 1 to 128 printable ASCII characters without '\"' and '\\'";
    let realm = Rule::string(expected, |text| {
        let plain = |byte: u8| (byte == b' ' || byte.is_ascii_graphic()) && byte != b'"' && byte != b'\\';
        let fits = (1..=128).contains(&text.len()) && text.bytes().all(plain);
        if fits { Ok(text.to_owned()) } else { Err(Refusal::Unexpected) }
    });
    let realm = table.or("realm", realm, "xdp-lb".to_owned());
    let file = table.required("file", absolute_path(4_095));
    Some(VerifierKind::Basic { realm: realm.value?, path: file.value? })
}

fn certificate(table: &Section<'_>) -> Option<VerifierKind> {
    let subject =
        Rule::string("a name in certificates, as \"billing.example.com\" or \"*.example.com\"", |text| {
            let name = text.strip_prefix("*.").unwrap_or(text);
            let fits = (1..=256).contains(&text.len()) && !name.is_empty() && !name.contains('*');
            if fits { Ok(text.to_owned()) } else { Err(Refusal::Unexpected) }
        });
    let expected = "a list of up to 256 names, as [\"billing.example.com\"]";
    Some(VerifierKind::Certificate {
        subjects: set(table, "subjects", expected, 0..=256, subject, Vec::new())?,
    })
}

fn external(table: &Section<'_>, pools: &Names) -> Option<External> {
    const EXPECTED: &str = "a list of up to 64 names of headers, as [\"cookie\"]";
    let pool = table.required("pool", pools.rule());
    let prefix = Rule::string("a path that begins with '/' and does not end in it, or \"\"", |text| {
        let inside = text.starts_with('/')
            && !text.ends_with('/')
            && text.len() <= 1_024
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte))
            && text.parse::<http::uri::PathAndQuery>().is_ok();
        if text.is_empty() || inside { Ok(text.to_owned()) } else { Err(Refusal::Unexpected) }
    });
    let prefix = table.or("prefix", prefix, String::new());
    let told = set(table, "request_headers", EXPECTED, 0..=64, header(FRAMING), Vec::new());
    let taken = set(table, "response_headers", EXPECTED, 0..=64, header(FRAMING), Vec::new());
    let range = Duration::from_millis(1)..=Duration::from_secs(60);
    let timeout = table.or("timeout", duration(range), Duration::from_secs(1));
    let fail_open = table.or("fail_open", boolean(), false);
    Some(External {
        pool: pool.value?,
        prefix: prefix.value?,
        request_headers: told?,
        response_headers: taken?,
        timeout: timeout.value?,
        fail_open: fail_open.value?,
    })
}

const ALGORITHM_LIST: &str = "a list of the signature algorithms allowed, as [\"RS256\", \"ES256\"]";

const ALGORITHMS: &[(&str, JwtAlgorithm)] = &[
    ("HS256", JwtAlgorithm::Hs256),
    ("HS384", JwtAlgorithm::Hs384),
    ("HS512", JwtAlgorithm::Hs512),
    ("RS256", JwtAlgorithm::Rs256),
    ("RS384", JwtAlgorithm::Rs384),
    ("RS512", JwtAlgorithm::Rs512),
    ("PS256", JwtAlgorithm::Ps256),
    ("PS384", JwtAlgorithm::Ps384),
    ("PS512", JwtAlgorithm::Ps512),
    ("ES256", JwtAlgorithm::Es256),
    ("ES384", JwtAlgorithm::Es384),
    ("EdDSA", JwtAlgorithm::EdDsa),
];

const REFUSED_ALGORITHMS: &[(&str, &str)] = &[
    ("none", "anybody can make a token without a signature"),
    ("None", "anybody can make a token without a signature"),
    ("NONE", "anybody can make a token without a signature"),
    ("ES512", "this version does not verify it"),
];
