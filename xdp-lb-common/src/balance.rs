//! From a frame to a verdict: parse, steer, rewrite. What the kernel program runs for each packet, and tests as well.

use crate::answer;
use crate::flow::{Flow, Signal};
use crate::ids::{BackendId, VipId};
use crate::packet::PacketMut;
use crate::parse::{Content, Layout, Stop, parse};
use crate::reason::Reason;
use crate::rewrite;
use crate::steer::{BudgetKind, Steered, Tables, is_vip_address, steer};

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

/// Handles one frame.
#[inline(always)]
pub fn balance<'a, P: PacketMut, T: Tables>(packet: &mut P, tables: &'a T) -> Verdict<'a> {
    let handled = match parse(packet) {
        Ok(parsed) => match parsed.content {
            Content::Flow(flow) => return balance_flow(packet, &parsed.layout, &flow, tables),
            Content::Echo(address) if is_vip_address(address, tables) => answer::echo(packet, &parsed.layout),
            Content::Echo(_) => Err(Reason::NotVip),
        },
        Err(Stop::Always(reason)) => Err(reason),
        Err(Stop::IfVip { destination, reason }) => {
            Err(if is_vip_address(destination, tables) { reason } else { Reason::NotVip })
        }
    };
    let (Ok(reason) | Err(reason)) = handled;
    Verdict::Stop(reason)
}

#[inline(always)]
fn balance_flow<'a, P: PacketMut, T: Tables>(
    packet: &mut P,
    layout: &Layout,
    flow: &Flow,
    tables: &'a T,
) -> Verdict<'a> {
    let steered = match steer(flow, tables) {
        Ok(steered) => steered,
        Err(reason) => return Verdict::Stop(reason),
    };
    let bytes = packet.len();
    let overhead = rewrite::overhead(rewrite::tunnel_of(steered.backend));
    let ip_len = layout.ip_len + overhead;
    if ip_len > steered.backend.mtu as usize {
        // An error never answers an error (RFC 1122 section 3.2.2), nor a packet that may be fragmented.
        let answerable = layout.dont_fragment && !matches!(flow.signal, Signal::About);
        if !answerable {
            return Verdict::Stop(Reason::TooBig);
        }
        return Verdict::Stop(answer_too_big(packet, layout, &steered, overhead, tables));
    }
    if let Err(reason) = rewrite::forward(packet, layout, steered.hash, steered.backend) {
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

#[inline(always)]
fn answer_too_big<P: PacketMut, T: Tables>(
    packet: &mut P,
    layout: &Layout,
    steered: &Steered<'_>,
    overhead: usize,
    tables: &T,
) -> Reason {
    let Some(settings) = tables.settings() else { return Reason::NoTable };
    if !tables.spend(BudgetKind::Icmp, settings) {
        return Reason::TooBig;
    }
    let mtu = steered.backend.mtu.saturating_sub(overhead as u32);
    let (Ok(reason) | Err(reason)) = answer::too_big(packet, layout, mtu);
    reason
}
