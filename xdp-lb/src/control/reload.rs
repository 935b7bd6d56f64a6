//! A new configuration on top of what is in force: additions, changes, and removals as moves.

use std::time::Instant;

use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::slot::Slot;

use super::backends::Backend;
use super::damping::Damping;
use super::health::{Check, Condition};
use super::meter::Meter;
use super::reports::Reports;
use super::table::{Changes, Table};
use super::vip::{Vip, key_of};
use super::weights::Evidence;
use super::{Announcement, Command, Control, VipRecord};
use crate::config::{self, Config, Scheduler};

impl Control {
    pub(super) fn configure(&mut self, mut config: Config, now: Instant, out: &mut Vec<Command>) {
        self.follow(now, out);
        self.keep_start_settings(&mut config, out);
        self.config = config;
        let configured: std::collections::BTreeSet<_> = self.config.vips.iter().map(key_of).collect();
        self.warn_of_ports_that_change_hands(out);
        let gone = self.keys.iter().filter(|(key, _)| !configured.contains(key)).map(|(_, id)| *id);
        self.remove_vips(&gone.collect::<Vec<_>>(), now, out);
        for vip in self.config.vips.clone() {
            match self.keys.get(&key_of(&vip)) {
                Some(&id) => self.update_vip(id, vip, now, out),
                None => self.add_vip(vip, now, out),
            }
        }
        self.due.room = true;
        self.follow(now, out);
        let directory = self.vips.iter().map(|(id, vip)| vip.record(*id)).collect();
        self.write_directory(directory, out);
    }

    /// New backends that found no room try again.
    pub(super) fn admit_waiting(&mut self, now: Instant, out: &mut Vec<Command>) {
        let ids: Vec<VipId> = self.vips.keys().copied().collect();
        for id in ids {
            let Some(vip) = self.vips.get(&id) else { continue };
            let is_waiting = |b: &&config::Backend| !vip.members.contains_key(&b.address);
            let waiting: Vec<config::Backend> =
                vip.config.backends.iter().filter(is_waiting).cloned().collect();
            for backend in &waiting {
                self.add_backend(id, backend, now, out);
            }
        }
    }

    fn write_directory(&mut self, directory: Vec<VipRecord>, out: &mut Vec<Command>) {
        if self.directory.as_ref() != Some(&directory) {
            self.directory = Some(directory.clone());
            out.push(Command::WriteDirectory(directory));
        }
    }

    /// At once: their packets are the host's from now on.
    fn remove_vips(&mut self, gone: &[VipId], now: Instant, out: &mut Vec<Command>) {
        if gone.is_empty() {
            return;
        }
        let staying =
            self.vips.iter().filter(|(id, _)| !gone.contains(id)).map(|(id, vip)| vip.record(*id)).collect();
        self.write_directory(staying, out);
        for &id in gone {
            self.announce_vip(id, "removed".into(), false, out);
            let Some(vip) = self.vips.get_mut(&id) else { continue };
            let changes = vip.table.clear(now);
            let (members, key): (Vec<BackendId>, _) =
                (vip.members.values().copied().collect(), key_of(&vip.config));
            self.write_slots(id, changes, now, out);
            for member in members {
                self.retire(member, out);
            }
            self.vips.remove(&id);
            self.due.held.remove(&id);
            self.keys.remove(&key);
            self.vip_ids.give(id.raw());
        }
    }

    fn add_vip(&mut self, config: config::Vip, now: Instant, out: &mut Vec<Command>) {
        let Some(id) = self.vip_ids.take().map(VipId::new) else {
            let what = format!("no room: raise agent.max_vips ({}) and restart", self.config.agent.max_vips);
            let vip = config.name;
            out.push(Command::Announce(Announcement { vip, backend: None, what, warning: true }));
            return;
        };
        let meter = Meter::starting_at(super::leave::at(&self.counters.vips, id.index()));
        let key = key_of(&config);
        let bare = config::Vip { backends: Vec::new(), ..config.clone() };
        self.vips.insert(id, Vip::new(bare, Table::new(self.config.agent.table_size.slots()), meter));
        self.keys.insert(key, id);
        if self.unread_tables.remove(&id) {
            let changes = (0..self.config.agent.table_size.slots()).map(|slot| (slot, Slot::EMPTY)).collect();
            out.push(Command::WriteSlots { vip: id, changes });
        }
        if self.started {
            self.announce_vip(id, "added".into(), false, out);
        }
        self.update_vip(id, config, now, out);
    }

    fn update_vip(&mut self, id: VipId, config: config::Vip, now: Instant, out: &mut Vec<Command>) {
        let Some(vip) = self.vips.get_mut(&id) else { return };
        if vip.config.affinity != config.affinity {
            vip.forget_table();
        }
        let chose = matches!(vip.config.scheduler, Scheduler::P2c { .. });
        let changes = match config.scheduler {
            Scheduler::Maglev if chose => vip.table.track(now),
            _ => Changes::new(),
        };
        vip.config = config.clone();
        let members: Vec<BackendId> = vip.members.values().copied().collect();
        self.write_slots(id, changes, now, out);
        for backend in &config.backends {
            let member = self.vips.get(&id).and_then(|vip| vip.members.get(&backend.address).copied());
            match member {
                Some(member) => self.update_backend(member, backend, &config.health, now, out),
                None if self.add_backend(id, backend, now, out) => {}
                None => {
                    let what = format!(
                        "waits for room: all {} places of agent.max_backends are taken",
                        self.config.agent.max_backends
                    );
                    let (vip, backend) = (config.name.clone(), Some(backend.name.clone()));
                    out.push(Command::Announce(Announcement { vip, backend, what, warning: true }));
                }
            }
        }
        for &member in &members {
            let Some(backend) = self.backends.get_mut(member) else { continue };
            if !backend.removed && !config.backends.iter().any(|b| b.address == backend.address) {
                backend.removed = true;
                backend.drained = false;
                let what = "removed: takes no new connections, old ones finish";
                self.announce_backend(member, what.into(), false, out);
            }
            self.look_at_way(member, out);
            self.touch(member);
        }
        self.due.tables.insert(id);
    }

    /// Whether there was room.
    fn add_backend(
        &mut self,
        vip: VipId,
        config: &config::Backend,
        now: Instant,
        out: &mut Vec<Command>,
    ) -> bool {
        let Some(health) = self.vips.get(&vip).map(|vip| vip.config.health.clone()) else { return false };
        let Some(id) = self.backends.take_id() else { return false };
        let meter = Meter::starting_at(super::leave::at(&self.counters.backends, id.index()));
        let check = Check::new(health, Condition::Checking, now, &mut self.rng);
        let evidence = self.evidence_of(vip, config.address, now);
        let mut backend = Self::backend(vip, config, check, meter, evidence, now);
        self.recall(&mut backend, now);
        self.insert_backend(id, backend, out);
        if let Some(record) = self.backend_record(id) {
            self.write_backend(record, now, out);
        }
        self.due.tables.insert(vip);
        if self.started {
            self.announce_backend(id, "added".into(), false, out);
        }
        true
    }

    /// A configured backend that no slot names yet.
    pub(super) fn backend(
        vip: VipId,
        config: &config::Backend,
        check: Check,
        meter: Meter,
        evidence: Evidence,
        now: Instant,
    ) -> Backend {
        Backend {
            vip,
            name: config.name.clone(),
            address: config.address,
            weight: config.weight,
            drain: config.drain,
            removed: false,
            damping: Damping::new(check.is_up()),
            check,
            reports: Reports::default(),
            evidence,
            suspended: false,
            needed: false,
            way: None,
            behind_gateway: false,
            written: None,
            rewrite: false,
            down_since: None,
            may_have_flows: false,
            unnamed_since: Some(now),
            drained: config.drain || config.weight.get() == 0,
            flows: 0,
            meter,
        }
    }

    pub(super) fn insert_backend(&mut self, id: BackendId, backend: Backend, out: &mut Vec<Command>) {
        if self.hops.watch(backend.address, id) {
            out.push(Command::WatchNextHop(backend.address));
        }
        if let Some(vip) = self.vips.get_mut(&backend.vip) {
            vip.members.insert(backend.address, id);
        }
        self.backends.insert(id, backend);
        self.look_at_way(id, out);
        self.ask_for_reports(id, out);
    }

    fn update_backend(
        &mut self,
        id: BackendId,
        config: &config::Backend,
        health: &config::Health,
        now: Instant,
        out: &mut Vec<Command>,
    ) {
        let Some(backend) = self.backends.get_mut(id) else { return };
        let (weight, drain, removed) = (backend.weight, backend.drain, backend.removed);
        backend.name.clone_from(&config.name);
        backend.weight = config.weight;
        backend.drain = config.drain;
        backend.removed = false;
        backend.drained &= backend.is_leaving();
        const LEAVES: &str = "takes no new connections, old ones finish";
        if removed {
            self.announce_backend(id, "added again".into(), false, out);
        }
        if weight != config.weight {
            let (old, new) = (weight.get(), config.weight.get());
            let what = if new == 0 {
                format!("weight {old} → 0: {LEAVES}")
            } else {
                format!("weight {old} → {new}")
            };
            self.announce_backend(id, what, false, out);
        }
        match (drain, config.drain) {
            (false, true) => self.announce_backend(id, format!("draining: {LEAVES}"), false, out),
            (true, false) => self.announce_backend(id, "no longer draining".into(), false, out),
            _ => {}
        }
        let rng = &mut self.rng;
        self.backends.with_check(id, |check| check.respecify(health, now, rng));
        self.turn(id, None, now, out);
        self.ask_for_reports(id, out);
    }
}
