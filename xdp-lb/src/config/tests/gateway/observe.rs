//! `[admin]`, `[log]` and `[trace]`: what is wrong and what is said of it.

use super::{At, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("an admin without port", At::Top, r#"[admin]
listen = "127.0.0.1""#, &[
        r#"gateway.toml:5: admin.listen = "127.0.0.1": expected an address with a port from 1 to 65535, as "127.0.0.1:9400" or "[::1]:9400""#,
    ]),
    ("an admin where a listener is", At::Top, r#"[admin]
listen = "127.0.0.1:8080""#, &[
        r#"gateway.toml:3: listener[0] "l": address = "127.0.0.1:8080": line 5 listens there too: give each its own address or port"#,
    ]),
    ("a log that is none", At::Top, r#"[log]
format = "xml"
path = "access.log"
sample = 2"#, &[
        r#"gateway.toml:5: log.format = "xml": expected "json", "combined" or "off""#,
        r#"gateway.toml:6: log.path = "access.log": expected an absolute path of at most 4095 bytes"#,
        "gateway.toml:7: log.sample = 2: expected a number from 0 to 1",
    ]),
    ("headers that hold secrets", At::Top, r#"[log]
headers = ["Authorization", "cookie", "user-agent", "User-Agent"]"#, &[
        r#"gateway.toml:5: log.headers[0] = "Authorization": expected the name of a header, as "x-tenant": it holds secrets, which are never logged"#,
        r#"gateway.toml:5: log.headers[1] = "cookie": expected the name of a header, as "x-tenant": it holds secrets, which are never logged"#,
        r#"gateway.toml:5: log.headers[3] = "User-Agent": named in line 5 already: name each once"#,
    ]),
    ("keys beside no log", At::Top, r#"[log]
format = "off"
path = "/log"
sample = 0.5
headers = []"#, &[
        r#"gateway.toml:6: log.path = "/log": has no effect with format = "off": remove one of the two"#,
        r#"gateway.toml:7: log.sample = 0.5: has no effect with format = "off": remove one of the two"#,
        r#"gateway.toml:8: log.headers = []: has no effect with format = "off": remove one of the two"#,
    ]),
    ("headers beside a format that has its own", At::Top, r#"[log]
format = "combined"
headers = ["referer"]"#, &[
        r#"gateway.toml:6: log.headers = ["referer"]: has no effect with format = "combined", which has its own: set format = "json", or remove this"#,
    ]),
    ("a header in which a verifier looks for keys", At::Verifier, r#"api_key = { file = "/k", header = "X-Key" }
[log]
headers = ["x-key"]"#, &[
        r#"gateway.toml:11: log.headers = ["x-key"]: has x-key, which holds the secrets of verifier "v", and they are never logged: remove it"#,
    ]),
    ("traces to nowhere", At::Top, "[trace]", &[
        r#"gateway.toml:4: trace.endpoint: missing: expected the address of a collector, as "http://127.0.0.1:4318""#,
    ]),
    ("TLS with a collector that has none", At::Top, r#"[trace]
endpoint = "http://a:4318"
tls = { insecure = true }"#, &[
        r#"gateway.toml:6: trace.tls.insecure = true: unknown key: write verify = false"#,
        r#"gateway.toml:6: trace.tls: has no effect with an endpoint by http: name one by https, or remove this"#,
    ]),
    ("a collector that is none", At::Top, r#"[trace]
endpoint = "a:4318"
sample = "1%"
service = """#, &[
        r#"gateway.toml:5: trace.endpoint = "a:4318": expected the address of a collector, as "http://127.0.0.1:4318""#,
        r#"gateway.toml:6: trace.sample = "1%": expected a number from 0 to 1: write a share as a fraction, 25 % as 0.25"#,
        r#"gateway.toml:7: trace.service = "": expected text of 1 to 256 bytes"#,
    ]),
];
