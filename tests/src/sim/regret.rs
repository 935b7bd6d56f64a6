//! How much worse a policy is than the best one of each scenario, and at the worst.

use super::measure::Measured;

/// What many runs give together: of each policy in each scenario one figure per seed, in the same order of seeds.
#[derive(Debug)]
pub struct Costs {
    /// By scenario, policy and seed.
    costs: Vec<Vec<Vec<f64>>>,
}

/// A figure over all seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Spread {
    /// Of figures of any order; zeros of none.
    pub fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_unstable_by(f64::total_cmp);
        let at = |place: usize| figures.get(place).copied().unwrap_or(0.0);
        let last = figures.len().saturating_sub(1);
        Self { median: at(last / 2).midpoint(at(figures.len() / 2)), least: at(0), most: at(last) }
    }
}

impl Costs {
    /// Of runs by scenario, policy and seed. `timeout_ms` is what a run without any success costs.
    pub fn of(runs: &[Vec<Vec<Measured>>], timeout_ms: f64) -> Self {
        let by_seed = |runs: &Vec<Measured>| runs.iter().map(|run| run.cost_ms(timeout_ms)).collect();
        let by_policy = |runs: &Vec<Vec<Measured>>| runs.iter().map(by_seed).collect();
        Self { costs: runs.iter().map(by_policy).collect() }
    }

    /// Ratio of a policy's cost in a scenario to the least of all policies with the same seed.
    pub fn regret(&self, scenario: usize, policy: usize) -> Spread {
        Spread::of((0..self.seeds()).map(|seed| self.ratio(scenario, policy, seed)).collect())
    }

    /// The largest of a policy's regrets. The spread is that of the largest with each seed.
    pub fn worst(&self, policy: usize) -> Spread {
        let scenarios = 0..self.costs.len();
        let median = scenarios.clone().map(|s| self.regret(s, policy).median).fold(1.0, f64::max);
        let of_seed = |seed| scenarios.clone().map(|s| self.ratio(s, policy, seed)).fold(1.0, f64::max);
        Spread { median, ..Spread::of((0..self.seeds()).map(of_seed).collect()) }
    }

    fn seeds(&self) -> usize {
        self.costs.first().and_then(|policies| policies.first()).map_or(0, Vec::len)
    }

    fn ratio(&self, scenario: usize, policy: usize, seed: usize) -> f64 {
        let policies = &self.costs[scenario];
        let best = policies.iter().map(|seeds| seeds[seed]).fold(f64::INFINITY, f64::min);
        policies[policy][seed] / best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regret_is_the_ratio_to_the_best_with_the_same_seed() {
        let costs = Costs {
            costs: vec![
                vec![vec![10.0, 20.0, 30.0], vec![20.0, 20.0, 15.0]],
                vec![vec![50.0, 50.0, 50.0], vec![100.0, 200.0, 150.0]],
            ],
        };
        assert_eq!(costs.regret(0, 0), Spread { median: 1.0, least: 1.0, most: 2.0 });
        assert_eq!(costs.regret(0, 1), Spread { median: 1.0, least: 1.0, most: 2.0 });
        assert_eq!(costs.worst(0), Spread { median: 1.0, least: 1.0, most: 2.0 });
        assert_eq!(costs.worst(1), Spread { median: 3.0, least: 2.0, most: 4.0 });
    }

    #[test]
    fn spreads() {
        let rows: [(&[f64], [f64; 3]); 4] = [
            (&[], [0.0; 3]),
            (&[2.0], [2.0; 3]),
            (&[3.0, 1.0], [2.0, 1.0, 3.0]),
            (&[3.0, 1.0, 2.0], [2.0, 1.0, 3.0]),
        ];
        for (figures, expected) in rows {
            let spread = Spread::of(figures.to_vec());
            assert_eq!([spread.median, spread.least, spread.most], expected);
        }
    }
}
