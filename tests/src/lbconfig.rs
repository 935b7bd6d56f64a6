//! What is written into `lb.toml`.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// A configuration, without what the [`Agent`](crate::agent::Agent) guard adds: its folders.
#[derive(Clone, Debug)]
pub struct LbConfig {
    /// `agent.interfaces`.
    pub interface: String,
    /// `agent.xdp_mode`.
    pub xdp_mode: &'static str,
    /// The services.
    pub vips: Vec<VipConfig>,
}

/// `[[vip]]`.
#[derive(Clone, Debug)]
pub struct VipConfig {
    /// Unique.
    pub name: String,
    /// Address and port; port 0 is any.
    pub address: SocketAddr,
    /// "tcp" or "udp".
    pub protocol: &'static str,
    /// "l2" or "ipip".
    pub forward: &'static str,
    /// The lines of `[vip.health]`.
    pub health: String,
    /// Further lines of `[[vip]]`.
    pub extra: String,
    /// The servers.
    pub backends: Vec<BackendConfig>,
}

/// `[[vip.backend]]`.
#[derive(Clone, Debug)]
pub struct BackendConfig {
    /// Unique in the VIP.
    pub name: String,
    /// The server's own address.
    pub address: IpAddr,
    /// Relative share.
    pub weight: u16,
    /// Takes no new connections.
    pub drain: bool,
}

/// No health checks: every backend is up.
pub const NO_HEALTH: &str = "kind = \"none\"";

/// Checks that find a dead web server within 0.4 s and a risen one within 0.3 s.
pub const FAST_HEALTH: &str = "kind = \"http\"
path = \"/healthz\"
interval = \"200ms\"
fast_interval = \"100ms\"
timeout = \"1s\"
rise = 2
fall = 2";

impl LbConfig {
    /// One VIP, attached in the driver.
    pub fn new(vips: Vec<VipConfig>) -> Self {
        Self { interface: crate::topology::INTERFACE.to_owned(), xdp_mode: "native", vips }
    }

    /// The file's text. `state` is a folder for state and the control socket, `pins` one in a BPF file system.
    pub fn to_toml(&self, state: &Path, pins: &Path) -> String {
        let Self { interface, xdp_mode, vips } = self;
        let (state, pins) = (state.display(), pins.display());
        let mut text = format!(
            "[agent]
interfaces = [\"{interface}\"]
xdp_mode = \"{xdp_mode}\"
state_dir = \"{state}\"
control_socket = \"{state}/control.sock\"
pin_dir = \"{pins}\"
max_vips = 8
max_backends = 64
flow_entries = 65536
"
        );
        for vip in vips {
            vip.write(&mut text);
        }
        text
    }
}

impl VipConfig {
    /// A TCP service without health checks and without backends.
    pub fn tcp(name: &str, address: SocketAddr, forward: &'static str) -> Self {
        let (health, extra) = (NO_HEALTH.to_owned(), String::new());
        Self { name: name.to_owned(), address, protocol: "tcp", forward, health, extra, backends: Vec::new() }
    }

    /// With these health checks.
    pub fn health(mut self, lines: &str) -> Self {
        self.health = lines.to_owned();
        self
    }

    /// With this line in `[[vip]]`.
    pub fn extra(mut self, line: &str) -> Self {
        self.extra += line;
        self.extra.push('\n');
        self
    }

    /// With one more backend.
    pub fn backend(mut self, name: &str, address: impl Into<IpAddr>, weight: u16) -> Self {
        self.backends.push(BackendConfig {
            name: name.to_owned(),
            address: address.into(),
            weight,
            drain: false,
        });
        self
    }

    fn write(&self, text: &mut String) {
        let Self { name, address, protocol, forward, health, extra, backends } = self;
        let (ip, port) = (address.ip(), address.port());
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "
[[vip]]
name = \"{name}\"
address = \"{ip}\"
port = {port}
protocol = \"{protocol}\"
forward = \"{forward}\"
{extra}[vip.health]
{health}
"
        );
        for BackendConfig { name, address, weight, drain } in backends {
            let _ = write!(
                text,
                "[[vip.backend]]\nname = \"{name}\"\naddress = \"{address}\"\nweight = {weight}\ndrain = {drain}\n"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_every_part() {
        let vip = VipConfig::tcp("web", ([203, 0, 113, 10], 80).into(), "l2").extra("drain = \"2s\"");
        let config = LbConfig::new(vec![vip.backend("one", [10, 0, 0, 1], 3)]);
        let text = config.to_toml(Path::new("/s"), Path::new("/p"));
        for part in [
            "interfaces = [\"eth0\"]",
            "pin_dir = \"/p\"",
            "control_socket = \"/s/control.sock\"",
            "address = \"203.0.113.10\"\nport = 80",
            "forward = \"l2\"\ndrain = \"2s\"\n[vip.health]\nkind = \"none\"",
            "[[vip.backend]]\nname = \"one\"\naddress = \"10.0.0.1\"\nweight = 3\ndrain = false\n",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
