//! One slot of a VIP's table: a 32-bit word, read and written whole.
//!
//! Bits 0–14 `current` backend, 15–29 `base` backend, 30 tracked, 31 unused.
//!
//! ```text
//!              move                      drain time over
//!   stable ───────────► moved, tracked ─────────────────► settled, tracked
//!     ▲                    ▲      │ move: base stays            │    │
//!     │                    └──────┴─────────────────────────────┘    │
//!     └────────────── no live flow recorded in the slot ─────────────┘
//! ```

use crate::ids::BackendId;

const ID_BITS: u32 = 15;
const ID_MASK: u32 = (1 << ID_BITS) - 1;
const TRACKED: u32 = 1 << 30;

/// What a slot says: where new connections go, where unrecorded old ones belong, whether flows are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct Slot(u32);

impl Slot {
    /// The slot that has no backend.
    pub const EMPTY: Self = Self(0);

    /// A slot that every packet follows without a flow lookup.
    #[inline(always)]
    pub const fn stable(backend: BackendId) -> Self {
        let id = backend.raw() as u32;
        Self(id << ID_BITS | id)
    }

    /// A slot whose recorded flows are looked up; unrecorded connections belong to `base`, new ones to `current`.
    #[inline(always)]
    pub const fn tracked(base: BackendId, current: BackendId) -> Self {
        Self(TRACKED | (base.raw() as u32) << ID_BITS | current.raw() as u32)
    }

    /// As [`Slot::tracked`], where either side may have no backend. Recorded flows of such a slot are followed all
    /// the same: a VIP whose last backend drains refuses new connections (`current` is none) and keeps the old ones.
    #[inline(always)]
    pub const fn tracked_or_none(base: Option<BackendId>, current: Option<BackendId>) -> Self {
        Self(TRACKED | Self::id_bits(base) << ID_BITS | Self::id_bits(current))
    }

    const fn id_bits(backend: Option<BackendId>) -> u32 {
        match backend {
            Some(backend) => backend.raw() as u32,
            None => 0,
        }
    }

    /// The word as it lies in the map.
    #[inline(always)]
    pub const fn word(self) -> u32 {
        self.0
    }

    /// A word as it lay in the map.
    #[inline(always)]
    pub const fn from_word(word: u32) -> Self {
        Self(word)
    }

    /// Where a connection without a recorded flow belongs; `None` in an empty slot.
    #[inline(always)]
    pub const fn base(self) -> Option<BackendId> {
        BackendId::new((self.0 >> ID_BITS & ID_MASK) as u16)
    }

    /// Where a new connection goes; `None` in an empty slot.
    #[inline(always)]
    pub const fn current(self) -> Option<BackendId> {
        BackendId::new((self.0 & ID_MASK) as u16)
    }

    /// Whether packets look for a recorded flow first.
    #[inline(always)]
    pub const fn is_tracked(self) -> bool {
        self.0 & TRACKED != 0
    }

    /// Whether new connections go elsewhere than unrecorded old ones.
    #[inline(always)]
    pub const fn is_moved(self) -> bool {
        (self.0 >> ID_BITS & ID_MASK) != (self.0 & ID_MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_BACKENDS;

    #[test]
    fn words_hold_both_backends_and_the_flag() {
        let last = BackendId::new(MAX_BACKENDS as u16).unwrap();
        let one = BackendId::new(1).unwrap();
        for (slot, base, current, tracked, moved) in [
            (Slot::EMPTY, None, None, false, false),
            (Slot::stable(last), Some(last), Some(last), false, false),
            (Slot::tracked(last, one), Some(last), Some(one), true, true),
            (Slot::tracked(one, one), Some(one), Some(one), true, false),
            (Slot::tracked_or_none(Some(one), None), Some(one), None, true, true),
            (Slot::tracked_or_none(None, None), None, None, true, false),
            (Slot::tracked_or_none(Some(last), Some(one)), Some(last), Some(one), true, true),
        ] {
            assert_eq!(slot.base(), base);
            assert_eq!(slot.current(), current);
            assert_eq!(slot.is_tracked(), tracked);
            assert_eq!(slot.is_moved(), moved);
            assert_eq!(Slot::from_word(slot.word()), slot);
        }
    }
}
