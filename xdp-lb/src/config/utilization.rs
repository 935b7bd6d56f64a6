//! `[vip.utilization]`: read and checked.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::cross::conflict;
use super::health::{Service, default_host};
use super::live::{Percent, Ratio, Utilization, UtilizationKind};
use super::net::{host, path};
use super::rules::{duration, one_of, port, ratio, shown, text};
use super::section::{Field, Schema, Section};
use super::vip::VIP;

pub(super) const UTILIZATION: Schema = Schema {
    header: "[vip.utilization]",
    keys: &[
        "kind",
        "port",
        "path",
        "host",
        "send",
        "percent",
        "interval",
        "timeout",
        "stale_after",
        "fade",
        "smoothing",
        "least",
        "most",
        "brake_from",
        "brake_floor",
        "brake_off",
    ],
    refused: &[],
    outer: Some(&VIP),
};

/// Where a VIP's servers are asked how they are; `None` when that is wrong or depends on what is wrong.
pub(super) fn utilization(vip: &Section<'_>, service: &Service) -> Option<Utilization> {
    let section = vip.table("utilization", &UTILIZATION);
    let kind = section.or("kind", one_of(KINDS, REFUSED_KINDS), Kind::None);
    let question = Question::read(&section);
    let timing = Timing::read(&section);
    let effect = Effect::read(&section);
    let asked = kind.value?;
    report_useless_keys(&section, asked, kind.given);
    if asked != Kind::None {
        timing.report_conflicts(&section);
    }
    let kind = question.build(asked, service);
    effect.build(timing, kind?)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    AgentCheck,
    OrcaHttp,
    OrcaGrpc,
}

const KINDS: &[(&str, Kind)] = &[
    ("none", Kind::None),
    ("agent-check", Kind::AgentCheck),
    ("orca-http", Kind::OrcaHttp),
    ("orca-grpc", Kind::OrcaGrpc),
];

const REFUSED_KINDS: &[(&str, &str)] = &[
    ("orca", "\"orca-http\" reads a header of an HTTP answer, \"orca-grpc\" a stream over gRPC"),
    ("agent", "\"agent-check\" is HAProxy's protocol"),
];

/// A key without effect would let its author believe in a report that nobody asks for.
fn report_useless_keys(section: &Section<'_>, kind: Kind, given: bool) {
    let name = KINDS.iter().find(|(_, known)| *known == kind).map_or("", |(name, _)| name);
    let by_default = if given { "" } else { ", the default" };
    for key in &UTILIZATION.keys[1..] {
        let (useful, mend) = match *key {
            "path" | "host" => (kind == Kind::OrcaHttp, "\"orca-http\""),
            "send" | "percent" => (kind == Kind::AgentCheck, "\"agent-check\""),
            _ => (kind != Kind::None, "\"agent-check\", \"orca-http\" or \"orca-grpc\""),
        };
        if !useful {
            let reason = format!(
                "has no effect with kind = \"{name}\"{by_default}: set kind = {mend}, or remove this"
            );
            section.useless(key, &reason);
        }
    }
}

/// What is asked, and of which port.
struct Question {
    port: Field<u16>,
    path: Field<String>,
    host: Field<String>,
    send: Field<String>,
    percent: Field<Percent>,
}

impl Question {
    fn read(section: &Section<'_>) -> Self {
        Self {
            port: section.optional("port", port(None)),
            path: section.or("path", path(), "/".into()),
            host: section.optional("host", host()),
            send: section.or("send", text(LONGEST_SENT), String::new()),
            percent: section.or("percent", one_of(PERCENTS, &[]), Percent::Weight),
        }
    }

    fn build(self, kind: Kind, service: &Service) -> Option<UtilizationKind> {
        let port = |default| if self.port.given { self.port.value } else { Some(default) };
        Some(match kind {
            Kind::None => UtilizationKind::None,
            Kind::AgentCheck => UtilizationKind::AgentCheck {
                port: port(AGENT_CHECK_PORT)?,
                send: self.send.value?,
                percent: self.percent.value?,
            },
            Kind::OrcaHttp => UtilizationKind::OrcaHttp {
                port: port(ORCA_HTTP_PORT)?,
                path: self.path.value?,
                host: if self.host.given { self.host.value? } else { default_host(service, 80)? },
            },
            Kind::OrcaGrpc => UtilizationKind::OrcaGrpc { port: port(ORCA_GRPC_PORT)? },
        })
    }
}

const PERCENTS: &[(&str, Percent)] = &[("weight", Percent::Weight), ("idle", Percent::Idle)];

/// When it is asked, and for how long an answer holds.
struct Timing {
    interval: Field<Duration>,
    timeout: Field<Duration>,
    stale_after: Field<Duration>,
}

impl Timing {
    fn read(section: &Section<'_>) -> Self {
        let default = Utilization::DEFAULT;
        let interval = section.or("interval", duration(INTERVAL), default.interval);
        let known = interval.value.unwrap_or(default.interval);
        Self {
            timeout: section.or("timeout", duration(TIMEOUT), default.timeout.min(known)),
            stale_after: section.or("stale_after", duration(STALE_AFTER), default.stale_after.max(known * 2)),
            interval,
        }
    }

    fn report_conflicts(&self, section: &Section<'_>) {
        let interval = ("interval", &self.interval);
        if self.timeout.value > self.interval.value {
            let mend = "the next report would be asked for before this one is given up; lower timeout or raise interval";
            conflict(section.source(), &self.timeout, "longer than", interval, shown, mend);
        }
        if self.stale_after.value < self.interval.value.map(|interval| interval * 2) {
            let mend =
                "one report that is lost would make the last one stale; raise stale_after or lower interval";
            conflict(section.source(), &self.stale_after, "shorter than twice", interval, shown, mend);
        }
    }
}

/// What an answer does to the weight.
struct Effect {
    fade: Option<Duration>,
    smoothing: Option<Duration>,
    least: Option<Ratio>,
    most: Option<Ratio>,
    brake_from: Option<Ratio>,
    brake_floor: Option<Ratio>,
    brake_off: Option<Ratio>,
}

impl Effect {
    fn read(section: &Section<'_>) -> Self {
        let default = Utilization::DEFAULT;
        Self {
            fade: section.or("fade", duration(FADE), default.fade).value,
            smoothing: section.or("smoothing", duration(SMOOTHING), default.smoothing).value,
            least: section.or("least", ratio(10..=1000), default.least).value,
            most: section.or("most", ratio(1000..=4000), default.most).value,
            brake_from: section.or("brake_from", ratio(0..=999), default.brake_from).value,
            brake_floor: section.or("brake_floor", ratio(10..=1000), default.brake_floor).value,
            brake_off: section.or("brake_off", ratio(0..=1000), default.brake_off).value,
        }
    }

    fn build(self, timing: Timing, kind: UtilizationKind) -> Option<Utilization> {
        Some(Utilization {
            kind,
            interval: timing.interval.value?,
            timeout: timing.timeout.value?,
            stale_after: timing.stale_after.value?,
            fade: self.fade?,
            smoothing: self.smoothing?,
            least: self.least?,
            most: self.most?,
            brake_from: self.brake_from?,
            brake_floor: self.brake_floor?,
            brake_off: self.brake_off?,
        })
    }
}

/// Where `xdp-lb report` serves unless told otherwise.
pub(super) const AGENT_CHECK_PORT: u16 = 9707;
const ORCA_HTTP_PORT: u16 = 9708;
const ORCA_GRPC_PORT: u16 = 9709;

/// A question of a line or a few: it is sent again for each report.
const LONGEST_SENT: usize = 512;

const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);
const STALE_AFTER: RangeInclusive<Duration> = Duration::from_millis(200)..=Duration::from_secs(3_600);
const FADE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);
const SMOOTHING: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);
