//! Counters, one per CPU: no two program runs write the same one.

use xdp_lb_common::balance::Forward;
use xdp_lb_common::flow::Signal;
use xdp_lb_common::reason::Reason;

use crate::maps::{BACKEND_TRAFFIC, REASONS};

/// Counts a packet under its reason. `Forwarded` is the sum over the backends less the other two forwarding reasons, and
/// so is not counted a second time here.
#[inline(always)]
pub(crate) fn reason(reason: Reason) {
    let Some(counters) = REASONS.get_ptr_mut(0) else { return };
    // SAFETY: there is room for any byte, and the value is this CPU's.
    unsafe { *(&raw mut (*counters)[0]).add(reason as u8 as usize) += 1 };
}

/// Counts a forwarded packet with its backend.
#[inline(always)]
pub(crate) fn forwarded(forward: &Forward<'_>) {
    let Some(traffic) = BACKEND_TRAFFIC.get_ptr_mut(forward.id.index()) else { return };
    // SAFETY: the value is this CPU's.
    let traffic = unsafe { &mut *traffic };
    traffic.packets += 1;
    traffic.bytes += forward.bytes as u64;
    // Most packets do none of this.
    if forward.new_flow {
        traffic.new_flows += 1;
    }
    if matches!(forward.signal, Signal::Close) {
        traffic.closes += 1;
    }
    if forward.unrecorded {
        traffic.unrecorded += 1;
    }
}
