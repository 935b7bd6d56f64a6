//! What an earlier agent left in the maps becomes the state to start from. The configuration then applies on top, as
//! if it were reloaded.

use std::collections::BTreeMap;
use std::time::Instant;

use xdp_lb_common::ids::VipId;
use xdp_lb_common::slot::Slot;

use super::health::{Check, Condition};
use super::meter::Meter;
use super::table::Table;
use super::vip::{Vip, key_of};
use super::{Adopted, BackendRecord, Command, Control, VipRecord};
use crate::config::{
    self, CheckVia, Config, Forward, Health, HealthKind, Utilization, Warmup, Weight, Weights,
};

impl Control {
    /// Nothing unchanged is written again: an entry written before its next hop is known would lose the one it has.
    pub(super) fn adopt(&mut self, adopted: Adopted, config: &Config, now: Instant, out: &mut Vec<Command>) {
        let mut tables: BTreeMap<VipId, Vec<Slot>> = adopted.tables.into_iter().collect();
        let ids = (0..self.config.agent.max_vips).filter_map(|id| u16::try_from(id).ok()).map(VipId::new);
        self.unread_tables = ids.filter(|id| !tables.contains_key(id)).collect();
        let size = self.config.agent.table_size.slots();
        for record in &adopted.vips {
            let slots = tables.remove(&record.vip).unwrap_or_default();
            let vip = Vip::new(configured(record, config), Table::adopt(size, &slots, now), Meter::default());
            self.keys.insert(key_of(&vip.config), record.vip);
            self.vips.insert(record.vip, vip);
        }
        // Left by an agent that was killed between two commands.
        for (vip, slots) in tables {
            let used = (0..).zip(slots).filter(|(_, slot)| *slot != Slot::EMPTY);
            let changes: Vec<_> = used.map(|(position, _)| (position, Slot::EMPTY)).collect();
            if !changes.is_empty() {
                out.push(Command::WriteSlots { vip, changes });
            }
        }
        for record in adopted.backends {
            self.adopt_backend(record, now, out);
        }
        let ids: Vec<VipId> = self.vips.keys().copied().collect();
        for id in ids {
            self.note_unnamed(id, now);
            self.adopt_weights(id, now);
        }
    }

    fn adopt_backend(&mut self, record: BackendRecord, now: Instant, out: &mut Vec<Command>) {
        let id = record.backend;
        let Some(vip) = self.vips.get(&record.vip).filter(|vip| !vip.members.contains_key(&record.address))
        else {
            let down = BackendRecord { down: true, next_hop: None, ..record };
            out.extend([Command::WriteBackend(down), Command::PurgeFlows(id), Command::ClearBackend(id)]);
            self.backends.free(id);
            return;
        };
        let found = vip.config.backends.iter().find(|backend| backend.address == record.address);
        let unknown = || config::Backend {
            name: record.address.to_string(),
            address: record.address,
            weight: Weight::from(0),
            drain: false,
        };
        let config = found.cloned().unwrap_or_else(unknown);
        let condition = if record.down { Condition::Down } else { Condition::Up };
        let check = Check::new(vip.config.health.clone(), condition, now, &mut self.rng);
        let evidence = self.evidence_of(record.vip, record.address, now);
        let mut backend = Self::backend(record.vip, &config, check, Meter::default(), evidence, now);
        if !backend.damping.is_up() {
            // It returns like one that went down since.
            backend.damping.begin_down();
        }
        self.recall(&mut backend, now);
        backend.drained = false;
        backend.down_since = record.down.then_some(now);
        backend.may_have_flows = true;
        backend.written = Some(BackendRecord { next_hop: None, ..record });
        self.insert_backend(id, backend, out);
    }
}

/// The VIP as it is configured, or what is known of one that no longer is.
fn configured(record: &VipRecord, config: &Config) -> config::Vip {
    let key = (record.address, record.port, record.protocol);
    let found = config.vips.iter().find(|vip| key_of(vip) == key).cloned();
    // As it was: that another is configured is a change like any other.
    let found = found.map(|vip| config::Vip { scheduler: record.scheduler, ..vip });
    found.unwrap_or_else(|| config::Vip {
        name: format!("{} port {} {}", record.address, record.port, record.protocol.name()),
        address: record.address,
        port: record.port,
        protocol: record.protocol,
        forward: Forward::Ipip,
        affinity: record.affinity,
        scheduler: record.scheduler,
        drain: std::time::Duration::ZERO,
        health: Health {
            kind: HealthKind::None,
            via: CheckVia::Direct,
            interval: std::time::Duration::ZERO,
            fast_interval: std::time::Duration::ZERO,
            timeout: std::time::Duration::ZERO,
            rise: 1,
            fall: 1,
        },
        utilization: Utilization::DEFAULT,
        warmup: Warmup::DEFAULT,
        weights: Weights::DEFAULT,
        backends: Vec::new(),
    })
}
