//! `[decap]`, the backend's side: read and checked.

use std::path::PathBuf;

use ipnet::IpNet;

use super::agent::{TUNNEL_SOURCE_V4, TUNNEL_SOURCE_V6, interfaces, xdp_mode};
use super::model::{DecapConfig, Valid};
use super::net::{any_prefix, unicast};
use super::rules::absolute_path;
use super::section::{Schema, Section};

/// The whole of `decap.toml`.
pub(super) const FILE: Schema = Schema {
    header: "decap.toml",
    keys: &["decap"],
    refused: &[
        ("agent", "belongs to a balancer's lb.toml, which `xdp-lb run` reads"),
        ("admin", "belongs to a balancer's lb.toml, which `xdp-lb run` reads"),
        ("vip", "belongs to a balancer's lb.toml, which `xdp-lb run` reads"),
    ],
    outer: None,
};

pub(super) const DECAP: Schema = Schema {
    header: "[decap]",
    keys: &["interfaces", "xdp_mode", "pin_dir", "addresses", "sources"],
    refused: &[],
    outer: None,
};

/// The backend's configuration; `None` when something was reported.
pub(super) fn decap(root: &Section<'_>) -> Option<DecapConfig> {
    let decap = root.table("decap", &DECAP);
    let source = decap.source();
    let interfaces = interfaces(&decap);
    let mode = xdp_mode(&decap);
    let pin_dir = decap.or("pin_dir", absolute_path(3_840), PathBuf::from("/sys/fs/bpf/xdp-lb-decap"));

    let addresses = decap.list("addresses", ADDRESSES, 1..=16, unicast());
    if addresses.is_none() {
        decap.missing("addresses", ADDRESSES);
    }
    let addresses = addresses.unwrap_or_default();
    let found = || addresses.iter().filter_map(|field| Some((field.value?, &field.place)));
    source.unique(found(), |line| format!("named in line {line} already: name each address once"));

    let sources = decap.list("sources", SOURCES, 1..=16, any_prefix());
    let prefixes: Option<Vec<IpNet>> = match &sources {
        None => Some(vec![TUNNEL_SOURCE_V4.into(), TUNNEL_SOURCE_V6.into()]),
        Some(sources) => {
            let found = sources.iter().filter_map(|field| Some((field.value?, &field.place)));
            source.unique(found, |line| format!("named in line {line} already: name each prefix once"));
            sources.iter().map(|field| field.value).collect()
        }
    };
    let prefixes = prefixes?;
    for (address, place) in found().filter(|_| !prefixes.is_empty()) {
        if !prefixes.iter().any(|net| net.addr().is_ipv4() == address.is_ipv4()) {
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            source.report(
                place,
                format!("no prefix in decap.sources is of {family}, so nothing would arrive: add one"),
            );
        }
    }
    Some(DecapConfig {
        interfaces: interfaces.into_iter().map(|field| field.value).collect::<Option<_>>()?,
        xdp_mode: mode.value?,
        pin_dir: pin_dir.value?,
        addresses: addresses.into_iter().map(|field| field.value).collect::<Option<_>>()?,
        sources: prefixes,
        valid: Valid,
    })
}

const ADDRESSES: &str =
    "a list of 1 to 16 addresses of this backend at which tunnels end, as [\"10.0.0.11\"]";
const SOURCES: &str = "a list of 1 to 16 prefixes, as [\"172.16.0.0/16\", \"100::/64\"]";
