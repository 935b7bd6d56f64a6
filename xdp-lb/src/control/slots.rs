//! Which backend each slot of a VIP should lead to: a race.
//!
//! Every backend walks through all slots in an order of its own (`walk`), at a speed in proportion to its weight, and
//! takes the slots it finds free (`run`). As in Maglev (Eisenbud et al., NSDI'16, section 3.4) each has a permutation;
//! unlike there, a step onto a taken slot takes as long as any other. So a backend that gains speed takes slots from
//! those it now outruns and changes nothing between two others: what moves is what has to. With one weight changed,
//! that is the least possible. With several, no way to share that has no history moves less in general (Moulton and
//! Jiang, "Maximally Consistent Sampling and the Jaccard Index of Probability Distributions", ICDM'18).
//!
//! The price is chance: of `n` expected slots a backend gets `n ± √(n/2)`. Two things even that out:
//!
//! - **Paces**, factors on the speeds, made once from the configured weights, bring every backend to within 2 % of its
//!   share where all have their configured weight. They stay as they are when weights move.
//! - **A fill**: a backend that holds 1.03 of its share stops. It is rarely met near the configured weights.
//!
//! The table depends on nothing but the configured set of addresses and weights, the live weights and its own size, and
//! only on IEEE's exact operations: every balancer with the same configuration and weights builds the same one.

mod run;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeMap;
use std::net::IpAddr;

use xdp_lb_common::ids::BackendId;

use self::run::{Walker, run};
use self::walk::{Key, Walk, key};

/// A backend that wants slots.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// What its slots will say.
    pub id: BackendId,
    /// Its identity.
    pub address: IpAddr,
    /// Relative to the others; takes part if above 0.
    pub weight: f64,
}

/// A backend holds at most this multiple of its share, or its share rounded up.
const FILL: f64 = 1.03;

/// How far from its share a backend may be, at configured weights, without being paced. Narrower is more even, but
/// more slots move when a backend is configured or removed: the paces of the others change.
const BAND: f64 = 0.02;

/// How often paces are corrected. More brings no more within the band that the fill would not see to.
const ROUNDS: usize = 3;

/// What a VIP's tables have in common while its configuration stays.
#[derive(Clone, Debug)]
pub struct Race {
    /// Sorted.
    configured: Vec<(IpAddr, f64)>,
    table_size: u32,
    /// Factors on speed; 1 where there is none.
    paces: BTreeMap<IpAddr, f64>,
}

impl Race {
    /// The race of `configured` addresses and weights, with all that are configured, whether or not they are up, for
    /// tables of `table_size` slots, a prime. Takes a few times as long as [`Race::fill`]: make it once.
    pub fn new(configured: &[(IpAddr, f64)], table_size: u32) -> Self {
        let configured = sorted(configured);
        let takers: Vec<(IpAddr, f64)> =
            configured.iter().copied().filter(|&(_, weight)| counts(weight)).collect();
        let sum: f64 = takers.iter().map(|(_, weight)| weight).sum();
        let mut walkers: Vec<Walker> = takers
            .iter()
            .map(|&(address, weight)| Walker {
                walk: Walk::new(address, table_size),
                speed: weight,
                most: table_size,
            })
            .collect();
        // One alone has every slot, however fast it walks.
        for _ in 0..if walkers.len() > 1 { ROUNDS } else { 0 } {
            let held = run(&walkers, table_size).held;
            for ((walker, held), (_, weight)) in walkers.iter_mut().zip(held).zip(&takers) {
                walker.speed *= correction(f64::from(held), f64::from(table_size) * weight / sum);
            }
        }
        let paces =
            takers.iter().zip(&walkers).map(|((address, weight), w)| (*address, w.speed / weight)).collect();
        Self { configured, table_size, paces }
    }

    /// Whether [`Race::new`] would give this one.
    pub fn is_of(&self, configured: &[(IpAddr, f64)], table_size: u32) -> bool {
        self.table_size == table_size && self.configured == sorted(configured)
    }

    /// The table for these weights. `None` everywhere if no candidate has one; a candidate that has one gets a slot at
    /// least, however small it is, unless there are more candidates than slots.
    pub fn fill(&self, candidates: &[Candidate]) -> Vec<Option<BackendId>> {
        let mut takers: Vec<(Key, &Candidate)> = candidates
            .iter()
            .filter(|candidate| counts(candidate.weight))
            .map(|candidate| (key(candidate.address), candidate))
            .collect();
        // Whose turn it is in a dead heat may not depend on the order in which they came.
        takers.sort_unstable_by_key(|(key, _)| *key);
        let sum: f64 = takers.iter().map(|(_, taker)| taker.weight).sum();
        let walkers: Vec<Walker> = takers
            .iter()
            .map(|(_, taker)| {
                let share = f64::from(self.table_size) * taker.weight / sum;
                Walker {
                    walk: Walk::new(taker.address, self.table_size),
                    speed: taker.weight * self.paces.get(&taker.address).copied().unwrap_or(1.0),
                    // The shares add up to the table, so what is left always finds somebody who has room.
                    most: (share * FILL).floor().max(share.ceil()).max(1.0) as u32,
                }
            })
            .collect();
        let mut result = run(&walkers, self.table_size);
        result.leave_nobody_out(&walkers);
        result.owners.iter().map(|owner| takers.get(usize::from(*owner)).map(|(_, taker)| taker.id)).collect()
    }
}

/// Whether a weight takes part.
fn counts(weight: f64) -> bool {
    weight > 0.0 && weight.is_finite()
}

/// Factor on the speed of a backend that holds `held` slots and has a share of `share`. Slots are nearly in proportion
/// to speed; one that won nothing speeds up as if it had won half a slot.
fn correction(held: f64, share: f64) -> f64 {
    let within = held.clamp(share * (1.0 - BAND), share * (1.0 + BAND));
    within / held.max(0.5)
}

fn sorted(configured: &[(IpAddr, f64)]) -> Vec<(IpAddr, f64)> {
    let mut sorted = configured.to_vec();
    sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    sorted
}
