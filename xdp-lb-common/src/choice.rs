//! The choice of two: a new connection's second candidate, and when it is taken instead of the first.
//!
//! The first candidate is where the flow's slot leads new connections, the second where the slot under a second hash
//! leads them. Both are drawn with the odds that the table gives, so that what is compared is load, not size. The second
//! is taken only where its load is lower by the VIP's margin, and only if the flow can be recorded, since no other
//! packet of it would find the way (see [`crate::steer`]).
//!
//! What cannot be told from a packet: whether a SYN is one sent again, or forged. Where the first of a connection was
//! not recorded, a later one may find the loads changed and take the second candidate. That breaks a handshake whose
//! answer takes longer than the client waits before it repeats its SYN (RFC 6298: a second), and a connection whose
//! addresses and ports a forger knows, at a time when its backend is the more loaded of its two. Of a slot that moved,
//! the same has always been true for the drain time. Where clients' addresses can be forged and the harm is not worth
//! it, a VIP is better left to its table.

use crate::flow::second_slot_of;
use crate::ids::{BackendId, VipId};
use crate::maps::Backend;
use crate::slot::Slot;
use crate::steer::Tables;

/// What a backend is worth to the choice. All zero until the agent has published something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C, align(8))]
pub struct BackendLoad {
    /// Load without any connection in flight.
    pub standing: u32,
    /// What each connection in flight adds; 0 means that nothing is published.
    pub per_flow: u32,
    /// SYNs less FINs and RSTs, aged by the agent: an estimate, for a moment perhaps below zero.
    pub in_flight: i32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<BackendLoad>() == 16);

/// Loads from here on count as the same.
const MOST_LOAD: u64 = 1 << 43;

/// Margins from here on count as the same, in thousandths.
const MOST_MARGIN: u64 = 1_000_000;

impl BackendLoad {
    /// The load as it is compared.
    #[inline(always)]
    pub const fn total(&self) -> u64 {
        let flows = if self.in_flight > 0 { self.in_flight as u64 } else { 0 };
        let total = self.standing as u64 + self.per_flow as u64 * flows;
        if total > MOST_LOAD { MOST_LOAD } else { total }
    }

    /// Whether this load, of the second candidate, is lower than the first's by more than `margin` thousandths of
    /// itself. Nothing is compared with what is not published.
    #[inline(always)]
    pub const fn beats(&self, first: &Self, margin: u32) -> bool {
        let margin = if margin as u64 > MOST_MARGIN { MOST_MARGIN } else { margin as u64 };
        self.per_flow != 0 && first.per_flow != 0 && self.total() * (1000 + margin) < first.total() * 1000
    }
}

/// The better of a new connection's two candidates, of which the table has told the first.
#[inline(always)]
pub fn choose<T: Tables>(
    hash: u64,
    vip: VipId,
    table_size: u32,
    margin: u32,
    first: BackendId,
    tables: &T,
) -> BackendId {
    let position = second_slot_of(hash, table_size);
    let Some(second) = tables.slot(vip, position).and_then(Slot::current) else { return first };
    let (of_first, of_second) = (tables.load(first), tables.load(second));
    let is_usable = tables.backend(second).is_some_and(Backend::is_usable);
    if is_usable && of_second.beats(&of_first, margin) { second } else { first }
}

/// Estimates do not grow from here on: what all CPUs may add at once still fits, and none becomes negative.
const MOST_IN_FLIGHT: i32 = 1 << 30;

/// A connection was opened to a backend, or else closed.
#[inline(always)]
pub fn count<T: Tables>(backend: BackendId, opens: bool, tables: &T) {
    let more = step(tables.load(backend).in_flight, opens);
    if more != 0 {
        tables.add_in_flight(backend, more);
    }
}

/// What is to be added to an estimate. More closes than openings are an error of it, which it forgets at once.
#[inline(always)]
const fn step(in_flight: i32, opens: bool) -> i32 {
    match opens {
        true if in_flight < MOST_IN_FLIGHT => 1,
        false if in_flight > 0 => -1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(standing: u32, per_flow: u32, in_flight: i32) -> BackendLoad {
        BackendLoad { standing, per_flow, in_flight, reserved: 0 }
    }

    #[test]
    fn the_second_must_be_better_by_the_margin() {
        for (second, first, margin, wins) in [
            (load(0, 1, 0), load(0, 1, 0), 0, false),
            (load(0, 1, 9), load(0, 1, 10), 0, true),
            (load(0, 1, 8), load(0, 1, 10), 250, false),
            (load(0, 1, 7), load(0, 1, 10), 250, true),
            (load(0, 1, 0), load(0, 1, 1), 1_000_000, true),
            (load(0, 4, 2), load(0, 1, 10), 0, true),
            (load(0, 4, 3), load(0, 1, 10), 0, false),
            (load(5, 1, 0), load(0, 1, 5), 0, false),
            (load(0, 1, -3), load(0, 1, 1), 0, true),
            (load(0, 1, 0), load(0, 1, -3), 0, false),
            (load(0, 0, 0), load(0, 1, 9), 0, false),
            (load(0, 1, 0), load(0, 0, 9), 0, false),
            (load(u32::MAX, u32::MAX, i32::MAX), load(u32::MAX, u32::MAX, i32::MAX), u32::MAX, false),
            (load(0, 1, 0), load(u32::MAX, u32::MAX, i32::MAX), u32::MAX, true),
        ] {
            assert_eq!(second.beats(&first, margin), wins, "{second:?} against {first:?}, margin {margin}");
        }
    }

    #[test]
    fn an_estimate_neither_overflows_nor_falls_below_zero() {
        for (in_flight, opens, closes) in
            [(-3, 1, 0), (0, 1, 0), (1, 1, -1), (MOST_IN_FLIGHT - 1, 1, -1), (i32::MAX, 0, -1)]
        {
            assert_eq!((step(in_flight, true), step(in_flight, false)), (opens, closes), "{in_flight}");
        }
    }
}
