//! `[[rate_limit]]` and `[[openapi]]`: what is wrong and what is said of it.

use super::{At, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("nothing but the header", At::Top, "[[rate_limit]]
[[openapi]]", &[]),
    ("a key that is none", At::Top, r#"[[rate_limit]]
name = "a"
key = "ip"
rate = 100"#, &[]),
    ("a key without its name", At::Top, r#"[[rate_limit]]
name = "a"
key = "header:"
rate = "100 per second""#, &[]),
    ("rates out of range", At::Top, r#"[[rate_limit]]
name = "a"
key = "address"
rate = "0/s"
[[rate_limit]]
name = "b"
key = "claim:sub"
rate = "1/100ms"
burst = 0
max_keys = 0"#, &[]),
    ("keys of routes", At::Top, r#"[[rate_limit]]
name = "a"
key = "route"
rate = "1/s"
max_keys = 10
requests = 1"#, &[]),
    ("a document without place", At::Top, r#"[[openapi]]
name = "a"
path = "movies.yaml"
[[openapi]]
name = "a"
file = "/a""#, &[]),
];
