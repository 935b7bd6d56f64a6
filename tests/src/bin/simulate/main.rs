//! Every policy through every scenario, in virtual time, and how much worse each is than the best.

mod figures;
mod json;
mod picture;
mod runs;
mod table;

use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, ValueEnum};
use xdp_lb_tests::sim::policy::{ROWS, Row};
use xdp_lb_tests::sim::{Checks, SCENARIOS, Scenario, Settings};

use crate::figures::Figures;

/// Compares balancing policies in virtual time: every policy through every scenario, with the same requests.
///
/// A run is known by its seed: whoever repeats it gets the same figures. Peers are written from their published
/// definitions, xdp-lb's rows are the code that ships. Several independent balancers each see their part of the requests
/// and of nothing else. Nothing is retried. A request is a connection of its own where a policy balances connections.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask simulate")]
struct Args {
    /// One JSON object a line instead of the tables
    #[arg(long)]
    json: bool,

    /// Draw the regrets as a picture
    #[arg(long, value_name = "PATH")]
    svg: Option<PathBuf>,

    /// How many seeds
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,

    /// The first seed; the others follow it
    #[arg(long, default_value_t = 1)]
    first_seed: u64,

    /// Runs at the same time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1024))]
    jobs: u32,

    /// Only scenarios and policies whose names contain these: "slow", "slow/xdp", "/p2c". Regret is then to the best of those
    #[arg(long, default_value = "", hide_default_value = true, value_name = "SCENARIO/POLICY")]
    only: String,

    /// Two seeds and half the time, for a first look
    #[arg(long)]
    quick: bool,

    /// Also medians and ranges of all figures
    #[arg(long)]
    verbose: bool,

    /// Requests that come, as a share of what the servers can do
    #[arg(long, default_value_t = 0.7, value_parser = load)]
    load: f64,

    /// Requests that a server works on at the same time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: u16,

    /// Independent balancers
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    balancers: u16,

    /// What health checks find out of a server that answers errors
    #[arg(long, value_enum, default_value_t = CheckDepth::Shallow)]
    checks: CheckDepth,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CheckDepth {
    /// Nothing: it is there
    Shallow,
    /// They fail as often as requests do
    Deep,
}

fn load(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("{text:?} is not a number"))?;
    if value > 0.0 && value <= 2.0 { Ok(value) } else { Err(format!("{text}: expected above 0, at most 2")) }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("simulate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let (in_scenario, in_policy) = args.only.split_once('/').unwrap_or((&args.only, ""));
    let scenarios: Vec<&Scenario> = SCENARIOS.iter().filter(|s| s.name.contains(in_scenario)).collect();
    let rows: Vec<&Row> = ROWS.iter().filter(|row| row.name.contains(in_policy)).collect();
    ensure!(!scenarios.is_empty(), "no scenario's name contains {in_scenario:?}; there are: {}", names());
    ensure!(!rows.is_empty(), "no policy's name contains {in_policy:?}; there are: {}", names_of_rows());
    let seeds = if args.quick { args.seeds.min(2) } else { args.seeds };
    let seeds: Vec<u64> = (args.first_seed..).take(seeds as usize).collect();
    let settings = settings(args);

    let runs = runs::all(&settings, &scenarios, &rows, &seeds, args.jobs)?;
    let figures = Figures::of(&settings, scenarios, rows, seeds, &runs);
    if let Some(path) = &args.svg {
        std::fs::write(path, picture::draw(&figures)).with_context(|| format!("write {}", path.display()))?;
    }
    let mut out = std::io::stdout().lock();
    let written = if args.json {
        json::print(&mut out, &figures)
    } else {
        table::print(&mut out, &settings, &figures, args.verbose).and_then(|()| out.flush())
    };
    match written {
        // Nobody listens any more: nothing is lost by ending quietly.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("write the figures"),
        _ => Ok(()),
    }
}

fn settings(args: &Args) -> Settings {
    let checks = match args.checks {
        CheckDepth::Shallow => Checks::Shallow,
        CheckDepth::Deep => Checks::Deep,
    };
    Settings {
        load: args.load,
        workers: usize::from(args.workers),
        balancers: usize::from(args.balancers),
        checks,
        length: if args.quick { 0.5 } else { 1.0 },
        ..Settings::default()
    }
}

fn names() -> String {
    SCENARIOS.map(|scenario| scenario.name).join(", ")
}

fn names_of_rows() -> String {
    ROWS.map(|row| row.name).join(", ")
}
