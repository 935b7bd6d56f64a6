//! The balancer's XDP program.
#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![expect(internal_features, reason = "compare-and-exchange, which the target offers only as an intrinsic")]
#![expect(missing_docs, unreachable_pub, reason = "the macros want public items that nobody calls by name")]

#[path = "balancer/count.rs"]
mod count;
#[path = "balancer/maps.rs"]
mod maps;
#[path = "balancer/send.rs"]
mod send;
#[path = "balancer/tables.rs"]
mod tables;

use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use xdp_lb_common::balance::{Verdict, balance};
use xdp_lb_ebpf::action;
use xdp_lb_ebpf::frame::Frame;

use crate::tables::KernelTables;

xdp_lb_ebpf::object!();

#[xdp]
pub fn xdp_lb(context: XdpContext) -> u32 {
    // SAFETY: this is the running program's context.
    let mut frame = unsafe { Frame::new(context.ctx) };
    match balance(&mut frame, &KernelTables) {
        Verdict::Forward(forward) => send::to_backend(&mut frame, &forward),
        Verdict::Stop(reason) => {
            count::reason(reason);
            action::of(reason.outcome())
        }
    }
}
