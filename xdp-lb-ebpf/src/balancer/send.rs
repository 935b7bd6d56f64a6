//! Puts a rewritten frame on the wire.

use aya_ebpf::bindings::{BPF_FIB_LKUP_RET_FRAG_NEEDED, bpf_fib_lookup, xdp_action};
use aya_ebpf::helpers::generated::{bpf_fib_lookup as fib_lookup, bpf_redirect};
use xdp_lb_common::balance::Forward;
use xdp_lb_common::flow::Signal;
use xdp_lb_common::packet::PacketMut;
use xdp_lb_common::reason::Reason;
use xdp_lb_ebpf::frame::Frame;

use crate::count;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// Sends the frame to its backend, by the next hop that the agent resolved or else by the kernel's routing table.
#[inline(always)]
pub(crate) fn to_backend(frame: &mut Frame, forward: &Forward<'_>) -> u32 {
    let egress = if forward.backend.is_resolved() {
        if matches!(forward.signal, Signal::About) {
            count::reason(Reason::ForwardedIcmpError);
        }
        forward.backend.egress
    } else {
        let (reason, egress) = match route(frame, forward) {
            Ok(egress) => (Reason::ForwardedByRoute, egress),
            Err(reason) => (reason, 0),
        };
        count::reason(reason);
        if egress == 0 {
            return xdp_action::XDP_DROP;
        }
        egress
    };
    count::forwarded(forward);
    if egress == frame.ingress() {
        return xdp_action::XDP_TX;
    }
    // SAFETY: the helper takes numbers.
    unsafe { bpf_redirect(egress, 0) as u32 }
}

/// Asks the kernel for the way to the backend and writes the MAC addresses it knows.
#[inline(always)]
fn route(frame: &mut Frame, forward: &Forward<'_>) -> Result<u32, Reason> {
    // SAFETY: plain integers, all of which may be zero.
    let mut query: bpf_fib_lookup = unsafe { core::mem::zeroed() };
    query.ifindex = frame.ingress();
    query.__bindgen_anon_1.tot_len = forward.ip_len as u16;
    let address = forward.backend.address;
    if address.is_v4() {
        query.family = AF_INET;
        query.__bindgen_anon_2.tos = forward.tos;
        query.__bindgen_anon_4.ipv4_dst = address.v4_word();
    } else {
        query.family = AF_INET6;
        let [a, b] = address.0;
        query.__bindgen_anon_4.ipv6_dst = [a as u32, (a >> 32) as u32, b as u32, (b >> 32) as u32];
    }
    // SAFETY: query is as long as told, and the context is the running program's.
    let found =
        unsafe { fib_lookup(frame.as_ptr().cast(), &mut query, size_of::<bpf_fib_lookup>() as i32, 0) };
    match found as u32 {
        0 => {}
        BPF_FIB_LKUP_RET_FRAG_NEEDED => return Err(Reason::TooBig),
        _ => return Err(Reason::NoNextHop),
    }
    frame.store(0, query.dmac).ok_or(Reason::TruncatedEthernet)?;
    frame.store(6, query.smac).ok_or(Reason::TruncatedEthernet)?;
    Ok(query.ifindex)
}
