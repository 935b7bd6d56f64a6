//! `[[pool]]`: what is wrong and what is said of it.

use super::{At, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("nothing but the header", At::Top, "[[pool]]", &[]),
    ("two of one name", At::Pool, r#"[[pool]]
name = "p"
server = [{ address = "10.0.0.2:80" }]
"#, &[]),
    ("servers from two places", At::Pool, r#"dns = { name = "a", port = 80 }"#, &[]),
    ("a server by name", At::BarePool, r#"server = [{ address = "movies:80" }, { address = "10.0.0.1" }, { address = "0.0.0.0:80" }, { address = "10.0.0.1:0" }]"#, &[]),
    ("a server twice", At::BarePool, r#"server = [{ name = "a", address = "10.0.0.1:80" }, { name = "a", address = "10.0.0.1:80" }]"#, &[]),
    ("a server without address", At::BarePool, "[[pool.server]]
port = 80
weight = 70000", &[]),
    ("a word that says the protocol", At::Pool, r#"protocol = "grpc"
proxy_protocol = 1"#, &[]),
    ("a time for nothing", At::Pool, r#"idle_connections = 0
idle_timeout = "1s""#, &[]),
    ("keys that are elsewhere", At::Pool, r#"servers = []
timeout = "1s""#, &[]),
    ("a name without port", At::BarePool, r#"dns = { name = "movies.internal" }"#, &[]),
    ("a service with port", At::BarePool, r#"dns = { name = "_http._tcp.movies.internal", port = 80 }"#, &[]),
    ("a name that is none", At::BarePool, r#"[pool.dns]
name = "10.0.0.1"
port = 0
refresh_least = "1m"
refresh_most = "1s"
resolvers = ["10.0.0.2"]"#, &[]),
    ("a name with its port", At::BarePool, r#"dns = { name = "a:80", port = 80 }"#, &[]),
    ("a file that is relative", At::BarePool, r#"file = { path = "a.json", interval = "1ms" }"#, &[]),
    ("TLS in halves", At::Pool, r#"[pool.tls]
server_name = "*.a"
verify = false
ca = "/ca"
certificate = "/c"
sni = "a""#, &[]),
    ("a key without certificate", At::Pool, r#"tls = { key = "/k" }"#, &[]),
    ("a check without kind", At::Pool, r#"health = { path = "/" }"#, &[]),
    ("a check by ping", At::Pool, r#"health = { kind = "icmp" }"#, &[]),
    ("keys beside no check", At::Pool, r#"[pool.health]
kind = "none"
port = 80
path = "/"
verify = false
rise = 1"#, &[]),
    ("keys beside a connection", At::Pool, r#"[pool.health]
kind = "tcp"
path = "/"
ca = "/ca"
via = "direct""#, &[]),
    ("values that no check has", At::Pool, r#"[pool.health]
kind = "http"
port = 0
path = "up"
host = "a b"
expect = 600
body = ""
fall = 0
interval = "1s"
fast_interval = "2s""#, &[]),
    ("authorities that are not there", At::Pool, r#"health = { kind = "https", ca = "/nowhere/ca.pem" }"#, &[]),
    ("balance out of range", At::Pool, r#"[pool.balance]
choices = 9
warmup = "2h"
eject_after = -1
failures = [200, "500-400", 700]
utilization_header = "te""#, &[]),
    ("ejections that shrink", At::Pool, r#"[pool.balance]
eject_least = "1m"
eject_most = "1s""#, &[]),
    ("ejections of none", At::Pool, r#"balance = { eject_after = 0, eject_least = "1s" }"#, &[]),
    ("tries out of range", At::Pool, r#"[pool.retry]
tries = 0
budget = 2
least = -1
statuses = 503
body_bytes = "1GiB"
retries = 1"#, &[]),
    ("keys beside no second try", At::Pool, "retry = { tries = 1, budget = 0.1, statuses = [503] }", &[]),
    ("a hedge without time", At::Pool, "hedge = {}", &[]),
    ("a queue for nothing", At::Pool, r#"breaker = { max_pending = 10, pending_timeout = "1s" }"#, &[]),
    ("a wait for no queue", At::Pool, r#"breaker = { max_in_flight = 1, max_pending = 0, pending_timeout = "1s" }"#, &[]),
    ("times that are never reached", At::Pool, r#"timeouts = { connect = "3s", per_try = "2s", request = "1s" }"#, &[]),
    ("a time that the default outlasts", At::Pool, r#"timeouts = { per_try = "1m" }"#, &[]),
    ("an unknown key", At::Pool, r#"[pool.timeouts]
first_byte = "1s"
budget = 1
protocol = "http1""#, &[]),
];
