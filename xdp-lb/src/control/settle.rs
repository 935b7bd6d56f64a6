//! Slots that wait for something, in batches of those that began to wait together: no slot is looked at before its
//! batch is due, and a slot that has changed since is recognised by its stamp and dropped.

use std::collections::VecDeque;
use std::time::Instant;

/// Batches of slots, oldest first.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    batches: VecDeque<Batch>,
    entries: usize,
}

/// Slots that began to wait at the same time.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) since: Instant,
    /// What their stamps were then.
    pub(super) stamp: u32,
    pub(super) slots: Vec<u32>,
}

impl Waiting {
    /// More slots begin to wait. `since` never lies before that of an earlier batch.
    pub(super) fn push(&mut self, batch: Batch) {
        if !batch.slots.is_empty() {
            self.entries += batch.slots.len();
            self.batches.push_back(batch);
        }
    }

    /// Takes out every batch for which `is_due` holds.
    pub(super) fn take_due(&mut self, is_due: impl Fn(Instant) -> bool) -> Vec<Batch> {
        let count = self.batches.iter().take_while(|batch| is_due(batch.since)).count();
        let due: Vec<Batch> = self.batches.drain(..count).collect();
        self.entries -= due.iter().map(|batch| batch.slots.len()).sum::<usize>();
        due
    }

    /// Puts back batches taken by [`Waiting::take_due`], in the same order.
    pub(super) fn put_back(&mut self, batches: Vec<Batch>) {
        for batch in batches.into_iter().rev().filter(|batch| !batch.slots.is_empty()) {
            self.entries += batch.slots.len();
            self.batches.push_front(batch);
        }
    }

    /// Those slots for which `concerns` holds begin to wait anew.
    pub(super) fn restart(&mut self, concerns: impl Fn(u32) -> bool, now: Instant) {
        let mut again = Vec::new();
        for batch in &mut self.batches {
            let (concerned, others) =
                std::mem::take(&mut batch.slots).into_iter().partition(|s| concerns(*s));
            batch.slots = others;
            again.push(Batch { since: now, slots: concerned, ..*batch });
        }
        self.batches.extend(again);
        self.batches.retain(|batch| !batch.slots.is_empty());
    }

    /// Drops slots that changed since, once there may be many of them.
    pub(super) fn compact(&mut self, stamps: &[u32]) {
        if self.entries <= 2 * stamps.len() {
            return;
        }
        for batch in &mut self.batches {
            batch.slots.retain(|&slot| stamps[slot as usize] == batch.stamp);
        }
        self.batches.retain(|batch| !batch.slots.is_empty());
        self.entries = self.batches.iter().map(|batch| batch.slots.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::at;
    use super::*;

    fn batch(second: u64, stamp: u32, slots: &[u32]) -> Batch {
        Batch { since: at(second), stamp, slots: slots.to_vec() }
    }

    #[test]
    fn only_due_batches_are_taken() {
        let mut waiting = Waiting::default();
        for second in 0..4 {
            waiting.push(batch(second, second as u32, &[second as u32]));
        }
        let due = waiting.take_due(|since| since < at(2));
        assert_eq!(due.iter().map(|b| b.stamp).collect::<Vec<_>>(), [0, 1]);
        waiting.put_back(due);
        assert_eq!(waiting.take_due(|_| true).iter().map(|b| b.stamp).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(waiting.entries, 0);
    }

    #[test]
    fn slots_that_begin_anew_come_last() {
        let mut waiting = Waiting::default();
        waiting.push(batch(0, 1, &[1, 2]));
        waiting.push(batch(1, 2, &[3]));
        waiting.push(batch(2, 3, &[4]));
        waiting.restart(|slot| slot == 2 || slot == 3, at(9));
        waiting.push(batch(10, 4, &[5]));
        let taken = waiting.take_due(|_| true);
        let taken: Vec<_> = taken.iter().map(|b| (b.since, b.stamp, b.slots.clone())).collect();
        let expected = [(0, 1, 1), (2, 3, 4), (9, 1, 2), (9, 2, 3), (10, 4, 5)];
        assert_eq!(taken, expected.map(|(second, stamp, slot)| (at(second), stamp, vec![slot])));
        assert_eq!(waiting.entries, 0);
    }

    #[test]
    fn stale_entries_do_not_pile_up() {
        let mut waiting = Waiting::default();
        let mut stamps = vec![0; 10];
        for stamp in 1..1000 {
            stamps.fill(stamp);
            waiting.push(batch(u64::from(stamp), stamp, &(0..10).collect::<Vec<_>>()));
            waiting.compact(&stamps);
            assert!(waiting.entries <= 20);
        }
        let slots: usize =
            waiting.take_due(|_| true).iter().filter(|b| b.stamp == 999).map(|b| b.slots.len()).sum();
        assert_eq!(slots, 10, "the latest are kept");
    }
}
