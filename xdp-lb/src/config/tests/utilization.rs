//! `[vip.utilization]`: what is wrong and what is said of it.

use super::{In, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("another kind", In::Utilization, r#"kind = "snmp""#, &[
        r#"lb.toml:9: vip[0] "web": utilization.kind = "snmp": expected "none", "agent-check", "orca-http" or "orca-grpc""#,
    ]),
    ("a kind, nearly right", In::Utilization, r#"kind = "orca-htp""#, &[
        r#"lb.toml:9: vip[0] "web": utilization.kind = "orca-htp": expected "none", "agent-check", "orca-http" or "orca-grpc": did you mean "orca-http"?"#,
    ]),
    ("half a kind", In::Utilization, r#"kind = "orca""#, &[
        r#"lb.toml:9: vip[0] "web": utilization.kind = "orca": expected "none", "agent-check", "orca-http" or "orca-grpc": "orca-http" reads a header of an HTTP answer, "orca-grpc" a stream over gRPC"#,
    ]),
    ("the other half", In::Utilization, r#"kind = "agent""#, &[
        r#"lb.toml:9: vip[0] "web": utilization.kind = "agent": expected "none", "agent-check", "orca-http" or "orca-grpc": "agent-check" is HAProxy's protocol"#,
    ]),
    ("a word for a table", In::Vip, r#"utilization = "agent-check""#, &[
        r#"lb.toml:8: vip[0] "web": utilization = "agent-check": expected a table, written [vip.utilization]"#,
    ]),
    ("an array of tables for a table", In::Vip, r#"[[vip.utilization]]
kind = "none""#, &[
        r#"lb.toml:8: vip[0] "web": utilization: expected a table, written [vip.utilization]"#,
    ]),
    ("keys without kind", In::Utilization, "port = 9707
brake_off = 1", &[
        r#"lb.toml:9: vip[0] "web": utilization.port = 9707: has no effect with kind = "none", the default: set kind = "agent-check", "orca-http" or "orca-grpc", or remove this"#,
        r#"lb.toml:10: vip[0] "web": utilization.brake_off = 1: has no effect with kind = "none", the default: set kind = "agent-check", "orca-http" or "orca-grpc", or remove this"#,
    ]),
    ("keys beside nobody", In::Utilization, r#"kind = "none"
interval = "1s"
timeout = "2s"
send = ""
host = "a""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.interval = "1s": has no effect with kind = "none": set kind = "agent-check", "orca-http" or "orca-grpc", or remove this"#,
        r#"lb.toml:11: vip[0] "web": utilization.timeout = "2s": has no effect with kind = "none": set kind = "agent-check", "orca-http" or "orca-grpc", or remove this"#,
        r#"lb.toml:12: vip[0] "web": utilization.send = "": has no effect with kind = "none": set kind = "agent-check", or remove this"#,
        r#"lb.toml:13: vip[0] "web": utilization.host = "a": has no effect with kind = "none": set kind = "orca-http", or remove this"#,
    ]),
    ("what only HTTP has", In::AgentCheck, r#"path = "/"
host = "a""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.path = "/": has no effect with kind = "agent-check": set kind = "orca-http", or remove this"#,
        r#"lb.toml:11: vip[0] "web": utilization.host = "a": has no effect with kind = "agent-check": set kind = "orca-http", or remove this"#,
    ]),
    ("what only agents have", In::OrcaHttp, r#"send = "a"
percent = "idle""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.send = "a": has no effect with kind = "orca-http": set kind = "agent-check", or remove this"#,
        r#"lb.toml:11: vip[0] "web": utilization.percent = "idle": has no effect with kind = "orca-http": set kind = "agent-check", or remove this"#,
    ]),
    ("what gRPC has no use for", In::Utilization, r#"kind = "orca-grpc"
path = "/"
send = "a""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.path = "/": has no effect with kind = "orca-grpc": set kind = "orca-http", or remove this"#,
        r#"lb.toml:11: vip[0] "web": utilization.send = "a": has no effect with kind = "orca-grpc": set kind = "agent-check", or remove this"#,
    ]),
    ("port 0", In::AgentCheck, "port = 0", &[
        r#"lb.toml:10: vip[0] "web": utilization.port = 0: expected an integer from 1 to 65535"#,
    ]),
    ("a port past all ports", In::OrcaHttp, "port = 65536", &[
        r#"lb.toml:10: vip[0] "web": utilization.port = 65536: expected an integer from 1 to 65535"#,
    ]),
    ("a path without slash", In::OrcaHttp, r#"path = "load""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.path = "load": expected a path of at most 1024 bytes that begins with '/', without spaces or '#'"#,
    ]),
    ("a host that ends the header", In::OrcaHttp, r#"host = "a\r\nX: y""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.host = "a\r\nX: y": expected a host name or address, with a port where wanted, of at most 253 bytes"#,
    ]),
    ("a question that is a number", In::AgentCheck, "send = 1", &[
        r#"lb.toml:10: vip[0] "web": utilization.send = 1: expected a text of at most 512 bytes: write it in quotes"#,
    ]),
    ("a question that is a book", In::AgentCheck, r#"send = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef!""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.send = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789a…: expected a text of at most 512 bytes"#,
    ]),
    ("another meaning of a percentage", In::AgentCheck, r#"percent = "busy""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.percent = "busy": expected "weight" or "idle""#,
    ]),
    ("a percentage itself", In::AgentCheck, "percent = 50", &[
        r#"lb.toml:10: vip[0] "web": utilization.percent = 50: expected "weight" or "idle": write it in quotes"#,
    ]),
    ("an interval too short", In::AgentCheck, r#"interval = "99ms""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.interval = "99ms": expected a duration from 100ms to 1m"#,
    ]),
    ("an interval too long", In::AgentCheck, r#"interval = "61s""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.interval = "61s": expected a duration from 100ms to 1m"#,
    ]),
    ("an interval without unit", In::AgentCheck, "interval = 1", &[
        r#"lb.toml:10: vip[0] "web": utilization.interval = 1: expected a duration from 100ms to 1m: write the unit too, as "1s""#,
    ]),
    ("a timeout too short", In::AgentCheck, r#"timeout = "9ms""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.timeout = "9ms": expected a duration from 10ms to 1m"#,
    ]),
    ("a timeout too long", In::AgentCheck, r#"timeout = "61s""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.timeout = "61s": expected a duration from 10ms to 1m"#,
    ]),
    ("a timeout longer than the default interval", In::AgentCheck, r#"timeout = "1001ms""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.timeout = "1001ms": is longer than interval, which is 1s by default (line 8): the next report would be asked for before this one is given up; lower timeout or raise interval"#,
    ]),
    ("a timeout longer than the interval", In::AgentCheck, r#"timeout = "1s"
interval = "200ms""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.timeout = "1s": is longer than interval, which is 200ms (line 11): the next report would be asked for before this one is given up; lower timeout or raise interval"#,
    ]),
    ("stale at once", In::AgentCheck, r#"stale_after = "0s""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.stale_after = "0s": expected a duration from 200ms to 1h"#,
    ]),
    ("never stale", In::AgentCheck, r#"stale_after = "2h""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.stale_after = "2h": expected a duration from 200ms to 1h"#,
    ]),
    ("stale before the second report by default", In::OrcaHttp, r#"stale_after = "1999ms""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.stale_after = "1999ms": is shorter than twice interval, which is 1s by default (line 8): one report that is lost would make the last one stale; raise stale_after or lower interval"#,
    ]),
    ("stale before the second report", In::OrcaHttp, r#"interval = "10s"
stale_after = "19s""#, &[
        r#"lb.toml:11: vip[0] "web": utilization.stale_after = "19s": is shorter than twice interval, which is 10s (line 10): one report that is lost would make the last one stale; raise stale_after or lower interval"#,
    ]),
    ("no smoothing", In::AgentCheck, r#"smoothing = "0s""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.smoothing = "0s": expected a duration from 1s to 10m"#,
    ]),
    ("smoothing over an hour", In::AgentCheck, r#"smoothing = "1h""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.smoothing = "1h": expected a duration from 1s to 10m"#,
    ]),
    ("a least of nothing", In::AgentCheck, "least = 0", &[
        r#"lb.toml:10: vip[0] "web": utilization.least = 0: expected a number from 0.01 to 1"#,
    ]),
    ("a least above 1", In::AgentCheck, "least = 1.001", &[
        r#"lb.toml:10: vip[0] "web": utilization.least = 1.001: expected a number from 0.01 to 1"#,
    ]),
    ("a most below 1", In::AgentCheck, "most = 0.999", &[
        r#"lb.toml:10: vip[0] "web": utilization.most = 0.999: expected a number from 1 to 4"#,
    ]),
    ("a most above 4", In::AgentCheck, "most = 5", &[
        r#"lb.toml:10: vip[0] "web": utilization.most = 5: expected a number from 1 to 4"#,
    ]),
    ("a brake from the end on", In::AgentCheck, "brake_from = 1", &[
        r#"lb.toml:10: vip[0] "web": utilization.brake_from = 1: expected a number from 0 to 0.999"#,
    ]),
    ("a brake in per cent", In::AgentCheck, r#"brake_from = "80%""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.brake_from = "80%": expected a number from 0 to 0.999: write a share as a fraction, 25 % as 0.25"#,
    ]),
    ("a brake that stops", In::AgentCheck, "brake_floor = 0.0", &[
        r#"lb.toml:10: vip[0] "web": utilization.brake_floor = 0.0: expected a number from 0.01 to 1"#,
    ]),
    ("a brake that pushes", In::AgentCheck, "brake_floor = 1.5", &[
        r#"lb.toml:10: vip[0] "web": utilization.brake_floor = 1.5: expected a number from 0.01 to 1"#,
    ]),
    ("a brake off past all utilization", In::AgentCheck, "brake_off = 1.1", &[
        r#"lb.toml:10: vip[0] "web": utilization.brake_off = 1.1: expected a number from 0 to 1"#,
    ]),
    ("a brake off too fine", In::AgentCheck, "brake_off = 0.8501", &[
        r#"lb.toml:10: vip[0] "web": utilization.brake_off = 0.8501: expected a number from 0 to 1: three decimals at most, write 0.85"#,
    ]),
    ("a key of the VIP under its utilization", In::AgentCheck, r#"scheduler = "p2c""#, &[
        r#"lb.toml:10: vip[0] "web": utilization.scheduler = "p2c": belongs to [[vip]]: move it above [vip.utilization]"#,
    ]),
    ("a slip in a key", In::AgentCheck, "brake_of = 1", &[
        r#"lb.toml:10: vip[0] "web": utilization.brake_of = 1: unknown key: did you mean `brake_off`?"#,
    ]),
    ("a default that depends on what is wrong", In::Vip, r#"address = "here"
[vip.utilization]
kind = "orca-http""#, &[
        r#"lb.toml:5: vip[0] "web": address = "here": expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11""#,
    ]),
];
