//! Counters, one per CPU: no two program runs write the same one.

use aya_ebpf::maps::PerCpuArray;
use xdp_lb_common::balance::Forward;
use xdp_lb_common::flow::Signal;
use xdp_lb_common::maps::Traffic;
use xdp_lb_common::reason::Reason;

use crate::maps::{BACKEND_TRAFFIC, REASONS, VIP_TRAFFIC};

/// Counts a packet under its reason. `Forwarded` is the sum over the VIPs less the other two forwarding reasons, and
/// so is not counted a second time here.
#[inline(always)]
pub(crate) fn reason(reason: Reason) {
    let Some(counters) = REASONS.get_ptr_mut(0) else { return };
    // SAFETY: a reason's number is below COUNT, and the value is this CPU's.
    unsafe { (*counters)[reason as usize] += 1 };
}

/// Counts a forwarded packet with its VIP and its backend.
#[inline(always)]
pub(crate) fn forwarded(forward: &Forward<'_>) {
    traffic(&VIP_TRAFFIC, forward.vip.index(), forward);
    traffic(&BACKEND_TRAFFIC, forward.id.index(), forward);
}

#[inline(always)]
fn traffic(map: &PerCpuArray<Traffic>, index: u32, forward: &Forward<'_>) {
    let Some(traffic) = map.get_ptr_mut(index) else { return };
    // SAFETY: the value is this CPU's.
    let traffic = unsafe { &mut *traffic };
    traffic.packets += 1;
    traffic.bytes += forward.bytes as u64;
    traffic.new_flows += forward.new_flow as u64;
    traffic.closes += matches!(forward.signal, Signal::Close) as u64;
    traffic.unrecorded += forward.unrecorded as u64;
}
