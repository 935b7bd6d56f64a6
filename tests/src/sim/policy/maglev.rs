//! Maglev's table with equal weights, by hash (Eisenbud et al.: "Maglev: a fast and reliable software network load
//! balancer", NSDI'16, section 3.4). Written from the paper, apart from xdp-lb's own.

use anyhow::Result;

use super::{Io, Policy, Request, Start};
use crate::sim::rng::{Rng, mix};
use crate::sim::time::Time;

/// The paper's larger size.
const SLOTS: usize = 65537;

struct Maglev {
    servers: Vec<usize>,
    table: Vec<usize>,
    moved: usize,
}

/// An instance.
pub(super) fn make(_: &Start) -> Result<Box<dyn Policy>> {
    Ok(Box::new(Maglev { servers: Vec::new(), table: Vec::new(), moved: 0 }))
}

/// The servers take turns to take the next slot of their own order that is free.
fn populate(servers: &[usize]) -> Vec<usize> {
    let mut table = vec![usize::MAX; SLOTS];
    let hash = |server: usize, salt: u64| mix(mix(server as u64 + 1) ^ salt) as usize;
    let order: Vec<(usize, usize)> =
        servers.iter().map(|s| (hash(*s, 1) % SLOTS, hash(*s, 2) % (SLOTS - 1) + 1)).collect();
    let mut next = vec![0; servers.len()];
    let mut left = SLOTS;
    for turn in (0..servers.len()).cycle() {
        let (offset, skip) = order[turn];
        let slot = loop {
            let slot = (offset + next[turn] * skip) % SLOTS;
            next[turn] += 1;
            if table[slot] == usize::MAX {
                break slot;
            }
        };
        table[slot] = servers[turn];
        left -= 1;
        if left == 0 {
            break;
        }
    }
    table
}

impl Policy for Maglev {
    fn pick(&mut self, request: &Request, _: Time, _: &mut Rng, _: &mut Io) -> Option<usize> {
        if self.table.is_empty() && !self.servers.is_empty() {
            self.table = populate(&self.servers);
        }
        self.table.get((request.hash % SLOTS as u64) as usize).copied()
    }

    fn joined(&mut self, server: usize, _: Time) {
        self.servers.push(server);
        if !self.table.is_empty() {
            let table = populate(&self.servers);
            self.moved += table.iter().zip(&self.table).filter(|(new, old)| new != old).count();
            self.table = table;
        }
    }

    fn take_moved(&mut self) -> Option<f64> {
        Some(std::mem::take(&mut self.moved) as f64 / SLOTS as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_even_and_few_slots_move() {
        let before = populate(&(0..19).collect::<Vec<_>>());
        let after = populate(&(0..20).collect::<Vec<_>>());
        let mut counts = [0u32; 20];
        after.iter().for_each(|server| counts[*server] += 1);
        assert!(counts.iter().all(|count| count.abs_diff(SLOTS as u32 / 20) <= 1), "{counts:?}");
        let moved = before.iter().zip(&after).filter(|(old, new)| old != new).count();
        assert!(moved * 10 < SLOTS, "{moved}");
    }
}
