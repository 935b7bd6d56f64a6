//! From a frame to a verdict: parse, steer, rewrite. What the kernel program runs for each packet, and tests as well.

use crate::answer;
use crate::flow::{Flow, Signal};
use crate::ids::{BackendId, VipId};
use crate::maps::Address;
use crate::packet::PacketMut;
use crate::parse::{Content, Layout, Parsed, Stop, parse, parse_plain};
use crate::reason::Reason;
use crate::rewrite;
use crate::steer::{BudgetKind, Tables, is_vip_address, steer};

/// What is to be done with the frame, as it now is.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'a> {
    /// Leave it to the host, drop it, or send it back where it came from, as the reason's outcome says.
    Stop(Reason),
    /// Send it to the backend.
    Forward(Forward<'a>),
}

/// A frame rewritten for its backend.
#[derive(Clone, Copy, Debug)]
pub struct Forward<'a> {
    /// The VIP it came for.
    pub vip: VipId,
    /// The backend it goes to.
    pub id: BackendId,
    /// That backend's entry.
    pub backend: &'a crate::maps::Backend,
    /// Bytes of the frame as received.
    pub bytes: usize,
    /// What the packet did to its connection.
    pub signal: Signal,
    /// Whether it opened a flow.
    pub new_flow: bool,
    /// Whether it should have been recorded and could not.
    pub unrecorded: bool,
    /// TOS or traffic class.
    pub tos: u8,
    /// Bytes of the IP packet now, tunnel header included.
    pub ip_len: usize,
}

/// Handles one frame. The kernel program calls the two parts of this itself.
#[inline(always)]
pub fn balance<'a, P: PacketMut, T: Tables>(packet: &mut P, tables: &'a T) -> Verdict<'a> {
    balance_plain(packet, tables).unwrap_or_else(|| balance_other(packet, tables))
}

/// Handles a frame such as nearly all are; `None`, and nothing done, for any other.
#[inline(always)]
pub fn balance_plain<'a, P: PacketMut, T: Tables>(packet: &mut P, tables: &'a T) -> Option<Verdict<'a>> {
    let (layout, flow) = parse_plain(packet)?;
    Some(balance_flow(packet, layout, flow, tables))
}

/// Handles any frame.
#[inline(always)]
pub fn balance_other<'a, P: PacketMut, T: Tables>(packet: &mut P, tables: &'a T) -> Verdict<'a> {
    match parse(packet) {
        Ok(Parsed { layout, content: Content::Flow(flow) }) => balance_flow(packet, layout, flow, tables),
        Ok(Parsed { layout, content: Content::Echo(address) }) => {
            Verdict::Stop(answer_echo(packet, layout, address, tables))
        }
        Err(Stop::Always(reason)) => Verdict::Stop(reason),
        Err(Stop::IfVip { destination, reason }) => Verdict::Stop(judge(destination, reason, tables)),
    }
}

// What is rare is kept out of line: the kernel's target has ten registers, and what it needs must not crowd out what
// every packet needs. Arguments are passed by value for the same reason: a reference would keep them in memory.

#[cold]
#[inline(never)]
fn judge<T: Tables>(destination: Address, reason: Reason, tables: &T) -> Reason {
    if is_vip_address(destination, tables) { reason } else { Reason::NotVip }
}

#[cold]
#[inline(never)]
fn answer_echo<P: PacketMut, T: Tables>(
    packet: &mut P,
    layout: Layout,
    address: Address,
    tables: &T,
) -> Reason {
    if !is_vip_address(address, tables) {
        return Reason::NotVip;
    }
    let Some(layout) = layout.bounded() else { return Reason::TruncatedTransport };
    let (Ok(reason) | Err(reason)) = answer::echo(packet, &layout);
    reason
}

#[inline(always)]
fn balance_flow<'a, P: PacketMut, T: Tables>(
    packet: &mut P,
    layout: Layout,
    flow: Flow,
    tables: &'a T,
) -> Verdict<'a> {
    let steered = match steer(&flow, tables) {
        Ok(steered) => steered,
        Err(reason) => return Verdict::Stop(reason),
    };
    let bytes = packet.len();
    let overhead = rewrite::overhead(rewrite::tunnel_of(steered.backend));
    let ip_len = layout.ip_len + overhead;
    if ip_len > steered.backend.mtu as usize {
        // An error never answers an error (RFC 1122 section 3.2.2), nor a packet that may be fragmented.
        if !layout.dont_fragment || matches!(flow.signal, Signal::About) {
            return Verdict::Stop(Reason::TooBig);
        }
        let mtu = steered.backend.mtu.saturating_sub(overhead as u32);
        return Verdict::Stop(answer_too_big(packet, layout, mtu, tables));
    }
    if let Err(reason) = rewrite::forward(packet, &layout, steered.hash, steered.backend) {
        return Verdict::Stop(reason);
    }
    Verdict::Forward(Forward {
        vip: steered.vip,
        id: steered.id,
        backend: steered.backend,
        bytes,
        signal: flow.signal,
        new_flow: steered.new_flow,
        unrecorded: steered.unrecorded,
        tos: layout.tos,
        ip_len,
    })
}

#[cold]
#[inline(never)]
fn answer_too_big<P: PacketMut, T: Tables>(packet: &mut P, layout: Layout, mtu: u32, tables: &T) -> Reason {
    let Some(settings) = tables.settings() else { return Reason::NoTable };
    if !tables.spend(BudgetKind::Icmp, settings) {
        return Reason::TooBig;
    }
    let Some(layout) = layout.bounded() else { return Reason::TooBig };
    let (Ok(reason) | Err(reason)) = answer::too_big(packet, &layout, mtu);
    reason
}
