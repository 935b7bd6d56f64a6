//! From what an operator types to the connection that is meant, and to what control says of it.

use std::net::{IpAddr, SocketAddr};

use crate::config::{Config, Protocol, Vip};
use crate::control::{Control, Explanation};
use crate::datapath::Datapath;

/// Where a connection from `client` to `vip` goes.
pub(super) fn explain(
    config: &Config,
    control: &Control,
    datapath: &impl Datapath,
    vip: &str,
    client: SocketAddr,
) -> Result<Explanation, String> {
    let (vip, port) = find(config, vip)?;
    if client.is_ipv4() != vip.address.is_ipv4() {
        let family = if vip.address.is_ipv4() { "IPv4" } else { "IPv6" };
        return Err(format!("{client} cannot connect to {}: {} is {family}", vip.name, vip.address));
    }
    let hash = datapath.flow_hash(client, SocketAddr::new(vip.address, port), vip.protocol.number());
    let recorded = datapath.recorded(hash);
    let load = |id| datapath.load(id);
    control.explain((vip.address, vip.port, vip.protocol), hash, recorded, load).map_err(|e| e.to_string())
}

/// The VIP called `text` or found at the address that `text` is, and the port a client connects to.
fn find<'a>(config: &'a Config, text: &str) -> Result<(&'a Vip, u16), String> {
    if let Some(vip) = config.vips.iter().find(|vip| vip.name == text) {
        return match vip.port {
            0 => Err(format!("{text} takes any port: name the one that is meant, as {}", example(vip))),
            port => Ok((vip, port)),
        };
    }
    let (address, protocol) = match text.rsplit_once('/') {
        Some((address, "tcp")) => (address, Some(Protocol::Tcp)),
        Some((address, "udp")) => (address, Some(Protocol::Udp)),
        _ => (text, None),
    };
    let Ok(address) = address.parse::<SocketAddr>() else {
        let names: Vec<_> = config.vips.iter().map(|vip| vip.name.as_str()).collect();
        return Err(format!("no VIP is called {text:?}; there are: {}", names.join(", ")));
    };
    let found = |port| {
        let of_protocol = move |vip: &&Vip| protocol.is_none_or(|protocol| vip.protocol == protocol);
        config
            .vips
            .iter()
            .filter(move |vip| (vip.address, vip.port) == (address.ip(), port))
            .filter(of_protocol)
    };
    // A VIP of the very port goes before one of any port, as in the kernel.
    let mut both = found(address.port()).chain(found(0).filter(|_| address.port() != 0));
    let Some(vip) = both.next() else {
        return Err(format!("no VIP is at {text}"));
    };
    if both.any(|other| other.protocol != vip.protocol) {
        return Err(format!("there are VIPs of both protocols at {text}: add /tcp or /udp"));
    }
    Ok((vip, address.port()))
}

fn example(vip: &Vip) -> String {
    match vip.address {
        IpAddr::V4(address) => format!("{address}:PORT"),
        IpAddr::V6(address) => format!("[{address}]:PORT"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn vips_are_found_by_name_and_by_address() {
        let mut text = "[agent]\ninterfaces = [\"lo\"]\n".to_owned();
        for (name, address, port, protocol) in [
            ("web", "203.0.113.10", 80, "tcp"),
            ("dns", "203.0.113.53", 53, "udp"),
            ("dns-tcp", "203.0.113.53", 53, "tcp"),
            ("all", "203.0.113.10", 0, "tcp"),
            ("six", "fd00::1", 443, "tcp"),
        ] {
            text += &format!(
                "[[vip]]\nname = {name:?}\naddress = {address:?}\nport = {port}\nprotocol = {protocol:?}\n\
                 forward = \"ipip\"\n[vip.health]\nkind = \"none\"\n"
            );
        }
        let config = Config::from_toml(&text, Path::new("lb.toml")).unwrap();
        for (text, expected) in [
            ("web", Ok(("web", 80))),
            ("203.0.113.10:80", Ok(("web", 80))),
            ("203.0.113.10:80/tcp", Ok(("web", 80))),
            ("203.0.113.10:81", Ok(("all", 81))),
            ("203.0.113.53:53/udp", Ok(("dns", 53))),
            ("203.0.113.53:53/tcp", Ok(("dns-tcp", 53))),
            ("[fd00::1]:443", Ok(("six", 443))),
            ("203.0.113.53:53", Err("there are VIPs of both protocols at 203.0.113.53:53: add /tcp or /udp")),
            ("all", Err("all takes any port: name the one that is meant, as 203.0.113.10:PORT")),
            ("203.0.113.10:80/udp", Err("no VIP is at 203.0.113.10:80/udp")),
            ("nosuch", Err("no VIP is called \"nosuch\"; there are: web, dns, dns-tcp, all, six")),
        ] {
            let found = find(&config, text).map(|(vip, port)| (vip.name.as_str(), port));
            assert_eq!(found, expected.map_err(str::to_owned), "{text}");
        }
    }
}
