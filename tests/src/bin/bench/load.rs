//! Live weights against static ones, on real connections through the real balancer.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use xdp_lb_tests::clock;
use xdp_lb_tests::experiment::{Bed, Experiment, PATIENCE, RETURNS, SLOWED, SLOWNESS, Weighing};
use xdp_lb_tests::openload::{Request, Summary};
use xdp_lb_tests::scene;

use crate::report::Figure;

const WEIGHINGS: [Weighing; 3] = [Weighing::Static, Weighing::Live, Weighing::LiveP2c];

/// A part of the time, up to this many seconds from the begin.
struct Phase {
    name: &'static str,
    what: &'static str,
    end: u64,
}

const PHASES: [Phase; 4] = [
    Phase { name: "steady", what: "seven servers", end: 10 },
    Phase { name: "cold", what: "the eighth returns, six times slower, warming up over 15 s", end: 40 },
    Phase { name: "slowed", what: "one of the eight is ten times slower", end: 75 },
    Phase { name: "recovered", what: "it is as fast as before", end: 135 },
];

/// Runs the experiment once for each way of weighing and prints what clients saw.
pub(crate) fn run(json: bool, only: &str) -> Result<()> {
    let bed = Bed::new()?;
    let mut seen: Vec<(Weighing, BTreeMap<&str, Summary>)> = Vec::new();
    for weighing in WEIGHINGS.into_iter().filter(|weighing| weighing.name().contains(only)) {
        if !json {
            eprintln!("{}: {} s …", weighing.name(), PHASES[PHASES.len() - 1].end);
        }
        let mut experiment = bed.start(weighing)?;
        act(&mut experiment)?;
        let began = experiment.began;
        seen.push((weighing, by_phase(&experiment.end(), began)));
    }
    // Nobody listens any more: nothing is lost by ending quietly.
    let _ = if json { print_json(&seen) } else { print_table(&seen) };
    Ok(())
}

fn act(experiment: &mut Experiment<'_>) -> Result<()> {
    let began = experiment.began;
    let until = |second| {
        let left = (began + Duration::from_secs(second)).saturating_duration_since(clock::now());
        thread::sleep(left);
    };
    until(PHASES[0].end);
    experiment.return_cold()?;
    until(PHASES[1].end);
    experiment.slow_down(SLOWNESS);
    until(PHASES[2].end);
    experiment.slow_down(1.0);
    until(PHASES[3].end);
    Ok(())
}

fn by_phase(requests: &[Request], began: Instant) -> BTreeMap<&'static str, Summary> {
    let mut from = 0;
    let mut phases = BTreeMap::from([("whole", Summary::of(requests.iter(), PATIENCE))]);
    for Phase { name, end, .. } in PHASES {
        let range = began + Duration::from_secs(from)..began + Duration::from_secs(end);
        let within = requests.iter().filter(|request| range.contains(&request.due));
        phases.insert(name, Summary::of(within, PATIENCE));
        from = end;
    }
    phases
}

fn names() -> impl Iterator<Item = &'static str> {
    PHASES.iter().map(|phase| phase.name).chain(["whole"])
}

fn print_table(seen: &[(Weighing, BTreeMap<&str, Summary>)]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:<10} {:<9} {:>9} {:>9} {:>9} {:>8} {:>7} {:>7}",
        "phase", "weights", "p50 ms", "p99 ms", "p99.9 ms", "errors", "cold", "slowed"
    )?;
    for name in names() {
        for (weighing, phases) in seen {
            let Some(summary) = phases.get(name) else { continue };
            writeln!(
                out,
                "{name:<10} {:<9} {:>9.1} {:>9.1} {:>9.1} {:>7.2}% {:>6.1}% {:>6.1}%",
                weighing.name(),
                summary.quantile(0.5),
                summary.quantile(0.99),
                summary.quantile(0.999),
                100.0 * summary.error_rate(),
                100.0 * summary.share(&scene::name(RETURNS)),
                100.0 * summary.share(&scene::name(SLOWED)),
            )?;
        }
    }
    writeln!(out)?;
    for Phase { name, what, .. } in PHASES {
        writeln!(out, "{name}: {what}")?;
    }
    writeln!(
        out,
        "cold, slowed: share of the answers that came from the returning and from the slowed server"
    )?;
    writeln!(
        out,
        "a request without an answer within {PATIENCE:?} is an error and counts with at least that latency"
    )
}

fn print_json(seen: &[(Weighing, BTreeMap<&str, Summary>)]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (weighing, phases) in seen {
        for (phase, summary) in phases {
            let figures = [
                ("p50_ms", summary.quantile(0.5), "ms"),
                ("p99_ms", summary.quantile(0.99), "ms"),
                ("p999_ms", summary.quantile(0.999), "ms"),
                ("error_rate", summary.error_rate(), "ratio"),
                ("requests", summary.requests as f64, "requests"),
                ("resets", summary.resets as f64, "requests"),
            ];
            for (figure, value, unit) in figures {
                let name = format!("load_{phase}_{}.{figure}", weighing.name());
                let figure = Figure { name, value, unit, aim: None };
                writeln!(out, "{}", serde_json::to_string(&figure)?)?;
            }
        }
    }
    Ok(())
}
