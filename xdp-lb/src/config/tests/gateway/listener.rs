//! `[[listener]]`: what is wrong and what is said of it.

use super::{At, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("nothing but the header", At::File, "[[listener]]", &[
        "gateway.toml:1: listener[0]: name: missing: expected a name of 1 to 63 letters, digits, '.', '_' or '-' that begins with a letter or digit",
        r#"gateway.toml:1: listener[0]: address: missing: expected an address with a port from 1 to 65535, as "127.0.0.1:9400" or "[::1]:9400""#,
    ]),
    ("two of one name and address", At::Top, r#"[[listener]]
name = "l"
address = "127.0.0.1:8080""#, &[
        r#"gateway.toml:5: listener[1] "l": name = "l": the [[listener]] in line 2 has this name too: give each its own"#,
        r#"gateway.toml:6: listener[1] "l": address = "127.0.0.1:8080": line 3 listens there too: give each its own address or port"#,
    ]),
    ("every address, and one of them", At::Top, r#"[[listener]]
name = "m"
address = "0.0.0.0:8080""#, &[
        r#"gateway.toml:6: listener[1] "m": address = "0.0.0.0:8080": line 3 listens at 127.0.0.1:8080, and one of the two takes that port of every address: change one"#,
    ]),
    ("keys that are elsewhere", At::Top, r#"port = 80
listen = "0.0.0.0:80""#, &[
        r#"gateway.toml:4: listener[0] "l": port = 80: unknown key: it is part of the address, as "0.0.0.0:8080""#,
        r#"gateway.toml:5: listener[0] "l": listen = "0.0.0.0:80": unknown key: it is called `address`"#,
    ]),
    ("values that are none", At::Top, r#"proxy_protocol = "true"
http2 = 1"#, &[
        r#"gateway.toml:4: listener[0] "l": proxy_protocol = "true": expected true or false: write it without quotes"#,
        r#"gateway.toml:5: listener[0] "l": http2 = 1: expected true or false"#,
    ]),
    ("an empty TLS", At::Top, "tls = {}", &[
        r#"gateway.toml:4: listener[0] "l": tls.certificates: missing: expected a list of 1 or more, as [{ certificate = "/etc/tls/a.pem", key = "/etc/tls/a.key" }]"#,
    ]),
    ("TLS without certificates", At::Top, r#"[listener.tls]
certificates = []
min_version = "1.1""#, &[
        r#"gateway.toml:4: listener[0] "l": tls.certificates: missing: expected a list of 1 or more, as [{ certificate = "/etc/tls/a.pem", key = "/etc/tls/a.key" }]"#,
        r#"gateway.toml:6: listener[0] "l": tls.min_version = "1.1": expected "1.2" or "1.3": it is broken, and not spoken here"#,
    ]),
    ("half a certificate", At::Top, r#"[listener.tls]
certificates = [{ certificate = "/a.pem" }, { key = "a.key" }]"#, &[
        r#"gateway.toml:5: listener[0] "l": tls.certificates[0]: key: missing: expected an absolute path of at most 4095 bytes"#,
        r#"gateway.toml:5: listener[0] "l": tls.certificates[1]: certificate: missing: expected an absolute path of at most 4095 bytes"#,
        r#"gateway.toml:5: listener[0] "l": tls.certificates[1]: key = "a.key": expected an absolute path of at most 4095 bytes"#,
    ]),
    ("a certificate where its list belongs", At::Top, r#"[listener.tls]
certificate = "/a.pem"
key = "/a.key""#, &[
        r#"gateway.toml:4: listener[0] "l": tls.certificates: missing: expected a list of 1 or more, as [{ certificate = "/etc/tls/a.pem", key = "/etc/tls/a.key" }]"#,
        r#"gateway.toml:5: listener[0] "l": tls.certificate = "/a.pem": unknown key: write certificates = [{ certificate = "…", key = "…" }]"#,
        r#"gateway.toml:6: listener[0] "l": tls.key = "/a.key": unknown key: write certificates = [{ certificate = "…", key = "…" }]"#,
    ]),
    ("certificates asked for without authorities", At::Top, r#"[listener.tls]
certificates = [{ certificate = "/a", key = "/b" }]
client_auth = "required""#, &[
        r#"gateway.toml:4: listener[0] "l": tls.client_ca: missing: expected a file with the authorities that clients' certificates are signed by, as client_auth asks for them"#,
    ]),
    ("authorities for nothing", At::Top, r#"[listener.tls]
certificates = [{ certificate = "/a", key = "/b" }]
client_ca = "/c""#, &[
        r#"gateway.toml:6: listener[0] "l": tls.client_ca = "/c": has no effect with client_auth = "off", the default: set "optional" or "required", or remove this"#,
    ]),
    ("a key of the listener under its TLS", At::Top, r#"[listener.tls]
certificates = [{ certificate = "/a", key = "/b" }]
http2 = true"#, &[
        r#"gateway.toml:6: listener[0] "l": tls.http2 = true: belongs to [[listener]]: move it above [listener.tls]"#,
    ]),
];
