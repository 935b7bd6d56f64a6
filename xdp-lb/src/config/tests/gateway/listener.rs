//! `[[listener]]`: what is wrong and what is said of it.

use super::{At, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("nothing but the header", At::File, "[[listener]]", &[]),
    ("two of one name and address", At::Top, r#"[[listener]]
name = "l"
address = "127.0.0.1:8080""#, &[]),
    ("every address, and one of them", At::Top, r#"[[listener]]
name = "m"
address = "0.0.0.0:8080""#, &[]),
    ("keys that are elsewhere", At::Top, r#"port = 80
listen = "0.0.0.0:80""#, &[]),
    ("values that are none", At::Top, r#"proxy_protocol = "true"
http2 = 1"#, &[]),
    ("an empty TLS", At::Top, "tls = {}", &[]),
    ("TLS without certificates", At::Top, r#"[listener.tls]
certificates = []
min_version = "1.1""#, &[]),
    ("half a certificate", At::Top, r#"[listener.tls]
certificates = [{ certificate = "/a.pem" }, { key = "a.key" }]"#, &[]),
    ("a certificate where its list belongs", At::Top, r#"[listener.tls]
certificate = "/a.pem"
key = "/a.key""#, &[]),
    ("certificates asked for without authorities", At::Top, r#"[listener.tls]
certificates = [{ certificate = "/a", key = "/b" }]
client_auth = "required""#, &[]),
    ("authorities for nothing", At::Top, r#"[listener.tls]
certificates = [{ certificate = "/a", key = "/b" }]
client_ca = "/c""#, &[]),
    ("a key of the listener under its TLS", At::Top, r#"[listener.tls]
certificates = [{ certificate = "/a", key = "/b" }]
http2 = true"#, &[]),
];
