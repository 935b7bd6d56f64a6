//! Puts a rewritten frame on the wire.

use aya_ebpf::bindings::{
    BPF_FIB_LKUP_RET_FRAG_NEEDED, BPF_FIB_LKUP_RET_SUCCESS, bpf_fib_lookup as bpf_fib_lookup_arguments,
    xdp_action,
};
use aya_ebpf::helpers::generated::{bpf_fib_lookup, bpf_redirect};
use xdp_lb_common::balance::Forward;
use xdp_lb_common::flow::Signal;
use xdp_lb_common::maps::Tunnel;
use xdp_lb_common::packet::PacketMut;
use xdp_lb_common::reason::Reason;
use xdp_lb_common::rewrite::tunnel_of;
use xdp_lb_ebpf::frame::Frame;

use crate::count;

const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;

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
    let mut query = FibQuery::new(frame.ingress(), forward);
    let length = size_of::<FibQuery>() as i32;
    // SAFETY: the query is laid out as the helper wants it, and the context is the running program's.
    let found = unsafe { bpf_fib_lookup(frame.as_ptr().cast(), (&raw mut query).cast(), length, 0) };
    match found as u32 {
        BPF_FIB_LKUP_RET_SUCCESS => {}
        BPF_FIB_LKUP_RET_FRAG_NEEDED => return Err(Reason::TooBig),
        _ => return Err(Reason::NoNextHop),
    }
    let [_, second, _, _, upper, lower, vlan_and_source, source_and_destination] = query.0;
    // The helper puts the next hop's address in the destination's place. Without a tunnel the packet's own destination
    // is the VIP, which a gateway would send back here.
    if matches!(tunnel_of(forward.backend), Tunnel::None) && !is_backend(forward, upper, lower) {
        return Err(Reason::NoNextHop);
    }
    let source = vlan_and_source >> 32 | (source_and_destination & 0xffff) << 32;
    let destination = source_and_destination >> 16;
    frame.store(0, destination | source << 48).ok_or(Reason::TruncatedEthernet)?;
    frame.store(8, (source >> 16) as u32).ok_or(Reason::TruncatedEthernet)?;
    Ok(second as u32)
}

/// `struct bpf_fib_lookup` in whole words, since the verifier refuses the misaligned stack accesses that its fields
/// are compiled to: family (byte 0), length (6), interface (8), TOS (12), source (16), destination (32), VLAN (48),
/// source MAC address (52), destination MAC address (58).
#[repr(C)]
struct FibQuery([u64; 8]);

const _: () = assert!(size_of::<FibQuery>() == size_of::<bpf_fib_lookup_arguments>());

impl FibQuery {
    #[inline(always)]
    fn new(ingress: u32, forward: &Forward<'_>) -> Self {
        let address = forward.backend.address;
        let length = (forward.ip_len as u64) << 48;
        let ingress = ingress as u64;
        if address.is_v4() {
            let tos = (forward.tos as u64) << 32;
            Self([AF_INET | length, ingress | tos, 0, 0, address.v4_word() as u64, 0, 0, 0])
        } else {
            Self([AF_INET6 | length, ingress, 0, 0, address.0[0], address.0[1], 0, 0])
        }
    }
}

/// Whether these words hold the backend's own address, as a query holds it.
#[inline(always)]
fn is_backend(forward: &Forward<'_>, upper: u64, lower: u64) -> bool {
    let address = forward.backend.address;
    if address.is_v4() { upper as u32 == address.v4_word() } else { [upper, lower] == address.0 }
}
