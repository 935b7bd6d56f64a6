//! Draws by weight in constant time.

use crate::control::rng::Rng;

/// An alias table (M. D. Vose, "A linear algorithm for generating random numbers with a given distribution", IEEE TSE
/// 1991). Its buffers are kept from one build to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Alias {
    /// By position: below which part of the cell it is itself, and who it is above.
    cells: Vec<(f64, u32)>,
    under: Vec<u32>,
    over: Vec<u32>,
}

impl Alias {
    /// Draws positions in proportion to these weights, each finite and at least 0.
    pub(super) fn rebuild(&mut self, weights: impl Iterator<Item = f64>) {
        self.cells.clear();
        self.cells.extend(weights.zip(0..));
        let total: f64 = self.cells.iter().map(|cell| cell.0).sum();
        if total <= 0.0 {
            self.cells.clear();
            return;
        }
        let scale = self.cells.len() as f64 / total;
        self.under.clear();
        self.over.clear();
        for (cell, position) in self.cells.iter_mut().zip(0..) {
            cell.0 *= scale;
            if cell.0 < 1.0 { self.under.push(position) } else { self.over.push(position) }
        }
        while let (Some(&small), Some(&large)) = (self.under.last(), self.over.last()) {
            self.under.pop();
            let short = 1.0 - self.cells[small as usize].0;
            self.cells[small as usize].1 = large;
            let left = &mut self.cells[large as usize].0;
            *left -= short;
            if *left < 1.0 {
                self.over.pop();
                self.under.push(large);
            }
        }
        // Both are 1 but for rounding. One of weight 0 had a partner while anything was left over.
        for &position in self.over.iter().chain(&self.under) {
            let cell = &mut self.cells[position as usize];
            if cell.1 == position {
                cell.0 = 1.0;
            }
        }
    }

    /// A position; `None` if all weights are 0.
    pub(super) fn draw(&self, rng: &mut Rng) -> Option<usize> {
        let point = rng.unit() * self.cells.len() as f64;
        let position = point as usize;
        let &(own, other) = self.cells.get(position)?;
        Some(if point.fract() < own { position } else { other as usize })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_in_proportion_to_the_weights() {
        for weights in [
            vec![1.0],
            vec![1.0, 1.0, 1.0],
            vec![0.0, 5.0, 0.0, 1.0],
            vec![100.0, 1.0, 10.0, 0.1, 0.0],
            (0..50).map(f64::from).collect(),
        ] {
            let mut alias = Alias::default();
            alias.rebuild([3.0, 2.0].into_iter());
            alias.rebuild(weights.iter().copied());
            let mut rng = Rng::new(5);
            let mut seen = vec![0.0; weights.len()];
            let draws = 200_000;
            for _ in 0..draws {
                seen[alias.draw(&mut rng).unwrap()] += 1.0 / f64::from(draws);
            }
            let total: f64 = weights.iter().sum();
            for (weight, seen) in weights.iter().zip(seen) {
                assert!((weight / total - seen).abs() < 0.005, "{weights:?}: {weight} drawn {seen}");
                assert!(*weight > 0.0 || seen == 0.0, "{weights:?}: weight 0 drawn");
            }
        }
    }

    #[test]
    fn nothing_is_drawn_from_nothing() {
        for weights in [vec![], vec![0.0, 0.0]] {
            let mut alias = Alias::default();
            alias.rebuild(weights.into_iter());
            assert_eq!(alias.draw(&mut Rng::new(1)), None);
        }
    }
}
