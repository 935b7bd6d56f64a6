//! `[vip.health]`: what is wrong and what is said of it.

use std::path::Path;

use super::super::Config;
use super::{In, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[test]
fn a_file_of_certificates_that_is_none_has_its_message() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let pair = rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap();
    let (good, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
    let (first_half, _) = good.split_at(good.len() / 2);
    let wrong_digit = good.replacen('M', "?", 1);
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (text, message) in [
        (String::new(), "holds no certificate: expected PEM, with -----BEGIN CERTIFICATE-----"),
        ("a.example\n".to_owned(), "holds no certificate: expected PEM, with -----BEGIN CERTIFICATE-----"),
        (key, "holds a private key and no certificate: name the file with the CA's certificate"),
        (
            first_half.to_owned(),
            "certificate 1 in it is broken: its last line -----END CERTIFICATE----- is missing",
        ),
        (
            wrong_digit,
            "certificate 1 in it is broken: what stands between its first line and its last is not base64",
        ),
        (
            format!("{good}{no_certificate}"),
            "certificate 2 in it is broken: invalid peer certificate: BadEncoding",
        ),
        ("x".repeat((1 << 20) + 1), "is longer than 1 MiB, which no list of certificates is"),
    ] {
        std::fs::write(&path, text).unwrap();
        let ca = format!("ca = {:?}", path.to_str().unwrap());
        let text = In::Health.around(&format!("kind = \"https\"\nhost = \"a.example\"\n{ca}"));
        let said = Config::from_toml(&text, Path::new("lb.toml")).unwrap_err().to_string();
        assert_eq!(said, format!("lb.toml:11: vip[0] \"web\": health.{ca}: {message}"));
    }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("a ping", In::Health, r#"kind = "ping""#, &[
        r#"lb.toml:9: vip[0] "web": health.kind = "ping": expected "none", "tcp", "http", "https", "icmp" or "udp": write "icmp""#,
    ]),
    ("another kind", In::Health, r#"kind = "grpc""#, &[
        r#"lb.toml:9: vip[0] "web": health.kind = "grpc": expected "none", "tcp", "http", "https", "icmp" or "udp""#,
    ]),
    ("a kind, nearly right", In::Health, r#"kind = "htp""#, &[
        r#"lb.toml:9: vip[0] "web": health.kind = "htp": expected "none", "tcp", "http", "https", "icmp" or "udp": did you mean "http"?"#,
    ]),
    ("an array of tables for a table", In::Vip, r#"[[vip.health]]
kind = "tcp""#, &[
        r#"lb.toml:8: vip[0] "web": health: expected a table, written [vip.health]"#,
    ]),
    ("a word for a table", In::Vip, r#"health = "tcp""#, &[
        r#"lb.toml:8: vip[0] "web": health = "tcp": expected a table, written [vip.health]"#,
    ]),
    ("port 0", In::Health, "port = 0", &[
        r#"lb.toml:9: vip[0] "web": health.port = 0: expected an integer from 1 to 65535"#,
    ]),
    ("a path without kind", In::Health, r#"path = "/healthz""#, &[
        r#"lb.toml:9: vip[0] "web": health.path = "/healthz": has no effect with kind = "tcp", the default for a TCP VIP: set kind = "http" or "https", or remove this"#,
    ]),
    ("what only HTTP has", In::Health, r#"kind = "tcp"
host = "a"
expect = "200""#, &[
        r#"lb.toml:10: vip[0] "web": health.host = "a": has no effect with kind = "tcp": set kind = "http" or "https", or remove this"#,
        r#"lb.toml:11: vip[0] "web": health.expect = "200": has no effect with kind = "tcp": set kind = "http" or "https", or remove this"#,
    ]),
    ("keys beside no check", In::Health, r#"kind = "none"
interval = "2s"
port = 80"#, &[
        r#"lb.toml:10: vip[0] "web": health.interval = "2s": has no effect with kind = "none": set kind = "tcp", "http", "https", "icmp" or "udp", or remove this"#,
        r#"lb.toml:11: vip[0] "web": health.port = 80: has no effect with kind = "none": set kind = "tcp", "http", "https" or "udp", or remove this"#,
    ]),
    ("keys beside UDP's default", In::UdpHealth, r#"interval = "2s""#, &[
        r#"lb.toml:10: vip[0] "web": health.interval = "2s": has no effect with kind = "none", the default for a UDP VIP: set kind = "tcp", "http", "https", "icmp" or "udp", or remove this"#,
    ]),
    ("TCP checks of a UDP VIP without port", In::UdpHealth, r#"kind = "tcp""#, &[
        r#"lb.toml:9: vip[0] "web": health.port: missing: expected an integer from 1 to 65535, as the VIP's own port is a UDP port, or kind = "none""#,
    ]),
    ("HTTP checks of a UDP VIP without port", In::UdpHealth, r#"kind = "http""#, &[
        r#"lb.toml:9: vip[0] "web": health.port: missing: expected an integer from 1 to 65535, as the VIP's own port is a UDP port, or kind = "none""#,
    ]),
    ("no port to check, by default", In::Vip, "port = 0", &[
        r#"lb.toml:3: vip[0] "web": health.port: missing: expected an integer from 1 to 65535, as the VIP takes any port (port = 0), or kind = "none""#,
    ]),
    ("a path without slash", In::Health, r#"kind = "http"
path = "healthz""#, &[
        r#"lb.toml:10: vip[0] "web": health.path = "healthz": expected a path of at most 1024 bytes that begins with '/', without spaces or '#'"#,
    ]),
    ("a path with a space", In::Health, r#"kind = "http"
path = "/a b""#, &[
        r#"lb.toml:10: vip[0] "web": health.path = "/a b": expected a path of at most 1024 bytes that begins with '/', without spaces or '#'"#,
    ]),
    ("a path that ends the request", In::Health, r#"kind = "http"
path = "/\r\nX: y""#, &[
        r#"lb.toml:10: vip[0] "web": health.path = "/\r\nX: y": expected a path of at most 1024 bytes that begins with '/', without spaces or '#'"#,
    ]),
    ("a host that ends the header", In::Health, r#"kind = "http"
host = "a\r\nX: y""#, &[
        r#"lb.toml:10: vip[0] "web": health.host = "a\r\nX: y": expected a host name or address, with a port where wanted, of at most 253 bytes"#,
    ]),
    ("an empty host", In::Health, r#"kind = "http"
host = """#, &[
        r#"lb.toml:10: vip[0] "web": health.host = "": expected a host name or address, with a port where wanted, of at most 253 bytes"#,
    ]),
    ("a code past all codes", In::Health, r#"kind = "http"
expect = "200-999""#, &[
        r#"lb.toml:10: vip[0] "web": health.expect = "200-999": expected a status code or a range of them from 100 to 599, as "200" or "200-399""#,
    ]),
    ("a range backwards", In::Health, r#"kind = "http"
expect = "399-200""#, &[
        r#"lb.toml:10: vip[0] "web": health.expect = "399-200": expected a status code or a range of them from 100 to 599, as "200" or "200-399": write it as "200-399""#,
    ]),
    ("a code in words", In::Health, r#"kind = "http"
expect = "2xx""#, &[
        r#"lb.toml:10: vip[0] "web": health.expect = "2xx": expected a status code or a range of them from 100 to 599, as "200" or "200-399""#,
    ]),
    ("a code as a list", In::Health, r#"kind = "http"
expect = [200, 204]"#, &[
        r#"lb.toml:10: vip[0] "web": health.expect = [200, 204]: expected a status code or a range of them from 100 to 599, as "200" or "200-399""#,
    ]),
    ("a code in hexadecimal", In::Health, r#"kind = "http"
expect = 0xc8"#, &[
        r#"lb.toml:10: vip[0] "web": health.expect = 0xc8: expected a status code or a range of them from 100 to 599, as "200" or "200-399""#,
    ]),
    ("an interval without unit", In::Health, "interval = 2", &[
        r#"lb.toml:9: vip[0] "web": health.interval = 2: expected a duration from 100ms to 1h: write the unit too, as "2s""#,
    ]),
    ("an interval as a fraction", In::Health, "interval = 0.5", &[
        r#"lb.toml:9: vip[0] "web": health.interval = 0.5: expected a duration from 100ms to 1h: write it with a unit, as "500ms""#,
    ]),
    ("an interval too short", In::Health, r#"interval = "99ms""#, &[
        r#"lb.toml:9: vip[0] "web": health.interval = "99ms": expected a duration from 100ms to 1h"#,
    ]),
    ("an interval too long", In::Health, r#"interval = "2h""#, &[
        r#"lb.toml:9: vip[0] "web": health.interval = "2h": expected a duration from 100ms to 1h"#,
    ]),
    ("an interval of an unknown unit", In::Health, r#"interval = "2 fortnights""#, &[
        r#"lb.toml:9: vip[0] "web": health.interval = "2 fortnights": expected a duration from 100ms to 1h: write it as "2s""#,
    ]),
    ("a fast interval slower than the other", In::Health, r#"interval = "1s"
fast_interval = "2s""#, &[
        r#"lb.toml:10: vip[0] "web": health.fast_interval = "2s": expected at most the interval, which is 1s"#,
    ]),
    ("a fast interval too short", In::Health, r#"fast_interval = "10ms""#, &[
        r#"lb.toml:9: vip[0] "web": health.fast_interval = "10ms": expected a duration from 50ms to 1h"#,
    ]),
    ("a timeout too long", In::Health, r#"timeout = "61s""#, &[
        r#"lb.toml:9: vip[0] "web": health.timeout = "61s": expected a duration from 10ms to 1m"#,
    ]),
    ("a timeout too short", In::Health, r#"timeout = "1ms""#, &[
        r#"lb.toml:9: vip[0] "web": health.timeout = "1ms": expected a duration from 10ms to 1m"#,
    ]),
    ("rise of 0", In::Health, "rise = 0", &[
        r#"lb.toml:9: vip[0] "web": health.rise = 0: expected an integer from 1 to 100"#,
    ]),
    ("fall of 0", In::Health, "fall = 0", &[
        r#"lb.toml:9: vip[0] "web": health.fall = 0: expected an integer from 1 to 100"#,
    ]),
    ("fall past all patience", In::Health, "fall = 101", &[
        r#"lb.toml:9: vip[0] "web": health.fall = 101: expected an integer from 1 to 100"#,
    ]),
    ("an unknown way", In::Health, r#"via = "tunnel""#, &[
        r#"lb.toml:9: vip[0] "web": health.via = "tunnel": expected "direct" or "data-path""#,
    ]),
    ("a way, nearly right", In::Health, r#"via = "datapath""#, &[
        r#"lb.toml:9: vip[0] "web": health.via = "datapath": expected "direct" or "data-path": did you mean "data-path"?"#,
    ]),
    ("a ping through the data path", In::Health, r#"kind = "icmp"
via = "data-path""#, &[
        r#"lb.toml:10: vip[0] "web": health.via = "data-path": has no effect with kind = "icmp": set kind = "tcp", "http", "https" or "udp", or remove this"#,
    ]),
    ("no check through the data path", In::UdpHealth, r#"via = "data-path""#, &[
        r#"lb.toml:10: vip[0] "web": health.via = "data-path": has no effect with kind = "none", the default for a UDP VIP: set kind = "tcp", "http", "https" or "udp", or remove this"#,
    ]),
    ("a port to ping", In::Health, r#"kind = "icmp"
port = 7"#, &[
        r#"lb.toml:10: vip[0] "web": health.port = 7: has no effect with kind = "icmp": set kind = "tcp", "http", "https" or "udp", or remove this"#,
    ]),
    ("what a ping does not have", In::Health, r#"kind = "icmp"
path = "/"
ca = "/ca.pem"
request = "x""#, &[
        r#"lb.toml:10: vip[0] "web": health.path = "/": has no effect with kind = "icmp": set kind = "http" or "https", or remove this"#,
        r#"lb.toml:11: vip[0] "web": health.ca = "/ca.pem": has no effect with kind = "icmp": set kind = "https", or remove this"#,
        r#"lb.toml:12: vip[0] "web": health.request = "x": has no effect with kind = "icmp": set kind = "udp", or remove this"#,
    ]),
    ("what only HTTPS has", In::Health, r#"kind = "http"
server_name = "a"
verify = false
ca = "/nowhere.pem""#, &[
        r#"lb.toml:10: vip[0] "web": health.server_name = "a": has no effect with kind = "http": set kind = "https", or remove this"#,
        r#"lb.toml:11: vip[0] "web": health.verify = false: has no effect with kind = "http": set kind = "https", or remove this"#,
        r#"lb.toml:12: vip[0] "web": health.ca = "/nowhere.pem": has no effect with kind = "http": set kind = "https", or remove this"#,
    ]),
    ("a body of a connection", In::Health, r#"body = "ok""#, &[
        r#"lb.toml:9: vip[0] "web": health.body = "ok": has no effect with kind = "tcp", the default for a TCP VIP: set kind = "http" or "https", or remove this"#,
    ]),
    ("an empty body", In::Health, r#"kind = "http"
body = """#, &[
        r#"lb.toml:10: vip[0] "web": health.body = "": expected text of 1 to 256 bytes"#,
    ]),
    ("a body as a list", In::Health, r#"kind = "http"
body = ["ok"]"#, &[
        r#"lb.toml:10: vip[0] "web": health.body = ["ok"]: expected text of 1 to 256 bytes"#,
    ]),
    ("a body as a number", In::Health, r#"kind = "http"
body = 1"#, &[
        r#"lb.toml:10: vip[0] "web": health.body = 1: expected text of 1 to 256 bytes: write it in quotes"#,
    ]),
    ("HTTPS without a name", In::Health, r#"kind = "https""#, &[
        r#"lb.toml:8: vip[0] "web": health.server_name: missing: expected the name or address in the backends' certificates, as no host is given, or verify = false"#,
    ]),
    ("HTTPS of a host that no certificate names", In::Health, r#"kind = "https"
host = "a..b""#, &[
        r#"lb.toml:8: vip[0] "web": health.server_name: missing: expected the name or address in the backends' certificates, as host is none"#,
    ]),
    ("a wildcard for a name", In::Health, r#"kind = "https"
server_name = "*.example""#, &[
        r#"lb.toml:10: vip[0] "web": health.server_name = "*.example": expected a DNS name or an address, without port: write a name that the wildcard stands for"#,
    ]),
    ("a name with a port", In::Health, r#"kind = "https"
server_name = "a.example:443""#, &[
        r#"lb.toml:10: vip[0] "web": health.server_name = "a.example:443": expected a DNS name or an address, without port"#,
    ]),
    ("another name for the name", In::Health, r#"kind = "https"
verify = false
sni = "a.example""#, &[
        r#"lb.toml:11: vip[0] "web": health.sni = "a.example": unknown key: the name is called `server_name`"#,
    ]),
    ("the other way round", In::Health, r#"kind = "https"
host = "a.example"
insecure = true"#, &[
        r#"lb.toml:11: vip[0] "web": health.insecure = true: unknown key: write verify = false"#,
    ]),
    ("a word for true", In::Health, r#"kind = "https"
host = "a.example"
verify = "false""#, &[
        r#"lb.toml:11: vip[0] "web": health.verify = "false": expected true or false: write it without quotes"#,
    ]),
    ("whom nobody verifies", In::Health, r#"kind = "https"
verify = false
ca = "/nowhere.pem""#, &[
        r#"lb.toml:11: vip[0] "web": health.ca = "/nowhere.pem": has no effect with verify = false: remove one of the two"#,
    ]),
    ("a CA that is nowhere, and a host that is none", In::Health, r#"kind = "https"
host = "a b"
ca = "/nowhere/ca.pem""#, &[
        r#"lb.toml:10: vip[0] "web": health.host = "a b": expected a host name or address, with a port where wanted, of at most 253 bytes"#,
        r#"lb.toml:11: vip[0] "web": health.ca = "/nowhere/ca.pem": cannot be read: No such file or directory (os error 2)"#,
    ]),
    ("a CA that is no file", In::Health, r#"kind = "https"
host = "a.example"
ca = "/dev/null""#, &[
        r#"lb.toml:11: vip[0] "web": health.ca = "/dev/null": cannot be read: it is no regular file"#,
    ]),
    ("a CA somewhere here", In::Health, r#"kind = "https"
host = "a.example"
ca = "ca.pem""#, &[
        r#"lb.toml:11: vip[0] "web": health.ca = "ca.pem": expected an absolute path of at most 4095 bytes"#,
    ]),
    ("UDP checks of a TCP VIP without port", In::Health, r#"kind = "udp""#, &[
        r#"lb.toml:8: vip[0] "web": health.port: missing: expected an integer from 1 to 65535, as the VIP's own port is a TCP port, or kind = "none""#,
    ]),
    ("UDP checks of any port", In::Udp, r#"port = 0
[vip.health]
kind = "udp""#, &[
        r#"lb.toml:9: vip[0] "web": health.port: missing: expected an integer from 1 to 65535, as the VIP takes any port (port = 0), or kind = "none""#,
    ]),
    ("through the data path, of any port", In::Vip, r#"port = 0
[vip.health]
via = "data-path""#, &[
        r#"lb.toml:8: vip[0] "web": health.port: missing: expected an integer from 1 to 65535, as the VIP takes any port (port = 0), or kind = "none""#,
    ]),
    ("what only HTTP has, of UDP", In::UdpHealth, r#"kind = "udp"
expect = "pong"
body = "pong""#, &[
        r#"lb.toml:11: vip[0] "web": health.expect = "pong": expected a status code or a range of them from 100 to 599, as "200" or "200-399""#,
        r#"lb.toml:11: vip[0] "web": health.expect = "pong": has no effect with kind = "udp": what the answer has to contain is `answer`, or remove this"#,
        r#"lb.toml:12: vip[0] "web": health.body = "pong": has no effect with kind = "udp": what the answer has to contain is `answer`, or remove this"#,
    ]),
    ("what only UDP has, of HTTP", In::Health, r#"kind = "http"
request = "ping"
answer = "pong""#, &[
        r#"lb.toml:10: vip[0] "web": health.request = "ping": has no effect with kind = "http": set kind = "udp", or remove this"#,
        r#"lb.toml:11: vip[0] "web": health.answer = "pong": has no effect with kind = "http": what the answer has to contain is `body`, or remove this"#,
    ]),
    ("half a byte", In::UdpHealth, r#"kind = "udp"
request = "hex:abc""#, &[
        r#"lb.toml:11: vip[0] "web": health.request = "hex:abc": expected text, or bytes as "hex:00ff", of at most 1200 bytes: after hex: two digits for each byte"#,
    ]),
    ("no hexadecimal digits", In::UdpHealth, r#"kind = "udp"
answer = "hex:0x00""#, &[
        r#"lb.toml:11: vip[0] "web": health.answer = "hex:0x00": expected text, or bytes as "hex:00ff", of at most 1200 bytes: after hex: only hexadecimal digits and spaces"#,
    ]),
    ("a request as a number", In::UdpHealth, r#"kind = "udp"
request = 1"#, &[
        r#"lb.toml:11: vip[0] "web": health.request = 1: expected text, or bytes as "hex:00ff", of at most 1200 bytes: write it in quotes"#,
    ]),
    ("another name for the request", In::UdpHealth, r#"kind = "udp"
send = "x""#, &[
        r#"lb.toml:11: vip[0] "web": health.send = "x": unknown key: what a UDP check sends is `request`"#,
    ]),
    ("a key of the VIP under its health", In::Health, r#"forward = "ipip""#, &[
        r#"lb.toml:9: vip[0] "web": health.forward = "ipip": belongs to [[vip]]: move it above [vip.health]"#,
    ]),
    ("a slip in a key", In::Health, r#"intervall = "2s""#, &[
        r#"lb.toml:9: vip[0] "web": health.intervall = "2s": unknown key: did you mean `interval`?"#,
    ]),
];
