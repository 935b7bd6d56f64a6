//! `[[route]]`: what it is for and what it does: what is wrong and what is said of it.

use super::{At, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("nothing but the header", At::Top, "[[route]]", &[
        "gateway.toml:4: route[0]: name: missing: expected a name of 1 to 63 letters, digits, '.', '_' or '-' that begins with a letter or digit",
        r#"gateway.toml:4: route[0]: pool: missing: expected one of pool = "…", split = […], [route.redirect] and [route.respond]"#,
    ]),
    ("a pool that is unknown", At::BareRoute, r#"pool = "movies""#, &[
        r#"gateway.toml:12: route[0] "r": pool = "movies": expected the name of a [[pool]]: there is none of this name"#,
    ]),
    ("a pool where there is none", At::Top, r#"[[route]]
name = "r"
pool = "movies""#, &[
        r#"gateway.toml:6: route[0] "r": pool = "movies": expected the name of a [[pool]]: there is no [[pool]]"#,
    ]),
    ("two actions", At::Route, r#"redirect = { to = "/" }
split = []"#, &[
        r#"gateway.toml:10: route[0] "r": split: missing: expected a list of 1 or more, as [{ pool = "a", weight = 90 }, { pool = "b", weight = 10 }]"#,
        r#"gateway.toml:13: route[0] "r": redirect: a route does one thing, and `pool` is there: remove one of the two"#,
        r#"gateway.toml:14: route[0] "r": split = []: a route does one thing, and `pool` is there: remove one of the two"#,
    ]),
    ("a word for other methods that is none", At::Route, r#"methods = ["GET"]
method_override = "allow""#, &[
        r#"gateway.toml:14: route[0] "r": method_override = "allow": expected "refuse" or "pass""#,
    ]),
    ("leave for other methods where none is refused", At::Route, r#"method_override = "pass""#, &[
        r#"gateway.toml:13: route[0] "r": method_override = "pass": has no effect, as nothing is decided by the method of what goes to a pool: that is by `methods`, access.external, or openapi with requests = "enforce"; remove this"#,
    ]),
    ("no share", At::BareRoute, "split = []", &[
        r#"gateway.toml:10: route[0] "r": split: missing: expected a list of 1 or more, as [{ pool = "a", weight = 90 }, { pool = "b", weight = 10 }]"#,
    ]),
    ("shares that are none", At::BareRoute, r#"split = [{ pool = "p", weight = 0 }, { pool = "p", weight = 0 }, { weight = -1 }]"#, &[
        r#"gateway.toml:12: route[0] "r": split[2]: pool: missing: expected the name of a [[pool]]"#,
        r#"gateway.toml:12: route[0] "r": split[2]: weight = -1: expected an integer from 0 to 1000000"#,
        r#"gateway.toml:12: route[0] "r": split[1]: pool = "p": named in line 12 already: its share is its weight"#,
    ]),
    ("shares of nothing", At::BareRoute, r#"split = [{ pool = "p", weight = 0 }]"#, &[
        r#"gateway.toml:12: route[0] "r": split = [{ pool = "p", weight = 0 }]: every weight is 0, so that no pool takes anything: raise one"#,
    ]),
    ("hosts that are none", At::Route, r#"hosts = ["*", "a:80", "*.*.b", "a..b", "::1", "[::1]", "A.example", "a.example"]"#, &[
        r#"gateway.toml:13: route[0] "r": hosts[0] = "*": expected a host without port, as "www.example.com" or "*.example.com": leave `hosts` out for any host"#,
        r#"gateway.toml:13: route[0] "r": hosts[1] = "a:80": expected a host without port, as "www.example.com" or "*.example.com": routes do not look at the port: remove it"#,
        r#"gateway.toml:13: route[0] "r": hosts[2] = "*.*.b": expected a host without port, as "www.example.com" or "*.example.com""#,
        r#"gateway.toml:13: route[0] "r": hosts[3] = "a..b": expected a host without port, as "www.example.com" or "*.example.com""#,
        r#"gateway.toml:13: route[0] "r": hosts[4] = "::1": expected a host without port, as "www.example.com" or "*.example.com": write "[::1]""#,
        r#"gateway.toml:13: route[0] "r": hosts[7] = "a.example": named in line 13 already: name each once"#,
    ]),
    ("path and prefix", At::Route, r#"path = "/a"
prefix = "/a""#, &[
        r#"gateway.toml:14: route[0] "r": prefix = "/a": a route has a path or a prefix: remove one of the two"#,
    ]),
    ("paths that no request has", At::Route, r#"path = "a/b""#, &[
        r#"gateway.toml:13: route[0] "r": path = "a/b": expected a path of at most 1024 bytes that begins with '/', with {name} for a segment or {*name} for the rest"#,
    ]),
    ("a path with a query", At::Route, r#"path = "/a?b""#, &[
        r#"gateway.toml:13: route[0] "r": path = "/a?b": expected a path of at most 1024 bytes that begins with '/', with {name} for a segment or {*name} for the rest: what follows a '?' is told by [[route.query]]"#,
    ]),
    ("a path with spaces", At::Route, r#"path = "/a b""#, &[
        r#"gateway.toml:13: route[0] "r": path = "/a b": expected a path of at most 1024 bytes that begins with '/', with {name} for a segment or {*name} for the rest: write other characters percent-encoded, as %20"#,
    ]),
    ("a path with dots", At::Route, r#"path = "/a/../b""#, &[
        r#"gateway.toml:13: route[0] "r": path = "/a/../b": expected a path of at most 1024 bytes that begins with '/', with {name} for a segment or {*name} for the rest: no request has an empty, '.' or '..' segment within its path"#,
    ]),
    ("two parameters in a segment", At::Route, r#"path = "/{a}{b}""#, &[
        r#"gateway.toml:13: route[0] "r": path = "/{a}{b}": expected a path of at most 1024 bytes that begins with '/', with {name} for a segment or {*name} for the rest: one parameter in each segment"#,
    ]),
    ("a rest that goes on", At::Route, r#"path = "/{*a}/b""#, &[
        r#"gateway.toml:13: route[0] "r": path = "/{*a}/b": expected a path of at most 1024 bytes that begins with '/', with {name} for a segment or {*name} for the rest: {*name} stands at the end, after a '/'"#,
    ]),
    ("a parameter that is open", At::Route, r#"path = "/{a""#, &[
        r#"gateway.toml:13: route[0] "r": path = "/{a": expected a path of at most 1024 bytes that begins with '/', with {name} for a segment or {*name} for the rest: write parameters as {name}, and a brace as {{ or }}"#,
    ]),
    ("a parameter's name", At::Route, r#"path = "/{a.b}""#, &[
        r#"gateway.toml:13: route[0] "r": path = "/{a.b}": expected a path of at most 1024 bytes that begins with '/', with {name} for a segment or {*name} for the rest: names of parameters have letters, digits, '_' and '-'"#,
    ]),
    ("a parameter twice", At::Route, r#"path = "/{a}/{a}""#, &[
        r#"gateway.toml:13: route[0] "r": path = "/{a}/{a}": expected a path of at most 1024 bytes that begins with '/', with {name} for a segment or {*name} for the rest: name each parameter differently"#,
    ]),
    ("a prefix with parameters", At::Route, r#"prefix = "/{a}""#, &[
        r#"gateway.toml:13: route[0] "r": prefix = "/{a}": expected a path of at most 1024 bytes that begins with '/', without parameters: parameters are for `path`, as "/users/{id}/{*rest}""#,
    ]),
    ("methods that are none", At::Route, r#"methods = ["get", "CONNECT", "A B", "GET", "GET"]"#, &[
        r#"gateway.toml:13: route[0] "r": methods[0] = "get": expected a method, as "GET": methods are in capitals, write "GET""#,
        r#"gateway.toml:13: route[0] "r": methods[1] = "CONNECT": expected a method, as "GET": the gateway is no forward proxy"#,
        r#"gateway.toml:13: route[0] "r": methods[2] = "A B": expected a method, as "GET""#,
        r#"gateway.toml:13: route[0] "r": methods[4] = "GET": named in line 13 already: name each once"#,
    ]),
    ("conditions that are none", At::Route, r#"header = [{}, { name = "host", equals = "a" }, { name = "a", equals = "a", present = true }, { name = "b", value = "c" }]
query = [{ name = "", matches = "(" }, { name = "a", matches = "(?=b)" }, { name = "a", matches = "(a{1000}){1000}" }, { name = "a", matches = "a)(b" }]"#, &[
        r#"gateway.toml:13: route[0] "r": header[3] "b": value = "c": unknown key: write equals = "…""#,
        r#"gateway.toml:13: route[0] "r": header[0]: name: missing: expected the name of a header, as "x-tenant""#,
        r#"gateway.toml:13: route[0] "r": header[0]: equals: missing: expected one of equals = "…", matches = "…" and present = true or false"#,
        r#"gateway.toml:13: route[0] "r": header[1] "host": name = "host": expected the name of a header, as "x-tenant": write hosts = ["…"] in the route"#,
        r#"gateway.toml:13: route[0] "r": header[2] "a": present = true: a condition is one test, and `equals` is there: write each as a table of its own"#,
        r#"gateway.toml:13: route[0] "r": header[3] "b": equals: missing: expected one of equals = "…", matches = "…" and present = true or false"#,
        r#"gateway.toml:14: route[0] "r": query[0] "": name = "": expected text of 1 to 256 bytes"#,
        r#"gateway.toml:14: route[0] "r": query[0] "": matches = "(": expected a regular expression of at most 1024 bytes, without look-around and back-references: unclosed group"#,
        r#"gateway.toml:14: route[0] "r": query[1] "a": matches = "(?=b)": expected a regular expression of at most 1024 bytes, without look-around and back-references: look-around, including look-ahead and look-behind, is not supported"#,
        r#"gateway.toml:14: route[0] "r": query[2] "a": matches = "(a{1000}){1000}": expected a regular expression of at most 1024 bytes, without look-around and back-references: compiled, it takes more than 1 MiB"#,
        r#"gateway.toml:14: route[0] "r": query[3] "a": matches = "a)(b": expected a regular expression of at most 1024 bytes, without look-around and back-references: unopened group"#,
    ]),
    ("limits out of range", At::Route, r#"body_bytes = -1
timeout = "0s"
rate_limits = ["a"]"#, &[
        r#"gateway.toml:13: route[0] "r": body_bytes = -1: expected a number of bytes from 0 to 1TiB, as 65536 or "64KiB""#,
        r#"gateway.toml:14: route[0] "r": timeout = "0s": expected a duration from 1ms to 1h"#,
        r#"gateway.toml:15: route[0] "r": rate_limits[0] = "a": expected the name of a [[rate_limit]]: there is no [[rate_limit]]"#,
    ]),
    ("the same as another", At::Route, r#"path = "/a/{b}"
methods = ["GET", "PUT"]
[[route]]
name = "s"
path = "/a/{c}"
methods = ["PUT", "GET"]
pool = "p""#, &[
        r#"gateway.toml:15: route[1] "s": the route in line 10 has the same hosts, path and methods and no conditions, and takes all: change one, or add a condition to that"#,
    ]),
    ("the same hosts as another", At::Route, r#"hosts = ["a", "b"]
[[route]]
name = "s"
hosts = ["b", "A"]
pool = "p""#, &[
        r#"gateway.toml:14: route[1] "s": the route in line 10 has the same hosts, path and methods and no conditions, and takes all: change one, or add a condition to that"#,
    ]),
    ("keys that are elsewhere", At::Route, r#"host = "a"
method = "GET"
rewrite = "/"
rate_limit = "a"
headers = {}"#, &[
        r#"gateway.toml:13: route[0] "r": host = "a": unknown key: write hosts = ["…"]; to change the host, request.host"#,
        r#"gateway.toml:14: route[0] "r": method = "GET": unknown key: write methods = ["…"]"#,
        r#"gateway.toml:15: route[0] "r": rewrite = "/": unknown key: the path is changed by request.path"#,
        r#"gateway.toml:16: route[0] "r": rate_limit = "a": unknown key: write rate_limits = ["…"]"#,
        r#"gateway.toml:17: route[0] "r": headers: unknown key: a condition is a table [[route.header]]; changes are [route.request.headers]"#,
    ]),
    ("a redirect to nowhere", At::BareRoute, r#"redirect = {}
timeout = "1s"
mirror = { pool = "p" }
request = { path = "/" }"#, &[
        r#"gateway.toml:12: route[0] "r": redirect.to: missing: expected a path or an address with http:// or https://, with places as {path}, and {{ for a brace"#,
        r#"gateway.toml:13: route[0] "r": timeout = "1s": has no effect with `redirect`, as the request goes to no server: remove this"#,
        r#"gateway.toml:14: route[0] "r": mirror: has no effect with `redirect`, as the request goes to no server: remove this"#,
        r#"gateway.toml:15: route[0] "r": request: has no effect with `redirect`, as the request goes to no server: remove this"#,
    ]),
    ("a redirect that is open", At::BareRoute, r#"redirect = { to = "//{host}", status = 200 }"#, &[
        r#"gateway.toml:12: route[0] "r": redirect.to = "//{host}": expected a path or an address with http:// or https://, with places as {path}, and {{ for a brace"#,
        r#"gateway.toml:12: route[0] "r": redirect.status = 200: expected 301, 302, 303, 307 or 308"#,
    ]),
    ("a redirect to where the client says", At::BareRoute, r#"redirect = { to = "{query:to}" }"#, &[
        r#"gateway.toml:12: route[0] "r": redirect.to = "{query:to}": expected a path or an address with http:// or https://, with places as {path}, and {{ for a brace"#,
    ]),
    ("an answer that is none", At::BareRoute, r#"respond = { status = 101, content_type = "text" }"#, &[
        r#"gateway.toml:12: route[0] "r": respond.status = 101: expected a status from 200 to 599"#,
        r#"gateway.toml:12: route[0] "r": respond.content_type = "text": expected a media type, as "application/json""#,
        r#"gateway.toml:12: route[0] "r": respond.content_type = "text": has no effect without `body`: remove this, or add one"#,
    ]),
    ("an answer without body", At::BareRoute, r#"respond = { status = 204, body = "a" }"#, &[
        r#"gateway.toml:12: route[0] "r": respond.body = "a": an answer with status 204 has no body: remove this"#,
    ]),
    ("a type of nothing", At::BareRoute, r#"respond = { content_type = "text/html" }"#, &[
        r#"gateway.toml:12: route[0] "r": respond.content_type = "text/html": has no effect without `body`: remove this, or add one"#,
    ]),
];
