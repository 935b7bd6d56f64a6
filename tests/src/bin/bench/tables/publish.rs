//! How long it takes until slots that move have reached the kernel.

use std::path::Path;

use anyhow::{Context, Result};
use xdp_lb::config::Config;
use xdp_lb::control::Command;
use xdp_lb::datapath::{Datapath, Kernel};
use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::limits::MAX_TABLE_SIZE;
use xdp_lb_common::slot::Slot;
use xdp_lb_tests::clock::now;

use super::cases::Rng;
use super::{median, milliseconds};

/// Slots of one publish: 2 % of a table.
pub(super) const SLOTS: u32 = MAX_TABLE_SIZE.div_ceil(50);

const PUBLISHES: u32 = 1000;

const BACKENDS: u64 = 256;

const CONFIG: &str = "
    [agent]
    interfaces = [\"lo\"]
    max_vips = 16
    max_backends = 1024
";

/// Milliseconds.
#[derive(Debug)]
pub(super) struct Publish {
    pub(super) median: f64,
    pub(super) slowest: f64,
}

/// Stores random slots in the table of a program that is loaded and attached nowhere.
pub(super) fn measure() -> Result<Publish> {
    let config =
        Config::from_toml(CONFIG, Path::new("bench.toml")).map_err(|errors| anyhow::anyhow!("{errors}"))?;
    let (mut kernel, _) = Kernel::load(&config.agent, None).context("loading the program")?;
    let vip = VipId::new(0);
    let mut rng = Rng::new(1);
    let whole: Vec<u32> = (0..MAX_TABLE_SIZE).collect();
    kernel.apply(&Command::WriteSlots { vip, changes: moves(&whole, &mut rng) })?;
    let mut times = Vec::new();
    for _ in 0..PUBLISHES {
        let mut positions: Vec<u32> =
            (0..SLOTS).map(|_| rng.below(u64::from(MAX_TABLE_SIZE)) as u32).collect();
        positions.sort_unstable();
        let command = Command::WriteSlots { vip, changes: moves(&positions, &mut rng) };
        let start = now();
        kernel.apply(&command)?;
        times.push(milliseconds(start.elapsed()));
    }
    Ok(Publish { median: median(&times), slowest: times.iter().copied().fold(0.0, f64::max) })
}

fn moves(positions: &[u32], rng: &mut Rng) -> Vec<(u32, Slot)> {
    let mut backend = || BackendId::new(1 + rng.below(BACKENDS) as u16);
    positions.iter().map(|&position| (position, Slot::tracked_or_none(backend(), backend()))).collect()
}
