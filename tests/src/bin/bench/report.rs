//! The figures, for people and for programs.

use std::io::Write as _;

use serde::Serialize;

use crate::cases::Case;

/// A case and what each round gave, in ns per packet.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) case: &'static Case,
    pub(crate) nanoseconds: Vec<u64>,
}

impl Measured {
    pub(crate) fn new(case: &'static Case) -> Self {
        Self { case, nanoseconds: Vec::new() }
    }

    fn min(&self) -> u64 {
        self.nanoseconds.iter().copied().min().unwrap_or(0)
    }

    fn median(&self) -> u64 {
        let mut sorted = self.nanoseconds.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(0)
    }
}

/// One line of `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) aim: Option<f64>,
}

pub(crate) fn print(measured: &[Measured], json: bool) {
    // Nobody listens any more: nothing is lost by ending quietly.
    let _ = if json { print_json(measured) } else { print_table(measured) };
}

/// The multiple of its floor's least that a case takes.
fn over_floor(measured: &Measured, all: &[Measured]) -> Option<(&'static str, f64, f64)> {
    let (floor, aim) = measured.case.aim?;
    let least = all.iter().find(|other| other.case.name == floor)?.min();
    Some((floor, measured.min() as f64 / least.max(1) as f64, aim))
}

fn print_json(all: &[Measured]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for measured in all {
        let figure = |name: &str, value, unit, aim| Figure {
            name: format!("{}.{name}", measured.case.name),
            value,
            unit,
            aim,
        };
        let mut figures = vec![
            figure("min_ns", measured.min() as f64, "ns", None),
            figure("median_ns", measured.median() as f64, "ns", None),
        ];
        if let Some((floor, multiple, aim)) = over_floor(measured, all) {
            figures.push(figure(
                &format!("over_{floor}"),
                (multiple * 100.0).round() / 100.0,
                "ratio",
                Some(aim),
            ));
        }
        for figure in figures {
            writeln!(out, "{}", serde_json::to_string(&figure)?)?;
        }
    }
    Ok(())
}

fn print_table(all: &[Measured]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:<20} {:>7} {:>10}   {:<18} {:>5}", "case", "min ns", "median ns", "over floor", "aim")?;
    for measured in all {
        let (name, min, median) = (measured.case.name, measured.min(), measured.median());
        write!(out, "{name:<20} {min:>7} {median:>10}")?;
        match over_floor(measured, all) {
            Some((floor, multiple, aim)) => {
                let verdict = if multiple <= aim { "" } else { "  missed" };
                writeln!(out, "   {:<18} {aim:>5.1}{verdict}", format!("{multiple:.2} × {floor}"))?;
            }
            None => writeln!(out)?,
        }
    }
    Ok(())
}
