//! `[route.request]` and `[route.response]`: what is wrong and what is said of it.

use super::{At, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("paths and hosts that are none", At::Route, r#"request = { path = "a", host = "a b" }"#, &[]),
    ("places that are not there", At::Route, r#"path = "/{id}"
request.path = "/{rest}"
request.host = "{param:ident}"
request.headers.set = { x-a = "{status}", x-b = "{identity}", x-c = "{claim:sub}", x-d = "{id}", x-e = "{clint}", x-f = "{" }"#, &[]),
    ("headers that frame messages", At::Route, r#"[route.request.headers]
remove = ["connection", "a b"]
set = { Host = "a", content-length = "1", x-a = 1, x-b = "a\nb" }
add = { x-a = "", X-A = "" }"#, &[]),
    ("headers as a list", At::Route, r#"[route.response.headers]
set = ["x-a"]
replace = {}"#, &[]),
    ("queries that are none", At::Route, r#"request.query = { remove = "a", set = { "" = "a" } }"#, &[]),
    ("pointers that are none", At::Route, r#"[route.request.body]
drop = ["a.b", "/a~b", ""]
rename = { "/a" = "/b", "/b/*" = "c" }
set = { "/d" = 1979-05-27, "/e" = nan, "/f" = "{status}" }
most_bytes = 0"#, &[]),
    ("a change of nothing", At::Route, "response.body = { most_bytes = 1 }", &[]),
    ("a word of heads in a body", At::Route, r#"response.body = { remove = ["/a"], drop = ["/b"] }"#, &[]),
    ("templates that overlap", At::Route, r#"[[route.response.template]]
statuses = "400-499"
body = "a"
[[route.response.template]]
statuses = 404
body = "{{\"a\": {b}"
[[route.response.template]]
status = 500
content_type = "json""#, &[]),
];
