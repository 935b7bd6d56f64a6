//! `[[verifier]]`: what is wrong and what is said of it.

use super::{At, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("nothing but the name", At::Verifier, "", &[]),
    ("two ways", At::Verifier, r#"kind = "jwt"
basic = { file = "/u" }
certificate = {}"#, &[]),
    ("a table that is none", At::Verifier, r#"jwt = "/keys""#, &[]),
    ("no keys and no algorithms", At::Verifier, "jwt = {}", &[]),
    ("a token without signature", At::Verifier, r#"jwt = { file = "/k", algorithms = ["none", "ES512", "rs256", "RS256", "RS256"] }"#, &[]),
    ("no algorithm at all", At::Verifier, r#"jwt = { file = "/k", algorithms = [] }"#, &[]),
    ("a secret that everybody fetches", At::Verifier, r#"jwt = { pool = "p", host = "a", algorithms = ["RS256", "HS256"] }"#, &[]),
    ("keys from two places", At::Verifier, r#"jwt = { file = "/k", pool = "p", host = "a", path = "/", refresh = "1m", algorithms = ["RS256"] }"#, &[]),
    ("a pool that is unknown, and no host", At::Verifier, r#"jwt = { pool = "q", algorithms = ["RS256"] }"#, &[]),
    ("fetches too seldom", At::Verifier, r#"jwt = { pool = "p", host = "a", refresh = "10s", refresh_least = "1m", algorithms = ["RS256"] }"#, &[]),
    ("claims that are no tests", At::Verifier, r#"[verifier.jwt]
file = "/k"
algorithms = ["RS256"]
claims = { a = false, b = 1, c = [], d = ["x", 1] }
issuer = ""
audience = "a"
leeway = "1h"
header = "host"
jwks = "/k""#, &[]),
    ("claims as a list", At::Verifier, r#"jwt = { file = "/k", algorithms = ["RS256"], claims = ["sub"] }"#, &[]),
    ("headers that pass nothing on", At::Verifier, r#"pass = { host = "subject", x-a = "name", x-b = "claim:", x-c = "claim:a", "x d" = "subject", X-E = "subject", x-e = "verifier" }
basic = { file = "/u" }"#, &[]),
    ("files that are missing", At::Verifier, r#"[verifier.api_key]
header = "connection"
path = "/k""#, &[]),
    ("a realm that breaks its quotes", At::Verifier, r#"basic = { realm = 'a"b', file = "/u" }"#, &[]),
    ("certificates that nobody asks for", At::Verifier, r#"certificate = { subjects = ["*", "a.*.b", "a", "a"] }"#, &[]),
    ("certificates that no listener asks for", At::Verifier, "certificate = {}", &[]),
    ("a service that is unknown", At::Verifier, r#"[verifier.external]
pool = "P"
prefix = "check/"
request_headers = ["te"]
timeout = "0s"
fail_open = "yes""#, &[]),
];
