//! `[[verifier]]`: what is wrong and what is said of it.

use super::{At, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("nothing but the name", At::Verifier, "", &[
        r#"gateway.toml:7: verifier[0] "v": jwt: missing: expected one of [verifier.jwt], [verifier.api_key], [verifier.basic], [verifier.certificate] and [verifier.external]"#,
    ]),
    ("two ways", At::Verifier, r#"kind = "jwt"
basic = { file = "/u" }
certificate = {}"#, &[
        r#"gateway.toml:9: verifier[0] "v": kind = "jwt": unknown key: the table below says it, as [verifier.jwt]"#,
        r#"gateway.toml:11: verifier[0] "v": certificate: is a second way beside `basic`: give each a [[verifier]] of its own"#,
    ]),
    ("a table that is none", At::Verifier, r#"jwt = "/keys""#, &[
        r#"gateway.toml:9: verifier[0] "v": jwt = "/keys": expected a table, written [verifier.jwt]"#,
    ]),
    ("no keys and no algorithms", At::Verifier, "jwt = {}", &[
        r#"gateway.toml:9: verifier[0] "v": jwt.file: missing: expected an absolute path of a JWKS, or `pool` and `host` to fetch it from"#,
        r#"gateway.toml:9: verifier[0] "v": jwt.algorithms: missing: expected a list of the signature algorithms allowed, as ["RS256", "ES256"]"#,
    ]),
    ("a token without signature", At::Verifier, r#"jwt = { file = "/k", algorithms = ["none", "ES512", "rs256", "RS256", "RS256"] }"#, &[
        r#"gateway.toml:9: verifier[0] "v": jwt.algorithms[0] = "none": expected "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384" or "EdDSA": anybody can make a token without a signature"#,
        r#"gateway.toml:9: verifier[0] "v": jwt.algorithms[1] = "ES512": expected "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384" or "EdDSA": this version does not verify it"#,
        r#"gateway.toml:9: verifier[0] "v": jwt.algorithms[2] = "rs256": expected "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384" or "EdDSA""#,
        r#"gateway.toml:9: verifier[0] "v": jwt.algorithms[4] = "RS256": named in line 9 already: name each once"#,
    ]),
    ("no algorithm at all", At::Verifier, r#"jwt = { file = "/k", algorithms = [] }"#, &[
        r#"gateway.toml:9: verifier[0] "v": jwt.algorithms = []: expected a list of the signature algorithms allowed, as ["RS256", "ES256"]"#,
    ]),
    ("a secret that everybody fetches", At::Verifier, r#"jwt = { pool = "p", host = "a", algorithms = ["RS256", "HS256"] }"#, &[
        r#"gateway.toml:9: verifier[0] "v": jwt.algorithms = ["RS256", "HS256"]: has HS256, HS384 or HS512, whose key is a secret that everybody who fetches it could sign with: remove them, or read the keys from a file"#,
    ]),
    ("keys from two places", At::Verifier, r#"jwt = { file = "/k", pool = "p", host = "a", path = "/", refresh = "1m", algorithms = ["RS256"] }"#, &[
        r#"gateway.toml:9: verifier[0] "v": jwt.pool = "p": has no effect beside `file`: keys are read from it, or fetched from a pool"#,
        r#"gateway.toml:9: verifier[0] "v": jwt.path = "/": has no effect beside `file`: keys are read from it, or fetched from a pool"#,
        r#"gateway.toml:9: verifier[0] "v": jwt.host = "a": has no effect beside `file`: keys are read from it, or fetched from a pool"#,
        r#"gateway.toml:9: verifier[0] "v": jwt.refresh = "1m": has no effect beside `file`: keys are read from it, or fetched from a pool"#,
    ]),
    ("a pool that is unknown, and no host", At::Verifier, r#"jwt = { pool = "q", algorithms = ["RS256"] }"#, &[
        r#"gateway.toml:9: verifier[0] "v": jwt.pool = "q": expected the name of a [[pool]]: there is none of this name"#,
        r#"gateway.toml:9: verifier[0] "v": jwt.host: missing: expected the host that the keys are asked of, as "login.example.com""#,
    ]),
    ("fetches too seldom", At::Verifier, r#"jwt = { pool = "p", host = "a", refresh = "10s", refresh_least = "1m", algorithms = ["RS256"] }"#, &[
        r#"gateway.toml:9: verifier[0] "v": jwt.refresh_least = "1m": is longer than refresh: lower it, or raise refresh"#,
    ]),
    ("claims that are no tests", At::Verifier, r#"[verifier.jwt]
file = "/k"
algorithms = ["RS256"]
claims = { a = false, b = 1, c = [], d = ["x", 1] }
issuer = ""
audience = "a"
leeway = "1h"
header = "host"
jwks = "/k""#, &[
        r#"gateway.toml:12: verifier[0] "v": jwt.claims.a = false: expected true (it is there), a text, or a list of 1 to 64 texts of which it has to be one"#,
        r#"gateway.toml:12: verifier[0] "v": jwt.claims.b = 1: expected true (it is there), a text, or a list of 1 to 64 texts of which it has to be one: write it in quotes"#,
        r#"gateway.toml:12: verifier[0] "v": jwt.claims.c = []: expected true (it is there), a text, or a list of 1 to 64 texts of which it has to be one"#,
        r#"gateway.toml:12: verifier[0] "v": jwt.claims.d = ["x", 1]: expected true (it is there), a text, or a list of 1 to 64 texts of which it has to be one"#,
        r#"gateway.toml:13: verifier[0] "v": jwt.issuer = "": expected text of 1 to 1024 bytes"#,
        r#"gateway.toml:14: verifier[0] "v": jwt.audience = "a": expected a list of up to 64 texts, as ["api"]: write ["a"]"#,
        r#"gateway.toml:15: verifier[0] "v": jwt.leeway = "1h": expected a duration from 0s to 10m"#,
        r#"gateway.toml:16: verifier[0] "v": jwt.header = "host": expected the name of a header, as "x-tenant": a route changes the host by request.host"#,
        r#"gateway.toml:17: verifier[0] "v": jwt.jwks = "/k": unknown key: a file of keys is `file`; fetched ones have `pool`, `host` and `path`"#,
    ]),
    ("claims as a list", At::Verifier, r#"jwt = { file = "/k", algorithms = ["RS256"], claims = ["sub"] }"#, &[
        r#"gateway.toml:9: verifier[0] "v": jwt.claims = ["sub"]: expected a table, as { scope = "read" }"#,
    ]),
    ("headers that pass nothing on", At::Verifier, r#"pass = { host = "subject", x-a = "name", x-b = "claim:", x-c = "claim:a", "x d" = "subject", X-E = "subject", x-e = "verifier" }
basic = { file = "/u" }"#, &[
        r#"gateway.toml:9: verifier[0] "v": pass.host = "subject": expected the name of a header, as "x-tenant": a route changes the host by request.host"#,
        r#"gateway.toml:9: verifier[0] "v": pass.x-a = "name": expected "subject", "verifier" or "claim:NAME""#,
        r#"gateway.toml:9: verifier[0] "v": pass.x-b = "claim:": expected "subject", "verifier" or "claim:NAME""#,
        r#"gateway.toml:9: verifier[0] "v": pass.x-c = "claim:a": expected "subject", "verifier" or "claim:NAME": only tokens have claims"#,
        r#"gateway.toml:9: verifier[0] "v": pass."x d" = "subject": expected the name of a header, as "x-tenant""#,
        r#"gateway.toml:9: verifier[0] "v": pass.x-e = "verifier": set in line 9 already: remove one of the two"#,
    ]),
    ("a header that is read too", At::Verifier, r#"pass = { Authorization = "subject" }
basic = { file = "/u" }"#, &[
        r#"gateway.toml:9: verifier[0] "v": pass: has authorization, in which verifier "v" looks for secrets, and clients' own are removed: pass it on by another name"#,
    ]),
    ("identities in headers that the gateway writes over", At::Verifier, r#"pass = { X-Real-IP = "subject", x-forwarded-for = "verifier", forwarded = "subject", x-forwarded-user = "subject" }
basic = { file = "/u" }"#, &[
        r#"gateway.toml:9: verifier[0] "v": pass.X-Real-IP = "subject": expected the name of a header, as "x-tenant": the gateway writes or removes it itself: take another, as x-user"#,
        r#"gateway.toml:9: verifier[0] "v": pass.x-forwarded-for = "verifier": expected the name of a header, as "x-tenant": the gateway writes or removes it itself: take another, as x-user"#,
        r#"gateway.toml:9: verifier[0] "v": pass.forwarded = "subject": expected the name of a header, as "x-tenant": the gateway writes or removes it itself: take another, as x-user"#,
    ]),
    ("paths that no request has", At::Verifier, r#"jwt = { pool = "p", host = "a", path = "/a<b>", algorithms = ["RS256"] }"#, &[
        r#"gateway.toml:9: verifier[0] "v": jwt.path = "/a<b>": expected a path of at most 1024 bytes that begins with '/', without spaces or '#'"#,
    ]),
    ("files that are missing", At::Verifier, r#"[verifier.api_key]
header = "connection"
path = "/k""#, &[
        r#"gateway.toml:9: verifier[0] "v": api_key.file: missing: expected an absolute path of at most 4095 bytes"#,
        r#"gateway.toml:10: verifier[0] "v": api_key.header = "connection": expected the name of a header, as "x-tenant": it belongs to one connection, and the gateway writes it itself"#,
        r#"gateway.toml:11: verifier[0] "v": api_key.path = "/k": unknown key: it is called `file`"#,
    ]),
    ("a realm that breaks its quotes", At::Verifier, r#"basic = { realm = 'a"b', file = "/u" }"#, &[
        r#"gateway.toml:9: verifier[0] "v": basic.realm = 'a"b': expected a text of 1 to 128 printable ASCII characters without '"' and '\'"#,
    ]),
    ("certificates that nobody asks for", At::Verifier, r#"certificate = { subjects = ["*", "a.*.b", "a", "a"] }"#, &[
        r#"gateway.toml:9: verifier[0] "v": certificate.subjects[0] = "*": expected a name in certificates, as "billing.example.com" or "*.example.com""#,
        r#"gateway.toml:9: verifier[0] "v": certificate.subjects[1] = "a.*.b": expected a name in certificates, as "billing.example.com" or "*.example.com""#,
        r#"gateway.toml:9: verifier[0] "v": certificate.subjects[3] = "a": named in line 9 already: name each once"#,
    ]),
    ("certificates that no listener asks for", At::Verifier, "certificate = {}", &[
        r#"gateway.toml:9: verifier[0] "v": certificate: no listener asks clients for certificates: set client_auth in a [listener.tls]"#,
    ]),
    ("a service that is unknown", At::Verifier, r#"[verifier.external]
pool = "P"
prefix = "check/"
request_headers = ["te"]
timeout = "0s"
fail_open = "yes""#, &[
        r#"gateway.toml:10: verifier[0] "v": external.pool = "P": expected the name of a [[pool]]: did you mean "p"?"#,
        r#"gateway.toml:11: verifier[0] "v": external.prefix = "check/": expected a path that begins with '/' and does not end in it, or """#,
        r#"gateway.toml:12: verifier[0] "v": external.request_headers[0] = "te": expected the name of a header, as "x-tenant": it belongs to one connection, and the gateway writes it itself"#,
        r#"gateway.toml:13: verifier[0] "v": external.timeout = "0s": expected a duration from 1ms to 1m"#,
        r#"gateway.toml:14: verifier[0] "v": external.fail_open = "yes": expected true or false"#,
    ]),
];
