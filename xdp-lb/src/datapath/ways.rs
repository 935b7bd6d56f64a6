//! Which way the host's own packets to a VIP leave: checks by the data path go it, and are led to their backends where
//! they leave by an interface that the program for them is on.

use std::collections::BTreeSet;
use std::net::IpAddr;

use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use xdp_lb_common::check::CHECK_MARK;

use super::interface;
use super::netlink;
use crate::config::{CheckVia, Config, HealthKind};

/// Addresses of the VIPs whose backends are checked by the data path.
pub fn checked_by_data_path(config: &Config) -> BTreeSet<IpAddr> {
    let checked = config
        .vips
        .iter()
        .filter(|vip| vip.health.via == CheckVia::DataPath && !matches!(vip.health.kind, HealthKind::None));
    checked.map(|vip| vip.address).collect()
}

/// What stands in the way of checks by the data path, in words, as the routes are now.
pub fn obstacles(config: &Config) -> Vec<String> {
    let names = &config.agent.interfaces;
    let indices: Vec<u32> =
        names.iter().filter_map(|name| interface::index_of(name).ok().flatten()).collect();
    checked_by_data_path(config)
        .into_iter()
        .filter_map(|vip| judge(vip, way(vip), names, &indices))
        .map(|what| format!("checks by the data path will fail: {what}"))
        .collect()
}

/// Where a packet goes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// Nowhere; as the kernel says.
    None(String),
    /// To this machine itself.
    Here,
    /// To a gateway, or to a neighbour of its own address.
    Out { interface: u32, by_gateway: bool },
}

fn judge(vip: IpAddr, way: Way, names: &[String], indices: &[u32]) -> Option<String> {
    let first = names.first().map_or("", String::as_str);
    let mend =
        format!("`ip route add {vip} via ROUTER dev {first}`, where ROUTER is any neighbour that answers");
    match way {
        Way::None(reason) => {
            Some(format!("this machine has no route to {vip} ({reason}); give it one: {mend}"))
        }
        Way::Here => Some(format!(
            "{vip} is an address of this machine, so that its packets never leave: let a router send them here \
             instead, or check with via = \"direct\""
        )),
        Way::Out { interface, .. } if !indices.contains(&interface) => Some(format!(
            "the route to {vip} leaves by interface number {interface}, which is none of agent.interfaces: give it \
             another, {mend}"
        )),
        Way::Out { by_gateway: false, .. } => Some(format!(
            "the route to {vip} names no router, and nobody on the segment but this machine answers for a VIP: give \
             it one, {mend}"
        )),
        Way::Out { .. } => None,
    }
}

fn way(vip: IpAddr) -> Way {
    let mut question = RouteMessage::default();
    let (family, length, destination) = match vip {
        IpAddr::V4(v4) => (AddressFamily::Inet, 32, RouteAddress::Inet(v4)),
        IpAddr::V6(v6) => (AddressFamily::Inet6, 128, RouteAddress::Inet6(v6)),
    };
    question.header.address_family = family;
    question.header.destination_prefix_length = length;
    question.attributes = vec![RouteAttribute::Destination(destination), RouteAttribute::Mark(CHECK_MARK)];
    match netlink::ask(RouteNetlinkMessage::GetRoute(question)) {
        Ok(RouteNetlinkMessage::NewRoute(route)) => read(&route),
        Ok(_) => Way::None("the kernel does not say".to_owned()),
        Err(error) => Way::None(error.to_string()),
    }
}

fn read(route: &RouteMessage) -> Way {
    match route.header.kind {
        RouteType::Unicast => {}
        RouteType::Local => return Way::Here,
        kind => return Way::None(format!("{kind:?}").to_lowercase()),
    }
    let interface = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    });
    let is_gateway =
        |attribute: &RouteAttribute| matches!(attribute, RouteAttribute::Gateway(_) | RouteAttribute::Via(_));
    match interface {
        Some(interface) => Way::Out { interface, by_gateway: route.attributes.iter().any(is_gateway) },
        None => Way::None("it names no interface".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_way_is_told_with_its_mend() {
        let vip: IpAddr = [203, 0, 113, 10].into();
        let names = ["eth0".to_owned(), "eth1".to_owned()];
        for (way, words) in [
            (Way::Out { interface: 3, by_gateway: true }, None),
            (Way::None("Network is unreachable".into()), Some(["no route", "ip route add 203.0.113.10 via"])),
            (Way::Here, Some(["address of this machine", "via = \"direct\""])),
            (Way::Out { interface: 4, by_gateway: true }, Some(["interface number 4", "dev eth0"])),
            (Way::Out { interface: 2, by_gateway: false }, Some(["names no router", "dev eth0"])),
        ] {
            let told = judge(vip, way.clone(), &names, &[2, 3]);
            let all_there =
                told.as_ref().map(|text| words.unwrap_or_default().iter().all(|w| text.contains(w)));
            assert_eq!(all_there, words.map(|_| true), "{way:?}: {told:?}");
        }
    }

    #[test]
    fn the_kernel_is_asked() {
        assert_eq!(way([127, 0, 0, 1].into()), Way::Here);
        assert_eq!(way(std::net::Ipv6Addr::LOCALHOST.into()), Way::Here);
    }
}
