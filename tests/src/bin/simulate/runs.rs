//! All runs, several at the same time. The order in which they end changes nothing.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use xdp_lb_tests::sim::policy::Row;
use xdp_lb_tests::sim::{self, Measured, Scenario, Settings};

/// By scenario, policy and seed.
pub(crate) type Runs = Vec<Vec<Vec<Measured>>>;

/// Runs every policy through every scenario with every seed.
pub(crate) fn all(
    settings: &Settings,
    scenarios: &[&Scenario],
    rows: &[&Row],
    seeds: &[u64],
    jobs: u32,
) -> Result<Runs> {
    let count = scenarios.len() * rows.len() * seeds.len();
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<Result<Measured>>>> = Mutex::new((0..count).map(|_| None).collect());
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            let (case, seed) = (index / seeds.len(), index % seeds.len());
            let (scenario, row) = (scenarios[case / rows.len()], rows[case % rows.len()]);
            let run = sim::run(settings, scenario, row, seeds[seed])
                .with_context(|| format!("{} in {}, seed {}", row.name, scenario.name, seeds[seed]));
            if let Ok(mut done) = done.lock() {
                done[index] = Some(run);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut done = done.into_iter();
    let mut take = || done.next().flatten().context("a run ended without a result")?;
    scenarios.iter().map(|_| rows.iter().map(|_| seeds.iter().map(|_| take()).collect()).collect()).collect()
}
