//! The answer to `status`.

use std::time::Instant;

use xdp_lb_common::ids::BackendId;

use super::backends::{BEHIND_GATEWAY, Backend};
use super::health::Condition;
use super::vip::{Vip, key_of};
use super::{BackendStatus, Control, Status, TrafficStatus, VipStatus};
use crate::config;

impl Control {
    /// All that control knows. `interfaces` and `reasons` are left for the agent to fill.
    pub fn status(&self, now: Instant) -> Status {
        let in_force = |config| Some((config, self.vips.get(self.keys.get(&key_of(config))?)?));
        Status {
            vips: self
                .config
                .vips
                .iter()
                .filter_map(in_force)
                .map(|(_, vip)| self.vip_status(vip, now))
                .collect(),
            interfaces: Vec::new(),
            reasons: Vec::new(),
            flows: self.flows,
            flow_capacity: u64::from(self.config.agent.flow_entries),
        }
    }

    fn vip_status(&self, vip: &Vip, now: Instant) -> VipStatus {
        let config = &vip.config;
        let configured = config.backends.iter().map(|backend| {
            let member =
                vip.members.get(&backend.address).and_then(|id| Some((*id, self.backends.get(*id)?)));
            member.map_or_else(|| waiting(backend), |(id, member)| self.backend_status(vip, id, member, now))
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
            backends: configured.chain(removed.map(|(id, m)| self.backend_status(vip, id, m, now))).collect(),
        }
    }

    fn backend_status(&self, vip: &Vip, id: BackendId, backend: &Backend, now: Instant) -> BackendStatus {
        let held = vip.table.held(id);
        let state = match backend.check.condition() {
            _ if backend.removed => "removed",
            _ if backend.behind_gateway => "down",
            Condition::Down => "down",
            Condition::Checking => "checking",
            Condition::Up if backend.is_leaving() => "draining",
            Condition::Up => "up",
        };
        let reason = match state {
            "removed" | "draining" if backend.drained => "no connections left".into(),
            "removed" | "draining" => {
                format!("{} recorded flows, {} slots with older connections", backend.flows, held.base)
            }
            _ if backend.behind_gateway => BEHIND_GATEWAY.into(),
            _ => backend.check.reason(),
        };
        BackendStatus {
            name: backend.name.clone(),
            address: backend.address,
            state: state.into(),
            reason,
            weight: backend.weight.get(),
            effective_weight: backend.table_weight(),
            factors: Vec::new(),
            reports: None,
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
