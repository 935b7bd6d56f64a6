//! One VIP's slots and how they change. See [`xdp_lb_common::slot`] for what a slot says.
//!
//! The invariant, for every live connection whose backend is not hard down: either it is recorded and its slot is
//! tracked, or it is not and the slot's `base` is its backend. "No backend" takes part as if it were a backend that
//! has no connections: a VIP whose last backend drains has slots with a `base` and no `current`.

use std::time::{Duration, Instant};

use xdp_lb_common::ids::BackendId;
use xdp_lb_common::slot::Slot;

use super::settle::{Batch, Waiting};

/// Slots to be stored, in order of their position.
pub(super) type Changes = Vec<(u32, Slot)>;

/// What a VIP's slots have come to.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Slot>,
    /// Number of the operation that last changed the slot.
    stamps: Vec<u32>,
    operation: u32,
    /// Moved slots, until they settle.
    moved: Waiting,
    /// Tracked slots that are not moved, until no flow is recorded in them.
    settled: Waiting,
    moved_count: u32,
    tracked_count: u32,
    /// By backend id.
    held: Vec<Held>,
}

/// How many slots name a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) current: u32,
    pub(super) base: u32,
}

impl Table {
    /// A table that leads nowhere.
    pub(super) fn new(table_size: u32) -> Self {
        let size = table_size as usize;
        Self {
            slots: vec![Slot::EMPTY; size],
            stamps: vec![0; size],
            operation: 0,
            moved: Waiting::default(),
            settled: Waiting::default(),
            moved_count: 0,
            tracked_count: 0,
            held: Vec::new(),
        }
    }

    /// The table an earlier agent left; its moved slots wait for the whole drain time again.
    pub(super) fn adopt(table_size: u32, slots: &[Slot], now: Instant) -> Self {
        let mut table = Self::new(table_size);
        table.change(now, |position, _| slots.get(position).copied().unwrap_or(Slot::EMPTY));
        table
    }

    pub(super) fn slot(&self, position: u32) -> Slot {
        self.slots.get(position as usize).copied().unwrap_or(Slot::EMPTY)
    }

    pub(super) fn len(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(super) fn moved_slots(&self) -> u32 {
        self.moved_count
    }

    pub(super) fn tracked_slots(&self) -> u32 {
        self.tracked_count
    }

    /// How many slots name this backend.
    pub(super) fn held(&self, backend: BackendId) -> Held {
        self.held.get(backend.index() as usize).copied().unwrap_or_default()
    }

    /// Whether no slot has a backend.
    pub(super) fn is_empty(&self) -> bool {
        self.held.iter().all(|held| *held == Held::default())
    }

    /// Whether new connections are refused in every slot.
    pub(super) fn takes_nothing(&self) -> bool {
        self.held.iter().all(|held| held.current == 0)
    }

    /// New connections shall go where `desired` says, from now on. Backends that are not `usable` (hard down, unknown)
    /// leave every slot. `tracking` is false where packets follow the table as it is (UDP without affinity).
    pub(super) fn lead(
        &mut self,
        desired: &[Option<BackendId>],
        usable: impl Fn(BackendId) -> bool,
        tracking: bool,
        now: Instant,
    ) -> Changes {
        self.change(now, |position, slot| {
            let target = desired.get(position).copied().flatten();
            if tracking { moved_to(slot, target, &usable) } else { target.map_or(Slot::EMPTY, Slot::stable) }
        })
    }

    /// How many slots would take new connections elsewhere.
    pub(super) fn would_move(&self, desired: &[Option<BackendId>]) -> u32 {
        self.slots.iter().zip(desired).filter(|(slot, target)| slot.current() != **target).count() as u32
    }

    /// `desired`, but with no more than so many slots that take new connections elsewhere than now.
    pub(super) fn at_most(&self, mut desired: Vec<Option<BackendId>>, most: u32) -> Vec<Option<BackendId>> {
        let differing =
            self.slots.iter().zip(&mut desired).filter(|(slot, target)| slot.current() != **target);
        for (slot, target) in differing.skip(most as usize) {
            *target = slot.current();
        }
        desired
    }

    /// A connection could not be recorded that belongs to a backend for which `concerns` holds: the slots moved away
    /// from it wait anew.
    pub(super) fn wait_again(&mut self, concerns: impl Fn(BackendId) -> bool, now: Instant) {
        let slots = &self.slots;
        self.moved.restart(|slot| slots[slot as usize].base().is_some_and(&concerns), now);
    }

    /// Moved slots whose last move is at least `drain` old settle: what is not recorded there is no longer alive.
    pub(super) fn settle(&mut self, drain: Duration, now: Instant) -> Changes {
        let due = self.moved.take_due(|since| now.saturating_duration_since(since) >= drain);
        self.change_batches(&due, now, |slot| Slot::tracked_or_none(slot.current(), slot.current()))
    }

    /// Settled slots that were so before the sweep `began` and of which it found no live flow need no lookup.
    /// `live` is sorted.
    pub(super) fn sweep(&mut self, live: &[u32], began: Instant, now: Instant) -> Changes {
        let mut due = self.settled.take_due(|since| since < began);
        let mut staying = Vec::with_capacity(due.len());
        for batch in &mut due {
            let (stay, go) = std::mem::take(&mut batch.slots)
                .into_iter()
                .filter(|&slot| self.stamps[slot as usize] == batch.stamp)
                .partition(|slot| live.binary_search(slot).is_ok());
            batch.slots = go;
            staying.push(Batch { slots: stay, ..*batch });
        }
        self.settled.put_back(staying);
        self.change_batches(&due, now, |slot| slot.current().map_or(Slot::EMPTY, Slot::stable))
    }

    /// Flows may be recorded in any slot, and from now on only tracked ones are looked up: the VIP no longer chooses
    /// between two.
    pub(super) fn track(&mut self, now: Instant) -> Changes {
        // Also in those that settled before, so that a sweep on its way says nothing of them.
        self.settled.restart(|_| true, now);
        self.change(now, |_, slot| Slot::tracked_or_none(slot.base(), slot.current()))
    }

    /// The VIP is gone.
    pub(super) fn clear(&mut self, now: Instant) -> Changes {
        self.change(now, |_, _| Slot::EMPTY)
    }

    fn change(&mut self, now: Instant, next: impl Fn(usize, Slot) -> Slot) -> Changes {
        let changes = self
            .slots
            .iter()
            .enumerate()
            .filter_map(|(position, &slot)| {
                let next = next(position, slot);
                (next != slot).then_some((position as u32, next))
            })
            .collect();
        self.store(changes, now)
    }

    fn change_batches(&mut self, batches: &[Batch], now: Instant, next: impl Fn(Slot) -> Slot) -> Changes {
        let mut changes = Changes::new();
        for batch in batches {
            for &position in &batch.slots {
                if self.stamps[position as usize] == batch.stamp {
                    changes.push((position, next(self.slots[position as usize])));
                }
            }
        }
        changes.sort_unstable_by_key(|(position, _)| *position);
        self.store(changes, now)
    }

    /// The one place where slots are written.
    fn store(&mut self, changes: Changes, now: Instant) -> Changes {
        self.operation = self.operation.wrapping_add(1);
        let stamp = self.operation;
        let (mut moved, mut settled) = (Vec::new(), Vec::new());
        for &(position, slot) in &changes {
            let old = std::mem::replace(&mut self.slots[position as usize], slot);
            self.stamps[position as usize] = stamp;
            self.count(old, false);
            self.count(slot, true);
            if slot.is_moved() {
                moved.push(position);
            } else if slot.is_tracked() {
                settled.push(position);
            }
        }
        for (waiting, slots) in [(&mut self.moved, moved), (&mut self.settled, settled)] {
            waiting.push(Batch { since: now, stamp, slots });
            waiting.compact(&self.stamps);
        }
        changes
    }

    fn count(&mut self, slot: Slot, comes: bool) {
        let step = |count: &mut u32| *count = if comes { *count + 1 } else { count.saturating_sub(1) };
        if slot.is_moved() {
            step(&mut self.moved_count);
        }
        if slot.is_tracked() {
            step(&mut self.tracked_count);
        }
        for (backend, is_current) in [(slot.current(), true), (slot.base(), false)] {
            let Some(backend) = backend else { continue };
            let index = backend.index() as usize;
            if index >= self.held.len() {
                self.held.resize(index + 1, Held::default());
            }
            let held = &mut self.held[index];
            step(if is_current { &mut held.current } else { &mut held.base });
        }
    }
}

/// The slot after its new connections are to go to `target`.
fn moved_to(slot: Slot, target: Option<BackendId>, usable: impl Fn(BackendId) -> bool) -> Slot {
    match slot.base().filter(|base| usable(*base)) {
        Some(base) if !slot.is_tracked() && target == Some(base) => slot,
        Some(base) => Slot::tracked_or_none(Some(base), target),
        // Nothing unrecorded lives here: the connections at `base`, if any, are lost with it. Recorded ones live on.
        None if slot.is_tracked() => Slot::tracked_or_none(target, target),
        None => target.map_or(Slot::EMPTY, Slot::stable),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{DRAIN, at};
    use super::*;

    fn id(index: u16) -> BackendId {
        BackendId::new(index).expect("from 1")
    }

    fn opt(index: u16) -> Option<BackendId> {
        BackendId::new(index)
    }

    fn tracked(base: u16, current: u16) -> Slot {
        Slot::tracked_or_none(opt(base), opt(current))
    }

    /// Backend 9 is hard down in every row; 0 stands for none.
    #[test]
    fn moves() {
        let stable = |index| Slot::stable(id(index));
        let rows = [
            ("stable, stays", stable(1), 1, stable(1)),
            ("stable, moves", stable(1), 2, tracked(1, 2)),
            ("moved, moves again: base stays", tracked(1, 2), 3, tracked(1, 3)),
            ("moved, stays", tracked(1, 2), 2, tracked(1, 2)),
            ("moved, moves back: stays tracked", tracked(1, 2), 1, tracked(1, 1)),
            ("settled, stays", tracked(2, 2), 2, tracked(2, 2)),
            ("settled, moves", tracked(2, 2), 1, tracked(2, 1)),
            ("empty, gets its first backend", Slot::EMPTY, 1, stable(1)),
            ("empty, stays", Slot::EMPTY, 0, Slot::EMPTY),
            ("stable, down", stable(9), 1, stable(1)),
            ("settled, down: recorded flows of others live on", tracked(9, 9), 1, tracked(1, 1)),
            ("moved, current down", tracked(1, 9), 2, tracked(1, 2)),
            ("moved, current down, back to base", tracked(1, 9), 1, tracked(1, 1)),
            ("moved, base down", tracked(9, 2), 2, tracked(2, 2)),
            ("moved, base down, current moves too", tracked(9, 2), 3, tracked(3, 3)),
            ("stable, the last one drains", stable(1), 0, tracked(1, 0)),
            ("moved, the last one drains", tracked(1, 2), 0, tracked(1, 0)),
            ("refusing, one returns", tracked(1, 0), 2, tracked(1, 2)),
            ("refusing, base returns", tracked(1, 0), 1, tracked(1, 1)),
            ("refusing and settled, one returns", tracked(0, 0), 2, tracked(2, 2)),
            ("stable, the last one down", stable(9), 0, Slot::EMPTY),
            ("moved, current down, base draining", tracked(1, 9), 0, tracked(1, 0)),
            ("moved, base down, nobody left", tracked(9, 2), 0, tracked(0, 0)),
        ];
        for (what, slot, target, expected) in rows {
            assert_eq!(moved_to(slot, opt(target), |backend| backend != id(9)), expected, "{what}");
        }
    }

    #[test]
    fn without_tracking_slots_are_only_ever_stable() {
        let mut table = Table::adopt(3, &[Slot::stable(id(1)), tracked(1, 2), Slot::EMPTY], at(0));
        let changes = table.lead(&[opt(2), opt(2), None], |_| true, false, at(1));
        assert_eq!(changes, [(0, Slot::stable(id(2))), (1, Slot::stable(id(2)))]);
        assert_eq!((table.moved_slots(), table.tracked_slots()), (0, 0));
    }

    fn lead(table: &mut Table, to: &[u16], second: u64) -> Changes {
        let desired: Vec<_> = to.iter().map(|&index| opt(index)).collect();
        table.lead(&desired, |_| true, true, at(second))
    }

    #[test]
    fn slots_settle_a_drain_time_after_their_last_move_and_become_stable_by_a_later_sweep() {
        let drain = DRAIN.as_secs();
        let mut table = Table::new(4);
        assert_eq!(lead(&mut table, &[1, 1, 1, 1], 0).len(), 4);
        lead(&mut table, &[2, 2, 2, 1], 10);
        lead(&mut table, &[2, 3, 1, 1], 20);
        assert_eq!((table.moved_slots(), table.tracked_slots()), (2, 3));
        assert_eq!(table.held(id(1)), Held { current: 2, base: 4 });

        assert_eq!(table.settle(DRAIN, at(9 + drain)), []);
        assert_eq!(table.settle(DRAIN, at(10 + drain)), [(0, tracked(2, 2))], "slot 1 moved again later");
        assert_eq!(table.settle(DRAIN, at(20 + drain)), [(1, tracked(3, 3))]);

        let swept = |table: &mut Table, live: &[u32], began| table.sweep(live, at(began), at(1000));
        assert_eq!(swept(&mut table, &[], 20), [], "a sweep that began no later proves nothing");
        assert_eq!(swept(&mut table, &[], 21), [(2, Slot::stable(id(1)))], "moved back at 20");
        assert_eq!(swept(&mut table, &[0, 3], 100), [(1, Slot::stable(id(3)))], "slot 0 has a live flow");
        assert_eq!(swept(&mut table, &[0], 110), []);
        assert_eq!(swept(&mut table, &[1], 120), [(0, Slot::stable(id(2)))]);
        assert_eq!((table.moved_slots(), table.tracked_slots()), (0, 0));
        assert_eq!(table.held(id(1)), Held { current: 2, base: 2 });
    }

    #[test]
    fn settled_slots_that_move_again_are_not_touched_by_a_sweep() {
        let mut table = Table::adopt(2, &[tracked(1, 1), tracked(2, 2)], at(0));
        lead(&mut table, &[2, 2], 10);
        assert_eq!(table.sweep(&[], at(5), at(11)), [(1, Slot::stable(id(2)))]);
        assert_eq!(table.slot(0), tracked(1, 2));
    }

    #[test]
    fn a_sweep_that_began_before_all_slots_became_tracked_proves_nothing() {
        let mut table = Table::adopt(3, &[tracked(1, 1), Slot::stable(id(2)), tracked(1, 2)], at(0));
        assert_eq!(table.track(at(10)), [(1, tracked(2, 2))]);
        assert_eq!(table.sweep(&[], at(9), at(11)), [], "recorded behind its back until 10");
        let stable = [(0, Slot::stable(id(1))), (1, Slot::stable(id(2)))];
        assert_eq!(table.sweep(&[], at(12), at(13)), stable);
    }

    #[test]
    fn adopted_moved_slots_wait_anew() {
        let mut table = Table::adopt(2, &[tracked(1, 2), Slot::stable(id(1))], at(100));
        assert_eq!(table.settle(DRAIN, at(99) + DRAIN), []);
        assert_eq!(table.settle(DRAIN, at(100) + DRAIN), [(0, tracked(2, 2))]);
    }

    #[test]
    fn a_cleared_table_is_empty() {
        let mut table = Table::adopt(3, &[tracked(1, 2), Slot::EMPTY, Slot::stable(id(1))], at(0));
        assert_eq!(table.clear(at(1)), [(0, Slot::EMPTY), (2, Slot::EMPTY)]);
        assert!(table.takes_nothing() && table.held(id(1)) == Held::default());
    }
}
