//! The configuration that the simulated agent reads: the program's defaults wherever there is one.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::{Context as _, Result};
use xdp_lb::config::Config;

/// Smaller tables than the default are filled in less time, and 800 slots a server are fine enough for these weights.
const HEAD: &str = r#"
[agent]
interfaces = ["eth0"]
table_size = 16381
max_vips = 1
max_backends = 1000
[[vip]]
name = "web"
address = "203.0.113.10"
port = 80
forward = "l2"
SCHEDULER
[vip.health]
kind = "tcp"
port = 80
[vip.utilization]
kind = "orca-http"
"#;

/// The line of a VIP that follows its table.
pub(super) const MAGLEV: &str = "scheduler = \"maglev\"";

/// The line of a VIP that takes the better of two.
pub(super) const P2C: &str = "scheduler = \"p2c\"";

/// The configuration with this line for the scheduler and these servers as backends.
pub(super) fn of(scheduler: &str, servers: &[usize]) -> Result<Config> {
    let mut text = HEAD.replace("SCHEDULER", scheduler);
    for server in servers {
        let address = address_of(*server);
        writeln!(text, "[[vip.backend]]\nname = \"web-{server}\"\naddress = \"{address}\"")?;
    }
    Config::from_toml(&text, Path::new("simulated.toml")).context("the simulated agent's configuration")
}

/// Address of a server.
pub(super) fn address_of(server: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(u32::from_be_bytes([10, 0, 0, 1]) + server as u32))
}

/// The server with this address.
pub(super) fn server_of(address: IpAddr) -> Option<usize> {
    let IpAddr::V4(address) = address else { return None };
    address.to_bits().checked_sub(u32::from_be_bytes([10, 0, 0, 1])).map(|server| server as usize)
}
