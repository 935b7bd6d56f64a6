//! `[decap]`: what is wrong and what is said of it.

use super::{In, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("an empty file", In::DecapFile, "", &[
        r#"decap.toml:1: decap.interfaces: missing: expected a list of 1 to 64 interface names, as ["eth0"]"#,
        r#"decap.toml:1: decap.addresses: missing: expected a list of 1 to 16 addresses of this backend at which tunnels end, as ["10.0.0.11"]"#,
    ]),
    ("nothing but the header", In::DecapFile, "[decap]", &[
        r#"decap.toml:1: decap.interfaces: missing: expected a list of 1 to 64 interface names, as ["eth0"]"#,
        r#"decap.toml:1: decap.addresses: missing: expected a list of 1 to 16 addresses of this backend at which tunnels end, as ["10.0.0.11"]"#,
    ]),
    ("no addresses", In::Decap, "addresses = []", &[
        r#"decap.toml:3: decap.addresses = []: expected a list of 1 to 16 addresses of this backend at which tunnels end, as ["10.0.0.11"]"#,
    ]),
    ("17 addresses", In::Decap, r#"addresses = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.8", "10.0.0.9", "10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.14", "10.0.0.15", "10.0.0.16", "10.0.0.17"]"#, &[
        r#"decap.toml:3: decap.addresses = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5",…: expected a list of 1 to 16 addresses of this backend at which tunnels end, as ["10.0.0.11"]"#,
    ]),
    ("an address as a string", In::Decap, r#"addresses = "10.0.0.11""#, &[
        r#"decap.toml:3: decap.addresses = "10.0.0.11": expected a list of 1 to 16 addresses of this backend at which tunnels end, as ["10.0.0.11"]: write ["10.0.0.11"]"#,
    ]),
    ("an address twice", In::Decap, r#"addresses = ["10.0.0.11", "10.0.0.11"]"#, &[
        r#"decap.toml:3: decap.addresses[1] = "10.0.0.11": named in line 3 already: name each address once"#,
    ]),
    ("addresses that cannot be", In::Decap, r#"addresses = ["127.0.0.1", "::ffff:10.0.0.1", 5]"#, &[
        r#"decap.toml:3: decap.addresses[0] = "127.0.0.1": expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11": this is a loopback address, which XDP never sees"#,
        r#"decap.toml:3: decap.addresses[1] = "::ffff:10.0.0.1": expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11": this is an IPv4 address in IPv6 form, write "10.0.0.1""#,
        r#"decap.toml:3: decap.addresses[2] = 5: expected the IPv4 or IPv6 address of one host, as "10.0.0.11" or "2001:db8::11": write it in quotes"#,
    ]),
    ("no sources", In::Decap, "sources = []", &[
        r#"decap.toml:4: decap.sources = []: expected a list of 1 to 16 prefixes, as ["172.16.0.0/16", "100::/64"]"#,
    ]),
    ("a source without length", In::Decap, r#"sources = ["172.16.0.1"]"#, &[
        r#"decap.toml:4: decap.sources[0] = "172.16.0.1": expected an IPv4 or IPv6 prefix, as "172.16.0.0/16" or "100::/64": write "172.16.0.1/32" for this one address"#,
    ]),
    ("a source with host bits", In::Decap, r#"sources = ["172.16.0.1/16"]"#, &[
        r#"decap.toml:4: decap.sources[0] = "172.16.0.1/16": expected an IPv4 or IPv6 prefix, as "172.16.0.0/16" or "100::/64": bits are set after the first 16, write "172.16.0.0/16""#,
    ]),
    ("a source that is none", In::Decap, r#"sources = ["the balancer"]"#, &[
        r#"decap.toml:4: decap.sources[0] = "the balancer": expected an IPv4 or IPv6 prefix, as "172.16.0.0/16" or "100::/64""#,
    ]),
    ("a source twice", In::Decap, r#"sources = ["172.16.0.0/16", "172.16.0.0/16"]"#, &[
        r#"decap.toml:4: decap.sources[1] = "172.16.0.0/16": named in line 4 already: name each prefix once"#,
    ]),
    ("an address that no source can reach", In::Decap, r#"sources = ["100::/64"]"#, &[
        r#"decap.toml:3: decap.addresses[0] = "10.0.0.11": no prefix in decap.sources is of IPv4, so nothing would arrive: add one"#,
    ]),
    ("a mode that is none", In::Decap, r#"xdp_mode = "skb""#, &[
        r#"decap.toml:4: decap.xdp_mode = "skb": expected "auto", "native" or "generic""#,
    ]),
    ("a relative folder", In::Decap, r#"pin_dir = "bpf""#, &[
        r#"decap.toml:4: decap.pin_dir = "bpf": expected an absolute path of at most 3840 bytes"#,
    ]),
    ("a slip in a key", In::Decap, r#"address = ["10.0.0.11"]"#, &[
        r#"decap.toml:4: decap.address = ["10.0.0.11"]: unknown key: did you mean `addresses`?"#,
    ]),
    ("a balancer's table", In::Decap, r#"[agent]
interfaces = ["eth0"]"#, &[
        "decap.toml:4: agent: belongs to a balancer's lb.toml, which `xdp-lb run` reads",
    ]),
    ("a balancer's VIP", In::Decap, r#"[[vip]]
name = "web""#, &[
        "decap.toml:4: vip: belongs to a balancer's lb.toml, which `xdp-lb run` reads",
    ]),
];
