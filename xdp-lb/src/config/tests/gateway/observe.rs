//! `[admin]`, `[log]` and `[trace]`: what is wrong and what is said of it.

use super::{At, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("an admin without port", At::Top, r#"[admin]
listen = "127.0.0.1""#, &[]),
    ("an admin where a listener is", At::Top, r#"[admin]
listen = "127.0.0.1:8080""#, &[]),
    ("a log that is none", At::Top, r#"[log]
format = "xml"
path = "access.log"
sample = 2"#, &[]),
    ("headers that hold secrets", At::Top, r#"[log]
headers = ["Authorization", "cookie", "user-agent", "User-Agent"]"#, &[]),
    ("keys beside no log", At::Top, r#"[log]
format = "off"
path = "/log"
sample = 0.5
headers = []"#, &[]),
    ("headers beside a format that has its own", At::Top, r#"[log]
format = "combined"
headers = ["referer"]"#, &[]),
    ("a header in which a verifier looks for keys", At::Verifier, r#"api_key = { file = "/k", header = "X-Key" }
[log]
headers = ["x-key"]"#, &[]),
    ("traces to nowhere", At::Top, "[trace]", &[]),
    ("a collector by TLS", At::Top, r#"[trace]
endpoint = "https://a:4318""#, &[]),
    ("a collector that is none", At::Top, r#"[trace]
endpoint = "a:4318"
sample = "1%"
service = """#, &[]),
];
