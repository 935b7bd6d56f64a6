//! The weighted Maglev table: which backend each slot of a VIP should lead to.
//!
//! Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI'16, section 3.4: backends take
//! turns, and at its turn each takes the first free slot of its own permutation of the table. A backend's weight says
//! how often its turn comes. The table depends on nothing but the set of (address, weight) and the table's size, so
//! that every balancer with the same configuration builds the same one.

use std::net::IpAddr;

use xdp_lb_common::ids::BackendId;

use super::rng::mix;

/// A backend that wants slots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) id: BackendId,
    /// Its identity.
    pub(super) address: IpAddr,
    /// Relative to the others; takes part if above 0.
    pub(super) weight: f64,
}

/// A table of `table_size` slots, a prime. `None` everywhere if no candidate has a weight.
pub(super) fn fill(candidates: &[Candidate], table_size: u32) -> Vec<Option<BackendId>> {
    let mut table = vec![None; table_size as usize];
    let mut takers: Vec<Taker> = candidates
        .iter()
        .filter(|c| c.weight > 0.0 && c.weight.is_finite())
        .map(|c| Taker::new(c, table_size))
        .collect();
    takers.sort_unstable_by_key(|taker| taker.key);
    let mut taken = vec![0u64; table.len().div_ceil(64)];
    for index in turns(&takers, table_size) {
        let taker = &mut takers[index];
        let slot = loop {
            let slot = taker.next as usize;
            taker.next += taker.skip;
            if taker.next >= table_size {
                taker.next -= table_size;
            }
            if taken[slot / 64] & 1 << (slot % 64) == 0 {
                break slot;
            }
        };
        taken[slot / 64] |= 1 << (slot % 64);
        table[slot] = Some(taker.id);
    }
    table
}

/// A backend walking through its permutation `offset, offset + skip, …` modulo the table's size.
struct Taker {
    /// Orders the backends, independent of how they came; the address settles the unlikely tie.
    key: (u64, IpAddr),
    id: BackendId,
    weight: f64,
    next: u32,
    skip: u32,
}

impl Taker {
    fn new(candidate: &Candidate, table_size: u32) -> Self {
        let octets = match candidate.address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let bits = u128::from_be_bytes(octets);
        let digest = |salt: u64| mix(mix((bits >> 64) as u64 ^ salt).wrapping_add(bits as u64));
        let size = u64::from(table_size);
        Self {
            key: (digest(0x243f_6a88_85a3_08d3), candidate.address),
            id: candidate.id,
            weight: candidate.weight,
            next: (digest(0x1319_8a2e_0370_7344) % size) as u32,
            skip: (digest(0xa409_3822_299f_31d0) % (size - 1)) as u32 + 1,
        }
    }
}

/// Whose turn it is, `table_size` times. Turn `k` of a backend of weight `w` comes at time `(k + ½) / w`, so that after
/// any number of turns each backend has had its share rounded to a whole number (Webster's apportionment), and the
/// order among the others does not change when one comes or goes.
fn turns(takers: &[Taker], table_size: u32) -> impl Iterator<Item = usize> + use<> {
    let sum: f64 = takers.iter().map(|taker| taker.weight).sum();
    // Rounding costs each backend at most half a turn: these are enough.
    let end = (f64::from(table_size) + takers.len() as f64) / sum;
    let mut order = Vec::with_capacity(table_size as usize + 2 * takers.len());
    for (index, taker) in takers.iter().enumerate() {
        let count = (taker.weight * end + 0.5).floor();
        let scale = (1u64 << 47) as f64 / (taker.weight * end);
        order.extend((0..count as u64).map(|k| (((k as f64 + 0.5) * scale) as u64) << 16 | index as u64));
    }
    order.sort_unstable();
    order.truncate(table_size as usize);
    order.into_iter().map(|turn| (turn & 0xffff) as usize)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn candidates(weights: &[f64]) -> Vec<Candidate> {
        let one = |(index, &weight): (usize, &f64)| Candidate {
            id: BackendId::new(index as u16 + 1).unwrap(),
            address: IpAddr::from([10, 0, (index / 250) as u8, (index % 250) as u8 + 1]),
            weight,
        };
        weights.iter().enumerate().map(one).collect()
    }

    fn shares(table: &[Option<BackendId>]) -> BTreeMap<u32, usize> {
        let mut shares = BTreeMap::new();
        for id in table.iter().flatten() {
            *shares.entry(id.index()).or_default() += 1;
        }
        shares
    }

    fn differing(a: &[Option<BackendId>], b: &[Option<BackendId>]) -> f64 {
        a.iter().zip(b).filter(|(a, b)| a != b).count() as f64 / a.len() as f64
    }

    #[test]
    fn shares_are_the_weights_to_within_a_slot() {
        let sizes = [251, 1009, 65_537];
        let cases: &[&[f64]] = &[
            &[1.0],
            &[1.0; 3],
            &[1.0, 2.0, 5.0],
            &[100.0; 256],
            &[65535.0, 1.0, 0.0, 300.0],
            &[0.05, 1.7, 0.3],
        ];
        for (weights, size) in cases.iter().flat_map(|w| sizes.map(|s| (w, s))) {
            let table = fill(&candidates(weights), size);
            let shares = shares(&table);
            let sum: f64 = weights.iter().sum();
            assert_eq!(shares.values().sum::<usize>(), size as usize, "every slot is taken");
            for (index, weight) in weights.iter().enumerate() {
                let ideal = f64::from(size) * weight / sum;
                let got = *shares.get(&(index as u32 + 1)).unwrap_or(&0) as f64;
                assert!(
                    (got - ideal).abs() <= 1.5,
                    "{weights:?}, {size} slots: {index} has {got} of {ideal}"
                );
                assert!(*weight > 0.0 || got == 0.0, "no weight, no slot");
            }
        }
    }

    #[test]
    fn without_weight_the_table_is_empty() {
        for weights in [&[][..], &[0.0, 0.0], &[f64::NAN]] {
            assert!(fill(&candidates(weights), 251).iter().all(Option::is_none));
        }
    }

    #[test]
    fn the_order_of_backends_does_not_matter() {
        let mut all = candidates(&[3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]);
        let before = fill(&all, 65_537);
        all.reverse();
        all.swap(1, 5);
        assert_eq!(before, fill(&all, 65_537));
    }

    #[test]
    fn few_slots_move_beyond_the_unavoidable() {
        let base = [100.0; 20];
        let with = |index: usize, weight: f64| {
            let mut weights = base.to_vec();
            weights[index] = weight;
            weights
        };
        // Description, weights after, share of slots that must move.
        let rows = [
            ("one of twenty goes", with(7, 0.0), 1.0 / 20.0),
            ("one more comes", [&base[..], &[100.0]].concat(), 1.0 / 21.0),
            ("one has half the weight", with(3, 50.0), 1.0 / 20.0 - 0.5 / 19.5),
            ("one has a tenth more", with(3, 110.0), 1.1 / 20.1 - 1.0 / 20.0),
            ("nothing changes", base.to_vec(), 0.0),
        ];
        let before = fill(&candidates(&base), 65_537);
        for (what, weights, ideal) in rows {
            let moved = differing(&before, &fill(&candidates(&weights), 65_537));
            println!("{what}: {moved:.4}, ideal {ideal:.4}");
            assert!(
                moved >= ideal - 0.001 && moved <= 2.0 * ideal + 0.01,
                "{what}: {moved:.4}, ideal {ideal:.4}"
            );
        }
    }

    #[test]
    fn tables_do_not_depend_on_the_build() {
        let table = fill(&candidates(&[1.0, 2.0, 5.0]), 251);
        let digest = table.iter().fold(0u64, |d, id| mix(d ^ u64::from(id.map_or(0, BackendId::index))));
        assert_eq!(digest, 0x1863_83fd_392d_5f19, "balancers of different versions must agree");
    }
}
