//! `[agent]` and `[admin]`: what is wrong and what is said of it.

use super::{In, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("an empty file", In::File, "", &[
        r#"lb.toml:1: agent.interfaces: missing: expected a list of 1 to 64 interface names, as ["eth0"]"#,
    ]),
    ("no interfaces", In::File, r#"[agent]
xdp_mode = "auto""#, &[
        r#"lb.toml:1: agent.interfaces: missing: expected a list of 1 to 64 interface names, as ["eth0"]"#,
    ]),
    ("an empty list of interfaces", In::Agent, "interfaces = []", &[
        r#"lb.toml:2: agent.interfaces = []: expected a list of 1 to 64 interface names, as ["eth0"]"#,
    ]),
    ("interfaces as a string", In::Agent, r#"interfaces = "eth0""#, &[
        r#"lb.toml:2: agent.interfaces = "eth0": expected a list of 1 to 64 interface names, as ["eth0"]: write ["eth0"]"#,
    ]),
    ("an interface that is no string", In::Agent, r#"interfaces = ["eth0", 1]"#, &[
        "lb.toml:2: agent.interfaces[1] = 1: expected an interface name of 1 to 15 bytes without spaces, '/' or ':': write it in quotes",
    ]),
    ("an interface name of 16 bytes", In::Agent, r#"interfaces = ["abcdefghijklmnop"]"#, &[
        r#"lb.toml:2: agent.interfaces[0] = "abcdefghijklmnop": expected an interface name of 1 to 15 bytes without spaces, '/' or ':'"#,
    ]),
    ("an interface name with a slash", In::Agent, r#"interfaces = ["eth0/1"]"#, &[
        r#"lb.toml:2: agent.interfaces[0] = "eth0/1": expected an interface name of 1 to 15 bytes without spaces, '/' or ':'"#,
    ]),
    ("an interface name with a space", In::Agent, r#"interfaces = ["eth 0"]"#, &[
        r#"lb.toml:2: agent.interfaces[0] = "eth 0": expected an interface name of 1 to 15 bytes without spaces, '/' or ':'"#,
    ]),
    ("an empty interface name", In::Agent, r#"interfaces = [""]"#, &[
        r#"lb.toml:2: agent.interfaces[0] = "": expected an interface name of 1 to 15 bytes without spaces, '/' or ':'"#,
    ]),
    ("an interface twice, over several lines", In::Agent, r#"interfaces = [
  "eth0",
  "eth1",
  "eth0",
]"#, &[
        r#"lb.toml:5: agent.interfaces[2] = "eth0": named in line 3 already: name each interface once"#,
    ]),
    ("an unknown mode, nearly right", In::Agent, r#"xdp_mode = "natve""#, &[
        r#"lb.toml:3: agent.xdp_mode = "natve": expected "auto", "native" or "generic": did you mean "native"?"#,
    ]),
    ("a mode that exists elsewhere", In::Agent, r#"xdp_mode = "offload""#, &[
        r#"lb.toml:3: agent.xdp_mode = "offload": expected "auto", "native" or "generic": this version does not run on the card itself"#,
    ]),
    ("a mode that is no string", In::Agent, "xdp_mode = true", &[
        r#"lb.toml:3: agent.xdp_mode = true: expected "auto", "native" or "generic": write it in quotes"#,
    ]),
    ("a relative path", In::Agent, r#"state_dir = "state""#, &[
        r#"lb.toml:3: agent.state_dir = "state": expected an absolute path of at most 3840 bytes"#,
    ]),
    ("a path with a zero byte", In::Agent, r#"pin_dir = "/sys/\u0000""#, &[
        r#"lb.toml:3: agent.pin_dir = "/sys/\u0000": expected an absolute path of at most 3840 bytes"#,
    ]),
    ("a socket path too long for the kernel", In::Agent, r#"control_socket = "/sssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss""#, &[
        r#"lb.toml:3: agent.control_socket = "/ssssssssssssssssssssssssssssssssssssssssssssssssssssssssss…: expected an absolute path of at most 107 bytes"#,
    ]),
    ("no room for VIPs", In::Agent, "max_vips = 0", &[
        "lb.toml:3: agent.max_vips = 0: expected an integer from 1 to 65536",
    ]),
    ("too much room for VIPs", In::Agent, "max_vips = 65537", &[
        "lb.toml:3: agent.max_vips = 65537: expected an integer from 1 to 65536",
    ]),
    ("a negative number", In::Agent, "max_backends = -1", &[
        "lb.toml:3: agent.max_backends = -1: expected an integer from 1 to 32767",
    ]),
    ("a number past 64 bits", In::Agent, "max_backends = 99999999999999999999999999", &[
        "lb.toml:3: agent.max_backends = 99999999999999999999999999: expected an integer from 1 to 32767",
    ]),
    ("a fraction", In::Agent, "max_backends = 1.5", &[
        "lb.toml:3: agent.max_backends = 1.5: expected an integer from 1 to 32767",
    ]),
    ("a number in quotes", In::Agent, r#"max_backends = "4096""#, &[
        r#"lb.toml:3: agent.max_backends = "4096": expected an integer from 1 to 32767: write it without quotes"#,
    ]),
    ("a table size that is no prime", In::Agent, "table_size = 65536", &[
        "lb.toml:3: agent.table_size = 65536: expected a prime from 251 to 65537, as 251, 4093, 16381 or 65537",
    ]),
    ("a table size in quotes", In::Agent, r#"table_size = "65537""#, &[
        r#"lb.toml:3: agent.table_size = "65537": expected a prime from 251 to 65537, as 251, 4093, 16381 or 65537: write it without quotes"#,
    ]),
    ("room for flows that is no power of two", In::Agent, "flow_entries = 1000000", &[
        "lb.toml:3: agent.flow_entries = 1000000: expected a power of two from 1024 to 67108864",
    ]),
    ("too little room for flows", In::Agent, "flow_entries = 512", &[
        "lb.toml:3: agent.flow_entries = 512: expected a power of two from 1024 to 67108864",
    ]),
    ("too much room for flows", In::Agent, "flow_entries = 134217728", &[
        "lb.toml:3: agent.flow_entries = 134217728: expected a power of two from 1024 to 67108864",
    ]),
    ("an idle time without unit", In::Agent, "flow_idle = 3600", &[
        r#"lb.toml:3: agent.flow_idle = 3600: expected a duration from 10s to 8h: write the unit too, as "3600s""#,
    ]),
    ("an idle time past what 16 bits can tell", In::Agent, r#"flow_idle = "9h""#, &[
        r#"lb.toml:3: agent.flow_idle = "9h": expected a duration from 10s to 8h"#,
    ]),
    ("an idle time too short", In::Agent, r#"flow_idle = "9s""#, &[
        r#"lb.toml:3: agent.flow_idle = "9s": expected a duration from 10s to 8h"#,
    ]),
    ("an idle time of broken seconds", In::Agent, r#"flow_idle = "10s 500ms""#, &[
        r#"lb.toml:3: agent.flow_idle = "10s 500ms": expected a duration from 10s to 8h: whole seconds only"#,
    ]),
    ("an idle time that is none", In::Agent, r#"flow_idle = "soon""#, &[
        r#"lb.toml:3: agent.flow_idle = "soon": expected a duration from 10s to 8h: write it as "2s""#,
    ]),
    ("a limit past 32 bits", In::Agent, "flow_insert_limit = 4294967296", &[
        "lb.toml:3: agent.flow_insert_limit = 4294967296: expected an integer from 0 to 4294967295 a second on each CPU (0 = record none)",
    ]),
    ("a limit of the wrong type", In::Agent, "icmp_limit = []", &[
        "lb.toml:3: agent.icmp_limit = []: expected an integer from 0 to 4294967295 a second on each CPU (0 = send none)",
    ]),
    ("a seed of words", In::Agent, r#"hash_seed = "seed""#, &[
        r#"lb.toml:3: agent.hash_seed = "seed": expected an integer from 0 to 18446744073709551615, or a string of up to 16 hexadecimal digits after 0x"#,
    ]),
    ("a seed of 17 digits", In::Agent, r#"hash_seed = "0x10000000000000000""#, &[
        r#"lb.toml:3: agent.hash_seed = "0x10000000000000000": expected an integer from 0 to 18446744073709551615, or a string of up to 16 hexadecimal digits after 0x"#,
    ]),
    ("a seed with a sign", In::Agent, r#"hash_seed = "0x+1""#, &[
        r#"lb.toml:3: agent.hash_seed = "0x+1": expected an integer from 0 to 18446744073709551615, or a string of up to 16 hexadecimal digits after 0x"#,
    ]),
    ("a negative seed", In::Agent, "hash_seed = -1", &[
        "lb.toml:3: agent.hash_seed = -1: expected an integer from 0 to 18446744073709551615, or a string of up to 16 hexadecimal digits after 0x",
    ]),
    ("a tunnel source with host bits", In::Agent, r#"tunnel_source_v4 = "172.16.5.0/16""#, &[
        r#"lb.toml:3: agent.tunnel_source_v4 = "172.16.5.0/16": expected a unicast IPv4 prefix of 8 to 32 bits, as "172.16.0.0/16": bits are set after the first 16, write "172.16.0.0/16""#,
    ]),
    ("a tunnel source without length", In::Agent, r#"tunnel_source_v4 = "172.16.0.1""#, &[
        r#"lb.toml:3: agent.tunnel_source_v4 = "172.16.0.1": expected a unicast IPv4 prefix of 8 to 32 bits, as "172.16.0.0/16": write "172.16.0.1/32" for this one address"#,
    ]),
    ("a tunnel source with too long a length", In::Agent, r#"tunnel_source_v4 = "172.16.0.0/33""#, &[
        r#"lb.toml:3: agent.tunnel_source_v4 = "172.16.0.0/33": expected a unicast IPv4 prefix of 8 to 32 bits, as "172.16.0.0/16""#,
    ]),
    ("a tunnel source of the other family", In::Agent, r#"tunnel_source_v4 = "100::/64""#, &[
        r#"lb.toml:3: agent.tunnel_source_v4 = "100::/64": expected a unicast IPv4 prefix of 8 to 32 bits, as "172.16.0.0/16""#,
    ]),
    ("a tunnel source of everything", In::Agent, r#"tunnel_source_v4 = "0.0.0.0/0""#, &[
        r#"lb.toml:3: agent.tunnel_source_v4 = "0.0.0.0/0": expected a unicast IPv4 prefix of 8 to 32 bits, as "172.16.0.0/16""#,
    ]),
    ("a tunnel source of multicast", In::Agent, r#"tunnel_source_v6 = "ff00::/64""#, &[
        r#"lb.toml:3: agent.tunnel_source_v6 = "ff00::/64": expected a unicast IPv6 prefix of 8 to 128 bits, as "100::/64""#,
    ]),
    ("an IPv6 tunnel source that is IPv4", In::Agent, r#"tunnel_source_v6 = "172.16.0.0/16""#, &[
        r#"lb.toml:3: agent.tunnel_source_v6 = "172.16.0.0/16": expected a unicast IPv6 prefix of 8 to 128 bits, as "100::/64""#,
    ]),
    ("an unknown key, nearly right", In::Agent, r#"interface = "eth1""#, &[
        r#"lb.toml:3: agent.interface = "eth1": unknown key: did you mean `interfaces`?"#,
    ]),
    ("an unknown key", In::Agent, r#"colour = "red""#, &[
        r#"lb.toml:3: agent.colour = "red": unknown key: expected interfaces, xdp_mode, state_dir, control_socket, pin_dir, max_vips, max_backends, table_size, flow_entries, flow_idle, flow_insert_limit, icmp_limit, hash_seed, tunnel_source_v4 or tunnel_source_v6"#,
    ]),
    ("an array of tables for a table", In::File, r#"[[agent]]
interfaces = ["eth0"]"#, &[
        "lb.toml:1: agent: expected a table, written [agent]",
    ]),
    ("a value for a table", In::File, "agent = 1", &[
        "lb.toml:1: agent = 1: expected a table, written [agent]",
    ]),
    ("a value for the admin's table", In::File, r#"admin = true
[agent]
interfaces = ["eth0"]"#, &[
        "lb.toml:1: admin = true: expected a table, written [admin]",
    ]),
    ("admin without port", In::Agent, r#"[admin]
listen = "127.0.0.1""#, &[
        r#"lb.toml:4: admin.listen = "127.0.0.1": expected an address with a port from 1 to 65535, as "127.0.0.1:9400" or "[::1]:9400""#,
    ]),
    ("admin on port 0", In::Agent, r#"[admin]
listen = "127.0.0.1:0""#, &[
        r#"lb.toml:4: admin.listen = "127.0.0.1:0": expected an address with a port from 1 to 65535, as "127.0.0.1:9400" or "[::1]:9400""#,
    ]),
    ("admin by number", In::Agent, r#"[admin]
listen = 9400"#, &[
        r#"lb.toml:4: admin.listen = 9400: expected an address with a port from 1 to 65535, as "127.0.0.1:9400" or "[::1]:9400": write it in quotes"#,
    ]),
    ("admin with an unknown key", In::Agent, r#"[admin]
listn = "127.0.0.1:9400""#, &[
        r#"lb.toml:4: admin.listn = "127.0.0.1:9400": unknown key: did you mean `listen`?"#,
    ]),
    ("an unknown table", In::Agent, r#"[logging]
level = "debug""#, &[
        "lb.toml:3: logging: unknown key: expected agent, admin or vip",
    ]),
    ("an unknown table, nearly right", In::Agent, r#"[[vips]]
name = "web""#, &[
        "lb.toml:3: vips: unknown key: did you mean `vip`?",
    ]),
    ("a backend's table", In::Agent, r#"[decap]
addresses = ["10.0.0.11"]"#, &[
        "lb.toml:3: decap: belongs to a backend's decap.toml, which `xdp-lb decap` reads",
    ]),
];
