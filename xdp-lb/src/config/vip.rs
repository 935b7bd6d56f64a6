//! `[[vip]]` and `[[vip.backend]]`: read and checked, each by itself.

use std::net::IpAddr;
use std::time::Duration;

use super::health::{Service, health};
use super::model::{
    Affinity, Backend, Forward, Health, Protocol, Ratio, Scheduler, Utilization, Vip, Warmup, Weight, Weights,
};
use super::net::unicast;
use super::rules::{boolean, duration, integer_as, name, one_of, port, ratio};
use super::section::{Field, Schema, Section};
use super::source::Place;
use super::utilization::utilization;
use super::warmup::warmup;
use super::weights::weights;

pub(super) const VIP: Schema = Schema {
    header: "[[vip]]",
    keys: &[
        "name",
        "address",
        "port",
        "protocol",
        "forward",
        "scheduler",
        "p2c_margin",
        "affinity",
        "drain",
        "health",
        "utilization",
        "warmup",
        "weights",
        "backend",
    ],
    refused: &[
        ("backends", "write each backend as a table of its own, headed [[vip.backend]]"),
        ("weight", "each backend has its own: set it in [[vip.backend]]"),
        ("table_size", "is one for all VIPs: set it in [agent]"),
    ],
    outer: None,
};

pub(super) const BACKEND: Schema = Schema {
    header: "[[vip.backend]]",
    keys: &["name", "address", "weight", "drain"],
    refused: &[("port", "a backend is reached at the port that the client asked for: remove it")],
    outer: Some(&VIP),
};

/// A VIP as read. What `cross` looks at comes with its place.
pub(super) struct RawVip {
    pub place: Place,
    pub name: Field<String>,
    pub address: Field<IpAddr>,
    pub port: Field<u16>,
    pub protocol: Field<Protocol>,
    pub forward: Field<Forward>,
    affinity: Field<Affinity>,
    scheduler: Option<Scheduler>,
    pub drain: Field<Duration>,
    health: Option<Health>,
    utilization: Option<Utilization>,
    warmup: Option<Warmup>,
    weights: Option<Weights>,
    pub backends: Vec<RawBackend>,
}

/// A backend as read.
pub(super) struct RawBackend {
    pub place: Place,
    pub name: Field<String>,
    pub address: Field<IpAddr>,
    weight: Field<Weight>,
    drain: Field<bool>,
}

impl RawVip {
    pub(super) fn read(vip: &Section<'_>) -> Self {
        let address = vip.required("address", unicast());
        let port = vip.required("port", port(Some(" (0 = any port)")));
        let protocol = vip.or("protocol", one_of(PROTOCOLS, &[]), Protocol::Tcp);
        let affinity = vip.or("affinity", one_of(AFFINITIES, &[]), Affinity::None);
        if (affinity.value, protocol.value) == (Some(Affinity::Flow), Some(Protocol::Tcp)) {
            let message =
                "is for protocol = \"udp\": TCP connections stay where they are without it, remove it";
            vip.source().report(&affinity.place, message);
        }
        let service = Service { address: address.value, port: port.value, protocol: protocol.value };
        Self {
            place: vip.place().clone(),
            name: vip.required("name", name()),
            forward: vip.required("forward", one_of(FORWARDS, REFUSED_FORWARDS)),
            drain: vip.or("drain", duration(SHORTEST_DRAIN..=LONGEST_DRAIN), DRAIN),
            scheduler: scheduler(vip, protocol.value, affinity.value),
            health: health(vip, &service),
            utilization: utilization(vip, &service),
            warmup: warmup(vip),
            weights: weights(vip),
            backends: vip.tables("backend", &BACKEND).iter().map(RawBackend::read).collect(),
            address,
            port,
            protocol,
            affinity,
        }
    }

    pub(super) fn build(self) -> Option<Vip> {
        Some(Vip {
            name: self.name.value?,
            address: self.address.value?,
            port: self.port.value?,
            protocol: self.protocol.value?,
            forward: self.forward.value?,
            affinity: self.affinity.value?,
            scheduler: self.scheduler?,
            drain: self.drain.value?,
            health: self.health?,
            utilization: self.utilization?,
            warmup: self.warmup?,
            weights: self.weights?,
            backends: self.backends.into_iter().map(RawBackend::build).collect::<Option<_>>()?,
        })
    }
}

fn scheduler(vip: &Section<'_>, protocol: Option<Protocol>, affinity: Option<Affinity>) -> Option<Scheduler> {
    let scheduler = vip.or("scheduler", one_of(SCHEDULERS, &[]), Scheduler::Maglev);
    let margin = vip.or("p2c_margin", ratio(0..=4000), P2C_MARGIN);
    if scheduler.value? == Scheduler::Maglev {
        let by_default = if scheduler.given { "" } else { ", the default" };
        let reason = format!(
            "has no effect with scheduler = \"maglev\"{by_default}: set scheduler = \"p2c\", or remove this"
        );
        vip.useless("p2c_margin", &reason);
        return Some(Scheduler::Maglev);
    }
    if (protocol, affinity) == (Some(Protocol::Udp), Some(Affinity::None)) {
        let message = "needs affinity = \"flow\" with protocol = \"udp\", as a flow that is not recorded does not stay \
                       with its second choice: set that, or scheduler = \"maglev\"";
        vip.source().report(&scheduler.place, message);
    }
    Some(Scheduler::P2c { margin: margin.value? })
}

impl RawBackend {
    fn read(backend: &Section<'_>) -> Self {
        Self {
            place: backend.place().clone(),
            name: backend.required("name", name()),
            address: backend.required("address", unicast()),
            weight: backend.or(
                "weight",
                integer_as("an integer from 0 to 65535", Weight::new),
                Weight::DEFAULT,
            ),
            drain: backend.or("drain", boolean(), false),
        }
    }

    fn build(self) -> Option<Backend> {
        Some(Backend {
            name: self.name.value?,
            address: self.address.value?,
            weight: self.weight.value?,
            drain: self.drain.value?,
        })
    }
}

const PROTOCOLS: &[(&str, Protocol)] = &[("tcp", Protocol::Tcp), ("udp", Protocol::Udp)];

const FORWARDS: &[(&str, Forward)] = &[("l2", Forward::L2), ("ipip", Forward::Ipip)];

const REFUSED_FORWARDS: &[(&str, &str)] = &[
    ("gue", "this version does not tunnel in UDP; \"ipip\" reaches any backend that is routed to"),
    (
        "nat",
        "this version does not translate addresses; \"l2\" and \"ipip\" need the VIP's address on the backends",
    ),
    (
        "fullnat",
        "this version does not translate addresses; \"l2\" and \"ipip\" need the VIP's address on the backends",
    ),
    ("dsr", "both answer clients directly; \"l2\" is for backends on the same segment"),
];

const AFFINITIES: &[(&str, Affinity)] = &[("none", Affinity::None), ("flow", Affinity::Flow)];

const SCHEDULERS: &[(&str, Scheduler)] =
    &[("maglev", Scheduler::Maglev), ("p2c", Scheduler::P2c { margin: P2C_MARGIN })];

const P2C_MARGIN: Ratio = Ratio::thousandths(250);

const DRAIN: Duration = Duration::from_secs(300);
const SHORTEST_DRAIN: Duration = Duration::from_secs(1);
/// That of `flow_idle`, which may not be less.
const LONGEST_DRAIN: Duration = Duration::from_secs(8 * 3_600);
