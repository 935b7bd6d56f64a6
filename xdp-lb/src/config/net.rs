//! Rules for what is written of networks: addresses, prefixes, interfaces, hosts.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rustls::pki_types::ServerName;

use super::rules::{Refusal, Rule};

/// An address that packets of one host can carry over a wire.
pub(super) fn unicast() -> Rule<'static, IpAddr> {
    Rule::string("the IPv4 or IPv6 address of one host, as \"10.0.0.11\" or \"2001:db8::11\"", |text| {
        let address: IpAddr = text.parse().map_err(|_| not_an_address(text))?;
        match kind(address) {
            None => Ok(address),
            Some(kind) => Err(Refusal::Hint(format!("this is {kind}"))),
        }
    })
}

/// Address and port to listen on.
pub(super) fn listen() -> Rule<'static, SocketAddr> {
    Rule::string("an address with a port from 1 to 65535, as \"127.0.0.1:9400\" or \"[::1]:9400\"", |text| {
        text.parse().ok().filter(|listen: &SocketAddr| listen.port() != 0).ok_or(Refusal::Unexpected)
    })
}

/// An IPv4 prefix that outer source addresses are taken from.
pub(super) fn tunnel_source_v4() -> Rule<'static, Ipv4Net> {
    Rule::string("a unicast IPv4 prefix of 8 to 32 bits, as \"172.16.0.0/16\"", |text| match prefix(text)? {
        IpNet::V4(net) if net.prefix_len() >= 8 && kind(net.addr().into()).is_none() => Ok(net),
        _ => Err(Refusal::Unexpected),
    })
}

/// An IPv6 prefix that outer source addresses are taken from.
pub(super) fn tunnel_source_v6() -> Rule<'static, Ipv6Net> {
    Rule::string("a unicast IPv6 prefix of 8 to 128 bits, as \"100::/64\"", |text| match prefix(text)? {
        IpNet::V6(net) if net.prefix_len() >= 8 && kind(net.addr().into()).is_none() => Ok(net),
        _ => Err(Refusal::Unexpected),
    })
}

/// A prefix of either family.
pub(super) fn any_prefix() -> Rule<'static, IpNet> {
    Rule::string("an IPv4 or IPv6 prefix, as \"172.16.0.0/16\" or \"100::/64\"", prefix)
}

/// A name that Linux takes for an interface.
pub(super) fn interface() -> Rule<'static, String> {
    Rule::string("an interface name of 1 to 15 bytes without spaces, '/' or ':'", |text| {
        let fits = (1..=15).contains(&text.len())
            && ![".", ".."].contains(&text)
            && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/' || c == ':');
        if fits { Ok(text.to_owned()) } else { Err(Refusal::Unexpected) }
    })
}

/// A `Host` header.
pub(super) fn host() -> Rule<'static, String> {
    Rule::string("a host name or address, with a port where wanted, of at most 253 bytes", |text| {
        let fits = (1..=253).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:[]".contains(c));
        if fits { Ok(text.to_owned()) } else { Err(Refusal::Unexpected) }
    })
}

/// A name that a certificate can have.
pub(super) fn server_name() -> Rule<'static, String> {
    Rule::string("a DNS name or an address, without port", |text| {
        if text.starts_with('*') {
            return Err(Refusal::Hint("write a name that the wildcard stands for".into()));
        }
        match ServerName::try_from(text) {
            Ok(_) => Ok(text.to_owned()),
            Err(_) => Err(Refusal::Unexpected),
        }
    })
}

/// Path and query of a request.
pub(super) fn path() -> Rule<'static, String> {
    Rule::string("a path of at most 1024 bytes that begins with '/', without spaces or '#'", |text| {
        let fits = text.starts_with('/')
            && text.len() <= 1024
            && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
            && text.parse::<http::uri::PathAndQuery>().is_ok();
        if fits { Ok(text.to_owned()) } else { Err(Refusal::Unexpected) }
    })
}

/// Status codes: one, or a range.
pub(super) fn status_codes() -> Rule<'static, RangeInclusive<u16>> {
    let expected = "a status code or a range of them from 100 to 599, as \"200\" or \"200-399\"";
    Rule::new(expected, |value| {
        let text = match (value.as_str(), value.as_integer()) {
            (Some(text), _) => text,
            (_, Some(number)) if number.radix() == 10 => number.as_str(),
            _ => return Err(Refusal::Unexpected),
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let code = |text: &str| text.trim().parse().ok().filter(|code| (100..=599).contains(code));
        match (code(first), code(last)) {
            (Some(first), Some(last)) if first <= last => Ok(first..=last),
            (Some(first), Some(last)) => Err(Refusal::Hint(format!("write it as \"{last}-{first}\""))),
            _ => Err(Refusal::Unexpected),
        }
    })
}

/// What an address is that does not name one host on a network.
fn kind(address: IpAddr) -> Option<String> {
    let kind = match address {
        IpAddr::V4(v4) if v4.octets()[0] == 0 => "no host's address",
        IpAddr::V4(v4) if v4.is_broadcast() => "the broadcast address",
        IpAddr::V6(v6) if v6.is_unspecified() => "no host's address",
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            "a link-local address, which means nothing without an interface"
        }
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            let v4 = address.to_canonical();
            return Some(format!("an IPv4 address in IPv6 form, write \"{v4}\""));
        }
        _ if address.is_loopback() => "a loopback address, which XDP never sees",
        _ if address.is_multicast() => "a multicast address",
        _ => return None,
    };
    Some(kind.to_owned())
}

fn not_an_address(text: &str) -> Refusal {
    if let Ok(with_port) = text.parse::<SocketAddr>() {
        return Refusal::Hint(format!("write \"{}\", the port has its own key", with_port.ip()));
    }
    if let Ok(with_prefix) = text.parse::<IpNet>() {
        return Refusal::Hint(format!("write \"{}\", without the prefix length", with_prefix.addr()));
    }
    if text.starts_with('[') || text.contains('%') {
        return Refusal::Hint("no brackets and no zone".into());
    }
    Refusal::Unexpected
}

fn prefix(text: &str) -> Result<IpNet, Refusal> {
    if let Ok(address) = text.parse::<IpAddr>() {
        let length = if address.is_ipv4() { 32 } else { 128 };
        return Err(Refusal::Hint(format!("write \"{text}/{length}\" for this one address")));
    }
    let net: IpNet = text.parse().map_err(|_| Refusal::Unexpected)?;
    if net.addr() == net.network() {
        return Ok(net);
    }
    Err(Refusal::Hint(format!(
        "bits are set after the first {}, write \"{}\"",
        net.prefix_len(),
        net.trunc()
    )))
}
