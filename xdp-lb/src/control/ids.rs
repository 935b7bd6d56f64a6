//! Free positions in the kernel's maps.

use std::collections::{BTreeSet, VecDeque};

/// Ids not in use. The one that has been free longest is taken first, so that ids rest before they name another.
#[derive(Debug)]
pub(super) struct Ids {
    free: VecDeque<u16>,
}

impl Ids {
    /// The ids of `range` but those `used`.
    pub(super) fn new(range: std::ops::Range<u32>, used: &BTreeSet<u16>) -> Self {
        Self { free: range.filter_map(|id| u16::try_from(id).ok()).filter(|id| !used.contains(id)).collect() }
    }

    /// `None` when all are in use.
    pub(super) fn take(&mut self) -> Option<u16> {
        self.free.pop_front()
    }

    pub(super) fn give(&mut self, id: u16) {
        self.free.push_back(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rest_as_long_as_possible() {
        let mut ids = Ids::new(1..5, &BTreeSet::from([2]));
        assert_eq!((ids.take(), ids.take()), (Some(1), Some(3)));
        ids.give(1);
        assert_eq!((ids.take(), ids.take(), ids.take()), (Some(4), Some(1), None));
    }
}
