//! What measures the balancer: makes every test run see the packet as it came, then runs the program under test.
//!
//! The kernel repeats a test run on one and the same frame, so from the second time on a program would see what it
//! wrote the first time. `wrapper` takes off what was pushed and writes the Ethernet header back, varies the client
//! where many flows are wanted, and calls the program under test as a tail call. The two floors are called the same way,
//! so that the difference to them is the program's own work.
#![no_std]
#![no_main]
#![expect(missing_docs, unreachable_pub, reason = "the macros want public items that nobody calls by name")]

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::{Array, ProgramArray};
use aya_ebpf::programs::XdpContext;
use xdp_lb_common::bench::BenchSettings;
use xdp_lb_common::packet::PacketMut;
use xdp_lb_ebpf::frame::Frame;

xdp_lb_ebpf::object!();

#[map]
static BENCH_SETTINGS: Array<BenchSettings> = Array::with_max_entries(1, 0);

/// Position 0 is the program under test.
#[map]
static UNDER_TEST: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Renews the frame and runs the program under test. Aborts where it cannot, so that nothing else is measured.
#[xdp]
pub fn wrapper(context: XdpContext) -> u32 {
    let Some(settings) = BENCH_SETTINGS.get_ptr_mut(0) else { return xdp_action::XDP_ABORTED };
    // SAFETY: this is the running program's context.
    let mut frame = unsafe { Frame::new(context.ctx) };
    // SAFETY: test runs follow one another, so that nobody else writes.
    if unsafe { (*settings).renew(&mut frame) }.is_none() {
        return xdp_action::XDP_ABORTED;
    }
    // SAFETY: the context is the running program's; only a failed call returns.
    unsafe { UNDER_TEST.tail_call(&context, 0) };
    xdp_action::XDP_ABORTED
}

/// The least that any program does.
#[xdp]
pub fn pass_floor(_context: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

/// The least that a program does which puts an IPv4 tunnel header before every packet: the same one always.
#[xdp]
pub fn push_floor(context: XdpContext) -> u32 {
    // SAFETY: this is the running program's context.
    let mut frame = unsafe { Frame::new(context.ctx) };
    match push_constant(&mut frame) {
        Some(()) => xdp_action::XDP_TX,
        None => xdp_action::XDP_ABORTED,
    }
}

/// Ethernet and IPv4 header, 34 bytes.
#[inline(always)]
fn push_constant(frame: &mut Frame) -> Option<()> {
    frame.push(20)?;
    frame.store(
        0,
        [0x0202_0404_0404_0404_u64, 0x0045_0008_0202_0202, 0x0440_0000_0000_3c00, 0x000a_0000_10ac_0000],
    )?;
    frame.store(32, 0x0100_u16)
}
