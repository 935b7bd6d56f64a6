//! A topology with something running on every backend.

use std::net::{IpAddr, SocketAddr};

use anyhow::Result;

use crate::decap::Decap;
use crate::lbconfig::VipConfig;
use crate::lineserver::LineServer;
use crate::nginx::Nginx;
use crate::topology::Topology;

/// Name of the backend at `index`, from 0: the configuration and the servers call it so.
pub fn name(index: usize) -> String {
    format!("web-{}", index + 1)
}

/// A web server on every backend.
pub fn web_servers(topology: &Topology) -> Result<Vec<Nginx<'_>>> {
    topology.backends.iter().enumerate().map(|(index, netns)| Nginx::start(netns, &name(index))).collect()
}

/// A line server on `port` of every backend.
pub fn line_servers(topology: &Topology, port: u16) -> Result<Vec<LineServer>> {
    let backends = topology.backends.iter().enumerate();
    backends.map(|(index, netns)| LineServer::start(netns.handle(), &name(index), port)).collect()
}

/// Tunnel termination on every backend, for both families.
pub fn decaps(topology: &Topology) -> Result<Vec<Decap>> {
    let backends = topology.backends.iter().enumerate();
    let addresses = |index| topology.backend_address(index);
    backends
        .map(|(index, netns)| Decap::start(netns, &[addresses(index).0.into(), addresses(index).1.into()]))
        .collect()
}

/// Which of a backend's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Version 4.
    V4,
    /// Version 6.
    V6,
}

/// The address of the backend at `index` in `family`.
pub fn address(topology: &Topology, index: usize, family: Family) -> IpAddr {
    let (v4, v6) = topology.backend_address(index);
    match family {
        Family::V4 => v4.into(),
        Family::V6 => v6.into(),
    }
}

/// A TCP service whose backends, one for each of `weights`, are the first of `topology`, in the VIP's own family.
pub fn vip(topology: &Topology, vip: SocketAddr, forward: &'static str, weights: &[u16]) -> VipConfig {
    let family = if vip.is_ipv4() { Family::V4 } else { Family::V6 };
    let config = VipConfig::tcp("web", vip, forward);
    weights.iter().enumerate().fold(config, |config, (index, weight)| {
        config.backend(&name(index), address(topology, index, family), *weight)
    })
}
