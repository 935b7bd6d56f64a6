//! `[route.request]` and `[route.response]`: what is wrong and what is said of it.

use super::{At, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("paths and hosts that are none", At::Route, r#"request = { path = "a", host = "a b" }"#, &[
        r#"gateway.toml:13: route[0] "r": request.path = "a": expected a path that begins with '/', with places as {param:id}, and {{ for a brace"#,
        r#"gateway.toml:13: route[0] "r": request.host = "a b": expected a host with a port where wanted, with places as {host}"#,
    ]),
    ("places that are not there", At::Route, r#"path = "/{id}"
request.path = "/{rest}"
request.host = "{param:ident}"
request.headers.set = { x-a = "{status}", x-b = "{identity}", x-c = "{claim:sub}", x-d = "{id}", x-e = "{clint}", x-f = "{" }"#, &[
        r#"gateway.toml:14: route[0] "r": request.path = "/{rest}": expected a path that begins with '/', with places as {param:id}, and {{ for a brace: {rest} is what follows a route's `prefix`, and this route has none"#,
        r#"gateway.toml:15: route[0] "r": request.host = "{param:ident}": expected a host with a port where wanted, with places as {host}: the route's path has no {param:ident}, but {param:id}"#,
        r#"gateway.toml:16: route[0] "r": request.headers.set.x-a = "{status}": expected a header's value with places as {client}, and {{ for a brace: {status} is known in answers only"#,
        r#"gateway.toml:16: route[0] "r": request.headers.set.x-b = "{identity}": expected a header's value with places as {client}, and {{ for a brace: {identity} is known where access.any_of or access.external say who asks"#,
        r#"gateway.toml:16: route[0] "r": request.headers.set.x-c = "{claim:sub}": expected a header's value with places as {client}, and {{ for a brace: {claim:sub} is known where access.any_of has a verifier of tokens"#,
        r#"gateway.toml:16: route[0] "r": request.headers.set.x-d = "{id}": expected a header's value with places as {client}, and {{ for a brace: write {param:id}"#,
        r#"gateway.toml:16: route[0] "r": request.headers.set.x-e = "{clint}": expected a header's value with places as {client}, and {{ for a brace: {clint} is no place: did you mean {client}?"#,
        r#"gateway.toml:16: route[0] "r": request.headers.set.x-f = "{": expected a header's value with places as {client}, and {{ for a brace: a place is not closed: write {{ for a brace"#,
    ]),
    ("headers that frame messages", At::Route, r#"[route.request.headers]
remove = ["connection", "a b"]
set = { Host = "a", content-length = "1", x-a = 1, x-b = "a\nb" }
add = { x-a = "", X-A = "" }"#, &[
        r#"gateway.toml:14: route[0] "r": request.headers.remove[0] = "connection": expected the name of a header, as "x-tenant": it belongs to one connection, and the gateway writes it itself"#,
        r#"gateway.toml:14: route[0] "r": request.headers.remove[1] = "a b": expected the name of a header, as "x-tenant""#,
        r#"gateway.toml:15: route[0] "r": request.headers.set.Host = "a": expected the name of a header, as "x-tenant": a route changes the host by request.host"#,
        r#"gateway.toml:15: route[0] "r": request.headers.set.content-length = "1": expected the name of a header, as "x-tenant": the gateway writes it by the body's length"#,
        r#"gateway.toml:15: route[0] "r": request.headers.set.x-a = 1: expected a header's value with places as {client}, and {{ for a brace: write it in quotes"#,
        r#"gateway.toml:15: route[0] "r": request.headers.set.x-b = "a\nb": expected a header's value with places as {client}, and {{ for a brace"#,
        r#"gateway.toml:16: route[0] "r": request.headers.add.X-A = "": named in line 16 already: remove one of the two"#,
    ]),
    ("headers as a list", At::Route, r#"[route.response.headers]
set = ["x-a"]
replace = {}"#, &[
        r#"gateway.toml:14: route[0] "r": response.headers.set = ["x-a"]: expected a table, as { name = "value" }"#,
        r#"gateway.toml:15: route[0] "r": response.headers.replace: unknown key: expected remove, set or add"#,
    ]),
    ("queries that are none", At::Route, r#"request.query = { remove = "a", set = { "" = "a" } }"#, &[
        r#"gateway.toml:13: route[0] "r": request.query.remove = "a": expected a list of up to 64 names: write ["a"]"#,
        r#"gateway.toml:13: route[0] "r": request.query.set."" = "a": expected text of 1 to 256 bytes"#,
    ]),
    ("pointers that are none", At::Route, r#"[route.request.body]
drop = ["a.b", "/a~b", ""]
rename = { "/a" = "/b", "/b/*" = "c" }
set = { "/d" = 1979-05-27, "/e" = nan, "/f" = "{status}" }
most_bytes = 0"#, &[
        r#"gateway.toml:14: route[0] "r": request.body.drop[0] = "a.b": expected a JSON pointer to a field, as "/user/name" or "/items/*/price": write "/a/b""#,
        r#"gateway.toml:14: route[0] "r": request.body.drop[1] = "/a~b": expected a JSON pointer to a field, as "/user/name" or "/items/*/price": `~` is written ~0, and a `/` within a name ~1"#,
        r#"gateway.toml:14: route[0] "r": request.body.drop[2] = "": expected a JSON pointer to a field, as "/user/name" or "/items/*/price""#,
        r#"gateway.toml:15: route[0] "r": request.body.rename."/a" = "/b": expected the field's new name, of 1 to 256 bytes: a field is renamed where it is: write its last name alone"#,
        r#"gateway.toml:15: route[0] "r": request.body.rename."/b/*" = "c": the elements of a list have no names: name a field of theirs"#,
        r#"gateway.toml:16: route[0] "r": request.body.set."/d" = 1979-05-27: expected a text with places as {identity}, and {{ for a brace, or any value that JSON has: JSON has no dates: write it in quotes"#,
        r#"gateway.toml:16: route[0] "r": request.body.set."/e" = nan: expected a text with places as {identity}, and {{ for a brace, or any value that JSON has"#,
        r#"gateway.toml:16: route[0] "r": request.body.set."/f" = "{status}": expected a text with places as {identity}, and {{ for a brace, or any value that JSON has: {status} is known in answers only"#,
        r#"gateway.toml:17: route[0] "r": request.body.most_bytes = 0: expected a number of bytes from 1 to 64MiB, as 65536 or "64KiB""#,
    ]),
    ("a change of nothing", At::Route, "response.body = { most_bytes = 1 }", &[
        r#"gateway.toml:13: route[0] "r": response.body.set: missing: expected one of `drop`, `rename` and `set`, or no such table"#,
    ]),
    ("a word of heads in a body", At::Route, r#"response.body = { remove = ["/a"], drop = ["/b"] }"#, &[
        r#"gateway.toml:13: route[0] "r": response.body.remove = ["/a"]: unknown key: of bodies it is called `drop`"#,
    ]),
    ("templates that overlap", At::Route, r#"[[route.response.template]]
statuses = "400-499"
body = "a"
[[route.response.template]]
statuses = 404
body = "{{\"a\": {b}"
[[route.response.template]]
status = 500
content_type = "json""#, &[
        r#"gateway.toml:17: route[0] "r": response.template[1]: statuses = 404: the template in line 14 has one of these too: give each its own"#,
        r#"gateway.toml:18: route[0] "r": response.template[1]: body = "{{\"a\": {b}": expected a text of at most 64 KiB with places as {path}, and {{ for a brace: {b} is no place: write {{ for a brace"#,
        r#"gateway.toml:19: route[0] "r": response.template[2]: statuses: missing: expected a status code or a range of them from 100 to 599, as "200" or "200-399""#,
        r#"gateway.toml:19: route[0] "r": response.template[2]: body: missing: expected a text of at most 64 KiB with places as {path}, and {{ for a brace"#,
        r#"gateway.toml:20: route[0] "r": response.template[2]: status = 500: unknown key: it is called `statuses`"#,
        r#"gateway.toml:21: route[0] "r": response.template[2]: content_type = "json": expected a media type, as "application/json""#,
    ]),
];
