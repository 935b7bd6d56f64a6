//! `[[route]]`: what it is for and what it does: what is wrong and what is said of it.

use super::{At, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("nothing but the header", At::Top, "[[route]]", &[]),
    ("a pool that is unknown", At::BareRoute, r#"pool = "movies""#, &[]),
    ("a pool where there is none", At::Top, r#"[[route]]
name = "r"
pool = "movies""#, &[]),
    ("two actions", At::Route, r#"redirect = { to = "/" }
split = []"#, &[]),
    ("no share", At::BareRoute, "split = []", &[]),
    ("shares that are none", At::BareRoute, r#"split = [{ pool = "p", weight = 0 }, { pool = "p", weight = 0 }, { weight = -1 }]"#, &[]),
    ("shares of nothing", At::BareRoute, r#"split = [{ pool = "p", weight = 0 }]"#, &[]),
    ("hosts that are none", At::Route, r#"hosts = ["*", "a:80", "*.*.b", "a..b", "::1", "[::1]", "A.example", "a.example"]"#, &[]),
    ("path and prefix", At::Route, r#"path = "/a"
prefix = "/a""#, &[]),
    ("paths that no request has", At::Route, r#"path = "a/b""#, &[]),
    ("a path with a query", At::Route, r#"path = "/a?b""#, &[]),
    ("a path with spaces", At::Route, r#"path = "/a b""#, &[]),
    ("a path with dots", At::Route, r#"path = "/a/../b""#, &[]),
    ("two parameters in a segment", At::Route, r#"path = "/{a}{b}""#, &[]),
    ("a rest that goes on", At::Route, r#"path = "/{*a}/b""#, &[]),
    ("a parameter that is open", At::Route, r#"path = "/{a""#, &[]),
    ("a parameter's name", At::Route, r#"path = "/{a b}""#, &[]),
    ("a parameter twice", At::Route, r#"path = "/{a}/{a}""#, &[]),
    ("a prefix with parameters", At::Route, r#"prefix = "/{a}""#, &[]),
    ("methods that are none", At::Route, r#"methods = ["get", "CONNECT", "A B", "GET", "GET"]"#, &[]),
    ("conditions that are none", At::Route, r#"header = [{}, { name = "host", equals = "a" }, { name = "a", equals = "a", present = true }, { name = "b", value = "c" }]
query = [{ name = "", matches = "(" }, { name = "a", matches = "(?=b)" }, { name = "a", matches = "(a{1000}){1000}" }, { name = "a", matches = "a)(b" }]"#, &[]),
    ("limits out of range", At::Route, r#"body_bytes = -1
timeout = "0s"
rate_limits = ["a"]"#, &[]),
    ("the same as another", At::Route, r#"path = "/a/{b}"
methods = ["GET", "PUT"]
[[route]]
name = "s"
path = "/a/{c}"
methods = ["PUT", "GET"]
pool = "p""#, &[]),
    ("the same hosts as another", At::Route, r#"hosts = ["a", "b"]
[[route]]
name = "s"
hosts = ["b", "A"]
pool = "p""#, &[]),
    ("keys that are elsewhere", At::Route, r#"host = "a"
method = "GET"
rewrite = "/"
rate_limit = "a"
headers = {}"#, &[]),
    ("a redirect to nowhere", At::BareRoute, r#"redirect = {}
timeout = "1s"
mirror = { pool = "p" }
request = { path = "/" }"#, &[]),
    ("a redirect that is open", At::BareRoute, r#"redirect = { to = "//{host}", status = 200 }"#, &[]),
    ("a redirect to where the client says", At::BareRoute, r#"redirect = { to = "{query:to}" }"#, &[]),
    ("an answer that is none", At::BareRoute, r#"respond = { status = 101, content_type = "text" }"#, &[]),
    ("an answer without body", At::BareRoute, r#"respond = { status = 204, body = "a" }"#, &[]),
    ("a type of nothing", At::BareRoute, r#"respond = { content_type = "text/html" }"#, &[]),
];
