//! HAProxy as a hop that speaks the PROXY protocol, of version 2.

use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::netns::Netns;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait::wait_until_ok;

/// HAProxy between two ports of loopback.
#[derive(Debug)]
pub struct ProxyHop {
    _process: Process,
    _scratch: Scratch,
}

impl ProxyHop {
    /// Passes connections to `port` on to `to`, and tells there who made them.
    pub fn telling(netns: &Netns, port: u16, to: &str) -> Result<Self> {
        let sections = format!(
            "listen hop
    mode tcp
    bind 127.0.0.1:{port}
    server next {to} send-proxy-v2
"
        );
        Self::start(netns, port, &sections)
    }

    /// Takes who made a connection from its header, and passes requests on to `to` with that in `X-Told`.
    pub fn told(netns: &Netns, port: u16, to: &str) -> Result<Self> {
        let sections = format!(
            "listen hop
    mode http
    bind 127.0.0.1:{port} accept-proxy
    http-request set-header X-Told %[src]
    server next {to}
"
        );
        Self::start(netns, port, &sections)
    }

    fn start(netns: &Netns, port: u16, sections: &str) -> Result<Self> {
        let scratch = Scratch::new("proxyhop")?;
        let path = scratch.path().join("haproxy.cfg");
        let text = format!(
            "global
    maxconn 256
defaults
    timeout connect 5s
    timeout client 20s
    timeout server 20s
{sections}"
        );
        fs::write(&path, text).context("writing haproxy.cfg")?;
        let mut command = netns.command("haproxy");
        command.arg("-db").arg("-f").arg(&path);
        let mut process = Process::spawn("haproxy", command, &scratch.path().join("log"))?;
        netns.run_in(|| {
            wait_until_ok(Duration::from_secs(10), "HAProxy listens", || {
                process.must_run()?;
                Ok(TcpStream::connect(("127.0.0.1", port))?)
            })
        })?;
        Ok(Self { _process: process, _scratch: scratch })
    }
}
