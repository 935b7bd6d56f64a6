//! `[agent]` and `[admin]`: read and checked.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::{Ipv4Net, Ipv6Net};
use xdp_lb_common::limits::{MAX_BACKENDS, MAX_VIPS};

use super::model::{Admin, Agent, TableSize, XdpMode};
use super::net::{interface, listen, tunnel_source_v4, tunnel_source_v6};
use super::rules::{absolute_path, integer, integer_as, one_of, seed, whole_seconds};
use super::section::{Field, Schema, Section};

pub(super) const AGENT: Schema = Schema {
    header: "[agent]",
    keys: &[
        "interfaces",
        "xdp_mode",
        "state_dir",
        "control_socket",
        "pin_dir",
        "max_vips",
        "max_backends",
        "table_size",
        "flow_entries",
        "flow_idle",
        "flow_insert_limit",
        "icmp_limit",
        "hash_seed",
        "tunnel_source_v4",
        "tunnel_source_v6",
    ],
    refused: &[],
    outer: None,
};

pub(super) const ADMIN: Schema = Schema { header: "[admin]", keys: &["listen"], refused: &[], outer: None };

/// "xdp-lb" in ASCII: what the flow hash starts from unless told otherwise.
const HASH_SEED: u64 = 0x7864_702d_6c62;

/// Longest path of a Unix socket: `sockaddr_un` has 108 bytes, the last of them zero.
const LONGEST_SOCKET: usize = 107;

/// Longest path of a folder: `PATH_MAX` less room for the files in it.
const LONGEST_FOLDER: usize = 3_840;

/// `[agent]` as read. What `cross` looks at comes with its place.
pub(super) struct RawAgent {
    pub interfaces: Vec<Field<String>>,
    xdp_mode: Field<XdpMode>,
    state_dir: Field<PathBuf>,
    control_socket: Field<PathBuf>,
    pin_dir: Field<PathBuf>,
    pub max_vips: Field<u32>,
    pub max_backends: Field<u32>,
    pub table_size: Field<TableSize>,
    flow_entries: Field<u32>,
    pub flow_idle: Field<Duration>,
    flow_insert_limit: Field<u32>,
    icmp_limit: Field<u32>,
    hash_seed: Field<u64>,
    pub tunnel_source_v4: Field<Ipv4Net>,
    pub tunnel_source_v6: Field<Ipv6Net>,
}

impl RawAgent {
    pub(super) fn read(root: &Section<'_>) -> Self {
        let agent = root.table("agent", &AGENT);
        let flow_entries = integer_as("a power of two from 1024 to 67108864", |n| {
            (n.is_power_of_two() && FLOW_ENTRIES.contains(&n)).then_some(n)
        });
        let table_size =
            integer_as("a prime from 251 to 65537, as 251, 4093, 16381 or 65537", TableSize::new);
        Self {
            interfaces: interfaces(&agent),
            xdp_mode: xdp_mode(&agent),
            state_dir: agent.or("state_dir", absolute_path(LONGEST_FOLDER), "/var/lib/xdp-lb".into()),
            control_socket: agent.or(
                "control_socket",
                absolute_path(LONGEST_SOCKET),
                "/run/xdp-lb/control.sock".into(),
            ),
            pin_dir: agent.or("pin_dir", absolute_path(LONGEST_FOLDER), "/sys/fs/bpf/xdp-lb".into()),
            max_vips: agent.or("max_vips", integer(1..=MAX_VIPS, ""), 64),
            max_backends: agent.or("max_backends", integer(1..=MAX_BACKENDS, ""), 4096),
            table_size: agent.or("table_size", table_size, TableSize::MAX),
            flow_entries: agent.or("flow_entries", flow_entries, 1 << 20),
            flow_idle: agent.or("flow_idle", whole_seconds(FLOW_IDLE), Duration::from_secs(3_600)),
            flow_insert_limit: agent.or(
                "flow_insert_limit",
                integer(0..=u32::MAX, " a second on each CPU (0 = record none)"),
                200_000,
            ),
            icmp_limit: agent.or(
                "icmp_limit",
                integer(0..=u32::MAX, " a second on each CPU (0 = send none)"),
                1_000,
            ),
            hash_seed: agent.or("hash_seed", seed(), HASH_SEED),
            tunnel_source_v4: agent.or("tunnel_source_v4", tunnel_source_v4(), TUNNEL_SOURCE_V4),
            tunnel_source_v6: agent.or("tunnel_source_v6", tunnel_source_v6(), TUNNEL_SOURCE_V6),
        }
    }

    pub(super) fn build(self) -> Option<Agent> {
        Some(Agent {
            interfaces: self
                .interfaces
                .into_iter()
                .map(|interface| interface.value)
                .collect::<Option<_>>()?,
            xdp_mode: self.xdp_mode.value?,
            state_dir: self.state_dir.value?,
            control_socket: self.control_socket.value?,
            pin_dir: self.pin_dir.value?,
            max_vips: self.max_vips.value?,
            max_backends: self.max_backends.value?,
            table_size: self.table_size.value?,
            flow_entries: self.flow_entries.value?,
            flow_idle: self.flow_idle.value?,
            flow_insert_limit: self.flow_insert_limit.value?,
            icmp_limit: self.icmp_limit.value?,
            hash_seed: self.hash_seed.value?,
            tunnel_source_v4: self.tunnel_source_v4.value?,
            tunnel_source_v6: self.tunnel_source_v6.value?,
        })
    }
}

/// `[admin]`: `Some(None)` when it is left out, `None` when it is wrong.
pub(super) fn admin(root: &Section<'_>) -> Option<Option<Admin>> {
    let admin = root.table("admin", &ADMIN);
    let listen = admin.or("listen", listen(), SocketAddr::from((Ipv4Addr::LOCALHOST, 9_400)));
    if admin.is_given() { Some(Some(Admin { listen: listen.value? })) } else { Some(None) }
}

/// The `interfaces` of a table; empty when missing or wrong as a whole.
pub(super) fn interfaces(section: &Section<'_>) -> Vec<Field<String>> {
    const EXPECTED: &str = "a list of 1 to 64 interface names, as [\"eth0\"]";
    let Some(interfaces) = section.list("interfaces", EXPECTED, 1..=64, interface()) else {
        section.missing("interfaces", EXPECTED);
        return Vec::new();
    };
    let named = interfaces.iter().filter_map(|field| Some((field.value.as_ref()?, &field.place)));
    section.source().unique(named, |line| format!("named in line {line} already: name each interface once"));
    interfaces
}

/// The `xdp_mode` of a table.
pub(super) fn xdp_mode(section: &Section<'_>) -> Field<XdpMode> {
    let modes = &[("auto", XdpMode::Auto), ("native", XdpMode::Native), ("generic", XdpMode::Generic)];
    section.or(
        "xdp_mode",
        one_of(modes, &[("offload", "this version does not run on the card itself")]),
        XdpMode::Auto,
    )
}

const FLOW_ENTRIES: std::ops::RangeInclusive<u32> = 1 << 10..=1 << 26;

/// An epoch has 16 bits of seconds; half of that tells old from new.
const FLOW_IDLE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(8 * 3_600);

/// Of the private addresses, the part that the fewest networks use. Balancers and backends share this default.
pub(super) const TUNNEL_SOURCE_V4: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 16);

/// The discard prefix, RFC 6666: nothing else is sent from there.
pub(super) const TUNNEL_SOURCE_V6: Ipv6Net =
    Ipv6Net::new_assert(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64);
