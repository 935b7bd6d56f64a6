//! Limits per CPU and second that hold without asking for the time on every packet.

use crate::maps::Budget;

/// Counting starts anew this many ns after the budget ran out, should the agent's clock stand still.
const SECOND: u64 = 1_000_000_000;

impl Budget {
    /// Takes one; `false` when `limit` were taken in this second. A second is an `epoch` of the agent's clock; only
    /// when that one's budget is spent is the kernel's clock `now` (ns) asked, since the agent may not be running.
    #[inline(always)]
    pub fn spend(&mut self, limit: u32, epoch: u32, now: impl FnOnce() -> u64) -> bool {
        if self.epoch != epoch {
            *self = Self { epoch, spent: 0, since: 0 };
        }
        if self.spent < limit {
            self.spent += 1;
            return true;
        }
        let now = now();
        if self.since == 0 {
            self.since = now;
        }
        let anew = limit > 0 && now.wrapping_sub(self.since) >= SECOND;
        if anew {
            *self = Self { epoch, spent: 1, since: now };
        }
        anew
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_renews_with_the_epoch_and_without_it_by_the_clock() {
        let mut budget = Budget::default();
        let unasked = || -> u64 { unreachable!("the clock is not needed") };
        assert!(budget.spend(2, 7, unasked));
        assert!(budget.spend(2, 7, unasked));
        assert!(!budget.spend(2, 7, || 5));
        assert!(budget.spend(2, 8, unasked), "new epoch");
        assert!(budget.spend(2, 8, unasked));
        assert!(!budget.spend(2, 8, || 10 * SECOND));
        assert!(!budget.spend(2, 8, || 11 * SECOND - 1));
        assert!(budget.spend(2, 8, || 11 * SECOND), "a second after it ran out");
        assert!(budget.spend(2, 8, unasked));
        assert!(!budget.spend(2, 8, || 11 * SECOND + 1));
        assert!(!budget.spend(0, 9, || 1) && !budget.spend(0, 9, || 2 * SECOND), "a limit of none");
    }
}
