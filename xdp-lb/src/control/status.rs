//! The answer to `status`.

use std::collections::BTreeMap;
use std::time::Instant;

use xdp_lb_common::ids::{BackendId, VipId};

use super::backends::{BEHIND_GATEWAY, Backend};
use super::damping::Held;
use super::health::Condition;
use super::vip::{Vip, key_of};
use super::weights::Factors;
use super::{BackendStatus, Control, FactorStatus, Status, TrafficStatus, VipStatus};
use crate::config;

impl Control {
    /// All that control knows. `interfaces` and `reasons` are left for the agent to fill.
    pub fn status(&self, now: Instant) -> Status {
        let in_force = |config| {
            let id = self.keys.get(&key_of(config))?;
            Some((*id, self.vips.get(id)?))
        };
        Status {
            vips: self
                .config
                .vips
                .iter()
                .filter_map(in_force)
                .map(|(id, vip)| self.vip_status(id, vip, now))
                .collect(),
            interfaces: Vec::new(),
            reasons: Vec::new(),
            flows: self.flows,
            flow_capacity: u64::from(self.config.agent.flow_entries),
        }
    }

    fn vip_status(&self, id: VipId, vip: &Vip, now: Instant) -> VipStatus {
        let config = &vip.config;
        let members: Vec<BackendId> = vip.members.values().copied().collect();
        let factors: BTreeMap<BackendId, Factors> =
            members.iter().copied().zip(self.assess(id, &members, now)).collect();
        let status_of = |id: BackendId, member: &Backend| {
            let mut status = self.backend_status(vip, id, member, now);
            status.factors = factors.get(&id).map(|factors| shown(factors, member)).unwrap_or_default();
            status
        };
        let configured = config.backends.iter().map(|backend| {
            let member =
                vip.members.get(&backend.address).and_then(|id| Some((*id, self.backends.get(*id)?)));
            member.map_or_else(|| waiting(backend), |(id, member)| status_of(id, member))
        });
        let members = vip.members.values().filter_map(|id| Some((*id, self.backends.get(*id)?)));
        let removed = members.filter(|(_, member)| member.removed);
        VipStatus {
            name: config.name.clone(),
            address: config.address,
            port: config.port,
            protocol: config.protocol.name().into(),
            forward: config.forward.name().into(),
            slots: vip.table.len(),
            moved_slots: vip.table.moved_slots(),
            tracked_slots: vip.table.tracked_slots(),
            traffic: vip.meter.status(now),
            backends: configured.chain(removed.map(|(id, m)| status_of(id, m))).collect(),
        }
    }

    fn backend_status(&self, vip: &Vip, id: BackendId, backend: &Backend, now: Instant) -> BackendStatus {
        let held = vip.table.held(id);
        let words = &backend.reports.words;
        let state = match backend.check.condition() {
            _ if backend.removed => "removed",
            _ if backend.behind_gateway || words.is_maint() => "down",
            Condition::Down => "down",
            Condition::Checking => "checking",
            Condition::Up if !backend.damping.is_up() => "down",
            Condition::Up if backend.is_leaving() => "draining",
            Condition::Up => "up",
        };
        let reason = match state {
            "removed" | "draining" if backend.drained => "no connections left".into(),
            "removed" | "draining" => {
                let whose = if words.drains() { "its agent asks for it: " } else { "" };
                format!("{whose}{} recorded flows, {} slots with older connections", backend.flows, held.base)
            }
            _ if backend.behind_gateway => BEHIND_GATEWAY.into(),
            _ if words.is_maint() => "its agent says maintenance".into(),
            _ => with_flapping(backend, reason_of(backend, now), now),
        };
        BackendStatus {
            name: backend.name.clone(),
            address: backend.address,
            state: state.into(),
            reason,
            weight: backend.weight.get(),
            effective_weight: backend.table_weight(),
            factors: Vec::new(),
            reports: backend.reports.status(now),
            share: f64::from(held.current) / f64::from(vip.table.len().max(1)),
            next_hop: match &backend.way {
                Some(Ok(_)) => "resolved".into(),
                Some(Err(reason)) => reason.clone(),
                None => "not resolved yet".into(),
            },
            flows: backend.flows,
            traffic: backend.meter.status(now),
        }
    }
}

/// Why a backend is up or down.
fn reason_of(backend: &Backend, now: Instant) -> String {
    let reason = match (&backend.reports.words.failure, backend.check.is_up()) {
        (Some(failure), true) => format!("its agent says: {failure}"),
        _ => backend.check.reason(),
    };
    match backend.damping.held(now) {
        Some(Held { hold, passed }) => {
            format!(
                "flapping: up again after passing for {} s, {} s so far",
                hold.as_secs(),
                passed.as_secs()
            )
        }
        None if backend.suspended && !backend.damping.is_up() => {
            format!("{reason}; tried all the same, as more than half are down")
        }
        None => reason,
    }
}

/// Says of a backend that is up, or down for a reason of its own, that it flaps.
fn with_flapping(backend: &Backend, reason: String, now: Instant) -> String {
    match backend.damping.flaps(now).filter(|_| backend.damping.held(now).is_none()) {
        Some(hold) if backend.damping.is_up() => {
            format!("{reason}; flapped: has to pass for {} s when it goes down again", (2 * hold).as_secs())
        }
        Some(hold) => format!("{reason}; flapping: has to pass for {} s", hold.as_secs()),
        None => reason,
    }
}

/// The factors with their reasons.
fn shown(factors: &Factors, backend: &Backend) -> Vec<FactorStatus> {
    let probation = backend.evidence.probation.words();
    let rows = [
        ("health", factors.health, factors.health_why.words()),
        ("utilization", factors.utilization, factors.utilization_why.words()),
        ("probation", factors.probation, probation),
        ("age", factors.age, factors.age_why.words()),
    ];
    rows.into_iter().map(|(name, value, reason)| FactorStatus { name: name.into(), value, reason }).collect()
}

/// A configured backend that has no place in the kernel's map yet.
fn waiting(backend: &config::Backend) -> BackendStatus {
    BackendStatus {
        name: backend.name.clone(),
        address: backend.address,
        state: "checking".into(),
        reason: "waits for room: all places of agent.max_backends are taken".into(),
        weight: backend.weight.get(),
        effective_weight: 0.0,
        factors: Vec::new(),
        reports: None,
        share: 0.0,
        next_hop: "not resolved yet".into(),
        flows: 0,
        traffic: TrafficStatus::default(),
    }
}
