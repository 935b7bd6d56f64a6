//! The figures for programs: one object a line.

use std::io::{Result, Write};

use serde::Serialize;

use crate::figures::{Cell, Figures};

/// What xdp-lb's rows aim at.
const AIM: f64 = 1.10;

#[derive(Serialize)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    aim: Option<f64>,
}

pub(crate) fn print(out: &mut impl Write, figures: &Figures) -> Result<()> {
    // A regret to the best of a few is not the figure of this name.
    let named = figures.is_whole.then(|| figures.rows.iter().zip(&figures.worst));
    for (row, worst) in named.into_iter().flatten() {
        let name = format!("{}.worst_case_regret", key(row.name));
        write(out, name, worst.median, "ratio", row.own.then_some(AIM))?;
    }
    for (row, cells) in figures.rows.iter().zip(&figures.cells) {
        for (scenario, cell) in figures.scenarios.iter().zip(cells) {
            for (figure, value, unit) in of(cell) {
                let name = format!("sim.{}.{}.{figure}", key(scenario.name), key(row.name));
                write(out, name, value, unit, None)?;
            }
        }
    }
    out.flush()
}

fn of(cell: &Cell) -> Vec<(&'static str, f64, &'static str)> {
    let mut figures = vec![
        ("p50_ms", cell.p50.median, "ms"),
        ("p99_ms", cell.p99.median, "ms"),
        ("p999_ms", cell.p999.median, "ms"),
        ("errors", cell.errors_percent.median, "percent"),
        ("largest_share", cell.largest_share_percent.median, "percent"),
        ("regret", cell.regret.median, "ratio"),
    ];
    figures.extend(cell.moved_percent.map(|moved| ("slots_moved", moved.median, "percent")));
    figures
}

fn write(out: &mut impl Write, name: String, value: f64, unit: &'static str, aim: Option<f64>) -> Result<()> {
    let value = (value * 1000.0).round() / 1000.0;
    writeln!(out, "{}", serde_json::to_string(&Figure { name, value, unit, aim })?)
}

/// Names of figures are words joined by underscores.
fn key(name: &str) -> String {
    name.replace('-', "_")
}
