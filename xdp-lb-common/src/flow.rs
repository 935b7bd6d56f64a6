//! What a packet belongs to, and the hash by which it finds its slot and its place in the flow table.

use crate::maps::{Address, Service, Settings};

/// A connection's direction from client to VIP, and what is known of the packet at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The client.
    pub source: Address,
    /// The VIP.
    pub destination: Address,
    /// Source port (low half) and destination port (high half), each in network order as it lies in memory.
    pub ports: u32,
    /// IP protocol number: TCP or UDP.
    pub protocol: u8,
    /// Whether the packet is IPv4.
    pub is_v4: bool,
    /// What the packet does to the connection.
    pub signal: Signal,
}

/// What a packet does to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Signal {
    /// Continues it (also every UDP datagram).
    Continue = 0,
    /// Opens it: SYN without ACK.
    Open = 1,
    /// Closes it: FIN or RST.
    Close = 2,
    /// Tells of it from outside: an ICMP error that quotes it.
    About = 3,
}

impl Flow {
    /// What the packet is for.
    #[inline(always)]
    pub const fn service(&self) -> Service {
        Service::from_wire((self.ports >> 16) as u16, self.protocol)
    }

    /// The flow hash under `seed`: upper 32 bits tell the slot and are the tag in the flow table.
    #[inline(always)]
    pub const fn hash(&self, seed: u64) -> u64 {
        let transport = self.ports as u64 | (self.protocol as u64) << 32;
        let addresses = if self.is_v4 {
            mix(seed, self.source.v4_word() as u64 | (self.destination.v4_word() as u64) << 32)
        } else {
            // Side by side, since one multiplication after the other is what a hash waits for.
            let source = mix(mix(seed, self.source.0[0]), self.source.0[1]);
            let destination = mix(mix(!seed, self.destination.0[0]), self.destination.0[1]);
            source ^ destination.rotate_left(32)
        };
        mix(addresses, transport)
    }
}

/// One round of a multiply-and-fold hash (constant: 2^64 over the golden ratio).
#[inline(always)]
const fn mix(state: u64, word: u64) -> u64 {
    let product = (state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ product >> 32
}

/// The slot of a flow hash in a table of `table_size` slots (Lemire, "Fast random integer generation in an
/// interval", 2019): below `table_size`.
#[inline(always)]
pub const fn slot_of(hash: u64, table_size: u32) -> u32 {
    (((hash >> 32) * table_size as u64) >> 32) as u32
}

/// The slot of a new connection's second candidate: all bits of the hash stirred once more, so that it tells nothing of
/// the first slot, and the same on every balancer.
#[inline(always)]
pub const fn second_slot_of(hash: u64, table_size: u32) -> u32 {
    slot_of(mix(0x5851_f42d_4c95_7f2d, hash), table_size)
}

/// The two buckets of the flow table that may record a flow hash: neighbours, of which the first is filled first. The
/// seed is this machine's own, so that nobody outside knows which flows share a bucket. (Flows of the same hash share
/// it everywhere: where clients are hostile, `hash_seed` has to be secret as well.)
#[inline(always)]
pub const fn buckets_of(hash: u64, settings: &Settings) -> [u32; 2] {
    let first =
        (mix(settings.flow_seed, hash).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32) as u32 & settings.flow_mask;
    [first, (first ^ 1) & settings.flow_mask]
}

/// The tag of a flow hash in the flow table. A tag tells the slot as well: `slot_of(tag << 32, table_size)`.
#[inline(always)]
pub const fn tag_of(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(client: u32, port: u16) -> Flow {
        Flow {
            source: Address::from_v4(client.to_be_bytes()),
            destination: Address::from_v4([203, 0, 113, 10]),
            ports: u32::from(port.to_be()) | u32::from(80u16.to_be()) << 16,
            protocol: 6,
            is_v4: true,
            signal: Signal::Continue,
        }
    }

    /// Chi-square of counts against an even spread, as standard deviations from its mean.
    fn deviation(counts: &[u32]) -> f64 {
        let cells = counts.len() as f64;
        let mean = counts.iter().sum::<u32>() as f64 / cells;
        let chi = counts.iter().map(|&n| (f64::from(n) - mean).powi(2) / mean).sum::<f64>();
        (chi - cells) / (2.0 * cells).sqrt()
    }

    #[test]
    fn slots_tags_and_buckets_are_even_over_neighbouring_clients() {
        let settings = Settings { flow_seed: 0x1234_5678_9abc_def1, flow_mask: 1023, ..Settings::default() };
        let mut slots = vec![0; 1021];
        let mut buckets = vec![0; 1024];
        let mut within_slot = vec![0; 64];
        for client in 0..256u32 {
            for port in 0..512u16 {
                let hash = flow(0x0a00_0000 + client, 32_768 + port).hash(7);
                slots[slot_of(hash, 1021) as usize] += 1;
                buckets[buckets_of(hash, &settings)[0] as usize] += 1;
                if slot_of(hash, 4) == 0 {
                    within_slot[(buckets_of(hash, &settings)[0] % 64) as usize] += 1;
                }
            }
        }
        for counts in [&slots, &buckets, &within_slot] {
            assert!(deviation(counts).abs() < 5.0, "{}", deviation(counts));
        }
    }

    /// How many of the upper 32 bits differ, on average over seeds.
    fn flips(one: &Flow, other: &Flow) -> f64 {
        let differing = |seed: u64| ((one.hash(seed * 977) ^ other.hash(seed * 977)) >> 32).count_ones();
        f64::from((0..64).map(differing).sum::<u32>()) / 64.0
    }

    #[test]
    fn every_input_bit_flips_half_of_the_hash() {
        let base = flow(0x0a00_0001, 40_000);
        for bit in 0..32 {
            for changed in [
                Flow { source: Address::from_v4_word(base.source.v4_word() ^ 1 << bit), ..base },
                Flow { destination: Address::from_v4_word(base.destination.v4_word() ^ 1 << bit), ..base },
                Flow { ports: base.ports ^ 1 << bit, ..base },
            ] {
                let mean = flips(&base, &changed);
                assert!((11.0..=21.0).contains(&mean), "bit {bit}: {mean} of 32 flip");
            }
        }
    }

    #[test]
    fn every_bit_of_ipv6_addresses_does_so_too() {
        let client = Address::from_v6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let vip = Address::from_v6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10]);
        let base = Flow { source: client, destination: vip, is_v4: false, ..flow(1, 40_000) };
        for (half, bit) in (0..2).flat_map(|half| (0..64).map(move |bit| (half, bit))) {
            let flipped = |mut address: Address| {
                address.0[half] ^= 1 << bit;
                address
            };
            for changed in
                [Flow { source: flipped(client), ..base }, Flow { destination: flipped(vip), ..base }]
            {
                let mean = flips(&base, &changed);
                assert!((11.0..=21.0).contains(&mean), "half {half} bit {bit}: {mean} of 32 flip");
            }
        }
    }

    #[test]
    fn the_second_slot_is_even_and_tells_nothing_of_the_first_nor_of_the_bucket() {
        let settings = Settings { flow_seed: 0x1234_5678_9abc_def1, flow_mask: 1023, ..Settings::default() };
        let mut slots = vec![0; 1021];
        let mut pairs = vec![0; 31 * 31];
        let mut with_bucket = vec![0; 31 * 32];
        for client in 0..256u32 {
            for port in 0..512u16 {
                let hash = flow(0x0a00_0000 + client, 32_768 + port).hash(7);
                let second = second_slot_of(hash, 31);
                slots[second_slot_of(hash, 1021) as usize] += 1;
                pairs[(slot_of(hash, 31) * 31 + second) as usize] += 1;
                with_bucket[(second * 32 + buckets_of(hash, &settings)[0] % 32) as usize] += 1;
            }
        }
        for counts in [&slots, &pairs, &with_bucket] {
            assert!(deviation(counts).abs() < 5.0, "{}", deviation(counts));
        }
    }

    #[test]
    fn a_tag_tells_the_slot() {
        for size in [251, 65_537] {
            for port in 1000..2000 {
                let hash = flow(1, port).hash(3);
                assert_eq!(slot_of(u64::from(tag_of(hash)) << 32, size), slot_of(hash, size));
                assert!(slot_of(hash, size) < size);
            }
        }
        assert_eq!(slot_of(u64::MAX, 65_537), 65_536);
    }
}
