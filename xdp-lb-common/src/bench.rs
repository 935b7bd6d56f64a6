//! Keeping a frame as it came over many test runs: what the measuring wrapper does before each.

use crate::packet::PacketMut;
use crate::wire::{ETHERNET_LEN, IPV4_LEN, IPV6_LEN};

/// How to make the frame anew: the one entry of its map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct BenchSettings {
    /// The frame's first fourteen bytes, in two words.
    pub ethernet: [u64; 2],
    /// Bytes of the frame as it came.
    pub length: u32,
    /// Offset of the last four bytes of its source address.
    pub source: u32,
    /// Those four bytes of the first client, as a number; clients are counted on from it.
    pub first_client: u32,
    /// Number of clients minus one; a power of two minus one.
    pub client_mask: u32,
    /// Test runs so far.
    pub runs: u32,
    /// Zero.
    pub reserved: u32,
}

impl BenchSettings {
    /// Undoes what the last run did to the frame, and lets the next client send it.
    #[inline(always)]
    pub fn renew<P: PacketMut>(&mut self, packet: &mut P) -> Option<()> {
        match packet.len() - self.length as usize {
            0 => {}
            IPV4_LEN => packet.pull(IPV4_LEN)?,
            _ => packet.pull(IPV6_LEN)?,
        }
        let [first, second] = self.ethernet;
        packet.store(0, first)?;
        packet.store(8, second as u32)?;
        packet.store(ETHERNET_LEN - 2, (second >> 32) as u16)?;
        let client = self.first_client + (self.runs & self.client_mask);
        self.runs = self.runs.wrapping_add(1);
        // IPv4 and IPv6 without VLAN tags: 14 + 12 and 14 + 8 + 12.
        if self.source == 26 { packet.store(26, client.to_be()) } else { packet.store(34, client.to_be()) }
    }
}
