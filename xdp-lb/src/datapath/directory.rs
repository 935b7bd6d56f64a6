//! Places the VIPs' keys so that each is found at one of its two positions (cuckoo hashing, Pagh and Rodler 2004).
//!
//! Keys are placed at their first position and moved on from there, and a position once taken stays taken: so where
//! a key's first position is empty, the key is nowhere, and the kernel looks no further.

use xdp_lb_common::maps::{Address, DirectoryEntry, DirectoryWord, Service};
use xdp_lb_common::steer::directory_positions;

use super::encode::{address, vip_flags, vip_margin};
use crate::control::VipRecord;

/// Positions of one half that are room enough for `max_vips` VIPs: each has its own key and at most one for its
/// address, and no more than a quarter of the positions is filled.
pub fn log2_positions(max_vips: u32) -> u8 {
    (max_vips.max(1) * 8).next_power_of_two().trailing_zeros() as u8
}

/// The entries of one half and the word that puts them in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// How it is hashed and where it lies.
    pub word: DirectoryWord,
    /// One for each position; empty ones are all zero.
    pub entries: Vec<DirectoryEntry>,
}

/// A key found no place within the tries allowed: more VIPs than `max_vips`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} VIPs do not fit into the directory; raise agent.max_vips")]
pub struct DirectoryFull(pub usize);

impl Directory {
    /// Places `vips` into `half`.
    pub fn place(vips: &[VipRecord], log2_positions: u8, half: u8) -> Result<Self, DirectoryFull> {
        let keys = keys(vips);
        let any_port = vips.iter().any(|vip| vip.port == 0);
        (0..SEEDS)
            .map(|seed| DirectoryWord::new(seed, log2_positions, half, any_port))
            .find_map(|word| try_place(&keys, word).map(|entries| Self { word, entries }))
            .ok_or(DirectoryFull(vips.len()))
    }
}

const SEEDS: u32 = 64;
const MAX_MOVES: usize = 256;

/// An entry for each VIP and one for each address.
fn keys(vips: &[VipRecord]) -> Vec<DirectoryEntry> {
    let mut keys: Vec<_> = vips
        .iter()
        .map(|vip| DirectoryEntry {
            address: address(vip.address),
            service: Service::new(vip.port, vip.protocol.number()),
            flags: vip_flags(vip.affinity, vip.scheduler),
            vip: vip.vip.raw(),
            table_size: vip.table_size,
            margin: vip_margin(vip.scheduler),
        })
        .collect();
    let mut addresses: Vec<Address> = keys.iter().map(|key| key.address).collect();
    addresses.sort_by_key(|address| address.octets());
    addresses.dedup();
    keys.extend(addresses.into_iter().map(|address| DirectoryEntry {
        address,
        service: Service::ADDRESS,
        ..DirectoryEntry::default()
    }));
    keys
}

fn try_place(keys: &[DirectoryEntry], word: DirectoryWord) -> Option<Vec<DirectoryEntry>> {
    let offset = word.half() << word.log2_positions();
    let mut entries = vec![DirectoryEntry::default(); 1 << word.log2_positions()];
    for key in keys {
        let mut homeless = *key;
        let mut position = directory_positions(word, homeless.address, homeless.service)[0];
        let mut moves = 0;
        loop {
            std::mem::swap(&mut homeless, entries.get_mut((position - offset) as usize)?);
            if homeless.address == Address::default() {
                break;
            }
            let [first, second] = directory_positions(word, homeless.address, homeless.service);
            position = if position == first { second } else { first };
            moves += 1;
            if moves > MAX_MOVES {
                return None;
            }
        }
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use xdp_lb_common::ids::VipId;

    use super::*;
    use crate::config::{Affinity, Protocol, Scheduler};

    fn vips(count: u16) -> Vec<VipRecord> {
        (0..count)
            .map(|n| VipRecord {
                vip: VipId::new(n),
                address: IpAddr::V4(Ipv4Addr::new(203, 0, (n >> 9) as u8, (n >> 1) as u8)),
                port: if n % 7 == 0 { 0 } else { 80 + n },
                protocol: if n % 2 == 0 { Protocol::Tcp } else { Protocol::Udp },
                table_size: 251,
                affinity: Affinity::None,
                scheduler: Scheduler::Maglev,
            })
            .collect()
    }

    #[test]
    fn every_key_is_at_one_of_its_two_positions() {
        for (count, half) in [(0, 0), (1, 1), (64, 0), (1000, 1)] {
            let bits = log2_positions(u32::from(count));
            let directory = Directory::place(&vips(count), bits, half).unwrap();
            assert_eq!(directory.entries.len(), 1 << bits);
            assert_eq!(directory.word.any_port(), count > 0);
            for key in keys(&vips(count)) {
                let found = directory_positions(directory.word, key.address, key.service)
                    .map(|position| directory.entries[(position - (u32::from(half) << bits)) as usize])
                    .contains(&key);
                assert!(found, "{key:?}");
                let first = directory_positions(directory.word, key.address, key.service)[0];
                let entry = directory.entries[(first - (u32::from(half) << bits)) as usize];
                assert_ne!(entry, DirectoryEntry::default(), "{key:?} is there, its first position empty");
            }
        }
    }

    #[test]
    fn too_many_are_refused() {
        assert_eq!(Directory::place(&vips(200), 4, 0), Err(DirectoryFull(200)));
    }
}
