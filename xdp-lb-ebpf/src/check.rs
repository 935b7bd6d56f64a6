//! Leads health checks by the data path: a packet of the host that bears a check's mark leaves for the backend which
//! the mark names, rewritten as the VIP's packets are. Runs in traffic control, on the way out, where XDP does not.
#![no_std]
#![no_main]
#![expect(missing_docs, unreachable_pub, reason = "the macros want public items that nobody calls by name")]

use aya_ebpf::bindings::{BPF_F_MMAPABLE, TC_ACT_SHOT, TC_ACT_UNSPEC};
use aya_ebpf::helpers::generated::bpf_redirect;
use aya_ebpf::macros::{classifier, map};
use aya_ebpf::maps::{Array, PerCpuArray};
use aya_ebpf::programs::TcContext;
use xdp_lb_common::check::{backend_of, lead};
use xdp_lb_common::ids::BackendId;
use xdp_lb_common::maps::Backend;
use xdp_lb_common::reason::Reason;
use xdp_lb_ebpf::buffer::Buffer;

xdp_lb_ebpf::object!();

/// The balancer's own, found under its pin.
#[map]
static BACKENDS: Array<Backend> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Apart from the balancer's, which tell of the VIP's traffic.
#[map]
static CHECK_REASONS: PerCpuArray<[u64; Reason::ROOM]> = PerCpuArray::with_max_entries(1, 0);

#[classifier]
pub fn xdp_lb_check(context: TcContext) -> i32 {
    // SAFETY: this is the running program's context.
    let mut buffer = unsafe { Buffer::new(context.skb.skb) };
    // Whatever the next program decides.
    let Some(backend) = backend_of(buffer.mark()) else { return TC_ACT_UNSPEC };
    let egress = match rewrite(&mut buffer, backend) {
        Ok(egress) => egress,
        Err(reason) => {
            count(reason);
            return TC_ACT_SHOT;
        }
    };
    count(Reason::Forwarded);
    // It is done: this program may be on the other interface as well.
    buffer.clear_mark();
    if egress == buffer.egress() {
        return TC_ACT_UNSPEC;
    }
    // SAFETY: the helper takes numbers.
    unsafe { bpf_redirect(egress, 0) as i32 }
}

#[inline(always)]
fn rewrite(buffer: &mut Buffer, backend: BackendId) -> Result<u32, Reason> {
    let backend = BACKENDS.get(backend.index()).ok_or(Reason::NoBackend)?;
    let hash = buffer.flow_hash() as u64;
    lead(buffer, backend, hash)
}

#[inline(always)]
fn count(reason: Reason) {
    let Some(counters) = CHECK_REASONS.get_ptr_mut(0) else { return };
    // SAFETY: there is room for any byte, and the value is this CPU's.
    unsafe { *(&raw mut (*counters)[0]).add(reason as u8 as usize) += 1 };
}
