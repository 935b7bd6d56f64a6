//! Fleets, and what happens to their weights.

use std::net::{IpAddr, Ipv4Addr};

use xdp_lb::control::slots::Candidate;
use xdp_lb_common::ids::BackendId;
use xdp_lb_common::limits::MAX_TABLE_SIZE;

/// A change of weights to measure.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) before: Change,
    pub(super) change: Change,
}

type Change = fn(Fleet, &mut Rng) -> Fleet;

const fn case(name: &'static str, description: &'static str, before: Change, change: Change) -> Case {
    Case { name, description, before, change }
}

/// "Drifted" is up to one step of 2^(1/6) from the configured weight, "far" up to four: 0.63 to 1.59 of it.
pub(super) const CASES: [Case; 14] = [
    case("up_10", "one + 10 %", same, |fleet, rng| fleet.one(rng, 1.1)),
    case("down_10", "one - 10 %", same, |fleet, rng| fleet.one(rng, 0.9)),
    case("up_50", "one + 50 %", same, |fleet, rng| fleet.one(rng, 1.5)),
    case("down_50", "one - 50 %", same, |fleet, rng| fleet.one(rng, 0.5)),
    case("gone", "one goes down", same, |fleet, rng| fleet.one(rng, 0.0)),
    case("drifted_up", "drifted: one step up", near, |fleet, rng| fleet.one(rng, step(1))),
    case("drifted_gone", "drifted: one goes down", near, |fleet, rng| fleet.one(rng, 0.0)),
    case("drifted_few", "drifted: four move a step", near, few),
    case("drifted_all", "drifted: all drift on", near, near),
    case("far_up", "far: one step up", far, |fleet, rng| fleet.one(rng, step(1))),
    case("far_gone", "far: one goes down", far, |fleet, rng| fleet.one(rng, 0.0)),
    case("far_all", "far: all drift on", far, near),
    case("added", "one is configured", same, |fleet, _| fleet.added()),
    case("removed", "one is removed", same, Fleet::removed),
];

fn same(fleet: Fleet, _: &mut Rng) -> Fleet {
    fleet
}

fn near(fleet: Fleet, rng: &mut Rng) -> Fleet {
    fleet.drifted(rng, 1)
}

fn far(fleet: Fleet, rng: &mut Rng) -> Fleet {
    fleet.drifted(rng, 4)
}

fn few(mut fleet: Fleet, rng: &mut Rng) -> Fleet {
    for _ in 0..4 {
        let steps = if rng.below(2) == 0 { 1 } else { -1 };
        fleet = fleet.one(rng, step(steps));
    }
    fleet
}

/// Factor of steps of the weights' grid.
fn step(steps: i32) -> f64 {
    2f64.powf(f64::from(steps) / 6.0)
}

/// Backends of one VIP.
#[derive(Clone, Debug)]
pub(super) struct Fleet(Vec<Backend>);

#[derive(Clone, Copy, Debug)]
struct Backend {
    id: BackendId,
    address: IpAddr,
    configured: f64,
    weight: f64,
}

impl Backend {
    /// The `number`-th, from 1, of a fleet in a network of its own.
    fn new(network: u8, number: u16) -> Self {
        let [high, low] = number.to_be_bytes();
        Self {
            id: BackendId::new(number).unwrap_or_else(|| unreachable!("{number} is a backend id")),
            address: Ipv4Addr::new(10, network, high, low).into(),
            configured: 100.0,
            weight: 100.0,
        }
    }
}

impl Fleet {
    pub(super) fn new(backends: usize, rng: &mut Rng) -> Self {
        let network = rng.below(256) as u8;
        Self((1..=backends as u16).map(|number| Backend::new(network, number)).collect())
    }

    pub(super) fn configured(&self) -> Vec<(IpAddr, f64)> {
        self.0.iter().map(|backend| (backend.address, backend.configured)).collect()
    }

    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let candidate = |backend: &Backend| Candidate {
            id: backend.id,
            address: backend.address,
            weight: backend.weight,
        };
        self.0.iter().map(candidate).collect()
    }

    /// Slots that those whose share grows gain: with a history, no more need move.
    pub(super) fn ideal(&self, after: &Self) -> f64 {
        let grown = after.0.iter().map(|backend| (after.share(backend.id) - self.share(backend.id)).max(0.0));
        f64::from(MAX_TABLE_SIZE) * grown.sum::<f64>()
    }

    /// Slots that move where tables have no history and numbers of slots are left to chance: all but the Jaccard index
    /// of the two distributions. (Moulton and Jiang, "Maximally Consistent Sampling and the Jaccard Index of Probability
    /// Distributions", ICDM'18: who moves fewer somewhere moves more elsewhere.)
    pub(super) fn without_history(&self, after: &Self) -> f64 {
        let mut ids: Vec<BackendId> = self.0.iter().chain(&after.0).map(|backend| backend.id).collect();
        ids.sort_unstable_by_key(|id| id.index());
        ids.dedup();
        let shares: Vec<(f64, f64)> = ids.iter().map(|&id| (self.share(id), after.share(id))).collect();
        let stays = |(x, y): &(f64, f64)| {
            1.0 / shares.iter().map(|(other_x, other_y)| (other_x / x).max(other_y / y)).sum::<f64>()
        };
        let stay: f64 = shares.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0).map(stays).sum();
        f64::from(MAX_TABLE_SIZE) * (1.0 - stay)
    }

    /// The largest number of slots that a backend has, over its share of them.
    pub(super) fn evenness(&self, table: &[Option<BackendId>]) -> f64 {
        let mut held =
            vec![0u32; 1 + self.0.iter().map(|backend| backend.id.index() as usize).max().unwrap_or(0)];
        for id in table.iter().flatten() {
            held[id.index() as usize] += 1;
        }
        let with_weight = self.0.iter().filter(|backend| backend.weight > 0.0);
        with_weight
            .map(|backend| {
                f64::from(held[backend.id.index() as usize]) / (self.share(backend.id) * table.len() as f64)
            })
            .fold(0.0, f64::max)
    }

    fn share(&self, id: BackendId) -> f64 {
        let weight = self.0.iter().find(|backend| backend.id == id).map_or(0.0, |backend| backend.weight);
        weight / self.0.iter().map(|backend| backend.weight).sum::<f64>()
    }

    fn one(mut self, rng: &mut Rng, factor: f64) -> Self {
        let index = rng.below(self.0.len() as u64) as usize;
        self.0[index].weight *= factor;
        self
    }

    fn drifted(mut self, rng: &mut Rng, most: u64) -> Self {
        for backend in &mut self.0 {
            backend.weight *= step(rng.below(2 * most + 1) as i32 - most as i32);
        }
        self
    }

    fn added(mut self) -> Self {
        let network = match self.0.first().map(|backend| backend.address) {
            Some(IpAddr::V4(address)) => address.octets()[1],
            _ => 0,
        };
        self.0.push(Backend::new(network, self.0.len() as u16 + 1));
        self
    }

    fn removed(mut self, rng: &mut Rng) -> Self {
        let index = rng.below(self.0.len() as u64) as usize;
        self.0.remove(index);
        self
    }
}

/// SplitMix64: the same changes at every run.
#[derive(Debug)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0) % bound
    }
}

/// A bijection of 64-bit words in which each input bit flips half of the output bits.
pub(super) fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
