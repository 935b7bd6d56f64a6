//! `[route.access]`: what is wrong and what is said of it.

use super::{At, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("lists that are none", At::Route, r#"access = { allow = ["10.0.0.1"], deny = "10.0.0.0/8", any_of = ["tt"], external = "t", verifier = "t" }"#, &[]),
    ("a verifier twice", At::Route, r#"access = { any_of = ["t", "t"] }"#, &[]),
    ("a service among the verifiers", At::Route, r#"access = { any_of = ["v"] }
[[verifier]]
name = "v"
external = { pool = "p" }"#, &[]),
    ("claims of nobody", At::Route, "access = { claims = { sub = true } }", &[]),
    ("claims of a user with password", At::Route, r#"access = { any_of = ["t", "v"], claims = { sub = true } }
[[verifier]]
name = "v"
basic = { file = "/u" }"#, &[]),
    ("a key of the route under its access", At::Route, r#"access = { rate_limits = ["a"], timeout = "1s" }"#, &[]),
];
