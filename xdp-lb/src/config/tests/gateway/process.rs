//! `[gateway]`, its limits and the file as a whole: what is wrong and what is said of it.

use super::{At, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("no listener", At::File, "[gateway]", &[]),
    ("a listener's and a balancer's tables", At::Top, r#"[agent]
interfaces = ["eth0"]
[[vip]]
[limits]
[tls]
[[upstream]]"#, &[]),
    ("a table with a slip", At::Top, "[gatway]
[[routes]]", &[]),
    ("a word for a table", At::File, r#"listener = "0.0.0.0:80""#, &[]),
    ("no numbers", At::Top, r#"[gateway]
threads = "4"
max_in_flight = -1
drain = 30
max_lag = "1m""#, &[]),
    ("too many threads", At::Top, "[gateway]
threads = 1025
workers = 4", &[]),
    ("proxies that are none", At::Top, r#"[gateway]
trusted_proxies = ["10.0.0.1", "10.0.0.0/8", "10.0.0.0/8", "10.0.0.1/8"]"#, &[]),
    ("a request's ID where it cannot be", At::Top, r#"[gateway]
request_id_header = "content-length""#, &[]),
    ("a name that no header has", At::Top, r#"[gateway]
request_id_header = "x id""#, &[]),
    ("a slip in a word", At::Top, r#"[gateway]
forwarded = "standart""#, &[]),
    ("a relative socket", At::Top, r#"[gateway]
handover_socket = "handover.sock""#, &[]),
    ("a key of the gateway under its limits", At::Top, r#"[gateway.limits]
drain = "1s""#, &[]),
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
connections = 0"#, &[]),
    ("a target that is longer than the head", At::Top, r#"[gateway.limits]
header_bytes = "1KiB"
uri_bytes = "8KiB""#, &[]),
    ("units that are none", At::Top, r#"[gateway.limits]
body_bytes = "10MB""#, &[]),
    ("a unit that is unknown", At::Top, r#"[gateway.limits]
body_bytes = "10 pages""#, &[]),
    ("an unknown limit", At::Top, r#"[gateway.limits]
keepalive_timeout = "1s"
header = 1"#, &[]),
];
