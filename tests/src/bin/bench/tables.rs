//! How VIPs' tables change: how many slots move when weights do, over the least that could; how even the shares are; how
//! long it takes. Beside other ways to share slots, from their published definitions.

mod cases;
mod peers;
mod publish;

use std::io::Write as _;
use std::time::Duration;

use anyhow::Result;
use xdp_lb::control::slots::Race;
use xdp_lb_common::limits::MAX_TABLE_SIZE;
use xdp_lb_tests::clock::now;

use self::cases::{CASES, Case, Fleet, Rng};
use self::peers::SHARINGS;
use crate::report::Figure;

const BACKENDS: [usize; 3] = [16, 64, 256];

/// Most slots moved over the ideal.
const MOVED_AIM: f64 = 1.25;

/// Most slots of a backend over its share of them.
const EVEN_AIM: f64 = 1.03;

/// Most milliseconds for a table.
const BUILD_AIM: f64 = 5.0;

/// Most milliseconds for storing two slots of a hundred in the kernel.
const PUBLISH_AIM: f64 = 1.0;

/// Measures cases whose name contains `only`, each `rounds` times with other addresses and other changes.
pub(crate) fn run(rounds: u32, only: &str, json: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let publish = publish::measure()?;
    let mut figures = Vec::new();
    if !json {
        writeln!(out, "slots moved / ideal, most slots of a backend / its share of them\n")?;
    }
    for backends in BACKENDS {
        let mut times = SHARINGS.map(|_| Vec::new());
        let cases = CASES.iter().filter(|case| case.name.contains(only));
        let rows: Vec<Row> = cases.map(|case| measure(case, backends, rounds, &mut times)).collect();
        let paces = paces_time(backends, rounds);
        if json {
            figures.extend(rows.iter().flat_map(Row::figures));
            for (sharing, times) in SHARINGS.iter().zip(&times).filter(|(_, times)| !times.is_empty()) {
                let name = format!("tables_{backends}.{}build_ms", sharing.prefix());
                figures.push(Figure { name, value: median(times), unit: "ms", aim: sharing.aim(BUILD_AIM) });
            }
            figures.push(Figure {
                name: format!("tables_{backends}.paces_ms"),
                value: paces,
                unit: "ms",
                aim: None,
            });
        } else {
            print_block(&mut out, backends, &rows, &times, paces)?;
        }
    }
    let slots = publish::SLOTS;
    for (name, value, aim) in [
        ("tables.publish_ms", publish.median, Some(PUBLISH_AIM)),
        ("tables.publish_slowest_ms", publish.slowest, None),
    ] {
        figures.push(Figure { name: name.to_owned(), value, unit: "ms", aim });
    }
    if json {
        for figure in figures {
            writeln!(out, "{}", serde_json::to_string(&figure)?)?;
        }
    } else {
        writeln!(
            out,
            "{slots} slots stored in the kernel's table: median {:.3} ms, slowest {:.3} ms (aim {PUBLISH_AIM} ms)",
            publish.median, publish.slowest
        )?;
    }
    Ok(())
}

/// One case with one number of backends.
struct Row {
    case: &'static Case,
    backends: usize,
    /// Mean slots that those whose share grows gain.
    ideal: f64,
    /// Mean slots that move where tables have no history and counts are left to chance, over the ideal.
    no_history: f64,
    results: Vec<Measured>,
}

/// What one way to share slots made of a case.
#[derive(Clone, Copy, Default)]
struct Measured {
    moved: f64,
    ideal: f64,
    /// Largest number of slots over the share, over all rounds, before and after the change.
    most: f64,
}

impl Measured {
    fn ratio(&self) -> f64 {
        self.moved / self.ideal
    }
}

impl Row {
    fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        for (sharing, result) in SHARINGS.iter().zip(&self.results) {
            for (figure, value, aim) in
                [("moved_over_ideal", result.ratio(), MOVED_AIM), ("max_over_mean", result.most, EVEN_AIM)]
            {
                let name =
                    format!("tables_{}_{}.{}{figure}", self.backends, self.case.name, sharing.prefix());
                let value = (value * 1000.0).round() / 1000.0;
                figures.push(Figure { name, value, unit: "ratio", aim: sharing.aim(aim) });
            }
        }
        figures
    }
}

fn measure(case: &'static Case, backends: usize, rounds: u32, times: &mut [Vec<f64>; SHARINGS.len()]) -> Row {
    let mut row = Row {
        case,
        backends,
        ideal: 0.0,
        no_history: 0.0,
        results: vec![Measured::default(); SHARINGS.len()],
    };
    for round in 0..rounds {
        let mut rng = Rng::new(u64::from(round) << 32 | backends as u64);
        let before = (case.before)(Fleet::new(backends, &mut rng), &mut rng);
        let after = (case.change)(before.clone(), &mut rng);
        let ideal = before.ideal(&after);
        row.ideal += ideal / f64::from(rounds);
        row.no_history += before.without_history(&after) / f64::from(rounds);
        for (index, sharing) in SHARINGS.iter().enumerate() {
            if sharing.is_slow() && round >= rounds.div_ceil(8) {
                continue;
            }
            let mut tables = Vec::new();
            for fleet in [&before, &after] {
                let race = sharing.race(fleet);
                let candidates = fleet.candidates();
                let start = now();
                tables.push(sharing.table(&race, &candidates));
                times[index].push(milliseconds(start.elapsed()));
            }
            let result = &mut row.results[index];
            let moved = tables[0].iter().zip(&tables[1]).filter(|(before, after)| before != after).count();
            result.moved += moved as f64;
            result.ideal += ideal;
            result.most = result.most.max(before.evenness(&tables[0])).max(after.evenness(&tables[1]));
        }
    }
    row.no_history /= row.ideal;
    row
}

/// Milliseconds that a race takes to set up, which is once per configuration.
fn paces_time(backends: usize, rounds: u32) -> f64 {
    let times: Vec<f64> = (0..rounds)
        .map(|round| {
            let configured = Fleet::new(backends, &mut Rng::new(round.into())).configured();
            let start = now();
            let race = Race::new(&configured, MAX_TABLE_SIZE);
            let time = milliseconds(start.elapsed());
            drop(race);
            time
        })
        .collect();
    median(&times)
}

fn print_block(
    out: &mut impl std::io::Write,
    backends: usize,
    rows: &[Row],
    times: &[Vec<f64>; SHARINGS.len()],
    paces: f64,
) -> std::io::Result<()> {
    write!(out, "{:<28} {:>6}", format!("{backends} backends"), "ideal")?;
    for sharing in SHARINGS {
        write!(out, " {:>14}", sharing.name())?;
    }
    writeln!(out, " {:>11}", "no history")?;
    for row in rows {
        write!(out, "{:<28} {:>6.0}", row.case.description, row.ideal)?;
        for result in &row.results {
            write!(out, " {:>6.2}  {:.3}", result.ratio(), result.most)?;
        }
        let missed = row.results.first().is_some_and(|r| r.ratio() > MOVED_AIM || r.most > EVEN_AIM + 1e-9);
        writeln!(out, " {:>11.2}{}", row.no_history, if missed { "  missed" } else { "" })?;
    }
    write!(out, "{:<28} {:>6}", "ms for a table", "")?;
    for times in times {
        write!(out, " {:>14.2}", median(times))?;
    }
    writeln!(out, "\n{:<28} {:>6} {paces:>14.1}\n", "ms to set up, once", "")
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}
