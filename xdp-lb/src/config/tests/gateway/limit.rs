//! `[[rate_limit]]` and `[[openapi]]`: what is wrong and what is said of it.

use super::{At, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("nothing but the header", At::Top, "[[rate_limit]]
[[openapi]]", &[
        "gateway.toml:4: rate_limit[0]: name: missing: expected a name of 1 to 63 letters, digits, '.', '_' or '-' that begins with a letter or digit",
        r#"gateway.toml:4: rate_limit[0]: key: missing: expected "route", "address", "api-key", "claim:NAME" or "header:NAME""#,
        r#"gateway.toml:4: rate_limit[0]: rate: missing: expected a rate of 1 to 1000000 in 1s to 1day, as "100/s", "1000/m" or "5/10s""#,
        "gateway.toml:5: openapi[0]: name: missing: expected a name of 1 to 63 letters, digits, '.', '_' or '-' that begins with a letter or digit",
        "gateway.toml:5: openapi[0]: path: missing: expected an absolute path of at most 4095 bytes",
    ]),
    ("a key that is none", At::Top, r#"[[rate_limit]]
name = "a"
key = "ip"
rate = 100"#, &[
        r#"gateway.toml:6: rate_limit[0] "a": key = "ip": expected "route", "address", "api-key", "claim:NAME" or "header:NAME": write "address""#,
        r#"gateway.toml:7: rate_limit[0] "a": rate = 100: expected a rate of 1 to 1000000 in 1s to 1day, as "100/s", "1000/m" or "5/10s": write it in quotes"#,
    ]),
    ("a key without its name", At::Top, r#"[[rate_limit]]
name = "a"
key = "header:"
rate = "100 per second""#, &[
        r#"gateway.toml:6: rate_limit[0] "a": key = "header:": expected "route", "address", "api-key", "claim:NAME" or "header:NAME""#,
        r#"gateway.toml:7: rate_limit[0] "a": rate = "100 per second": expected a rate of 1 to 1000000 in 1s to 1day, as "100/s", "1000/m" or "5/10s""#,
    ]),
    ("rates out of range", At::Top, r#"[[rate_limit]]
name = "a"
key = "address"
rate = "0/s"
[[rate_limit]]
name = "b"
key = "claim:sub"
rate = "1/100ms"
burst = 0
max_keys = 0"#, &[
        r#"gateway.toml:7: rate_limit[0] "a": rate = "0/s": expected a rate of 1 to 1000000 in 1s to 1day, as "100/s", "1000/m" or "5/10s""#,
        r#"gateway.toml:11: rate_limit[1] "b": rate = "1/100ms": expected a rate of 1 to 1000000 in 1s to 1day, as "100/s", "1000/m" or "5/10s""#,
        r#"gateway.toml:12: rate_limit[1] "b": burst = 0: expected an integer from 1 to 1000000"#,
        r#"gateway.toml:13: rate_limit[1] "b": max_keys = 0: expected an integer from 1 to 10000000"#,
    ]),
    ("keys of routes", At::Top, r#"[[rate_limit]]
name = "a"
key = "route"
rate = "1/s"
max_keys = 10
requests = 1"#, &[
        r#"gateway.toml:8: rate_limit[0] "a": max_keys = 10: has no effect with key = "route", of which there are as many as routes: remove this"#,
        r#"gateway.toml:9: rate_limit[0] "a": requests = 1: unknown key: write rate = "100/s""#,
    ]),
    ("a document without place", At::Top, r#"[[openapi]]
name = "a"
path = "movies.yaml"
[[openapi]]
name = "a"
file = "/a""#, &[
        r#"gateway.toml:6: openapi[0] "a": path = "movies.yaml": expected an absolute path of at most 4095 bytes"#,
        r#"gateway.toml:7: openapi[1] "a": path: missing: expected an absolute path of at most 4095 bytes"#,
        r#"gateway.toml:8: openapi[1] "a": name = "a": the [[openapi]] in line 5 has this name too: give each its own"#,
        r#"gateway.toml:9: openapi[1] "a": file = "/a": unknown key: it is called `path`"#,
    ]),
];
