//! The backend's end of the tunnels: `xdp-lb decap`.

use std::fs;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::agent::{binary, has_xdp};
use crate::netns::Netns;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::topology::INTERFACE;
use crate::wait::wait_until_ok;

/// Tunnel termination in a backend's namespace; ends on drop.
#[derive(Debug)]
pub struct Decap {
    process: Process,
    // After the process: its pins go last.
    _scratch: Scratch,
}

impl Decap {
    /// Starts it for tunnels to `addresses` and waits until it is attached.
    pub fn start(netns: &Netns, addresses: &[IpAddr]) -> Result<Self> {
        let scratch = Scratch::with_bpf_fs("decap")?;
        let config = scratch.path().join("decap.toml");
        let addresses: Vec<_> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
        let (addresses, pins) = (addresses.join(", "), scratch.bpf().join("decap"));
        let text = format!(
            "[decap]\ninterfaces = [\"{INTERFACE}\"]\nxdp_mode = \"native\"\npin_dir = \"{}\"\n\
             addresses = [{addresses}]\nsources = [\"172.16.0.0/16\", \"100::/64\"]\n",
            pins.display()
        );
        fs::write(&config, text).context("writing decap.toml")?;
        let mut command = netns.command(binary()?);
        command.arg("decap").arg("--config").arg(config);
        let process = Process::spawn("decap", command, &scratch.path().join("log"))?;
        let mut decap = Self { process, _scratch: scratch };
        let attached = wait_until_ok(Duration::from_secs(10), "decap is attached", || {
            decap.process.must_run()?;
            anyhow::ensure!(has_xdp(netns)?, "{INTERFACE} has no XDP program");
            Ok(())
        });
        attached.map_err(|error| error.context(decap.process.tail()))?;
        Ok(decap)
    }
}
