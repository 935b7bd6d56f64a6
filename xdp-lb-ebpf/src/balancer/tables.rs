//! The maps as the forwarding decision sees them.

use core::cell::UnsafeCell;
use core::hint::black_box;
use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xadd};

use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use xdp_lb_common::choice::BackendLoad;
use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::limits::{BUCKET_WORDS, MAX_TABLE_SIZE};
use xdp_lb_common::maps::{Backend, DirectoryEntry, FlowWord, Settings};
use xdp_lb_common::slot::Slot;
use xdp_lb_common::steer::{BudgetKind, Tables};

use crate::functions::{choose_of_two, count_in_flight, record_flow};
use crate::maps::{BACKENDS, BUDGETS, DIRECTORY, FLOWS, LOADS, SETTINGS, SLOTS};

pub(crate) struct KernelTables;

impl Tables for KernelTables {
    type Place = UnsafeCell<u64>;

    #[inline(always)]
    fn settings(&self) -> Option<&Settings> {
        SETTINGS.get(0)
    }

    #[inline(always)]
    fn directory(&self, position: u32) -> Option<&DirectoryEntry> {
        DIRECTORY.get(position)
    }

    #[inline(always)]
    fn slot(&self, vip: VipId, slot: u32) -> Option<Slot> {
        let table = SLOTS.get_ptr(vip.index())?.cast::<u32>();
        // Opaque, lest the compiler folds the check into the multiplication that made the slot: the verifier wants to
        // see it on the very number that is used.
        let slot = black_box(slot);
        if slot >= MAX_TABLE_SIZE {
            return None;
        }
        // SAFETY: the table has MAX_TABLE_SIZE slots; the agent writes them whole.
        Some(Slot::from_word(unsafe { table.add(slot as usize).read_volatile() }))
    }

    #[inline(always)]
    fn backend(&self, backend: BackendId) -> Option<&Backend> {
        BACKENDS.get(backend.index())
    }

    #[inline(always)]
    fn load(&self, backend: BackendId) -> BackendLoad {
        let Some(load) = LOADS.get_ptr(backend.index()) else { return BackendLoad::default() };
        // SAFETY: an entry of the map. The agent and other CPUs write its words meanwhile: each is whole.
        unsafe { load.read_volatile() }
    }

    #[inline(always)]
    fn record(&self, buckets: [u32; 2], ours: FlowWord, _settings: &Settings) -> bool {
        record_flow(buckets[0], buckets[1], ours.0) != 0
    }

    #[inline(always)]
    fn choose(&self, hash: u64, vip: &DirectoryEntry, first: BackendId) -> BackendId {
        let chosen = choose_of_two(hash, vip.vip as u32, vip.table_size, vip.margin, first.raw() as u32);
        BackendId::new(chosen as u16).unwrap_or(first)
    }

    #[inline(always)]
    fn count(&self, backend: BackendId, opens: bool) {
        count_in_flight(backend.raw() as u32, opens as u32);
    }

    #[inline(always)]
    fn add_in_flight(&self, backend: BackendId, more: i32) {
        let Some(load) = LOADS.get_ptr_mut(backend.index()) else { return };
        // SAFETY: an aligned word of an entry of the map, which others change by atomic instructions only.
        unsafe {
            atomic_xadd::<i32, i32, { AtomicOrdering::Relaxed }>(&raw mut (*load).in_flight, more);
        }
    }

    #[inline(always)]
    fn bucket(&self, bucket: u32) -> Option<&[UnsafeCell<u64>; BUCKET_WORDS]> {
        let bucket = FLOWS.get_ptr(bucket)?.cast::<[UnsafeCell<u64>; BUCKET_WORDS]>();
        // SAFETY: an entry of the map, as long and as aligned as the words; cells may be shared.
        Some(unsafe { &*bucket })
    }

    #[inline(always)]
    fn read(&self, place: &UnsafeCell<u64>) -> u64 {
        // SAFETY: words are aligned, so that the load is one instruction and never sees half of a store.
        unsafe { place.get().read_volatile() }
    }

    #[inline(always)]
    fn exchange(&self, place: &UnsafeCell<u64>, old: u64, new: u64) -> bool {
        // SAFETY: the address of a cell, which may be written through a shared reference.
        let (_, done) = unsafe {
            atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(place.get(), old, new)
        };
        done
    }

    #[inline(always)]
    fn spend(&self, kind: BudgetKind, settings: &Settings) -> bool {
        let Some(budgets) = BUDGETS.get_ptr_mut(0) else { return false };
        // SAFETY: per-CPU value, and no other program run interrupts this one on its CPU.
        let budget = unsafe { &mut (*budgets)[kind as usize] };
        // SAFETY: the helper takes nothing and reads a clock.
        budget.spend(kind.limit(settings), settings.epoch, || unsafe { bpf_ktime_get_coarse_ns() })
    }
}
