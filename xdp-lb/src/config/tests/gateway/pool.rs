//! `[[pool]]`: what is wrong and what is said of it.

use super::{At, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("nothing but the header", At::Top, "[[pool]]", &[
        "gateway.toml:4: pool[0]: name: missing: expected a name of 1 to 63 letters, digits, '.', '_' or '-' that begins with a letter or digit",
        "gateway.toml:4: pool[0]: server: missing: expected one of [[pool.server]], [pool.dns] and [pool.file]",
    ]),
    ("no servers", At::BarePool, "server = []", &[
        r#"gateway.toml:4: pool[0] "p": server: missing: expected at least one, as [{ address = "10.0.0.11:8080" }]"#,
    ]),
    ("two of one name", At::Pool, r#"[[pool]]
name = "p"
server = [{ address = "10.0.0.2:80" }]
"#, &[
        r#"gateway.toml:8: pool[1] "p": name = "p": the [[pool]] in line 5 has this name too: give each its own"#,
    ]),
    ("servers from two places", At::Pool, r#"dns = { name = "a", port = 80 }"#, &[
        r#"gateway.toml:7: pool[0] "p": dns: a pool has its servers from one place, and `server` is there: remove one"#,
    ]),
    ("a server by name", At::BarePool, r#"server = [{ address = "movies:80" }, { address = "10.0.0.1" }, { address = "0.0.0.0:80" }, { address = "10.0.0.1:0" }]"#, &[
        r#"gateway.toml:6: pool[0] "p": server[0]: address = "movies:80": expected the address and port of a server, as "10.0.0.11:8080" or "[2001:db8::11]:8080": names are looked up by [pool.dns]"#,
        r#"gateway.toml:6: pool[0] "p": server[1]: address = "10.0.0.1": expected the address and port of a server, as "10.0.0.11:8080" or "[2001:db8::11]:8080": the port is missing"#,
        r#"gateway.toml:6: pool[0] "p": server[2]: address = "0.0.0.0:80": expected the address and port of a server, as "10.0.0.11:8080" or "[2001:db8::11]:8080""#,
        r#"gateway.toml:6: pool[0] "p": server[3]: address = "10.0.0.1:0": expected the address and port of a server, as "10.0.0.11:8080" or "[2001:db8::11]:8080""#,
    ]),
    ("a server twice", At::BarePool, r#"server = [{ name = "a", address = "10.0.0.1:80" }, { name = "a", address = "10.0.0.1:80" }]"#, &[
        r#"gateway.toml:6: pool[0] "p": server[1] "a": name = "a": the server in line 6 has this name too: give each its own"#,
        r#"gateway.toml:6: pool[0] "p": server[1] "a": address = "10.0.0.1:80": the server in line 6 has this address too: name each server once, its share is its weight"#,
    ]),
    ("a server without address", At::BarePool, "[[pool.server]]
port = 80
weight = 70000", &[
        r#"gateway.toml:6: pool[0] "p": server[0]: address: missing: expected the address and port of a server, as "10.0.0.11:8080" or "[2001:db8::11]:8080""#,
        r#"gateway.toml:7: pool[0] "p": server[0]: port = 80: unknown key: it is part of the address, as "10.0.0.11:8080""#,
        r#"gateway.toml:8: pool[0] "p": server[0]: weight = 70000: expected an integer from 0 to 65535"#,
    ]),
    ("a word that says the protocol", At::Pool, r#"protocol = "grpc"
proxy_protocol = 1"#, &[
        r#"gateway.toml:7: pool[0] "p": protocol = "grpc": expected "http1" or "http2": gRPC is "http2""#,
        r#"gateway.toml:8: pool[0] "p": proxy_protocol = 1: expected true or false"#,
    ]),
    ("a time for nothing", At::Pool, r#"idle_connections = 0
idle_timeout = "1s""#, &[
        r#"gateway.toml:8: pool[0] "p": idle_timeout = "1s": has no effect with idle_connections = 0, which keeps none: remove one of the two"#,
    ]),
    ("keys that are elsewhere", At::Pool, r#"servers = []
timeout = "1s""#, &[
        r#"gateway.toml:7: pool[0] "p": servers = []: write each server as a table of its own, headed [[pool.server]]"#,
        r#"gateway.toml:8: pool[0] "p": timeout = "1s": unknown key: write [pool.timeouts]"#,
    ]),
    ("a name without port", At::BarePool, r#"dns = { name = "movies.internal" }"#, &[
        r#"gateway.toml:6: pool[0] "p": dns.port: missing: expected an integer from 1 to 65535, or as `name` that of an SRV record, which tells it, as _http._tcp.movies.internal"#,
    ]),
    ("a service with port", At::BarePool, r#"dns = { name = "_http._tcp.movies.internal", port = 80 }"#, &[
        r#"gateway.toml:6: pool[0] "p": dns.port = 80: the name is that of an SRV record, which tells the port: remove this"#,
    ]),
    ("a name that is none", At::BarePool, r#"[pool.dns]
name = "10.0.0.1"
port = 0
refresh_least = "1m"
refresh_most = "1s"
resolvers = ["10.0.0.2"]"#, &[
        r#"gateway.toml:7: pool[0] "p": dns.name = "10.0.0.1": expected a DNS name of at most 253 bytes, as "movies.internal": write addresses in [[pool.server]]"#,
        r#"gateway.toml:8: pool[0] "p": dns.port = 0: expected an integer from 1 to 65535"#,
        r#"gateway.toml:10: pool[0] "p": dns.refresh_most = "1s": is shorter than refresh_least: raise it, or lower refresh_least"#,
        r#"gateway.toml:11: pool[0] "p": dns.resolvers[0] = "10.0.0.2": expected the address and port of a server, as "10.0.0.11:8080" or "[2001:db8::11]:8080": the port is missing"#,
    ]),
    ("a name with its port", At::BarePool, r#"dns = { name = "a:80", port = 80 }"#, &[
        r#"gateway.toml:6: pool[0] "p": dns.name = "a:80": expected a DNS name of at most 253 bytes, as "movies.internal": the port has its own key"#,
    ]),
    ("a file that is relative", At::BarePool, r#"file = { path = "a.json", interval = "1ms" }"#, &[
        r#"gateway.toml:6: pool[0] "p": file.path = "a.json": expected an absolute path of at most 4095 bytes"#,
        r#"gateway.toml:6: pool[0] "p": file.interval = "1ms": expected a duration from 100ms to 1h"#,
    ]),
    ("TLS in halves", At::Pool, r#"[pool.tls]
server_name = "*.a"
verify = false
ca = "/ca"
certificate = "/c"
sni = "a""#, &[
        r#"gateway.toml:7: pool[0] "p": tls.key: missing: expected the absolute path of the certificate's key"#,
        r#"gateway.toml:8: pool[0] "p": tls.server_name = "*.a": expected a DNS name or an address, without port: write a name that the wildcard stands for"#,
        r#"gateway.toml:10: pool[0] "p": tls.ca = "/ca": has no effect with verify = false: remove one of the two"#,
        r#"gateway.toml:12: pool[0] "p": tls.sni = "a": unknown key: the name is called `server_name`"#,
    ]),
    ("a key without certificate", At::Pool, r#"tls = { key = "/k" }"#, &[
        r#"gateway.toml:7: pool[0] "p": tls.certificate: missing: expected the absolute path of the key's certificate"#,
    ]),
    ("a check without kind", At::Pool, r#"health = { path = "/" }"#, &[
        r#"gateway.toml:7: pool[0] "p": health.kind: missing: expected "none", "tcp", "http" or "https""#,
    ]),
    ("a check by ping", At::Pool, r#"health = { kind = "icmp" }"#, &[
        r#"gateway.toml:7: pool[0] "p": health.kind = "icmp": expected "none", "tcp", "http" or "https": a machine that answers a ping may serve nothing: write "tcp" or "http""#,
    ]),
    ("keys beside no check", At::Pool, r#"[pool.health]
kind = "none"
port = 80
path = "/"
verify = false
rise = 1"#, &[
        r#"gateway.toml:9: pool[0] "p": health.port = 80: has no effect with kind = "none": set kind = "tcp", "http" or "https", or remove this"#,
        r#"gateway.toml:10: pool[0] "p": health.path = "/": has no effect with kind = "none": set kind = "http" or "https", or remove this"#,
        r#"gateway.toml:11: pool[0] "p": health.verify = false: has no effect with kind = "none": set kind = "https", or remove this"#,
        r#"gateway.toml:12: pool[0] "p": health.rise = 1: has no effect with kind = "none": set kind = "tcp", "http" or "https", or remove this"#,
    ]),
    ("keys beside a connection", At::Pool, r#"[pool.health]
kind = "tcp"
path = "/"
ca = "/ca"
via = "direct""#, &[
        r#"gateway.toml:9: pool[0] "p": health.path = "/": has no effect with kind = "tcp": set kind = "http" or "https", or remove this"#,
        r#"gateway.toml:10: pool[0] "p": health.ca = "/ca": has no effect with kind = "tcp": set kind = "https", or remove this"#,
        r#"gateway.toml:11: pool[0] "p": health.via = "direct": a gateway's checks go to the server's own address: remove this"#,
    ]),
    ("values that no check has", At::Pool, r#"[pool.health]
kind = "http"
port = 0
path = "up"
host = "a b"
expect = 600
body = ""
fall = 0
interval = "1s"
fast_interval = "2s""#, &[
        r#"gateway.toml:9: pool[0] "p": health.port = 0: expected an integer from 1 to 65535"#,
        r#"gateway.toml:10: pool[0] "p": health.path = "up": expected a path of at most 1024 bytes that begins with '/', without spaces or '#'"#,
        r#"gateway.toml:11: pool[0] "p": health.host = "a b": expected a host name or address, with a port where wanted, of at most 253 bytes"#,
        r#"gateway.toml:12: pool[0] "p": health.expect = 600: expected a status code or a range of them from 100 to 599, as "200" or "200-399""#,
        r#"gateway.toml:13: pool[0] "p": health.body = "": expected text of 1 to 256 bytes"#,
        r#"gateway.toml:14: pool[0] "p": health.fall = 0: expected an integer from 1 to 100"#,
        r#"gateway.toml:16: pool[0] "p": health.fast_interval = "2s": expected at most the interval, which is 1s"#,
    ]),
    ("authorities that are not there", At::Pool, r#"health = { kind = "https", ca = "/nowhere/ca.pem" }"#, &[
        r#"gateway.toml:7: pool[0] "p": health.ca = "/nowhere/ca.pem": cannot be read: No such file or directory (os error 2)"#,
    ]),
    ("balance out of range", At::Pool, r#"[pool.balance]
choices = 9
warmup = "2h"
eject_after = -1
failures = [200, "500-400", 700]
utilization_header = "te""#, &[
        r#"gateway.toml:8: pool[0] "p": balance.choices = 9: expected an integer from 1 to 8"#,
        r#"gateway.toml:9: pool[0] "p": balance.warmup = "2h": expected a duration from 0s to 1h"#,
        r#"gateway.toml:10: pool[0] "p": balance.eject_after = -1: expected an integer from 0 to 1000 (0 = never)"#,
        r#"gateway.toml:11: pool[0] "p": balance.failures[0] = 200: expected a status or a range of them from 400 to 599, as 503 or "500-599""#,
        r#"gateway.toml:11: pool[0] "p": balance.failures[1] = "500-400": expected a status or a range of them from 400 to 599, as 503 or "500-599""#,
        r#"gateway.toml:11: pool[0] "p": balance.failures[2] = 700: expected a status or a range of them from 400 to 599, as 503 or "500-599""#,
        r#"gateway.toml:12: pool[0] "p": balance.utilization_header = "te": expected the name of a header, as "x-tenant": it belongs to one connection, and the gateway writes it itself"#,
    ]),
    ("ejections that shrink", At::Pool, r#"[pool.balance]
eject_least = "1m"
eject_most = "1s""#, &[
        r#"gateway.toml:9: pool[0] "p": balance.eject_most = "1s": is shorter than eject_least, which is 1m (line 8): raise it, or lower eject_least"#,
    ]),
    ("ejections of none", At::Pool, r#"balance = { eject_after = 0, eject_least = "1s" }"#, &[
        r#"gateway.toml:7: pool[0] "p": balance.eject_least = "1s": has no effect with eject_after = 0, which ejects none: remove one of the two"#,
    ]),
    ("tries out of range", At::Pool, r#"[pool.retry]
tries = 0
budget = 2
least = -1
statuses = 503
body_bytes = "1GiB"
retries = 1"#, &[
        r#"gateway.toml:8: pool[0] "p": retry.tries = 0: expected an integer from 1 (no second try) to 10"#,
        r#"gateway.toml:9: pool[0] "p": retry.budget = 2: expected a number from 0 to 1"#,
        r#"gateway.toml:10: pool[0] "p": retry.least = -1: expected an integer from 0 to 1000000 a second"#,
        r#"gateway.toml:11: pool[0] "p": retry.statuses = 503: expected a list of up to 64 statuses or ranges, as [429, "500-599"]"#,
        r#"gateway.toml:12: pool[0] "p": retry.body_bytes = "1GiB": expected a number of bytes from 0 to 64MiB, as 65536 or "64KiB""#,
        r#"gateway.toml:13: pool[0] "p": retry.retries = 1: unknown key: `tries` counts the first one too"#,
    ]),
    ("keys beside no second try", At::Pool, "retry = { tries = 1, budget = 0.1, statuses = [503] }", &[
        r#"gateway.toml:7: pool[0] "p": retry.budget = 0.1: has no effect with tries = 1, which is no second try: remove one of the two"#,
        r#"gateway.toml:7: pool[0] "p": retry.statuses = [503]: has no effect with tries = 1, which is no second try: remove one of the two"#,
    ]),
    ("a hedge without time", At::Pool, "hedge = {}", &[
        r#"gateway.toml:7: pool[0] "p": hedge.after: missing: expected a duration from 1ms to 1m"#,
    ]),
    ("a queue for nothing", At::Pool, r#"breaker = { max_pending = 10, pending_timeout = "1s" }"#, &[
        r#"gateway.toml:7: pool[0] "p": breaker.max_pending = 10: has no effect with max_in_flight = 0, the default, as nothing waits then: set one, or remove this"#,
        r#"gateway.toml:7: pool[0] "p": breaker.pending_timeout = "1s": has no effect with max_in_flight = 0, the default, as nothing waits then: set one, or remove this"#,
    ]),
    ("a wait for no queue", At::Pool, r#"breaker = { max_in_flight = 1, max_pending = 0, pending_timeout = "1s" }"#, &[
        r#"gateway.toml:7: pool[0] "p": breaker.pending_timeout = "1s": has no effect with max_pending = 0, as nothing waits then: remove one of the two"#,
    ]),
    ("times that are never reached", At::Pool, r#"timeouts = { connect = "3s", per_try = "2s", request = "1s" }"#, &[
        r#"gateway.toml:7: pool[0] "p": timeouts.per_try = "2s": is longer than request, which is 1s (line 7): it would never be reached; lower it or raise request"#,
        r#"gateway.toml:7: pool[0] "p": timeouts.connect = "3s": is longer than per_try, which is 2s (line 7): it would never be reached; lower it or raise per_try"#,
    ]),
    ("a time that the default outlasts", At::Pool, r#"timeouts = { per_try = "1m" }"#, &[
        r#"gateway.toml:7: pool[0] "p": timeouts.per_try = "1m": is longer than request, which is 30s by default (line 7): it would never be reached; lower it or raise request"#,
    ]),
    ("an unknown key", At::Pool, r#"[pool.timeouts]
first_byte = "1s"
budget = 1
protocol = "http1""#, &[
        r#"gateway.toml:8: pool[0] "p": timeouts.first_byte = "1s": unknown key: expected connect, per_try, request or idle"#,
        r#"gateway.toml:9: pool[0] "p": timeouts.budget = 1: unknown key: expected connect, per_try, request or idle"#,
        r#"gateway.toml:10: pool[0] "p": timeouts.protocol = "http1": belongs to [[pool]]: move it above [pool.timeouts]"#,
    ]),
];
