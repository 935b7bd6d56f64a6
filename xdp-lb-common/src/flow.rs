//! From a flow's hash to its slot.

/// The slot of a flow in a table of `table_size` slots: the hash's upper half, scaled.
#[inline(always)]
pub const fn slot_of(hash: u64, table_size: u32) -> u32 {
    (((hash >> 32) * table_size as u64) >> 32) as u32
}
