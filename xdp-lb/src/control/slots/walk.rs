//! The order in which a backend visits slots, and how long it takes.

use std::net::IpAddr;

use crate::control::rng::mix;

/// Orders backends by their addresses alone, in a way that means nothing: the address settles the unlikely tie.
pub(super) type Key = (u64, IpAddr);

/// See [`Key`].
pub(super) fn key(address: IpAddr) -> Key {
    (digest(address, 0x243f_6a88_85a3_08d3), address)
}

/// A permutation `offset, offset + skip, …` modulo the table's size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    pub(super) offset: u32,
    pub(super) skip: u32,
}

impl Walk {
    /// The walk of the backend with this address; `table_size` is a prime.
    pub(super) fn new(address: IpAddr, table_size: u32) -> Self {
        let size = u64::from(table_size);
        Self {
            offset: (digest(address, 0x1319_8a2e_0370_7344) % size) as u32,
            skip: (digest(address, 0xa409_3822_299f_31d0) % (size - 1)) as u32 + 1,
        }
    }

    /// Where it goes from `slot`.
    pub(super) fn after(self, slot: u32, table_size: u32) -> u32 {
        let next = slot + self.skip;
        if next >= table_size { next - table_size } else { next }
    }
}

/// When a walker of speed 1 takes its steps.
///
/// Step `k` of `m` comes when, on average, the `k + 1`-th of `m` independent exponential clocks rings:
/// `1/m + 1/(m − 1) + … + 1/(m − k)` (A. Rényi, "On the theory of order statistics", 1953). The first of several
/// exponential clocks to ring is each with a probability in proportion to its rate; with evenly spaced steps, which are
/// the same while few slots are visited, a large weight would win more than its share.
#[derive(Debug)]
pub(super) struct Steps {
    table_size: u32,
    times: Vec<f64>,
}

impl Steps {
    pub(super) fn new(table_size: u32) -> Self {
        Self { table_size, times: Vec::new() }
    }

    /// Time of step `k`, which is below the table's size and at most one above those asked for before.
    pub(super) fn time(&mut self, k: u32) -> f64 {
        if let Some(time) = self.times.get(k as usize) {
            return *time;
        }
        let time = self.times.last().copied().unwrap_or(0.0) + 1.0 / f64::from(self.table_size - k);
        self.times.push(time);
        time
    }
}

fn digest(address: IpAddr, salt: u64) -> u64 {
    let octets = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    let bits = u128::from_be_bytes(octets);
    mix(mix((bits >> 64) as u64 ^ salt).wrapping_add(bits as u64))
}
