//! what is wrong only as a whole, and text that is no TOML: what is wrong and what is said of it.

use super::{In, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("a gateway's tables", In::Agent, "[gateway]\n[[listener]]\n[[pool]]\n[[route]]", &[
        "lb.toml:3: gateway: belongs to gateway.toml, which `xdp-lb gateway` reads",
        "lb.toml:4: listener: belongs to gateway.toml, which `xdp-lb gateway` reads",
        "lb.toml:5: pool: belongs to gateway.toml, which `xdp-lb gateway` reads",
        "lb.toml:6: route: belongs to gateway.toml, which `xdp-lb gateway` reads",
    ]),
    ("two VIPs of one name", In::Vip, r#"[[vip]]
name = "web"
address = "203.0.113.11"
port = 80
forward = "ipip""#, &[
        r#"lb.toml:9: vip[1] "web": name = "web": the VIP in line 4 has this name too: give each its own"#,
    ]),
    ("two VIPs of one service", In::Vip, r#"[[vip]]
name = "web2"
address = "203.0.113.10"
port = 80
forward = "l2""#, &[
        r#"lb.toml:10: vip[1] "web2": address = "203.0.113.10": the VIP in line 5 has this address, port and protocol too: change one, or join their backends"#,
    ]),
    ("two backends of one name", In::Backend, r#"[[vip.backend]]
name = "web-1"
address = "10.0.0.12""#, &[
        r#"lb.toml:12: vip[0] "web": backend[1] "web-1": name = "web-1": the backend in line 9 has this name too: give each its own"#,
    ]),
    ("two backends of one address", In::Backend, r#"[[vip.backend]]
name = "web-2"
address = "10.0.0.11""#, &[
        r#"lb.toml:13: vip[0] "web": backend[1] "web-2": address = "10.0.0.11": the backend in line 10 has this address too: name each server once, its share is its weight"#,
    ]),
    ("a backend that is its VIP", In::Backend, r#"address = "203.0.113.10""#, &[
        r#"lb.toml:10: vip[0] "web": backend[0] "web-1": address = "203.0.113.10": is the address of vip[0] "web" (line 5): give the server's own"#,
    ]),
    ("a backend that is another VIP, further down", In::Backend, r#"address = "203.0.113.11"
[[vip]]
name = "other"
address = "203.0.113.11"
port = 81
forward = "ipip""#, &[
        r#"lb.toml:10: vip[0] "web": backend[0] "web-1": address = "203.0.113.11": is the address of vip[1] "other" (line 13): give the server's own"#,
    ]),
    ("IPv6 behind IPv4 by MAC", In::Vip, r#"forward = "l2"
[[vip.backend]]
name = "web-1"
address = "2001:db8::1""#, &[
        r#"lb.toml:10: vip[0] "web": backend[0] "web-1": address = "2001:db8::1": expected an IPv4 address like the VIP's, as forward = "l2" leaves packets as they are: forward = "ipip" takes any family to any"#,
    ]),
    ("IPv4 behind IPv6 by MAC", In::Vip, r#"address = "2001:db8::1"
[[vip.backend]]
name = "web-1"
address = "10.0.0.11"
[[vip]]
name = "l2"
address = "2001:db8::2"
port = 80
forward = "l2"
backend = [{ name = "a", address = "10.0.0.11" }]"#, &[
        r#"lb.toml:16: vip[1] "l2": backend[0] "a": address = "10.0.0.11": expected an IPv6 address like the VIP's, as forward = "l2" leaves packets as they are: forward = "ipip" takes any family to any"#,
    ]),
    ("a backend in the tunnels' source", In::Backend, r#"address = "172.16.0.11""#, &[
        r#"lb.toml:10: vip[0] "web": backend[0] "web-1": address = "172.16.0.11": lies in agent.tunnel_source_v4 = "172.16.0.0/16", where tunnelled packets say they come from: choose another prefix there, the same on every balancer and in the backends' decap.sources"#,
    ]),
    ("an IPv6 backend in the tunnels' source", In::Backend, r#"address = "100::11""#, &[
        r#"lb.toml:10: vip[0] "web": backend[0] "web-1": address = "100::11": lies in agent.tunnel_source_v6 = "100::/64", where tunnelled packets say they come from: choose another prefix there, the same on every balancer and in the backends' decap.sources"#,
    ]),
    ("flows forgotten before they have drained", In::Agent, r#"flow_idle = "10m"
[[vip]]
name = "a"
address = "203.0.113.1"
port = 80
forward = "l2"
drain = "10m 1s""#, &[
        r#"lb.toml:9: vip[0] "a": drain = "10m 1s": is longer than agent.flow_idle, which is 10m (line 3): a recorded connection that is silent for so long would be forgotten and move; raise agent.flow_idle or lower drain"#,
    ]),
    ("the same, by default", In::Agent, r#"flow_idle = "1m"
[[vip]]
name = "a"
address = "203.0.113.1"
port = 80
forward = "l2"
[[vip]]
name = "b"
address = "203.0.113.2"
port = 80
forward = "l2"
drain = "1m""#, &[
        r#"lb.toml:4: vip[0] "a": drain: is 5m by default, longer than agent.flow_idle, which is 1m (line 3): a recorded connection that is silent for so long would be forgotten and move; raise agent.flow_idle or lower drain"#,
    ]),
    ("longer than flows are kept by default", In::Vip, r#"drain = "2h""#, &[
        r#"lb.toml:8: vip[0] "web": drain = "2h": is longer than agent.flow_idle, which is 1h by default (line 1): a recorded connection that is silent for so long would be forgotten and move; raise agent.flow_idle or lower drain"#,
    ]),
    ("more VIPs than room", In::Agent, r#"max_vips = 1
[[vip]]
name = "a"
address = "203.0.113.1"
port = 80
forward = "l2"
[[vip]]
name = "b"
address = "203.0.113.2"
port = 80
forward = "l2""#, &[
        r#"lb.toml:9: vip[1] "b": 2 VIPs, room for 1: raise agent.max_vips"#,
    ]),
    ("more backends than room", In::Agent, r#"max_backends = 1
[[vip]]
name = "a"
address = "203.0.113.1"
port = 80
forward = "l2"
backend = [
{ name = "a", address = "10.0.0.1" },
{ name = "b", address = "10.0.0.2" },
]"#, &[
        r#"lb.toml:11: vip[0] "a": backend[1] "b": 2 backends, room for 1: raise agent.max_backends, and leave room to spare, as a removed backend keeps its place until its connections have ended"#,
    ]),
    ("several errors at once, by line", In::Agent, r#"table_size = 65536
xdp_mode = "fast"
[[vip]]
name = "web"
address = "203.0.113.10"
port = 70000
[vip.health]
kind = "ftp"
interval = 2
[[vip.backend]]
name = "web-1"
address = "::1"
weight = -1
[[vip.backend]]
name = "web-1"
[admin]
listen = "nowhere""#, &[
        "lb.toml:3: agent.table_size = 65536: expected a prime from 251 to 65537, as 251, 4093, 16381 or 65537",
        r#"lb.toml:4: agent.xdp_mode = "fast": expected "auto", "native" or "generic""#,
        r#"lb.toml:5: vip[0] "web": forward: missing: expected "l2" or "ipip""#,
        r#"lb.toml:8: vip[0] "web": port = 70000: expected an integer from 0 to 65535 (0 = any port)"#,
        r#"lb.toml:10: vip[0] "web": health.kind = "ftp": expected "none", "tcp", "http", "https", "icmp" or "udp""#,
        r#"lb.toml:11: vip[0] "web": health.interval = 2: expected a duration from 100ms to 1h: write the unit too, as "2s""#,
        r#"lb.toml:14: vip[0] "web": backend[0] "web-1": address = "::1": expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11": this is a loopback address, which XDP never sees"#,
        r#"lb.toml:15: vip[0] "web": backend[0] "web-1": weight = -1: expected an integer from 0 to 65535"#,
        r#"lb.toml:16: vip[0] "web": backend[1] "web-1": address: missing: expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11""#,
        r#"lb.toml:17: vip[0] "web": backend[1] "web-1": name = "web-1": the backend in line 13 has this name too: give each its own"#,
        r#"lb.toml:19: admin.listen = "nowhere": expected an address with a port from 1 to 65535, as "127.0.0.1:9400" or "[::1]:9400""#,
    ]),
    ("a conflict is seen beside other errors", In::Vip, r#"drain = "0s"
[[vip]]
name = "web"
address = "203.0.113.10"
port = 80
forward = "bridge""#, &[
        r#"lb.toml:8: vip[0] "web": drain = "0s": expected a duration from 1s to 8h"#,
        r#"lb.toml:10: vip[1] "web": name = "web": the VIP in line 4 has this name too: give each its own"#,
        r#"lb.toml:11: vip[1] "web": address = "203.0.113.10": the VIP in line 5 has this address, port and protocol too: change one, or join their backends"#,
        r#"lb.toml:13: vip[1] "web": forward = "bridge": expected "l2" or "ipip""#,
    ]),
    ("a string without quotes", In::Vip, "address = 10.0.0.1", &[
        "lb.toml:5: not valid TOML at column 15: this is no number, write words, durations and addresses in quotes",
    ]),
    ("a word without quotes", In::Vip, "protocol = udp", &[
        "lb.toml:8: not valid TOML at column 12: write words, durations and addresses in quotes",
    ]),
    ("an open string", In::Vip, r#"address = "10.0.0.1"#, &[
        r#"lb.toml:5: not valid TOML at column 20: invalid basic string, expected `"`"#,
    ]),
    ("an open list", In::File, r#"[agent]
interfaces = ["eth0""#, &[
        "lb.toml:2: not valid TOML at column 21: unclosed array, expected `]`",
    ]),
    ("an open header", In::Agent, r#"[[vip]
name = "web""#, &[
        "lb.toml:3: not valid TOML at column 7: unclosed array table, expected `]`",
    ]),
    ("no value", In::Vip, "port =", &[
        "lb.toml:6: not valid TOML at column 7: a value is missing",
    ]),
    ("no value but a comment", In::Vip, "port = # which?", &[
        "lb.toml:6: not valid TOML at column 8: a value is missing",
    ]),
    ("a version for a number", In::Vip, "port = 8.0.1", &[
        "lb.toml:6: not valid TOML at column 11: this is no number, write words, durations and addresses in quotes",
    ]),
    ("no equals sign", In::Vip, "port 80", &[
        "lb.toml:8: not valid TOML at column 6: key with no value, expected `=`",
    ]),
    ("two errors of syntax", In::Vip, r#"drain = 5m
protocol = udp"#, &[
        "lb.toml:8: not valid TOML at column 9: write words, durations and addresses in quotes",
        "lb.toml:9: not valid TOML at column 12: write words, durations and addresses in quotes",
    ]),
    ("a key twice", In::Vip, r#"drain = "1m"
drain = "2m""#, &[
        "lb.toml:9: drain: set twice: remove one of the two",
    ]),
    ("a table twice, beside another error", In::Agent, r#"max_vips = 0
[admin]
[admin]"#, &[
        "lb.toml:3: agent.max_vips = 0: expected an integer from 1 to 65536",
        "lb.toml:5: admin: set twice: remove one of the two",
    ]),
    ("no TOML at all", In::File, r#"{"agent": {"interfaces": ["eth0"]}}"#, &[
        "lb.toml:1: not valid TOML at column 1: invalid key-value pair, expected key",
    ]),
    ("a whole book in one value", In::Agent, r#"xdp_mode = """
long ago
long ago
long ago
""""#, &[
        r#"lb.toml:3: agent.xdp_mode = """…: expected "auto", "native" or "generic""#,
    ]),
];
