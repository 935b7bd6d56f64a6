//! What counters and sweeps tell: when moved slots settle, when tracked slots need no lookup any more, and when a
//! backend that left has finished its last connection and may be forgotten.

use std::collections::BTreeSet;
use std::time::Instant;

use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::maps::Traffic;

use super::{Command, Control, Counters, Sweep};
use crate::config::Affinity;

impl Control {
    /// New counts. A moved slot settles once it has been so for the VIP's drain time: then every old connection has
    /// sent a packet and been recorded. Where one could not be recorded it went to its slot's `base`: the slots that
    /// were moved away from that backend by then, and only those, wait for the drain time again.
    pub(super) fn counted(&mut self, counters: Counters, now: Instant, out: &mut Vec<Command>) {
        self.counters = counters;
        let mut unrecorded = BTreeSet::new();
        for (id, backend) in self.backends.iter_mut() {
            if backend.meter.count(at(&self.counters.backends, id.index()), now) {
                unrecorded.insert(id);
            }
        }
        let ids: Vec<VipId> = self.vips.keys().copied().collect();
        for id in ids {
            let Some(vip) = self.vips.get_mut(&id) else { continue };
            vip.meter.count(at(&self.counters.vips, id.index()), now);
            // Where every flow is to be recorded, those that cannot be follow `current`.
            if vip.config.affinity == Affinity::None {
                vip.table.wait_again(|base| unrecorded.contains(&base), now);
            }
            let changes = vip.table.settle(vip.config.drain, now);
            self.write_slots(id, changes, now, out);
        }
        self.tick(now, out);
    }

    /// A sweep ended: it speaks for what was so before it began.
    pub(super) fn swept(&mut self, sweep: &Sweep, now: Instant, out: &mut Vec<Command>) {
        self.flows = sweep.flows.iter().map(|(_, flows)| flows).sum();
        for (id, backend) in self.backends.iter_mut() {
            let found = sweep.flows.binary_search_by_key(&id, |(backend, _)| *backend);
            backend.flows = found.map_or(0, |position| sweep.flows[position].1);
        }
        let Some(began) = sweep.began else { return };
        for (_, backend) in self.backends.iter_mut() {
            // Nothing records or refreshes a flow to a backend that is down and that no slot names.
            let before = |since: Option<Instant>| since.is_some_and(|since| since < began);
            let untouched = before(backend.down_since) && before(backend.unnamed_since);
            backend.may_have_flows &= backend.flows > 0 || !untouched;
        }
        let ids: Vec<VipId> = self.vips.keys().copied().collect();
        for id in ids {
            let Some(vip) = self.vips.get_mut(&id) else { continue };
            let from = sweep.live_slots.partition_point(|(vip, _)| *vip < id);
            let live = sweep.live_slots[from..].iter().take_while(|(vip, _)| *vip == id);
            let live: Vec<u32> = live.map(|(_, slot)| *slot).collect();
            let changes = vip.table.sweep(&live, began, now);
            self.write_slots(id, changes, now, out);
        }
        self.part(began, out);
    }

    /// Parts with the backends that have no connection left.
    fn part(&mut self, began: Instant, out: &mut Vec<Command>) {
        let finished = |backend: &super::backends::Backend| {
            backend.is_leaving()
                && !backend.drained
                && backend.flows == 0
                && backend.unnamed_since.is_some_and(|since| since < began)
        };
        let ids: Vec<BackendId> =
            self.backends.iter().filter(|(_, b)| finished(b)).map(|(id, _)| id).collect();
        for &id in &ids {
            let Some(backend) = self.backends.get_mut(id) else { continue };
            backend.drained = true;
            if backend.removed {
                self.announce_backend(id, "removed: no connections left, forgotten".into(), false, out);
                self.retire(id, out);
            } else {
                self.announce_backend(id, "drained: no connections left".into(), false, out);
            }
        }
    }

    /// Forgets a backend that no slot names. Its id becomes free.
    pub(super) fn retire(&mut self, id: BackendId, out: &mut Vec<Command>) {
        let Some(record) = self.backend_record(id) else { return };
        let Some(backend) = self.backends.get(id) else { return };
        let (vip, address) = (backend.vip, backend.address);
        let is_asked = backend.reports.asked.is_some();
        if backend.down_since.is_none() {
            out.push(Command::WriteBackend(super::BackendRecord { down: true, ..record }));
        }
        out.extend(backend.may_have_flows.then_some(Command::PurgeFlows(id)));
        out.push(Command::ClearBackend(id));
        if self.hops.unwatch(address, id) {
            out.push(Command::UnwatchNextHop(address));
        }
        out.extend(is_asked.then_some(Command::UnwatchReports(id)));
        if let Some(vip) = self.vips.get_mut(&vip) {
            vip.members.remove(&address);
        }
        self.backends.remove(id);
        self.loads.remove(&id);
        // Cleared with the entry.
        if let Some(traffic) = self.counters.backends.get_mut(id.index() as usize) {
            *traffic = Traffic::default();
        }
        self.due.room = true;
    }
}

/// The counter at `index`; zero where there is none yet.
pub(super) fn at<T: Copy + Default>(values: &[T], index: u32) -> T {
    values.get(index as usize).copied().unwrap_or_default()
}
