//! What is wrong only in relation to something else in the file. Looks at what could be read, so that one wrong
//! value hides nothing.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::agent::RawAgent;
use super::model::{Forward, TableSize};
use super::rules::shown;
use super::section::Field;
use super::source::Source;
use super::vip::{RawBackend, RawVip};

/// Reports every conflict.
pub(super) fn check(source: &Source<'_>, agent: &RawAgent, vips: &[RawVip]) {
    names(source, vips);
    services(source, vips);
    room(source, agent, vips);
    let vip_addresses: HashMap<IpAddr, &RawVip> =
        vips.iter().rev().filter_map(|vip| Some((vip.address.value?, vip))).collect();
    for vip in vips {
        drain(source, agent, vip);
        backends(source, vip);
        for backend in &vip.backends {
            let Some(address) = backend.address.value else { continue };
            if let Some(other) = vip_addresses.get(&address) {
                let line = source.line(other.address.place.offset);
                let message =
                    format!("is the address of {} (line {line}): give the server's own", other.place.subject);
                source.report(&backend.address.place, message);
            }
            family(source, vip, backend, address);
            tunnel_source(source, agent, vip, backend, address);
        }
    }
}

fn names(source: &Source<'_>, vips: &[RawVip]) {
    let names = vips.iter().filter_map(|vip| Some((vip.name.value.as_ref()?, &vip.name.place)));
    source.unique(names, |line| format!("the VIP in line {line} has this name too: give each its own"));
}

/// No two VIPs may claim the same packets. A port beside "any port" does not: it is looked for first.
fn services(source: &Source<'_>, vips: &[RawVip]) {
    let services = vips.iter().filter_map(|vip| {
        let service = (vip.address.value?, vip.port.value?, vip.protocol.value?);
        Some((service, &vip.address.place))
    });
    source.unique(services, |line| {
        format!("the VIP in line {line} has this address, port and protocol too: change one, or join their backends")
    });
}

fn room(source: &Source<'_>, agent: &RawAgent, vips: &[RawVip]) {
    if let (Some(room), Some(vip)) = (agent.max_vips.value, first_past(vips, agent.max_vips.value)) {
        let message = format!("{} VIPs, room for {room}: raise agent.max_vips", vips.len());
        source.report(&vip.place, message);
    }
    let backends: Vec<&RawBackend> = vips.iter().flat_map(|vip| &vip.backends).collect();
    if let (Some(room), Some(backend)) =
        (agent.max_backends.value, first_past(&backends, agent.max_backends.value))
    {
        let message = format!(
            "{} backends, room for {room}: raise agent.max_backends, and leave room to spare, as a removed backend \
             keeps its place until its connections have ended",
            backends.len()
        );
        source.report(&backend.place, message);
    }
    let slots = agent.table_size.value.map(TableSize::slots);
    for vip in vips {
        if let (Some(slots), Some(backend)) = (slots, first_past(&vip.backends, slots)) {
            let message =
                format!("{} backends share {slots} slots: raise agent.table_size", vip.backends.len());
            source.report(&backend.place, message);
        }
    }
}

/// The first of `items` for which there is no room.
fn first_past<T>(items: &[T], room: Option<u32>) -> Option<&T> {
    items.get(usize::try_from(room?).ok()?)
}

/// A connection may be silent for as long as `drain` and is recorded by its next packet: the record must not end before
/// another such silence does.
fn drain(source: &Source<'_>, agent: &RawAgent, vip: &RawVip) {
    let (Some(drain), Some(idle)) = (vip.drain.value, agent.flow_idle.value) else { return };
    if drain > idle {
        let idle = ("agent.flow_idle", &agent.flow_idle);
        let mend = "a recorded connection that is silent for so long would be forgotten and move; raise \
                    agent.flow_idle or lower drain";
        conflict(source, &vip.drain, "longer than", idle, shown, mend);
    }
}

/// Reports that `field` is `longer than`, say, another, named with its value and line.
pub(super) fn conflict<T: Copy>(
    source: &Source<'_>,
    field: &Field<T>,
    relation: &str,
    (name, other): (&str, &Field<T>),
    show: impl Fn(T) -> String,
    mend: &str,
) {
    let (Some(value), Some(limit)) = (field.value, other.value) else { return };
    let is = if field.given {
        format!("is {relation}")
    } else {
        format!("is {} by default, {relation}", show(value))
    };
    let by_default = if other.given { "" } else { " by default" };
    let (limit, line) = (show(limit), source.line(other.place.offset));
    let message = format!("{is} {name}, which is {limit}{by_default} (line {line}): {mend}");
    source.report(&field.place, message);
}

fn backends(source: &Source<'_>, vip: &RawVip) {
    let names =
        vip.backends.iter().filter_map(|backend| Some((backend.name.value.as_ref()?, &backend.name.place)));
    source.unique(names, |line| format!("the backend in line {line} has this name too: give each its own"));
    let addresses =
        vip.backends.iter().filter_map(|backend| Some((backend.address.value?, &backend.address.place)));
    source.unique(addresses, |line| {
        format!(
            "the backend in line {line} has this address too: name each server once, its share is its weight"
        )
    });
}

fn family(source: &Source<'_>, vip: &RawVip, backend: &RawBackend, address: IpAddr) {
    let (Some(Forward::L2), Some(vip_address)) = (vip.forward.value, vip.address.value) else { return };
    if vip_address.is_ipv4() != address.is_ipv4() {
        let family = if vip_address.is_ipv4() { "IPv4" } else { "IPv6" };
        let message = format!(
            "expected an {family} address like the VIP's, as forward = \"l2\" leaves packets as they are: \
             forward = \"ipip\" takes any family to any"
        );
        source.report(&backend.address.place, message);
    }
}

/// A tunnelled packet whose source is the backend itself would be dropped there, one connection in many.
fn tunnel_source(source: &Source<'_>, agent: &RawAgent, vip: &RawVip, backend: &RawBackend, address: IpAddr) {
    if vip.forward.value != Some(Forward::Ipip) {
        return;
    }
    let (key, prefix) = match address {
        IpAddr::V4(_) => ("tunnel_source_v4", agent.tunnel_source_v4.value.map(IpNet::V4)),
        IpAddr::V6(_) => ("tunnel_source_v6", agent.tunnel_source_v6.value.map(IpNet::V6)),
    };
    if let Some(prefix) = prefix.filter(|prefix| prefix.contains(&address)) {
        let message = format!(
            "lies in agent.{key} = \"{prefix}\", where tunnelled packets say they come from: choose another prefix \
             there, the same on every balancer and in the backends' decap.sources"
        );
        source.report(&backend.address.place, message);
    }
}
