//! The balancer's maps. Sizes of 1 stand for what the agent sets when it loads the object.

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, PerCpuArray};
use xdp_lb_common::choice::BackendLoad;
use xdp_lb_common::maps::{Backend, Bucket, Budget, DirectoryEntry, Settings, SlotTable, Traffic};
use xdp_lb_common::reason::Reason;

#[map]
pub(crate) static SETTINGS: Array<Settings> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[map]
pub(crate) static DIRECTORY: Array<DirectoryEntry> = Array::with_max_entries(1, 0);

#[map]
pub(crate) static SLOTS: Array<SlotTable> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[map]
pub(crate) static BACKENDS: Array<Backend> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[map]
pub(crate) static LOADS: Array<BackendLoad> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[map]
pub(crate) static FLOWS: Array<Bucket> = Array::with_max_entries(1, BPF_F_MMAPABLE);

#[map]
pub(crate) static BACKEND_TRAFFIC: PerCpuArray<Traffic> = PerCpuArray::with_max_entries(1, 0);

#[map]
pub(crate) static REASONS: PerCpuArray<[u64; Reason::ROOM]> = PerCpuArray::with_max_entries(1, 0);

#[map]
pub(crate) static BUDGETS: PerCpuArray<[Budget; 2]> = PerCpuArray::with_max_entries(1, 0);
