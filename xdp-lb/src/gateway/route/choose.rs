/// The pool that a draw falls on, of pools with their weights; `draw` is any number by chance, all being equally likely.
///
/// Where no weight is above 0, it is the first.
pub fn choose(pools: &[(usize, u32)], draw: u64) -> usize {
    let first = match pools {
        [] => return 0,
        [(only, _)] => return *only,
        [(first, _), ..] => *first,
    };
    let total: u64 = pools.iter().map(|&(_, weight)| u64::from(weight)).sum();
    // The draw's place among the weights, by its high bits: a product needs no division, and is as even as one.
    let mut place = ((u128::from(draw) * u128::from(total)) >> 64) as u64;
    for &(pool, weight) in pools {
        match place.checked_sub(u64::from(weight)) {
            None => return pool,
            Some(left) => place = left,
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_as_the_weights_are() {
        let pools = [(7, 1), (3, 0), (9, 3)];
        let draws = 4096_u64;
        let mut counts = std::collections::BTreeMap::new();
        for draw in 0..draws {
            *counts.entry(choose(&pools, draw << 52)).or_insert(0) += 1;
        }
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(7, 1024), (9, 3072)]);
    }

    #[test]
    fn the_ends_are_in_some_share() {
        for (pools, draw, chosen) in [
            (&[(4, 1)][..], u64::MAX, 4),
            (&[(4, 1), (5, 1)], 0, 4),
            (&[(4, 1), (5, 1)], u64::MAX, 5),
            (&[(4, 0), (5, 1)], 0, 5),
            (&[(4, 1), (5, 0)], u64::MAX, 4),
            (&[(4, u32::MAX), (5, u32::MAX)], u64::MAX, 5),
            (&[(4, 0), (5, 0)], 17, 4),
        ] {
            assert_eq!(choose(pools, draw), chosen, "{pools:?} {draw}");
        }
    }
}
