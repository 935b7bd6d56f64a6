//! Nanoseconds per packet of the balancer's XDP program, in the kernel, beside two floors of the same run.
//!
//! Every round measures every case once, so that what slows the machine down for a while slows all of them; the
//! minimum over the rounds is the program's own cost, the median shows how quiet the machine was.

mod bed;
mod cases;
mod frames;
mod gateway;
mod load;
mod report;
mod tables;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use crate::bed::Bed;
use crate::cases::{CASES, Case, FLOORS};
use crate::report::Measured;

/// Measures the balancer's XDP program by test runs in the kernel.
///
/// A wrapper program makes every run see the packet as it came, varies the client, and calls the program under test.
/// The floors, measured in the same run and the same way, are a program that returns XDP_PASS and one that pushes 20
/// bytes and writes a constant header. Figures are multiples of a floor: nanoseconds depend on the machine.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
struct Args {
    /// One JSON object a line instead of a table
    #[arg(long)]
    json: bool,

    /// Instead, serve real connections by live and by static weights while servers slow down and return
    #[arg(long)]
    load: bool,

    /// Measure the gateway beside nginx and HAProxy instead: processor time of a request, latency, memory
    #[arg(long)]
    gateway: bool,

    /// Seconds of each measurement of the gateway
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,

    /// Measure how VIPs' tables change instead: slots moved, evenness, time, beside other ways to share slots
    #[arg(long)]
    tables: bool,

    /// How often every case is measured
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Packets of one measurement
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1000..=100_000_000))]
    packets: u32,

    /// CPU to run on
    #[arg(long, default_value_t = 1)]
    cpu: usize,

    /// Only cases whose name contains this
    #[arg(long, default_value = "")]
    only: String,
}

/// Its rounds take a minute each.
const MOST_GATEWAY_ROUNDS: u32 = 5;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if args.load {
        return load::run(args.json, &args.only);
    }
    if args.gateway {
        return gateway::run(args.json, args.rounds.min(MOST_GATEWAY_ROUNDS), args.seconds, &args.only);
    }
    pin_to(args.cpu)?;
    if args.tables {
        return tables::run(args.rounds, &args.only, args.json);
    }
    let mut bed = Bed::new().context("setting up the program and its tables")?;
    let wanted = |case: &&Case| case.name.contains(&args.only);
    let cases: Vec<&Case> = FLOORS.iter().chain(CASES.iter().filter(wanted)).collect();
    for case in &cases {
        bed.verify(case).with_context(|| format!("case {}", case.name))?;
    }
    let mut measured: Vec<Measured> = cases.iter().map(|case| Measured::new(case)).collect();
    for round in 1..=args.rounds {
        if !args.json {
            eprint!("\rround {round} of {} … ", args.rounds);
        }
        for measured in &mut measured {
            let packets = args.packets.min(measured.case.most_packets);
            measured.nanoseconds.push(bed.measure(measured.case, packets)?);
        }
    }
    if !args.json {
        eprint!("\r                    \r");
    }
    report::print(&measured, args.json);
    Ok(())
}

fn pin_to(cpu: usize) -> Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    let last = std::thread::available_parallelism().map_or(1, usize::from) - 1;
    set.set(cpu.min(last));
    rustix::thread::sched_setaffinity(None, &set).context("pinning to a CPU")
}
