//! `[route.openapi]`, `[route.cors]`, `[route.compression]` and `[route.mirror]`: what is wrong and what is said of it.

use super::{At, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("a document that is unknown", At::Route, r#"openapi = { document = "a", base_path = "a", requests = "on", path = "/a" }"#, &[
        r#"gateway.toml:13: route[0] "r": openapi.path = "/a": the file is named by an [[openapi]], and this table names that by `document`"#,
        r#"gateway.toml:13: route[0] "r": openapi.document = "a": expected the name of an [[openapi]]: there is no [[openapi]]"#,
        r#"gateway.toml:13: route[0] "r": openapi.base_path = "a": expected a path that begins with '/', or """#,
        r#"gateway.toml:13: route[0] "r": openapi.requests = "on": expected "off", "report" or "enforce""#,
    ]),
    ("a document for nothing", At::Route, r#"openapi = { document = "a", requests = "off", responses = "off", most_bytes = "1GiB" }
[[openapi]]
name = "a"
path = "/a""#, &[
        r#"gateway.toml:13: route[0] "r": openapi.most_bytes = "1GiB": expected a number of bytes from 0 to 64MiB, as 65536 or "64KiB""#,
        r#"gateway.toml:13: route[0] "r": openapi.document = "a": has no effect, as requests and responses are "off": remove the table, or set one"#,
    ]),
    ("no origins", At::Route, "cors = {}", &[
        r#"gateway.toml:13: route[0] "r": cors.origins: missing: expected a list of 1 to 256 origins, as ["https://www.example.com"], or ["*"] for any"#,
    ]),
    ("origins that are none", At::Route, r#"[route.cors]
origins = ["www.example.com", "https://a/", "https://a:443", "ftp://a", "https://*.*.a", "https://a", "HTTPS://A"]
methods = []
headers = ["*"]
max_age = "2d""#, &[
        r#"gateway.toml:14: route[0] "r": cors.origins[0] = "www.example.com": expected an origin, as "https://www.example.com" or "https://*.example.com", or "*""#,
        r#"gateway.toml:14: route[0] "r": cors.origins[1] = "https://a/": expected an origin, as "https://www.example.com" or "https://*.example.com", or "*": scheme, host and port alone"#,
        r#"gateway.toml:14: route[0] "r": cors.origins[2] = "https://a:443": expected an origin, as "https://www.example.com" or "https://*.example.com", or "*": browsers leave the scheme's own port out, write "https://a""#,
        r#"gateway.toml:14: route[0] "r": cors.origins[3] = "ftp://a": expected an origin, as "https://www.example.com" or "https://*.example.com", or "*""#,
        r#"gateway.toml:14: route[0] "r": cors.origins[4] = "https://*.*.a": expected an origin, as "https://www.example.com" or "https://*.example.com", or "*""#,
        r#"gateway.toml:14: route[0] "r": cors.origins[6] = "HTTPS://A": named in line 14 already: name each once"#,
        r#"gateway.toml:15: route[0] "r": cors.methods = []: expected a list of 1 to 32 methods, as ["GET"]"#,
        r#"gateway.toml:16: route[0] "r": cors.headers[0] = "*": expected the name of a header, as "x-tenant""#,
        r#"gateway.toml:17: route[0] "r": cors.max_age = "2d": expected a duration from 0s to 1day"#,
    ]),
    ("credentials for everybody", At::Route, r#"cors = { origins = ["*", "https://a"], credentials = true }"#, &[
        r#"gateway.toml:13: route[0] "r": cors.origins[1] = "https://a": is any origin's already, as "*" is there: remove one of the two"#,
        r#"gateway.toml:13: route[0] "r": cors.credentials = true: with origins = ["*"], every site could act for whoever visits it: list the origins, or remove this"#,
    ]),
    ("codings that are none", At::Route, r#"[route.compression]
encodings = ["brotli", "deflate", "gzip"]
least_bytes = -1
types = ["text", "Text/html", "*/*"]"#, &[
        r#"gateway.toml:14: route[0] "r": compression.encodings[0] = "brotli": expected "zstd", "br" or "gzip": write "br""#,
        r#"gateway.toml:14: route[0] "r": compression.encodings[1] = "deflate": expected "zstd", "br" or "gzip": browsers do not agree on what it is: write "gzip""#,
        r#"gateway.toml:15: route[0] "r": compression.least_bytes = -1: expected a number of bytes from 0 to 64MiB, as 65536 or "64KiB""#,
        r#"gateway.toml:16: route[0] "r": compression.types[0] = "text": expected a media type, as "application/json" or "text/*", in lower case"#,
        r#"gateway.toml:16: route[0] "r": compression.types[1] = "Text/html": expected a media type, as "application/json" or "text/*", in lower case"#,
        r#"gateway.toml:16: route[0] "r": compression.types[2] = "*/*": expected a media type, as "application/json" or "text/*", in lower case"#,
    ]),
    ("a mirror of nothing", At::Route, "mirror = { share = 0 }", &[
        r#"gateway.toml:13: route[0] "r": mirror.pool: missing: expected the name of a [[pool]]"#,
        r#"gateway.toml:13: route[0] "r": mirror.share = 0: expected a number from 0.001 to 1"#,
    ]),
];
