//! Names that the kernel and the agent give to VIPs and backends: positions in the maps.

use crate::limits::MAX_BACKENDS;

/// Position of a VIP in the slot tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct VipId(u16);

impl VipId {
    /// The VIP at position `index`.
    #[inline(always)]
    pub const fn new(index: u16) -> Self {
        Self(index)
    }

    /// The position.
    #[inline(always)]
    pub const fn index(self) -> u32 {
        self.0 as u32
    }

    /// The position as the 16 bits that map entries hold.
    #[inline(always)]
    pub const fn raw(self) -> u16 {
        self.0
    }
}

/// Position of a backend in the backend map. A backend belongs to exactly one VIP: the same server behind two
/// VIPs is two backends. Never 0, which stands for "no backend" in slots and flow words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct BackendId(u16);

impl BackendId {
    /// The backend at position `index`; `None` for 0 and for positions past [`MAX_BACKENDS`].
    #[inline(always)]
    pub const fn new(index: u16) -> Option<Self> {
        if index == 0 || index as u32 > MAX_BACKENDS { None } else { Some(Self(index)) }
    }

    /// The position, from 1.
    #[inline(always)]
    pub const fn index(self) -> u32 {
        self.0 as u32
    }

    /// The position as the 16 bits that map entries hold.
    #[inline(always)]
    pub const fn raw(self) -> u16 {
        self.0
    }
}
