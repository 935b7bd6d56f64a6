//! The ways to share slots that are measured: the balancer's own, and its peers.

use std::net::IpAddr;

use xdp_lb::control::slots::{Candidate, Race};
use xdp_lb_common::ids::BackendId;
use xdp_lb_common::limits::MAX_TABLE_SIZE;

use super::cases::{Fleet, mix};

/// The balancer's own first.
pub(super) const SHARINGS: [Sharing; 5] =
    [Sharing::Race, Sharing::Unpaced, Sharing::Maglev, Sharing::Quantised, Sharing::Rendezvous];

/// A way to share slots by weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// What ships.
    Race,
    /// The same without paces: only the fill evens out.
    Unpaced,
    /// Weighted Maglev: turns in proportion to weight, each takes the next free slot.
    Maglev,
    /// The same with weights rounded to steps of 2^(1/6).
    Quantised,
    /// Weighted rendezvous hashing: each slot goes to the least `-ln(u) / weight`.
    Rendezvous,
}

type Table = Vec<Option<BackendId>>;

impl Sharing {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Race => "race",
            Self::Unpaced => "unpaced",
            Self::Maglev => "maglev",
            Self::Quantised => "quantised",
            Self::Rendezvous => "rendezvous",
        }
    }

    /// Of its figures' names.
    pub(super) fn prefix(self) -> String {
        if self == Self::Race { String::new() } else { format!("{}_", self.name()) }
    }

    /// Aims are for the balancer's own.
    pub(super) fn aim(self, aim: f64) -> Option<f64> {
        (self == Self::Race).then_some(aim)
    }

    /// Whether it is measured less often.
    pub(super) fn is_slow(self) -> bool {
        self == Self::Rendezvous
    }

    /// What is prepared once per configuration.
    pub(super) fn race(self, fleet: &Fleet) -> Race {
        let configured = if self == Self::Race { fleet.configured() } else { Vec::new() };
        Race::new(&configured, MAX_TABLE_SIZE)
    }

    pub(super) fn table(self, race: &Race, candidates: &[Candidate]) -> Table {
        let rounded = |candidate: &Candidate| {
            let weight = 2f64.powf((candidate.weight.log2() * 6.0).round() / 6.0);
            Candidate { weight, ..*candidate }
        };
        match self {
            Self::Race | Self::Unpaced => race.fill(candidates),
            Self::Maglev => maglev(candidates),
            Self::Quantised => maglev(&candidates.iter().map(rounded).collect::<Vec<_>>()),
            Self::Rendezvous => rendezvous(candidates),
        }
    }
}

/// Turn `k` of a weight `w` comes at `(k + ½) / w`, so that each has its share rounded to a whole number.
fn maglev(candidates: &[Candidate]) -> Table {
    let mut takers: Vec<&Candidate> = candidates.iter().filter(|candidate| candidate.weight > 0.0).collect();
    takers.sort_unstable_by_key(|taker| digest(taker.address, 0));
    let size = u64::from(MAX_TABLE_SIZE);
    let mut at: Vec<(u64, u64)> = takers
        .iter()
        .map(|taker| (digest(taker.address, 1) % size, digest(taker.address, 2) % (size - 1) + 1))
        .collect();
    let sum: f64 = takers.iter().map(|taker| taker.weight).sum();
    let end = (size as f64 + takers.len() as f64) / sum;
    let mut turns: Vec<(u64, usize)> = Vec::with_capacity(size as usize + 2 * takers.len());
    for (index, taker) in takers.iter().enumerate() {
        let count = (taker.weight * end + 0.5).floor() as u64;
        let scale = (1u64 << 47) as f64 / (taker.weight * end);
        turns.extend((0..count).map(|turn| (((turn as f64 + 0.5) * scale) as u64, index)));
    }
    turns.sort_unstable();
    let mut table = vec![None; size as usize];
    for (_, index) in turns.into_iter().take(size as usize) {
        let (slot, skip) = &mut at[index];
        while table[*slot as usize].is_some() {
            *slot = (*slot + *skip) % size;
        }
        table[*slot as usize] = Some(takers[index].id);
    }
    table
}

fn rendezvous(candidates: &[Candidate]) -> Table {
    let takers: Vec<(u64, &Candidate)> = candidates
        .iter()
        .filter(|candidate| candidate.weight > 0.0)
        .map(|candidate| (digest(candidate.address, 0), candidate))
        .collect();
    let score = |slot: u32, digest: u64, weight: f64| {
        let unit = ((mix(digest ^ u64::from(slot)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        -unit.ln() / weight
    };
    let winner = |slot: u32| {
        let scores = takers.iter().map(|(digest, taker)| (score(slot, *digest, taker.weight), taker.id));
        scores.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, id)| id)
    };
    (0..MAX_TABLE_SIZE).map(winner).collect()
}

fn digest(address: IpAddr, salt: u64) -> u64 {
    let bits = match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    mix(mix((bits >> 64) as u64 ^ mix(salt)).wrapping_add(bits as u64))
}
