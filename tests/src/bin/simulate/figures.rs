//! The figures of all runs, over seeds.

use xdp_lb_tests::sim::policy::{ROWS, Row};
use xdp_lb_tests::sim::regret::{Costs, Spread};
use xdp_lb_tests::sim::{MILLISECOND, Measured, SCENARIOS, Scenario, Settings};

use crate::runs::Runs;

/// What is printed, drawn and written.
pub(crate) struct Figures {
    pub(crate) scenarios: Vec<&'static Scenario>,
    pub(crate) rows: Vec<&'static Row>,
    pub(crate) seeds: Vec<u64>,
    /// By policy and scenario.
    pub(crate) cells: Vec<Vec<Cell>>,
    /// By policy.
    pub(crate) worst: Vec<Spread>,
    pub(crate) events: u64,
    /// Every policy and every scenario is there.
    pub(crate) is_whole: bool,
}

/// A policy in a scenario.
pub(crate) struct Cell {
    pub(crate) p50: Spread,
    pub(crate) p99: Spread,
    pub(crate) p999: Spread,
    pub(crate) errors_percent: Spread,
    pub(crate) timeouts_percent: Spread,
    pub(crate) largest_share_percent: Spread,
    pub(crate) moved_percent: Option<Spread>,
    pub(crate) regret: Spread,
}

impl Figures {
    pub(crate) fn of(
        settings: &Settings,
        scenarios: Vec<&'static Scenario>,
        rows: Vec<&'static Row>,
        seeds: Vec<u64>,
        runs: &Runs,
    ) -> Self {
        let costs = Costs::of(runs, (settings.timeout / MILLISECOND) as f64);
        let cell = |scenario: usize, policy: usize| {
            Cell::of(&runs[scenario][policy], costs.regret(scenario, policy))
        };
        let of_policy = |policy| (0..scenarios.len()).map(|scenario| cell(scenario, policy)).collect();
        Self {
            cells: (0..rows.len()).map(of_policy).collect(),
            worst: (0..rows.len()).map(|policy| costs.worst(policy)).collect(),
            events: runs.iter().flatten().flatten().map(|run| run.events).sum(),
            is_whole: scenarios.len() == SCENARIOS.len() && rows.len() == ROWS.len(),
            scenarios,
            rows,
            seeds,
        }
    }
}

impl Cell {
    fn of(runs: &[Measured], regret: Spread) -> Self {
        let over = |figure: &dyn Fn(&Measured) -> f64| Spread::of(runs.iter().map(figure).collect());
        let moved: Option<Vec<f64>> = runs.iter().map(|run| Some(run.moved? * 100.0)).collect();
        Self {
            p50: over(&|run| run.latencies.quantile_ms(0.5)),
            p99: over(&|run| run.latencies.quantile_ms(0.99)),
            p999: over(&|run| run.latencies.quantile_ms(0.999)),
            errors_percent: over(&|run| run.error_share() * 100.0),
            timeouts_percent: over(&|run| run.timeouts as f64 / run.requests().max(1) as f64 * 100.0),
            largest_share_percent: over(&|run| run.largest_share() * 100.0),
            moved_percent: moved.map(Spread::of),
            regret,
        }
    }
}
