//! `[gateway]`, its limits and the file as a whole: what is wrong and what is said of it.

use super::{At, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("no listener", At::File, "[gateway]", &[
        "gateway.toml:1: listener: missing: expected at least one table [[listener]], where requests come in",
    ]),
    ("an empty list of listeners", At::File, "listener = []", &[
        "gateway.toml:1: listener: missing: expected at least one table [[listener]], where requests come in",
    ]),
    ("a listener's and a balancer's tables", At::Top, r#"[agent]
interfaces = ["eth0"]
[[vip]]
[limits]
[tls]
[[upstream]]"#, &[
        "gateway.toml:4: agent: belongs to a balancer's lb.toml, which `xdp-lb run` reads",
        "gateway.toml:6: vip: belongs to a balancer's lb.toml, which `xdp-lb run` reads: here clients come in by [[listener]]",
        "gateway.toml:7: limits: belongs to the gateway: write it as [gateway.limits]",
        "gateway.toml:8: tls: belongs to a listener or pool: write it as [listener.tls] or [pool.tls]",
        "gateway.toml:9: upstream: unknown key: a group of servers is called [[pool]]",
    ]),
    ("a table with a slip", At::Top, "[gatway]
[[routes]]", &[
        "gateway.toml:4: gatway: unknown key: did you mean `gateway`?",
        "gateway.toml:5: routes: unknown key: did you mean `route`?",
    ]),
    ("a word for a table", At::File, r#"listener = "0.0.0.0:80""#, &[
        r#"gateway.toml:1: listener = "0.0.0.0:80": expected an array of tables, each written [[listener]]"#,
        "gateway.toml:1: listener: missing: expected at least one table [[listener]], where requests come in",
    ]),
    ("no numbers", At::Top, r#"[gateway]
threads = "4"
max_in_flight = -1
drain = 30
max_lag = "1m""#, &[
        r#"gateway.toml:5: gateway.threads = "4": expected an integer from 0 to 1024 (0 = one for each processor): write it without quotes"#,
        "gateway.toml:6: gateway.max_in_flight = -1: expected an integer from 0 to 4294967295 (0 = no limit)",
        r#"gateway.toml:7: gateway.drain = 30: expected a duration from 0s to 1h: write the unit too, as "30s""#,
        r#"gateway.toml:8: gateway.max_lag = "1m": expected a duration from 0s to 10s"#,
    ]),
    ("too many threads", At::Top, "[gateway]
threads = 1025
workers = 4", &[
        "gateway.toml:5: gateway.threads = 1025: expected an integer from 0 to 1024 (0 = one for each processor)",
        "gateway.toml:6: gateway.workers = 4: unknown key: it is called `threads`",
    ]),
    ("proxies that are none", At::Top, r#"[gateway]
trusted_proxies = ["10.0.0.1", "10.0.0.0/8", "10.0.0.0/8", "10.0.0.1/8"]"#, &[
        r#"gateway.toml:5: gateway.trusted_proxies[0] = "10.0.0.1": expected an IPv4 or IPv6 prefix, as "172.16.0.0/16" or "100::/64": write "10.0.0.1/32" for this one address"#,
        r#"gateway.toml:5: gateway.trusted_proxies[3] = "10.0.0.1/8": expected an IPv4 or IPv6 prefix, as "172.16.0.0/16" or "100::/64": bits are set after the first 8, write "10.0.0.0/8""#,
        r#"gateway.toml:5: gateway.trusted_proxies[2] = "10.0.0.0/8": named in line 5 already: name each once"#,
    ]),
    ("a request's ID where it cannot be", At::Top, r#"[gateway]
request_id_header = "content-length""#, &[
        r#"gateway.toml:5: gateway.request_id_header = "content-length": expected the name of a header, as "x-tenant": the gateway writes it by the body's length"#,
    ]),
    ("a name that no header has", At::Top, r#"[gateway]
request_id_header = "x id""#, &[
        r#"gateway.toml:5: gateway.request_id_header = "x id": expected the name of a header, as "x-tenant""#,
    ]),
    ("a slip in a word", At::Top, r#"[gateway]
forwarded = "standart""#, &[
        r#"gateway.toml:5: gateway.forwarded = "standart": expected "x", "standard", "both" or "off": did you mean "standard"?"#,
    ]),
    ("a relative socket", At::Top, r#"[gateway]
handover_socket = "handover.sock""#, &[
        r#"gateway.toml:5: gateway.handover_socket = "handover.sock": expected an absolute path of at most 107 bytes"#,
    ]),
    ("a key of the gateway under its limits", At::Top, r#"[gateway.limits]
drain = "1s""#, &[
        r#"gateway.toml:5: gateway.limits.drain = "1s": belongs to [gateway]: move it above [gateway.limits]"#,
    ]),
    ("limits out of range", At::Top, r#"[gateway.limits]
headers = 0
header_bytes = 100
uri_bytes = "2MiB"
body_bytes = "2TiB"
header_timeout = "0s"
idle_timeout = "2h"
body_timeout = "1ms"
body_rate = "1KiB"
send_timeout = 1
requests_per_connection = -1
streams = 0
resets_per_second = 0
connections = 0"#, &[
        "gateway.toml:5: gateway.limits.headers = 0: expected an integer from 1 to 1000",
        r#"gateway.toml:6: gateway.limits.header_bytes = 100: expected a number of bytes from 1KiB to 1MiB, as 65536 or "64KiB""#,
        r#"gateway.toml:7: gateway.limits.uri_bytes = "2MiB": expected a number of bytes from 64 to 1MiB, as 65536 or "64KiB""#,
        r#"gateway.toml:8: gateway.limits.body_bytes = "2TiB": expected a number of bytes from 0 to 1TiB, as 65536 or "64KiB""#,
        r#"gateway.toml:9: gateway.limits.header_timeout = "0s": expected a duration from 100ms to 5m"#,
        r#"gateway.toml:10: gateway.limits.idle_timeout = "2h": expected a duration from 1s to 1h"#,
        r#"gateway.toml:11: gateway.limits.body_timeout = "1ms": expected a duration from 100ms to 1h"#,
        r#"gateway.toml:12: gateway.limits.body_rate = "1KiB": expected an integer from 0 to 4294967295 bytes a second (0 = no limit)"#,
        r#"gateway.toml:13: gateway.limits.send_timeout = 1: expected a duration from 100ms to 1h: write the unit too, as "1s""#,
        "gateway.toml:14: gateway.limits.requests_per_connection = -1: expected an integer from 0 to 4294967295 (0 = no limit)",
        "gateway.toml:15: gateway.limits.streams = 0: expected an integer from 1 to 10000",
        "gateway.toml:16: gateway.limits.resets_per_second = 0: expected an integer from 1 to 100000",
        "gateway.toml:17: gateway.limits.connections = 0: expected an integer from 1 to 4194304",
    ]),
    ("a target that is longer than the head", At::Top, r#"[gateway.limits]
header_bytes = "1KiB"
uri_bytes = "8KiB""#, &[
        r#"gateway.toml:6: gateway.limits.uri_bytes = "8KiB": is more than header_bytes, which is 1024 (line 5): the target is part of the head; raise header_bytes or lower uri_bytes"#,
    ]),
    ("units that are none", At::Top, r#"[gateway.limits]
body_bytes = "10MB""#, &[
        r#"gateway.toml:5: gateway.limits.body_bytes = "10MB": expected a number of bytes from 0 to 1TiB, as 65536 or "64KiB": write "10MiB""#,
    ]),
    ("a unit that is unknown", At::Top, r#"[gateway.limits]
body_bytes = "10 pages""#, &[
        r#"gateway.toml:5: gateway.limits.body_bytes = "10 pages": expected a number of bytes from 0 to 1TiB, as 65536 or "64KiB": units are KiB, MiB, GiB and TiB"#,
    ]),
    ("an unknown limit", At::Top, r#"[gateway.limits]
keepalive_timeout = "1s"
header = 1"#, &[
        r#"gateway.toml:5: gateway.limits.keepalive_timeout = "1s": unknown key: it is called `idle_timeout`"#,
        "gateway.toml:6: gateway.limits.header = 1: unknown key: did you mean `headers`?",
    ]),
];
