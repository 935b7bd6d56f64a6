//! Processor time of a request.

use anyhow::Result;

use super::load::{Load, Run};
use super::peers::{Bed, Kind};
use crate::report::Figure;

/// A kind of request.
#[derive(Debug)]
pub(super) struct Case {
    pub name: &'static str,
    pub what: &'static str,
    pub load: Load,
    pub tls: bool,
    pub path: &'static str,
    /// Whether the gateway verifies a token and the request's form; nobody else does.
    pub checked: bool,
    pub aim: f64,
}

/// What a proxy took for a request in one round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Of the proxy's own threads, in the kernel too.
    pub microseconds: f64,
    pub requests_per_second: f64,
}

/// Runs the load of `case` against a proxy.
pub(super) fn measure(bed: &Bed<'_>, kind: Kind, case: &Case, seconds: u32) -> Result<Cost> {
    let before = bed.processor_time(kind)?;
    let answered = case.load.run(&run(bed, kind, case, seconds))?;
    let spent = bed.processor_time(kind)?.saturating_sub(before);
    // The second of warming up is in both.
    let rate = answered as f64 / f64::from(seconds);
    let requests = rate * f64::from(seconds + 1);
    Ok(Cost { microseconds: spent.as_secs_f64() * 1e6 / requests, requests_per_second: rate })
}

fn run<'a>(bed: &'a Bed<'_>, kind: Kind, case: &Case, seconds: u32) -> Run<'a> {
    Run {
        netns: bed.netns(),
        url: bed.url(kind, case),
        seconds,
        header: case.checked.then(|| bed.authorization()),
    }
}

/// Each proxy's figures, and the gateway's over nginx's: the median of the rounds' ratios.
pub(super) fn figures(case: &Case, costs: &[(Kind, Vec<Cost>)]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (kind, costs) in costs.iter().filter(|(_, costs)| !costs.is_empty()) {
        let of = |figure: fn(&Cost) -> f64| median(costs.iter().map(figure).collect());
        figures.push(plain(format!("{}.{}_cpu_us", case.name, kind.name()), of(|c| c.microseconds), "us"));
        figures.push(plain(
            format!("{}.{}_rate", case.name, kind.name()),
            of(|c| c.requests_per_second),
            "1/s",
        ));
    }
    let of = |wanted| costs.iter().find(|(kind, _)| *kind == wanted).map(|(_, costs)| costs.as_slice());
    let gateway = of(Kind::Gateway).unwrap_or_default();
    for (other, aim) in [(Kind::Nginx, Some(case.aim)), (Kind::Haproxy, None)] {
        let ratios = gateway.iter().zip(of(other).unwrap_or_default());
        let ratios: Vec<_> = ratios.map(|(own, other)| own.microseconds / other.microseconds).collect();
        if !ratios.is_empty() {
            let name = format!("{}.cpu_over_{}", case.name, other.name());
            figures.push(Figure { name, value: median(ratios), unit: "ratio", aim });
        }
    }
    figures
}

fn plain(name: String, value: f64, unit: &'static str) -> Figure {
    Figure { name, value, unit, aim: None }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
