//! The data path as control's commands leave it, and what it does with a packet.

use std::collections::{BTreeMap, HashMap};

use xdp_lb_common::flow::slot_of;
use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::slot::Slot;

use super::super::vip::Key;
use super::super::{BackendRecord, Command, VipRecord};

/// Seconds after which a silent flow's word may be taken, and a closed one's.
const IDLE: u64 = 25;
const CLOSING: u64 = 2;

/// Recorded flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    pub(super) backend: BackendId,
    pub(super) closing: bool,
    seen: u64,
}

impl Word {
    pub(super) fn is_expired(&self, now: u64) -> bool {
        now - self.seen > if self.closing { CLOSING } else { IDLE }
    }
}

/// What the data path holds and does.
#[derive(Debug, Default)]
pub(super) struct Kernel {
    pub(super) directory: Vec<VipRecord>,
    pub(super) backends: BTreeMap<BackendId, BackendRecord>,
    pub(super) tables: BTreeMap<VipId, Vec<Slot>>,
    pub(super) words: HashMap<u64, Word>,
    pub(super) unrecorded: BTreeMap<BackendId, u64>,
    pub(super) room: usize,
}

impl Kernel {
    pub(super) fn apply(&mut self, command: &Command, table_size: u32) {
        match command {
            Command::WriteDirectory(directory) => self.directory.clone_from(directory),
            Command::WriteBackend(record) => {
                let id = record.backend;
                let same = self
                    .backends
                    .get(&id)
                    .is_some_and(|old| (old.vip, old.address) == (record.vip, record.address));
                if !same {
                    assert!(!self.backends.contains_key(&id), "{record:?} takes the place of another");
                    assert!(
                        self.words.values().all(|word| word.backend != id),
                        "a flow refers to reused {id:?}"
                    );
                }
                self.backends.insert(id, record.clone());
            }
            Command::ClearBackend(id) => {
                assert!(
                    self.words.values().all(|word| word.backend != *id),
                    "a flow refers to cleared {id:?}"
                );
                self.backends.remove(id);
                self.unrecorded.remove(id);
            }
            Command::PurgeFlows(id) => self.words.retain(|_, word| word.backend != *id),
            Command::WriteSlots { vip, changes } => {
                assert!(changes.is_sorted_by_key(|(position, _)| *position) && !changes.is_empty());
                let table = self.tables.entry(*vip).or_insert_with(|| vec![Slot::EMPTY; table_size as usize]);
                for &(position, slot) in changes {
                    let old = std::mem::replace(&mut table[position as usize], slot);
                    assert!(old != slot || slot == Slot::EMPTY, "only changed slots are written");
                }
            }
            _ => {}
        }
    }

    /// The tables that an agent finds at its start: those of VIPs in the directory.
    pub(super) fn directory_tables(&self) -> Vec<(VipId, Vec<Slot>)> {
        let found =
            self.directory.iter().filter_map(|vip| Some((vip.vip, self.tables.get(&vip.vip)?.clone())));
        found.collect()
    }

    fn is_usable(&self, id: BackendId, vip: VipId) -> bool {
        self.backends.get(&id).is_some_and(|record| !record.down && record.vip == vip)
    }

    /// Where the packet goes.
    pub(super) fn packet(
        &mut self,
        key: Key,
        hash: u64,
        syn: bool,
        refuse: bool,
        now: u64,
    ) -> Option<BackendId> {
        let found = self.directory.iter().find(|v| (v.address, v.port, v.protocol) == key)?;
        let (vip, size) = (found.vip, found.table_size);
        let slot = self.tables.get(&vip)?[slot_of(hash, size) as usize];
        if !slot.is_tracked() {
            return slot.current();
        }
        let word = self.words.get(&hash).copied().filter(|word| !word.is_expired(now));
        if let Some(word) = word.filter(|word| self.is_usable(word.backend, vip) && !(syn && word.closing)) {
            self.words.insert(hash, Word { seen: now, ..word });
            return Some(word.backend);
        }
        let target = if syn { slot.current() } else { slot.base() }?;
        if !slot.is_moved() && word.is_none() {
            return Some(target);
        }
        if self.words.len() >= self.room {
            self.words.retain(|_, word| !word.is_expired(now));
        }
        if word.is_none() && (refuse || self.words.len() >= self.room) {
            let base = slot.base()?;
            *self.unrecorded.entry(base).or_default() += 1;
            return Some(base);
        }
        self.words.insert(hash, Word { backend: target, closing: false, seen: now });
        Some(target)
    }

    /// Once everything ordered together is carried out.
    pub(super) fn check(&self) {
        for vip in &self.directory {
            for (position, slot) in self.tables.get(&vip.vip).into_iter().flatten().enumerate() {
                for id in [slot.base(), slot.current()].into_iter().flatten() {
                    assert!(
                        self.is_usable(id, vip.vip),
                        "slot {position} of {vip:?} names {id:?}, which is not usable"
                    );
                }
            }
        }
    }
}
