//! The balancer's XDP program.
#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![expect(internal_features, reason = "compare-and-exchange, which the target offers only as an intrinsic")]
#![expect(missing_docs, unreachable_pub, reason = "the macros want public items that nobody calls by name")]

#[path = "balancer/count.rs"]
mod count;
#[path = "balancer/functions.rs"]
mod functions;
#[path = "balancer/maps.rs"]
mod maps;
#[path = "balancer/send.rs"]
mod send;
#[path = "balancer/tables.rs"]
mod tables;

use core::hint::cold_path;

use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use xdp_lb_common::balance::{Verdict, balance_other, balance_plain};
use xdp_lb_ebpf::action;
use xdp_lb_ebpf::frame::Frame;

use crate::tables::KernelTables;

xdp_lb_ebpf::object!();

#[xdp]
pub fn xdp_lb(context: XdpContext) -> u32 {
    // SAFETY: this is the running program's context.
    let mut frame = unsafe { Frame::new(context.ctx) };
    match balance_plain(&mut frame, &KernelTables) {
        Some(verdict) => carry_out(&mut frame, verdict),
        None => {
            cold_path();
            handle_other(&mut frame)
        }
    }
}

/// Off the straight path: what is rare takes no registers from what is not.
#[inline(always)]
fn handle_other(frame: &mut Frame) -> u32 {
    let verdict = balance_other(frame, &KernelTables);
    carry_out(frame, verdict)
}

#[inline(always)]
fn carry_out(frame: &mut Frame, verdict: Verdict<'_>) -> u32 {
    match verdict {
        Verdict::Forward(forward) => send::to_backend(frame, &forward),
        Verdict::Stop(reason) => {
            count::reason(reason);
            action::of(reason.outcome())
        }
    }
}
