//! From an outcome to the number that an XDP program returns.

use aya_ebpf::bindings::xdp_action;
use xdp_lb_common::reason::Outcome;

/// The action for a frame that is not forwarded.
#[inline(always)]
pub const fn of(outcome: Outcome) -> u32 {
    match outcome {
        Outcome::Pass => xdp_action::XDP_PASS,
        Outcome::Reply => xdp_action::XDP_TX,
        Outcome::Drop | Outcome::Forward => xdp_action::XDP_DROP,
    }
}
