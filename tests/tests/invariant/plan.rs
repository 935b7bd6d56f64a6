//! The VIPs and servers of the histories, and the configuration as the operator has it at the moment.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use xdp_lb::config::{Config, HealthKind, Percent, Ratio, Scheduler, UtilizationKind, Weight};

use crate::history::Edit;

/// One VIP of the histories.
#[derive(Debug)]
pub(crate) struct Service {
    /// As histories call it.
    pub(crate) name: &'static str,
    /// Where its clients send to.
    pub(crate) target: &'static str,
    /// Whether it is UDP, each flow recorded.
    pub(crate) is_udp: bool,
}

const fn service(name: &'static str, target: &'static str, is_udp: bool) -> Service {
    Service { name, target, is_udp }
}

/// TCP over both families, one with any port, and UDP with affinity.
pub(crate) const VIPS: [Service; 4] = [
    service("web4", "203.0.113.10:80", false),
    service("web6", "[2001:db8::10]:443", false),
    service("any4", "203.0.113.20:8080", false),
    service("sip4", "203.0.113.10:5060", true),
];

/// Servers are numbered 1 to this, the same machines behind every VIP.
pub(crate) const SERVERS: u8 = 5;

/// The shorter of the drain times.
pub(crate) const SHORT_DRAIN: u64 = 6;

/// The longer of the drain times.
pub(crate) const LONG_DRAIN: u64 = 12;

/// Failures in a row that bring a server down.
pub(crate) const FALL: u32 = 2;

/// Successes in a row that bring it up again.
pub(crate) const RISE: u32 = 2;

/// What may be in the file of a VIP.
#[derive(Clone, Debug)]
pub(crate) struct VipPlan {
    pub(crate) present: bool,
    pub(crate) drain: u64,
    pub(crate) checked: bool,
    pub(crate) p2c: bool,
    /// By server number.
    pub(crate) servers: BTreeMap<u8, ServerPlan>,
}

/// What may be in the file of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerPlan {
    pub(crate) weight: u16,
    pub(crate) drain: bool,
}

impl ServerPlan {
    pub(crate) const NEW: Self = Self { weight: 100, drain: false };
}

/// The whole file.
#[derive(Clone, Debug)]
pub(crate) struct Plan(pub(crate) Vec<VipPlan>);

impl Plan {
    /// Every VIP with servers 1 to 3.
    pub(crate) fn new() -> Self {
        let servers = (1..=3).map(|number| (number, ServerPlan::NEW)).collect();
        Self(vec![
            VipPlan { present: true, drain: SHORT_DRAIN, checked: true, p2c: false, servers };
            VIPS.len()
        ])
    }

    /// The operator edits the file.
    pub(crate) fn change(&mut self, edit: &Edit) {
        match *edit {
            Edit::Weight(vip, number, weight) => {
                self.0[vip].servers.entry(number).and_modify(|server| server.weight = weight);
            }
            Edit::Drain(vip, number, drain) => {
                self.0[vip].servers.entry(number).and_modify(|server| server.drain = drain);
            }
            Edit::Server(vip, number, true) => {
                self.0[vip].servers.entry(number).or_insert(ServerPlan::NEW);
            }
            Edit::Server(vip, number, false) => {
                self.0[vip].servers.remove(&number);
            }
            Edit::Vip(vip, present) => self.0[vip].present = present,
            Edit::DrainTime(vip, seconds) => self.0[vip].drain = seconds,
            Edit::Checks(vip, checked) => self.0[vip].checked = checked,
            Edit::P2c(vip, p2c) => self.0[vip].p2c = p2c,
        }
    }

    /// Number of backends in it.
    pub(crate) fn backends(&self) -> usize {
        self.0.iter().filter(|vip| vip.present).map(|vip| vip.servers.len()).sum()
    }

    /// As the agent reads it.
    pub(crate) fn config(&self, room: u32) -> Config {
        let mut config = whole().clone();
        config.agent.max_backends = room;
        for (vip, plan) in config.vips.iter_mut().zip(&self.0) {
            vip.drain = Duration::from_secs(plan.drain);
            live(vip);
            if plan.p2c {
                vip.scheduler = Scheduler::P2c { margin: Ratio::thousandths(250) };
            }
            if !plan.checked {
                vip.health.kind = HealthKind::None;
            }
            vip.backends.retain_mut(|backend| {
                let Some(server) = plan.servers.get(&number(backend.address)) else { return false };
                backend.weight = Weight::from(server.weight);
                backend.drain = server.drain;
                true
            });
        }
        let mut present = self.0.iter().map(|vip| vip.present);
        config.vips.retain(|_| present.next().unwrap_or(false));
        config
    }
}

/// Weights move fast and far, so that histories see much of it: servers report, and warm up within seconds.
fn live(vip: &mut xdp_lb::config::Vip) {
    vip.utilization.kind =
        UtilizationKind::AgentCheck { port: 9707, send: String::new(), percent: Percent::Idle };
    vip.utilization.smoothing = Duration::from_secs(3);
    vip.utilization.stale_after = Duration::from_secs(4);
    vip.warmup.window = Duration::from_secs(9);
    vip.warmup.step = Duration::from_secs(1);
    vip.weights.failure_fade = Duration::from_secs(6);
    vip.weights.publish_interval = Duration::from_secs(1);
    vip.weights.publish_limit = Ratio::thousandths(200);
    vip.weights.minute_limit = Ratio::thousandths(6_000);
    vip.weights.quiet = Duration::from_secs(2);
}

/// Every VIP with every server.
fn whole() -> &'static Config {
    static WHOLE: OnceLock<Config> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let mut text = String::from("[agent]\ninterfaces = [\"lo\"]\nmax_vips = 4\nmax_backends = 20\n");
        text += "table_size = 251\n";
        for vip in &VIPS {
            let target = target(vip);
            let port = if vip.name == "any4" { 0 } else { target.port() };
            let kind =
                if vip.is_udp { "protocol = \"udp\"\naffinity = \"flow\"" } else { "protocol = \"tcp\"" };
            text +=
                &format!("[[vip]]\nname = \"{}\"\naddress = \"{}\"\nport = {port}\n", vip.name, target.ip());
            text += &format!("{kind}\nforward = \"ipip\"\n");
            text += "[vip.health]\nkind = \"tcp\"\nport = 7\ninterval = \"2s\"\nfast_interval = \"1s\"\n";
            text += &format!("rise = {RISE}\nfall = {FALL}\n");
            for number in 1..=SERVERS {
                let address = address(vip, number);
                text += &format!("[[vip.backend]]\nname = \"s{number}\"\naddress = \"{address}\"\n");
            }
        }
        Config::from_toml(&text, Path::new("plan.toml")).unwrap_or_else(|errors| panic!("{errors}"))
    })
}

/// Where clients of a VIP send to.
pub(crate) fn target(vip: &Service) -> std::net::SocketAddr {
    vip.target.parse().unwrap()
}

/// A server's address behind a VIP: of one family, whatever the VIP's is.
pub(crate) fn address(vip: &Service, number: u8) -> IpAddr {
    match vip.name {
        "web6" | "any4" => IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(number)]),
        _ => IpAddr::from([10, 0, 0, number]),
    }
}

/// Which server has this address.
pub(crate) fn number(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(v4) => v4.octets()[3],
        IpAddr::V6(v6) => v6.octets()[15],
    }
}
