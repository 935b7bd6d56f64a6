//! The Internet checksum (RFC 1071) over native 16-bit words: byte order does not matter to the sum.

use core::hint::black_box;

use crate::packet::Packet;

/// Folds a sum of 16-bit words to 16 bits and complements it: the checksum, as it is stored.
#[inline(always)]
pub const fn finish(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    let twice = (once & 0xffff) + (once >> 16);
    !(twice as u16)
}

/// The sum of the two halves of a 32-bit word.
#[inline(always)]
pub const fn halves(word: u32) -> u32 {
    (word & 0xffff) + (word >> 16)
}

/// A checksum after one 16-bit word changed from `old` to `new` (RFC 1624 equation 3).
#[inline(always)]
pub const fn update(checksum: u16, old: u16, new: u16) -> u16 {
    finish(!checksum as u32 + !old as u32 + new as u32)
}

/// The sum of the first `words` 32-bit words from `offset` on; `None` past the end. `MAX` bounds the loop.
#[inline(always)]
pub fn sum<P: Packet, const MAX: usize>(packet: &P, offset: usize, words: usize) -> Option<u32> {
    let mut sum = 0;
    for index in 0..MAX {
        if index >= words {
            break;
        }
        // Opaque, lest the compiler turns the bounds check into arithmetic with the packet's end, which the kernel's
        // verifier refuses.
        sum += halves(packet.load(black_box(offset + index * 4))?);
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 1071 section 3: words 0001 f203 f4f5 f6f7 sum to ddf2 (with carries folded in).
    #[test]
    fn the_example_of_the_rfc() {
        let words = [0x0001_u16, 0xf203, 0xf4f5, 0xf6f7].map(u16::to_be);
        assert_eq!(finish(words.iter().map(|&w| u32::from(w)).sum()), !0xddf2_u16.to_be());
    }

    #[test]
    fn an_update_equals_a_new_sum() {
        for (old, new, rest) in [(0x0800_u16, 0, 0x1234_u16), (0, 0xffff, 0xfffe), (0x4011, 0x4006, 1)] {
            let before = finish(u32::from(rest) + u32::from(old));
            assert_eq!(update(before, old, new), finish(u32::from(rest) + u32::from(new)));
        }
    }
}
