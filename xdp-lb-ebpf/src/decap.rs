//! The backend's XDP program: takes tunnel headers off.
#![no_std]
#![no_main]
#![expect(missing_docs, unreachable_pub, reason = "the macros want public items that nobody calls by name")]

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::{Array, PerCpuArray};
use aya_ebpf::programs::XdpContext;
use xdp_lb_common::decap::{DecapSettings, decapsulate};
use xdp_lb_common::reason::Reason;
use xdp_lb_ebpf::action;
use xdp_lb_ebpf::frame::Frame;

xdp_lb_ebpf::object!();

#[map]
static DECAP_SETTINGS: Array<DecapSettings> = Array::with_max_entries(1, 0);

#[map]
static REASONS: PerCpuArray<[u64; Reason::ROOM]> = PerCpuArray::with_max_entries(1, 0);

#[xdp]
pub fn xdp_lb_decap(context: XdpContext) -> u32 {
    let Some(settings) = DECAP_SETTINGS.get(0) else { return xdp_action::XDP_PASS };
    // SAFETY: this is the running program's context.
    let mut frame = unsafe { Frame::new(context.ctx) };
    let reason = decapsulate(&mut frame, settings);
    if let Some(counters) = REASONS.get_ptr_mut(0) {
        // SAFETY: there is room for any byte, and the value is this CPU's.
        unsafe { *(&raw mut (*counters)[0]).add(reason as u8 as usize) += 1 };
    }
    action::of(reason.outcome())
}
