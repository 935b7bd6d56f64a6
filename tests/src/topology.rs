//! Client, router, balancer and backends, each in its own namespace, dual stack.
//!
//! ```text
//!   client ──── router ──┬── balancer        one segment: 10.0.1.0/24, fd00:0:0:1::/64
//!   10.0.0.2             ├── backend 1
//!   fd00::2              └── backend 2 …     routed: the backends are on 10.0.2.0/24, fd00:0:0:2::/64
//! ```
//!
//! The router sends everything for 203.0.113.0/24 and 2001:db8::/64 to the balancer; the backends have [`VIPS_V4`]
//! and [`VIPS_V6`] on their loopback and answer straight to the client, past the balancer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::netns::Netns;
use crate::stub::Stub;
use crate::wait::wait_until;
use crate::{echo, ip};

/// Every namespace but the router has one interface, of this name.
pub const INTERFACE: &str = "eth0";

/// VIPs that the backends have, version 4.
pub const VIPS_V4: [Ipv4Addr; 4] = [vip_v4(10), vip_v4(11), vip_v4(12), vip_v4(13)];

/// VIPs that the backends have, version 6.
pub const VIPS_V6: [Ipv6Addr; 4] = [vip_v6(0x10), vip_v6(0x11), vip_v6(0x12), vip_v6(0x13)];

/// The balancer's own addresses.
pub const BALANCER: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(10, 0, 1, 2), Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, 2));

/// The client's own addresses.
pub const CLIENT: (Ipv4Addr, Ipv6Addr) =
    (Ipv4Addr::new(10, 0, 0, 2), Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2));

/// How long the network may take until everybody answers.
const READY: Duration = Duration::from_secs(10);

const fn vip_v4(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, host)
}

const fn vip_v6(host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host)
}

/// What to build.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Number of backends, up to 200.
    pub backends: u8,
    /// Whether balancer and backends are on different segments, so that the next hop is not the backend.
    pub routed: bool,
    /// Bytes of IP packet between client and router.
    pub client_mtu: u32,
    /// Bytes of IP packet between router, balancer and backends.
    pub lan_mtu: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { backends: 3, routed: false, client_mtu: 1500, lan_mtu: 1500 }
    }
}

/// The built network. Dropping it removes everything.
#[derive(Debug)]
pub struct Topology {
    /// Whom the balancer serves.
    pub client: Netns,
    /// Routes between the segments and is each segment's switch.
    pub router: Netns,
    /// Where the agent runs.
    pub balancer: Netns,
    /// Where the servers run.
    pub backends: Vec<Netns>,
    options: Options,
    stub: Option<Stub>,
}

impl Topology {
    /// Builds the network and waits until all of it answers.
    pub fn new(options: Options) -> Result<Self> {
        let mut topology = Self {
            client: Netns::new("client")?,
            router: Netns::new("router")?,
            balancer: Netns::new("balancer")?,
            backends: (1..=options.backends).map(|n| Netns::new(&format!("b{n}"))).collect::<Result<_>>()?,
            options,
            stub: None,
        };
        topology.set_parameters()?;
        topology.connect()?;
        topology.address()?;
        topology.set_offloads()?;
        topology.stub = Some(Stub::attach(&topology.router, "p-lb")?);
        topology.wait_ready().context("the test network does not answer")?;
        Ok(topology)
    }

    /// Whether the balancer's frames reach the router also when they were sent back where they came from.
    pub fn takes_bounced_frames(&self) -> bool {
        self.stub.is_some()
    }

    /// Both addresses of the backend at `index`, from 0.
    pub fn backend_address(&self, index: usize) -> (Ipv4Addr, Ipv6Addr) {
        let (net, host) = (self.backend_net(), 11 + index as u8);
        (
            Ipv4Addr::new(10, 0, net, host),
            Ipv6Addr::new(0xfd00, 0, 0, net.into(), 0, 0, 0, 0x11 + index as u16),
        )
    }

    fn backend_net(&self) -> u8 {
        if self.options.routed { 2 } else { 1 }
    }

    /// Everything that is not the router, with the name of the router's port to it.
    fn leaves(&self) -> impl Iterator<Item = (&Netns, String)> {
        let backends = self.backends.iter().enumerate().map(|(i, netns)| (netns, format!("p-b{}", i + 1)));
        [(&self.client, "p-client".to_owned()), (&self.balancer, "p-lb".to_owned())]
            .into_iter()
            .chain(backends)
    }

    /// Parameters that interfaces inherit, and so come before them.
    fn set_parameters(&self) -> Result<()> {
        let common = [
            ("net/ipv4/conf/all/rp_filter", "0"),
            ("net/ipv4/conf/default/rp_filter", "0"),
            ("net/ipv4/conf/all/send_redirects", "0"),
            ("net/ipv4/conf/default/send_redirects", "0"),
            ("net/ipv6/conf/all/disable_ipv6", "0"),
            ("net/ipv6/conf/default/disable_ipv6", "0"),
            ("net/ipv6/conf/default/accept_dad", "0"),
            ("net/ipv6/conf/default/accept_ra", "0"),
            ("net/ipv6/conf/default/router_solicitations", "0"),
        ];
        for netns in self.leaves().map(|(netns, _)| netns).chain([&self.router]) {
            netns.sysctl(&common)?;
        }
        self.router.sysctl(&[("net/ipv4/ip_forward", "1"), ("net/ipv6/conf/all/forwarding", "1")])?;
        for backend in &self.backends {
            // Nobody but the balancer may be asked for a VIP: backends neither answer for nor speak of theirs in ARP.
            backend
                .sysctl(&[("net/ipv4/conf/all/arp_ignore", "1"), ("net/ipv4/conf/all/arp_announce", "2")])?;
        }
        Ok(())
    }

    fn connect(&self) -> Result<()> {
        let pairs = self.leaves().map(|(netns, port)| {
            let (leaf, router) = (netns.name(), self.router.name());
            format!("link add name {INTERFACE} netns {leaf} type veth peer name {port} netns {router}")
        });
        ip::batch(None, &pairs.collect::<Vec<_>>())?;

        let Options { client_mtu, lan_mtu, routed, .. } = self.options;
        let mut router = vec![format!("link set p-client mtu {client_mtu} up")];
        let segments = if routed { 2 } else { 1 };
        for segment in 1..=segments {
            router.push(format!(
                "link add name br{segment} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
            ));
        }
        for (_, port) in self.leaves().skip(1) {
            let segment = if port == "p-lb" { 1 } else { self.backend_net() };
            router.push(format!("link set {port} mtu {lan_mtu} master br{segment} up"));
        }
        router.extend((1..=segments).map(|segment| format!("link set br{segment} mtu {lan_mtu} up")));
        ip::batch(Some(self.router.name()), &router)?;

        for (netns, port) in self.leaves() {
            let mtu = if port == "p-client" { client_mtu } else { lan_mtu };
            ip::batch(Some(netns.name()), &[format!("link set {INTERFACE} mtu {mtu} up")])?;
        }
        Ok(())
    }

    fn address(&self) -> Result<()> {
        self.address_leaf(&self.client, 0, CLIENT, false)?;
        self.address_leaf(&self.balancer, 1, BALANCER, false)?;
        for (index, backend) in self.backends.iter().enumerate() {
            self.address_leaf(backend, self.backend_net(), self.backend_address(index), true)?;
        }
        let mut router = vec![
            "addr add 10.0.0.1/24 dev p-client".to_owned(),
            "addr add fd00::1/64 dev p-client nodad".to_owned(),
        ];
        for segment in 1..=self.backend_net() {
            router.push(format!("addr add 10.0.{segment}.1/24 dev br{segment}"));
            router.push(format!("addr add fd00:0:0:{segment}::1/64 dev br{segment} nodad"));
        }
        router.push(format!("route add 203.0.113.0/24 via {}", BALANCER.0));
        router.push(format!("route add 2001:db8::/64 via {}", BALANCER.1));
        ip::batch(Some(self.router.name()), &router)
    }

    fn address_leaf(&self, netns: &Netns, net: u8, own: (Ipv4Addr, Ipv6Addr), vips: bool) -> Result<()> {
        let mut lines = vec![
            format!("addr add {}/24 dev {INTERFACE}", own.0),
            format!("addr add {}/64 dev {INTERFACE} nodad", own.1),
            format!("route add default via 10.0.{net}.1"),
            format!("route add ::/0 via fd00:0:0:{net}::1"),
        ];
        if vips {
            lines.extend(VIPS_V4.iter().map(|vip| format!("addr add {vip}/32 dev lo")));
            lines.extend(VIPS_V6.iter().map(|vip| format!("addr add {vip}/128 dev lo nodad")));
        }
        ip::batch(Some(netns.name()), &lines)
    }

    /// A veth hands over packets without their checksum and larger than its MTU, as no wire does; and it drops what
    /// XDP sends into it unless the far end polls, which GRO makes it do.
    fn set_offloads(&self) -> Result<()> {
        for (netns, port) in self.leaves() {
            ethtool(netns, INTERFACE, &["tx", "off", "tso", "off", "gso", "off"])?;
            ethtool(&self.router, &port, &["tx", "off", "tso", "off", "gso", "off", "gro", "on"])?;
        }
        Ok(())
    }

    fn wait_ready(&self) -> Result<()> {
        answers(&self.client, "client", "balancer", BALANCER)?;
        for index in 0..self.backends.len() {
            answers(
                &self.balancer,
                "balancer",
                &format!("backend {}", index + 1),
                self.backend_address(index),
            )?;
        }
        Ok(())
    }
}

fn ethtool(netns: &Netns, interface: &str, features: &[&str]) -> Result<()> {
    let mut command = netns.command("ethtool");
    command.args(["-K", interface]).args(features);
    let output = command.output().context("running `ethtool`: `apt-get install ethtool`")?;
    ip::checked(&format!("ethtool -K {interface} {}", features.join(" ")), output).map(drop)
}

fn answers(from: &Netns, asking: &str, asked: &str, addresses: (Ipv4Addr, Ipv6Addr)) -> Result<()> {
    for address in [IpAddr::V4(addresses.0), IpAddr::V6(addresses.1)] {
        let what = format!("{asking} can ping {asked} at {address}");
        from.run_in(|| {
            wait_until(READY, &what, || echo::ping(address, 56, Duration::from_millis(300)).ok().map(drop))
        })?;
    }
    Ok(())
}
