//! `[route.openapi]`, `[route.cors]`, `[route.compression]` and `[route.mirror]`: what is wrong and what is said of it.

use super::{At, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("a document that is unknown", At::Route, r#"openapi = { document = "a", base_path = "a", requests = "on", path = "/a" }"#, &[]),
    ("a document for nothing", At::Route, r#"openapi = { document = "a", requests = "off", responses = "off", most_bytes = "1GiB" }
[[openapi]]
name = "a"
path = "/a""#, &[]),
    ("no origins", At::Route, "cors = {}", &[]),
    ("origins that are none", At::Route, r#"[route.cors]
origins = ["www.example.com", "https://a/", "https://a:443", "ftp://a", "https://*.*.a", "https://a", "HTTPS://A"]
methods = []
headers = ["*"]
max_age = "2d""#, &[]),
    ("credentials for everybody", At::Route, r#"cors = { origins = ["*", "https://a"], credentials = true }"#, &[]),
    ("codings that are none", At::Route, r#"[route.compression]
encodings = ["brotli", "deflate", "gzip", "gzip"]
least_bytes = -1
types = ["text", "Text/html", "*/*"]"#, &[]),
    ("a mirror of nothing", At::Route, "mirror = { share = 0 }", &[]),
];
