//! What follows from a batch of events, once for all of them: entries are written, tables rebuilt, backends that ended
//! forgotten. The order keeps connections whole: no slot names a backend whose entry is not written, no packet follows
//! a flow recorded before its backend was down, and no entry is cleared that a slot names.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use xdp_lb_common::ids::{BackendId, VipId};

use super::table::{Changes, Held};
use super::{BackendRecord, Command, Control};

/// What events have left to be done.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// Backends whose entries may have changed.
    pub(super) entries: BTreeSet<BackendId>,
    /// VIPs whose tables may have to be rebuilt.
    pub(super) tables: BTreeSet<VipId>,
    /// VIPs whose first fill waits, and until when at most.
    pub(super) held: BTreeMap<VipId, Instant>,
    /// An id became free: whoever waits for one may try again.
    pub(super) room: bool,
}

impl Control {
    /// Does what is due.
    pub(super) fn follow(&mut self, now: Instant, out: &mut Vec<Command>) {
        let ended = self.due.held.iter().filter(|(_, until)| **until <= now).map(|(id, _)| *id);
        self.due.tables.extend(ended);
        loop {
            for vip in self.due.tables.clone() {
                self.elect(vip, out);
            }
            self.write_entries(now, out);
            while let Some(vip) = self.due.tables.pop_first() {
                self.lead(vip, now, out);
            }
            if !std::mem::take(&mut self.due.room) {
                return;
            }
            self.admit_waiting(now, out);
        }
    }

    /// A backend's entry, and so its VIP's table, may have changed.
    pub(super) fn touch(&mut self, id: BackendId) {
        if let Some(backend) = self.backends.get(id) {
            self.due.entries.insert(id);
            self.due.tables.insert(backend.vip);
        }
    }

    /// Writes the entries that differ from the kernel's: those of backends that went down first, for a purge before
    /// one that came up takes a while.
    fn write_entries(&mut self, now: Instant, out: &mut Vec<Command>) {
        let ids = std::mem::take(&mut self.due.entries);
        let mut records: Vec<_> = ids.into_iter().filter_map(|id| self.backend_record(id)).collect();
        records.sort_by_key(|record| !record.down);
        for record in records {
            let backend = self.backends.get(record.backend);
            if backend.is_some_and(|b| b.rewrite || b.written.as_ref() != Some(&record)) {
                self.write_backend(record, now, out);
            }
        }
    }

    pub(super) fn write_backend(&mut self, record: BackendRecord, now: Instant, out: &mut Vec<Command>) {
        let Some(backend) = self.backends.get_mut(record.backend) else { return };
        if record.down {
            backend.down_since.get_or_insert(now);
        } else {
            if backend.down_since.take().is_some() && backend.may_have_flows {
                out.push(Command::PurgeFlows(record.backend));
            }
            backend.may_have_flows = true;
        }
        backend.rewrite = false;
        backend.written = Some(record.clone());
        out.push(Command::WriteBackend(record));
    }

    pub(super) fn backend_record(&self, id: BackendId) -> Option<BackendRecord> {
        let backend = self.backends.get(id)?;
        let forward = self.vips.get(&backend.vip)?.config.forward;
        Some(BackendRecord {
            backend: id,
            vip: backend.vip,
            address: backend.address,
            forward,
            down: !backend.is_usable(),
            next_hop: backend.next_hop(),
        })
    }

    /// Brings a VIP's slots in line with its backends, and parts with removed ones that are down.
    fn lead(&mut self, id: VipId, now: Instant, out: &mut Vec<Command>) {
        let Some(vip) = self.vips.get_mut(&id) else { return };
        let hold = vip.hold_until(&self.backends, now);
        if hold.is_none() {
            self.weigh(id, now);
        }
        let Some(vip) = self.vips.get_mut(&id) else { return };
        let changes = if hold.is_none() { vip.lead(&self.backends, now) } else { Changes::new() };
        match hold {
            Some(until) => self.due.held.insert(id, until),
            None => self.due.held.remove(&id),
        };
        let refusing = vip.table.takes_nothing();
        let is_news = std::mem::replace(&mut vip.refusing, refusing) != refusing;
        self.write_slots(id, changes, now, out);
        if is_news {
            let what = if refusing { "no backend takes new connections" } else { "takes new connections" };
            self.announce_vip(id, what.into(), refusing, out);
        }
        let Some(vip) = self.vips.get(&id) else { return };
        let is_over = |id: &BackendId| self.backends.get(*id).is_some_and(|b| b.removed && !b.is_usable());
        let over: Vec<BackendId> = vip.members.values().copied().filter(is_over).collect();
        for member in over {
            self.retire(member, out);
        }
    }

    /// Orders changed slots to be stored and notes which backends no slot names any more.
    pub(super) fn write_slots(&mut self, id: VipId, changes: Changes, now: Instant, out: &mut Vec<Command>) {
        if !changes.is_empty() {
            out.push(Command::WriteSlots { vip: id, changes });
            self.note_unnamed(id, now);
        }
    }

    pub(super) fn note_unnamed(&mut self, id: VipId, now: Instant) {
        let Some(vip) = self.vips.get(&id) else { return };
        for member in vip.members.values() {
            let Some(backend) = self.backends.get_mut(*member) else { continue };
            backend.unnamed_since = match vip.table.held(*member) {
                Held { current: 0, base: 0 } => backend.unnamed_since.or(Some(now)),
                _ => None,
            };
        }
    }
}
