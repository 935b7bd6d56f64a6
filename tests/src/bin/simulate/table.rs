//! The figures for people.

use std::io::{Result, Write};

use xdp_lb_tests::sim::regret::Spread;
use xdp_lb_tests::sim::{Checks, Settings};

use crate::figures::{Cell, Figures};

const NAME: usize = 14;
const COLUMN: usize = 13;

pub(crate) fn print(
    out: &mut impl Write,
    settings: &Settings,
    figures: &Figures,
    verbose: bool,
) -> Result<()> {
    world(out, settings, figures)?;
    writeln!(out, "\np99 of good answers in ms, errors and time-outs in %: medians over seeds")?;
    matrix(
        out,
        figures,
        |cell| format!("{} {}%", short(cell.p99.median), percent(cell.errors_percent.median)),
        |_| None,
    )?;
    writeln!(
        out,
        "\nregret: p99 × (1 + errors / 1 %), over the best policy's with the same seed; medians over seeds"
    )?;
    let worst = |policy: usize| {
        let Spread { median, least, most } = figures.worst[policy];
        Some(format!("{median:.2} ({least:.2}–{most:.2})"))
    };
    matrix(out, figures, |cell| format!("{:.2}", cell.regret.median), worst)?;
    slots(out, figures)?;
    if verbose {
        details(out, figures)?;
    }
    Ok(())
}

fn world(out: &mut impl Write, settings: &Settings, figures: &Figures) -> Result<()> {
    let Settings { servers, workers, queue, balancers, load, .. } = settings;
    let percent = load * 100.0;
    writeln!(
        out,
        "{servers} servers with {workers} workers and room for {queue} waiting, service 10 ms (lognormal, σ 1), {balancers} \
         balancers that know of their own requests only, {percent:.0} % load, clients wait 2 s, nothing is retried."
    )?;
    let checks = match settings.checks {
        Checks::Shallow => "notice a server that is gone, not one that answers errors",
        Checks::Deep => "fail as often as requests do",
    };
    writeln!(
        out,
        "xdp-lb-l4 balances connections: here each request is one. Its health checks {checks}; the other policies have none."
    )?;
    let seeds: Vec<String> = figures.seeds.iter().map(u64::to_string).collect();
    writeln!(out, "Seeds {}; {:.0} million events.\n", seeds.join(" "), figures.events as f64 / 1e6)?;
    for scenario in &figures.scenarios {
        writeln!(out, "  {:<NAME$}{}", scenario.name, scenario.about)?;
    }
    writeln!(out)?;
    for row in &figures.rows {
        writeln!(out, "  {:<NAME$}{}", row.name, row.source)?;
    }
    Ok(())
}

fn matrix(
    out: &mut impl Write,
    figures: &Figures,
    text: impl Fn(&Cell) -> String,
    last: impl Fn(usize) -> Option<String>,
) -> Result<()> {
    write!(out, "{:NAME$}", "")?;
    for scenario in &figures.scenarios {
        write!(out, "{:>COLUMN$}", scenario.name)?;
    }
    writeln!(out, "{}", if last(0).is_some() { "    worst case" } else { "" })?;
    for (policy, (row, cells)) in figures.rows.iter().zip(&figures.cells).enumerate() {
        write!(out, "{:<NAME$}", row.name)?;
        for cell in cells {
            write!(out, "{:>COLUMN$}", text(cell))?;
        }
        writeln!(out, "{}", last(policy).map(|text| format!("    {text}")).unwrap_or_default())?;
    }
    Ok(())
}

fn slots(out: &mut impl Write, figures: &Figures) -> Result<()> {
    if figures.cells.iter().flatten().all(|cell| cell.moved_percent.is_none()) {
        return Ok(());
    }
    writeln!(out, "\nslots moved, in % of the table: medians over seeds")?;
    write!(out, "{:NAME$}", "")?;
    figures.scenarios.iter().try_for_each(|scenario| write!(out, "{:>COLUMN$}", scenario.name))?;
    writeln!(out)?;
    for (row, cells) in figures.rows.iter().zip(&figures.cells) {
        if cells.iter().all(|cell| cell.moved_percent.is_none()) {
            continue;
        }
        write!(out, "{:<NAME$}", row.name)?;
        for cell in cells {
            let moved = cell.moved_percent.map(|moved| percent(moved.median)).unwrap_or_default();
            write!(out, "{moved:>COLUMN$}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Median and range of everything.
fn details(out: &mut impl Write, figures: &Figures) -> Result<()> {
    for (index, scenario) in figures.scenarios.iter().enumerate() {
        writeln!(out, "\n{}: {}; median (least–most) over seeds", scenario.name, scenario.about)?;
        let heads = [
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "failed %",
            "timed out %",
            "largest share %",
            "moved %",
            "regret",
        ];
        write!(out, "{:NAME$}", "")?;
        heads.iter().try_for_each(|head| write!(out, "{head:>24}"))?;
        writeln!(out)?;
        for (row, cells) in figures.rows.iter().zip(&figures.cells) {
            let cell = &cells[index];
            write!(out, "{:<NAME$}", row.name)?;
            let spreads = [cell.p50, cell.p99, cell.p999, cell.errors_percent, cell.timeouts_percent];
            let spreads = spreads.map(Some).into_iter();
            for spread in
                spreads.chain([Some(cell.largest_share_percent), cell.moved_percent, Some(cell.regret)])
            {
                let text = |s: Spread| format!("{} ({}–{})", fine(s.median), fine(s.least), fine(s.most));
                write!(out, "{:>24}", spread.map(text).unwrap_or_default())?;
            }
            writeln!(out)?;
        }
    }
    Ok(())
}

fn short(ms: f64) -> String {
    if ms < 100.0 { format!("{ms:.1}") } else { format!("{ms:.0}") }
}

fn percent(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.1}") }
}

fn fine(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.3}"),
        value if value < 100.0 => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}
