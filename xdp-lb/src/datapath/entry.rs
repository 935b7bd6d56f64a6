//! A backend's entry, changed while packets are forwarded by it: in which order its words are stored.
//!
//! The kernel program reads word 0 (flags, tunnel, egress), then what that makes it need. An entry of sixteen words
//! cannot be stored at once, so one that changes passes through a guard: a word 0 that promises only what is as
//! well in the old entry as in the new. First the guard, then all other words, then word 0 as it shall be. While the
//! guard is in place a packet is sent by the kernel's routing table where the next hop changes.
//!
//! What remains: a packet that read word 0 before the guard was stored and the rest after it, and outer headers whose
//! source prefix changes (at a restart only). Either may send a few packets of one instant astray or with a wrong
//! checksum, which the backend drops and TCP repeats.

use xdp_lb_common::maps::{BACKEND_DOWN, BACKEND_PRESENT, BACKEND_RESOLVED, Backend, Tunnel};

/// 64-bit words of an entry.
pub(super) const WORDS: usize = size_of::<Backend>() / 8;

/// The entry's words, as they lie in memory.
type Words = [u64; WORDS];

/// The stores, position and word each, that make `old` to `new`.
pub(super) fn steps(old: &Backend, new: &Backend) -> Vec<(usize, u64)> {
    let (from, to, guard) = (words(old), words(new), first_word(&guard(old, new)));
    let rest: Vec<_> =
        (1..WORDS).filter(|&word| from[word] != to[word]).map(|word| (word, to[word])).collect();
    let mut steps = Vec::new();
    let mut first = from[0];
    if !rest.is_empty() && guard != first {
        steps.push((0, guard));
        first = guard;
    }
    steps.extend(rest);
    if to[0] != first {
        steps.push((0, to[0]));
    }
    steps
}

/// What is true of both, and of anything between them.
fn guard(old: &Backend, new: &Backend) -> Backend {
    let both = old.flags & new.flags;
    let either = old.flags | new.flags;
    let same_hop = old.egress == new.egress && macs(old) == macs(new);
    let resolved = if same_hop { both & BACKEND_RESOLVED } else { 0 };
    Backend {
        flags: (both & BACKEND_PRESENT) | (either & BACKEND_DOWN) | resolved,
        // Without a tunnel the outer header is not looked at. A tunnel's family is its backend's and never changes.
        tunnel: if old.tunnel == new.tunnel { new.tunnel } else { Tunnel::None as u8 },
        egress: new.egress,
        ..Backend::default()
    }
}

/// Both MAC addresses: 12 bytes at the beginning of the head.
fn macs(entry: &Backend) -> (u64, u32) {
    (entry.head[0], entry.head[1] as u32)
}

fn first_word(entry: &Backend) -> u64 {
    words(entry)[0]
}

fn words(entry: &Backend) -> Words {
    const { assert!(size_of::<Words>() == size_of::<Backend>()) };
    let mut words = [0; WORDS];
    for (index, word) in words.iter_mut().enumerate() {
        // SAFETY: `index` is within the entry, which has no padding: its size is asserted where it is declared.
        *word = unsafe { std::ptr::from_ref(entry).cast::<u64>().add(index).read() };
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The entry after each store.
    fn states(old: &Backend, new: &Backend) -> Vec<Backend> {
        let mut now = words(old);
        let apply = |(word, content): (usize, u64)| {
            now[word] = content;
            // SAFETY: any words make an entry; it is made of plain numbers.
            unsafe { std::mem::transmute::<Words, Backend>(now) }
        };
        steps(old, new).into_iter().map(apply).collect()
    }

    fn entry() -> impl Strategy<Value = Backend> {
        let hop = prop_oneof![Just(None), (1..3_u32, 1..3_u64, 1..3_u64).prop_map(Some)];
        (hop, any::<bool>(), any::<bool>(), any::<bool>(), 1400..1402_u32).prop_map(
            |(hop, present, down, tunnelled, mtu)| {
                let mut entry = Backend { mtu, ..Backend::default() };
                if !present {
                    return entry;
                }
                entry.flags = BACKEND_PRESENT | if down { BACKEND_DOWN } else { 0 };
                if let Some((egress, first, second)) = hop {
                    entry.flags |= BACKEND_RESOLVED;
                    entry.egress = egress;
                    entry.head[0] = first;
                    entry.head[1] = second;
                }
                if tunnelled {
                    entry.tunnel = Tunnel::Ipv4 as u8;
                    entry.outer_sum = 7;
                    entry.head[1] |= 8 << 32;
                    entry.head[2] = 9;
                    entry.head[3] = 10;
                }
                entry
            },
        )
    }

    /// Egress and MAC addresses.
    type Hop = (u32, (u64, u32));

    /// What a packet takes from an entry, as far as the entry promises it: next hop and outer header.
    fn promised(entry: &Backend) -> (Option<Hop>, Option<[u64; 4]>) {
        let hop = entry.is_resolved().then(|| (entry.egress, macs(entry)));
        let outer = (entry.tunnel != Tunnel::None as u8)
            .then(|| [entry.outer_sum.into(), entry.head[1] >> 32, entry.head[2], entry.head[3]]);
        (hop, outer)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
        #[test]
        fn no_packet_meets_half_an_entry(old in entry(), new in entry()) {
            let (old_hop, old_outer) = promised(&old);
            let (new_hop, new_outer) = promised(&new);
            let states = states(&old, &new);
            prop_assert_eq!(states.last().copied().unwrap_or(old), new);
            for state in states {
                if old.flags & new.flags & BACKEND_PRESENT == 0 && state != new {
                    prop_assert!(!state.is_usable());
                }
                let (hop, outer) = promised(&state);
                prop_assert!(hop.is_none() || hop == old_hop || hop == new_hop, "{:?}", hop);
                prop_assert!(outer.is_none() || outer == old_outer || outer == new_outer, "{:?}", outer);
            }
        }
    }

    #[test]
    fn what_changes_nothing_stores_nothing_and_a_flag_is_one_store() {
        let up = Backend { flags: BACKEND_PRESENT | BACKEND_RESOLVED, egress: 3, ..Backend::default() };
        let down = Backend { flags: up.flags | BACKEND_DOWN, ..up };
        assert_eq!(steps(&up, &up), []);
        assert_eq!(steps(&up, &down), [(0, first_word(&down))]);
    }

    #[test]
    fn a_hop_is_written_before_it_is_promised_and_withdrawn_before_it_is_wiped() {
        let without = Backend { flags: BACKEND_PRESENT, ..Backend::default() };
        let mut with = Backend { flags: BACKEND_PRESENT | BACKEND_RESOLVED, egress: 3, ..without };
        with.head[0] = 5;
        let order = |old, new| steps(old, new).iter().map(|(word, _)| *word).collect::<Vec<_>>();
        assert_eq!(order(&without, &with).last(), Some(&0));
        assert_eq!(order(&with, &without).first(), Some(&0));
    }
}
