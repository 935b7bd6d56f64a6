//! `[vip.health]`: what is wrong and what is said of it.

use super::{In, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("HTTPS", In::Health, r#"kind = "https""#, &[
        r#"lb.toml:9: vip[0] "web": health.kind = "https": expected "none", "tcp" or "http": this version does not check over TLS; "tcp" sees whether the port answers"#,
    ]),
    ("ICMP", In::Health, r#"kind = "icmp""#, &[
        r#"lb.toml:9: vip[0] "web": health.kind = "icmp": expected "none", "tcp" or "http": this version does not ping; "tcp" sees whether the server's port answers"#,
    ]),
    ("UDP", In::Health, r#"kind = "udp""#, &[
        r#"lb.toml:9: vip[0] "web": health.kind = "udp": expected "none", "tcp" or "http": this version has no UDP check; ask another port of the server by "tcp" or "http""#,
    ]),
    ("another kind", In::Health, r#"kind = "grpc""#, &[
        r#"lb.toml:9: vip[0] "web": health.kind = "grpc": expected "none", "tcp" or "http""#,
    ]),
    ("a kind, nearly right", In::Health, r#"kind = "htp""#, &[
        r#"lb.toml:9: vip[0] "web": health.kind = "htp": expected "none", "tcp" or "http": did you mean "http"?"#,
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
        r#"lb.toml:9: vip[0] "web": health.path = "/healthz": has no effect with kind = "tcp", the default for a TCP VIP: set kind = "http", or remove this"#,
    ]),
    ("what only HTTP has", In::Health, r#"kind = "tcp"
host = "a"
expect = "200""#, &[
        r#"lb.toml:10: vip[0] "web": health.host = "a": has no effect with kind = "tcp": set kind = "http", or remove this"#,
        r#"lb.toml:11: vip[0] "web": health.expect = "200": has no effect with kind = "tcp": set kind = "http", or remove this"#,
    ]),
    ("keys beside no check", In::Health, r#"kind = "none"
interval = "2s"
port = 80"#, &[
        r#"lb.toml:10: vip[0] "web": health.interval = "2s": has no effect with kind = "none": set kind = "tcp" or "http", or remove this"#,
        r#"lb.toml:11: vip[0] "web": health.port = 80: has no effect with kind = "none": set kind = "tcp" or "http", or remove this"#,
    ]),
    ("keys beside UDP's default", In::UdpHealth, r#"interval = "2s""#, &[
        r#"lb.toml:10: vip[0] "web": health.interval = "2s": has no effect with kind = "none", the default for a UDP VIP: set kind = "tcp" or "http", or remove this"#,
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
    ("a key of the VIP under its health", In::Health, r#"forward = "ipip""#, &[
        r#"lb.toml:9: vip[0] "web": health.forward = "ipip": belongs to [[vip]]: move it above [vip.health]"#,
    ]),
    ("a slip in a key", In::Health, r#"intervall = "2s""#, &[
        r#"lb.toml:9: vip[0] "web": health.intervall = "2s": unknown key: did you mean `interval`?"#,
    ]),
];
