//! `[[vip]]` and `[[vip.backend]]`, each by itself: what is wrong and what is said of it.

use super::{In, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("nothing but the header", In::Agent, "[[vip]]", &[
        r#"lb.toml:3: vip[0]: address: missing: expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11""#,
        "lb.toml:3: vip[0]: port: missing: expected an integer from 0 to 65535 (0 = any port)",
        "lb.toml:3: vip[0]: name: missing: expected a name of 1 to 63 letters, digits, '.', '_' or '-' that begins with a letter or digit",
        r#"lb.toml:3: vip[0]: forward: missing: expected "l2" or "ipip""#,
    ]),
    ("a table for an array of tables", In::Agent, r#"[vip]
name = "web""#, &[
        "lb.toml:3: vip: expected an array of tables, each written [[vip]]",
    ]),
    ("an array of values", In::File, r#"vip = [1]
[agent]
interfaces = ["eth0"]"#, &[
        "lb.toml:1: vip[0]: expected a table, written [[vip]]",
    ]),
    ("an empty name", In::Vip, r#"name = """#, &[
        r#"lb.toml:4: vip[0] "": name = "": expected a name of 1 to 63 letters, digits, '.', '_' or '-' that begins with a letter or digit"#,
    ]),
    ("a name with a space", In::Vip, r#"name = "my web""#, &[
        r#"lb.toml:4: vip[0] "my web": name = "my web": expected a name of 1 to 63 letters, digits, '.', '_' or '-' that begins with a letter or digit"#,
    ]),
    ("a name like an option", In::Vip, r#"name = "-web""#, &[
        r#"lb.toml:4: vip[0] "-web": name = "-web": expected a name of 1 to 63 letters, digits, '.', '_' or '-' that begins with a letter or digit"#,
    ]),
    ("a name of 64 letters", In::Vip, r#"name = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn""#, &[
        r#"lb.toml:4: vip[0] "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn…: name = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn…: expected a name of 1 to 63 letters, digits, '.', '_' or '-' that begins with a letter or digit"#,
    ]),
    ("a name that is a number", In::Vip, "name = 5", &[
        "lb.toml:4: vip[0]: name = 5: expected a name of 1 to 63 letters, digits, '.', '_' or '-' that begins with a letter or digit: write it in quotes",
    ]),
    ("an address that is none", In::Vip, r#"address = "web.example.com""#, &[
        r#"lb.toml:5: vip[0] "web": address = "web.example.com": expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11""#,
    ]),
    ("an address with port", In::Vip, r#"address = "203.0.113.10:80""#, &[
        r#"lb.toml:5: vip[0] "web": address = "203.0.113.10:80": expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11": write "203.0.113.10", the port has its own key"#,
    ]),
    ("an address with prefix length", In::Vip, r#"address = "203.0.113.10/32""#, &[
        r#"lb.toml:5: vip[0] "web": address = "203.0.113.10/32": expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11": write "203.0.113.10", without the prefix length"#,
    ]),
    ("an address in brackets", In::Vip, r#"address = "[2001:db8::1]""#, &[
        r#"lb.toml:5: vip[0] "web": address = "[2001:db8::1]": expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11": no brackets and no zone"#,
    ]),
    ("an address with zone", In::Vip, r#"address = "fe80::1%eth0""#, &[
        r#"lb.toml:5: vip[0] "web": address = "fe80::1%eth0": expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11": no brackets and no zone"#,
    ]),
    ("the unspecified address", In::Vip, r#"address = "0.0.0.0""#, &[
        r#"lb.toml:5: vip[0] "web": address = "0.0.0.0": expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11": this is no host's address"#,
    ]),
    ("the unspecified IPv6 address", In::Vip, r#"address = "::""#, &[
        r#"lb.toml:5: vip[0] "web": address = "::": expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11": this is no host's address"#,
    ]),
    ("a loopback address", In::Vip, r#"address = "127.0.0.1""#, &[
        r#"lb.toml:5: vip[0] "web": address = "127.0.0.1": expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11": this is a loopback address, which XDP never sees"#,
    ]),
    ("the IPv6 loopback address", In::Vip, r#"address = "::1""#, &[
        r#"lb.toml:5: vip[0] "web": address = "::1": expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11": this is a loopback address, which XDP never sees"#,
    ]),
    ("a multicast address", In::Vip, r#"address = "224.0.0.1""#, &[
        r#"lb.toml:5: vip[0] "web": address = "224.0.0.1": expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11": this is a multicast address"#,
    ]),
    ("an IPv6 multicast address", In::Vip, r#"address = "ff02::1""#, &[
        r#"lb.toml:5: vip[0] "web": address = "ff02::1": expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11": this is a multicast address"#,
    ]),
    ("the broadcast address", In::Vip, r#"address = "255.255.255.255""#, &[
        r#"lb.toml:5: vip[0] "web": address = "255.255.255.255": expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11": this is the broadcast address"#,
    ]),
    ("a link-local address", In::Vip, r#"address = "fe80::1""#, &[
        r#"lb.toml:5: vip[0] "web": address = "fe80::1": expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11": this is a link-local address, which means nothing without an interface"#,
    ]),
    ("IPv4 in IPv6 form", In::Vip, r#"address = "::ffff:203.0.113.10""#, &[
        r#"lb.toml:5: vip[0] "web": address = "::ffff:203.0.113.10": expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11": this is an IPv4 address in IPv6 form, write "203.0.113.10""#,
    ]),
    ("an address that is a number", In::Vip, "address = 3405803786", &[
        r#"lb.toml:5: vip[0] "web": address = 3405803786: expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11": write it in quotes"#,
    ]),
    ("a port past 16 bits", In::Vip, "port = 70000", &[
        r#"lb.toml:6: vip[0] "web": port = 70000: expected an integer from 0 to 65535 (0 = any port)"#,
    ]),
    ("a negative port", In::Vip, "port = -1", &[
        r#"lb.toml:6: vip[0] "web": port = -1: expected an integer from 0 to 65535 (0 = any port)"#,
    ]),
    ("a port in hexadecimal past 16 bits", In::Vip, "port = 0x1_0000", &[
        r#"lb.toml:6: vip[0] "web": port = 0x1_0000: expected an integer from 0 to 65535 (0 = any port)"#,
    ]),
    ("a port in quotes", In::Vip, r#"port = "80""#, &[
        r#"lb.toml:6: vip[0] "web": port = "80": expected an integer from 0 to 65535 (0 = any port): write it without quotes"#,
    ]),
    ("a port by name", In::Vip, r#"port = "http""#, &[
        r#"lb.toml:6: vip[0] "web": port = "http": expected an integer from 0 to 65535 (0 = any port)"#,
    ]),
    ("a protocol in capitals", In::Vip, r#"protocol = "TCP""#, &[
        r#"lb.toml:8: vip[0] "web": protocol = "TCP": expected "tcp" or "udp": did you mean "tcp"?"#,
    ]),
    ("another protocol", In::Vip, r#"protocol = "sctp""#, &[
        r#"lb.toml:8: vip[0] "web": protocol = "sctp": expected "tcp" or "udp""#,
    ]),
    ("forward that is none", In::Vip, r#"forward = "magic""#, &[
        r#"lb.toml:7: vip[0] "web": forward = "magic": expected "l2" or "ipip""#,
    ]),
    ("forward, nearly right", In::Vip, r#"forward = "ipp""#, &[
        r#"lb.toml:7: vip[0] "web": forward = "ipp": expected "l2" or "ipip": did you mean "ipip"?"#,
    ]),
    ("forward by GUE", In::Vip, r#"forward = "gue""#, &[
        r#"lb.toml:7: vip[0] "web": forward = "gue": expected "l2" or "ipip": this version does not tunnel in UDP; "ipip" reaches any backend that is routed to"#,
    ]),
    ("forward by NAT", In::Vip, r#"forward = "nat""#, &[
        r#"lb.toml:7: vip[0] "web": forward = "nat": expected "l2" or "ipip": this version does not translate addresses; "l2" and "ipip" need the VIP's address on the backends"#,
    ]),
    ("forward by full NAT", In::Vip, r#"forward = "fullnat""#, &[
        r#"lb.toml:7: vip[0] "web": forward = "fullnat": expected "l2" or "ipip": this version does not translate addresses; "l2" and "ipip" need the VIP's address on the backends"#,
    ]),
    ("another scheduler", In::Vip, r#"scheduler = "rr""#, &[
        r#"lb.toml:8: vip[0] "web": scheduler = "rr": expected "maglev" or "p2c""#,
    ]),
    ("a scheduler, nearly right", In::Vip, r#"scheduler = "p2""#, &[
        r#"lb.toml:8: vip[0] "web": scheduler = "p2": expected "maglev" or "p2c": did you mean "p2c"?"#,
    ]),
    ("a choice of two for flows that are not recorded", In::Udp, r#"scheduler = "p2c""#, &[
        r#"lb.toml:9: vip[0] "web": scheduler = "p2c": needs affinity = "flow" with protocol = "udp", as a flow that is not recorded does not stay with its second choice: set that, or scheduler = "maglev""#,
    ]),
    ("the same, said twice", In::Udp, r#"scheduler = "p2c"
affinity = "none""#, &[
        r#"lb.toml:9: vip[0] "web": scheduler = "p2c": needs affinity = "flow" with protocol = "udp", as a flow that is not recorded does not stay with its second choice: set that, or scheduler = "maglev""#,
    ]),
    ("a margin without choice, by default", In::Vip, "p2c_margin = 0.5", &[
        r#"lb.toml:8: vip[0] "web": p2c_margin = 0.5: has no effect with scheduler = "maglev", the default: set scheduler = "p2c", or remove this"#,
    ]),
    ("a margin without choice", In::Vip, r#"scheduler = "maglev"
p2c_margin = 0.5"#, &[
        r#"lb.toml:9: vip[0] "web": p2c_margin = 0.5: has no effect with scheduler = "maglev": set scheduler = "p2c", or remove this"#,
    ]),
    ("a margin past all margins", In::Vip, r#"scheduler = "p2c"
p2c_margin = 4.001"#, &[
        r#"lb.toml:9: vip[0] "web": p2c_margin = 4.001: expected a number from 0 to 4"#,
    ]),
    ("a margin below 0", In::Vip, r#"scheduler = "p2c"
p2c_margin = -0.1"#, &[
        r#"lb.toml:9: vip[0] "web": p2c_margin = -0.1: expected a number from 0 to 4"#,
    ]),
    ("a margin in quotes", In::Vip, r#"scheduler = "p2c"
p2c_margin = "0.25""#, &[
        r#"lb.toml:9: vip[0] "web": p2c_margin = "0.25": expected a number from 0 to 4: write it without quotes"#,
    ]),
    ("a margin in per cent", In::Vip, r#"scheduler = "p2c"
p2c_margin = "25%""#, &[
        r#"lb.toml:9: vip[0] "web": p2c_margin = "25%": expected a number from 0 to 4: write a share as a fraction, 25 % as 0.25"#,
    ]),
    ("a margin in words", In::Vip, r#"scheduler = "p2c"
p2c_margin = "a quarter""#, &[
        r#"lb.toml:9: vip[0] "web": p2c_margin = "a quarter": expected a number from 0 to 4"#,
    ]),
    ("a margin too fine", In::Vip, r#"scheduler = "p2c"
p2c_margin = 0.33333"#, &[
        r#"lb.toml:9: vip[0] "web": p2c_margin = 0.33333: expected a number from 0 to 4: three decimals at most, write 0.333"#,
    ]),
    ("a margin that is no number", In::Vip, r#"scheduler = "p2c"
p2c_margin = nan"#, &[
        r#"lb.toml:9: vip[0] "web": p2c_margin = nan: expected a number from 0 to 4"#,
    ]),
    ("an endless margin", In::Vip, r#"scheduler = "p2c"
p2c_margin = inf"#, &[
        r#"lb.toml:9: vip[0] "web": p2c_margin = inf: expected a number from 0 to 4"#,
    ]),
    ("a margin past all numbers", In::Vip, r#"scheduler = "p2c"
p2c_margin = 99999999999999999999"#, &[
        r#"lb.toml:9: vip[0] "web": p2c_margin = 99999999999999999999: expected a number from 0 to 4"#,
    ]),
    ("a margin in hexadecimal", In::Vip, r#"scheduler = "p2c"
p2c_margin = 0x1"#, &[
        r#"lb.toml:9: vip[0] "web": p2c_margin = 0x1: expected a number from 0 to 4"#,
    ]),
    ("a margin as a switch", In::Vip, r#"scheduler = "p2c"
p2c_margin = true"#, &[
        r#"lb.toml:9: vip[0] "web": p2c_margin = true: expected a number from 0 to 4"#,
    ]),
    ("affinity on TCP", In::Vip, r#"affinity = "flow""#, &[
        r#"lb.toml:8: vip[0] "web": affinity = "flow": is for protocol = "udp": TCP connections stay where they are without it, remove it"#,
    ]),
    ("another affinity", In::Udp, r#"affinity = "source""#, &[
        r#"lb.toml:9: vip[0] "web": affinity = "source": expected "none" or "flow""#,
    ]),
    ("no time to drain", In::Vip, r#"drain = "0s""#, &[
        r#"lb.toml:8: vip[0] "web": drain = "0s": expected a duration from 1s to 8h"#,
    ]),
    ("days to drain", In::Vip, r#"drain = "2days""#, &[
        r#"lb.toml:8: vip[0] "web": drain = "2days": expected a duration from 1s to 8h"#,
    ]),
    ("drain as on a backend", In::Vip, "drain = true", &[
        r#"lb.toml:8: vip[0] "web": drain = true: expected a duration from 1s to 8h"#,
    ]),
    ("a weight for a whole VIP", In::Vip, "weight = 3", &[
        r#"lb.toml:8: vip[0] "web": weight = 3: each backend has its own: set it in [[vip.backend]]"#,
    ]),
    ("a table size for one VIP", In::Vip, "table_size = 251", &[
        r#"lb.toml:8: vip[0] "web": table_size = 251: is one for all VIPs: set it in [agent]"#,
    ]),
    ("backends as a list", In::Vip, r#"backends = ["10.0.0.11"]"#, &[
        r#"lb.toml:8: vip[0] "web": backends = ["10.0.0.11"]: write each backend as a table of its own, headed [[vip.backend]]"#,
    ]),
    ("one backend as a table", In::Vip, r#"[vip.backend]
name = "web-1""#, &[
        r#"lb.toml:8: vip[0] "web": backend: expected an array of tables, each written [[vip.backend]]"#,
    ]),
    ("an unknown key", In::Vip, r#"proto = "tcp""#, &[
        r#"lb.toml:8: vip[0] "web": proto = "tcp": unknown key: expected name, address, port, protocol, forward, scheduler, p2c_margin, affinity, drain, health, utilization, warmup, weights or backend"#,
    ]),
    ("a quoted key that is long and odd", In::Vip, r#""é é é é é é é é é é é é é é é é é é é é é é é é é é é é é é é é é é é é é é é é " = 1"#, &[
        r#"lb.toml:8: vip[0] "web": "é é é é é é é é é é é é é é é é é é é é é é é é é é é é é é… = 1: unknown key: expected name, address, port, protocol, forward, scheduler, p2c_margin, affinity, drain, health, utilization, warmup, weights or backend"#,
    ]),
    ("a backend that is only a header", In::Vip, "[[vip.backend]]", &[
        r#"lb.toml:8: vip[0] "web": backend[0]: name: missing: expected a name of 1 to 63 letters, digits, '.', '_' or '-' that begins with a letter or digit"#,
        r#"lb.toml:8: vip[0] "web": backend[0]: address: missing: expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11""#,
    ]),
    ("a backend's weight past 16 bits", In::Backend, "weight = 65536", &[
        r#"lb.toml:11: vip[0] "web": backend[0] "web-1": weight = 65536: expected an integer from 0 to 65535"#,
    ]),
    ("a backend's weight below 0", In::Backend, "weight = -1", &[
        r#"lb.toml:11: vip[0] "web": backend[0] "web-1": weight = -1: expected an integer from 0 to 65535"#,
    ]),
    ("a backend's weight as a fraction", In::Backend, "weight = 0.5", &[
        r#"lb.toml:11: vip[0] "web": backend[0] "web-1": weight = 0.5: expected an integer from 0 to 65535"#,
    ]),
    ("a backend's weight in quotes", In::Backend, r#"weight = "100""#, &[
        r#"lb.toml:11: vip[0] "web": backend[0] "web-1": weight = "100": expected an integer from 0 to 65535: write it without quotes"#,
    ]),
    ("a backend's drain in quotes", In::Backend, r#"drain = "true""#, &[
        r#"lb.toml:11: vip[0] "web": backend[0] "web-1": drain = "true": expected true or false: write it without quotes"#,
    ]),
    ("a backend's drain as a time", In::Backend, r#"drain = "5m""#, &[
        r#"lb.toml:11: vip[0] "web": backend[0] "web-1": drain = "5m": expected true or false"#,
    ]),
    ("a slip in a backend's key", In::Backend, "wieght = 10", &[
        r#"lb.toml:11: vip[0] "web": backend[0] "web-1": wieght = 10: unknown key: did you mean `weight`?"#,
    ]),
    ("a backend's port", In::Backend, "port = 8080", &[
        r#"lb.toml:11: vip[0] "web": backend[0] "web-1": port = 8080: a backend is reached at the port that the client asked for: remove it"#,
    ]),
    ("a key of the VIP under a backend", In::Backend, r#"forward = "ipip""#, &[
        r#"lb.toml:11: vip[0] "web": backend[0] "web-1": forward = "ipip": belongs to [[vip]]: move it above [[vip.backend]]"#,
    ]),
    ("a backend on loopback", In::Backend, r#"address = "127.0.0.1""#, &[
        r#"lb.toml:10: vip[0] "web": backend[0] "web-1": address = "127.0.0.1": expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11": this is a loopback address, which XDP never sees"#,
    ]),
    ("a backend without address", In::Vip, r#"[[vip.backend]]
name = "web-1""#, &[
        r#"lb.toml:8: vip[0] "web": backend[0] "web-1": address: missing: expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11""#,
    ]),
];
