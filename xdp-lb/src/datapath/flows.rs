//! The flow table from the agent's side: ages recorded flows and tells where live ones are, through the mapping. Any
//! other memory of the same shape will do, which is how tests run this code without a kernel.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use xdp_lb_common::flow::{buckets_of, slot_of, tag_of};
use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::limits::BUCKET_WORDS;
use xdp_lb_common::maps::{Bucket, FlowWord, Settings};

use super::mapping::Mapping;
use crate::control::Sweep;

/// Which VIP a backend belongs to and how large its table is: a recorded flow's slot follows from its backend and tag.
pub type Owners = BTreeMap<BackendId, (VipId, u32)>;

/// The words of the flow table, wherever they lie.
pub trait FlowTable {
    /// Number of buckets.
    fn buckets(&self) -> u32;

    /// The word at `place` of `bucket`; `None` past the end.
    fn word(&self, bucket: u32, place: usize) -> Option<&AtomicU64>;
}

impl FlowTable for Mapping<Bucket> {
    fn buckets(&self) -> u32 {
        self.entries()
    }

    fn word(&self, bucket: u32, place: usize) -> Option<&AtomicU64> {
        Mapping::word(self, bucket, place)
    }
}

/// One pass over the flow table, in parts.
#[derive(Debug, Default)]
pub struct Sweeper {
    next_bucket: u32,
    began: Option<Instant>,
    /// One bit for each slot.
    live: BTreeMap<VipId, Vec<u64>>,
    flows: BTreeMap<BackendId, u64>,
}

impl Sweeper {
    /// Looks through one of `parts` parts; the last one gives the whole pass's result.
    pub fn step(
        &mut self,
        table: &impl FlowTable,
        settings: &Settings,
        owners: &Owners,
        parts: u32,
        now: Instant,
    ) -> Option<Sweep> {
        if self.next_bucket == 0 {
            *self = Self { began: Some(now), ..Self::default() };
        }
        let end = (self.next_bucket + table.buckets().div_ceil(parts.max(1))).min(table.buckets());
        for bucket in self.next_bucket..end {
            for place in 0..BUCKET_WORDS {
                self.judge(table, bucket, place, settings, owners);
            }
        }
        self.next_bucket = if end == table.buckets() { 0 } else { end };
        (self.next_bucket == 0).then(|| self.result())
    }

    fn judge(
        &mut self,
        table: &impl FlowTable,
        bucket: u32,
        place: usize,
        settings: &Settings,
        owners: &Owners,
    ) {
        let Some(cell) = table.word(bucket, place) else { return };
        let word = FlowWord(cell.load(Ordering::Relaxed));
        let Some(backend) = word.backend() else { return };
        let owner = owners.get(&backend).filter(|_| !word.is_expired(settings));
        // If the kernel has seen the flow this instant it stays, and counts in the next pass.
        let Some(&(vip, table_size)) = owner else {
            let _ = cell.compare_exchange(word.0, FlowWord::FREE.0, Ordering::Relaxed, Ordering::Relaxed);
            return;
        };
        let slot = slot_of(u64::from(word.tag()) << 32, table_size) as usize;
        let bits = self.live.entry(vip).or_insert_with(|| vec![0; (table_size as usize).div_ceil(64)]);
        if let Some(bits) = bits.get_mut(slot / 64) {
            *bits |= 1 << (slot % 64);
        }
        *self.flows.entry(backend).or_default() += 1;
    }

    fn result(&mut self) -> Sweep {
        let live_slots = self
            .live
            .iter()
            .flat_map(|(&vip, bits)| {
                let slots = bits.iter().enumerate().flat_map(|(index, &bits)| {
                    (0..64).filter(move |bit| bits & 1 << bit != 0).map(move |bit| index as u32 * 64 + bit)
                });
                slots.map(move |slot| (vip, slot))
            })
            .collect();
        Sweep {
            began: self.began,
            live_slots,
            flows: self.flows.iter().map(|(&id, &count)| (id, count)).collect(),
        }
    }
}

/// Removes every recorded flow to `backend`.
pub fn purge(table: &impl FlowTable, backend: BackendId) {
    for bucket in 0..table.buckets() {
        for place in 0..BUCKET_WORDS {
            let Some(cell) = table.word(bucket, place) else { continue };
            let mut word = cell.load(Ordering::Relaxed);
            while FlowWord(word).backend() == Some(backend) {
                match cell.compare_exchange(word, FlowWord::FREE.0, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => break,
                    Err(now) => word = now,
                }
            }
        }
    }
}

/// Backend of the live recorded flow with this hash.
pub fn recorded(table: &impl FlowTable, settings: &Settings, flow_hash: u64) -> Option<BackendId> {
    buckets_of(flow_hash, settings)
        .into_iter()
        .flat_map(|bucket| (0..BUCKET_WORDS).map(move |place| (bucket, place)))
        .filter_map(|(bucket, place)| Some(FlowWord(table.word(bucket, place)?.load(Ordering::Relaxed))))
        .find(|word| word.tag() == tag_of(flow_hash) && word.backend().is_some())
        .and_then(FlowWord::backend)
}
