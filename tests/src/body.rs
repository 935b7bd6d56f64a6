//! Bytes that look random, are the same each time, and whose digest is known.

use sha2::{Digest, Sha256};

/// Ten megabytes: large enough to meet every window, pause and retransmission.
pub const LARGE: usize = 10_000_000;

/// `length` bytes that depend on `seed` alone (SplitMix64).
pub fn pseudo_random(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// SHA-256 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_differ_by_seed_and_digests_are_sha_256() {
        assert_eq!(pseudo_random(1, 13).len(), 13);
        assert_eq!(pseudo_random(1, 13), pseudo_random(1, 16)[..13]);
        assert_ne!(pseudo_random(1, 16), pseudo_random(2, 16));
        assert_eq!(digest(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
