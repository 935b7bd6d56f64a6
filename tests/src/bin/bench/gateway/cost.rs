//! Processor time of a request, and the latency that a proxy adds.

use anyhow::{Context, Result};

use super::load::{self, Load, Run};
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

/// Requests a second when latency is measured: low enough for every proxy.
const RATE: u32 = 6_000;

/// Runs the load of `case` against a proxy.
pub(super) fn measure(bed: &Bed<'_>, kind: Kind, case: &Case, seconds: u32) -> Result<Cost> {
    let before = bed.processor_time(kind)?;
    let seen = case.load.run(&run(bed, kind, case, seconds, None))?;
    let spent = bed.processor_time(kind)?.saturating_sub(before);
    // The second of warming up is in both.
    let rate = seen.requests as f64 / f64::from(seconds);
    let requests = rate * f64::from(seconds + 1);
    Ok(Cost { microseconds: spent.as_secs_f64() * 1e6 / requests, requests_per_second: rate })
}

fn run<'a>(bed: &'a Bed<'_>, kind: Kind, case: &Case, seconds: u32, rate: Option<u32>) -> Run<'a> {
    Run {
        netns: bed.netns(),
        url: bed.url(kind, case),
        seconds,
        rate,
        header: case.checked.then(|| bed.authorization()),
        folder: bed.folder(),
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

/// What each proxy adds to the latency of small requests at a rate that all of them can take.
pub(super) fn latency(bed: &Bed<'_>, rounds: u32, seconds: u32) -> Result<Vec<Figure>> {
    let case =
        Case { name: "", what: "", load: load::H1, tls: false, path: "/small", checked: false, aim: 0.0 };
    let mut kinds = vec![(Kind::Server, Vec::new())];
    kinds.extend(Kind::ALL.iter().map(|kind| (*kind, Vec::new())));
    for _ in 0..rounds {
        for (kind, seen) in &mut kinds {
            let times = case.load.run(&run(bed, *kind, &case, seconds, Some(RATE)))?.microseconds;
            seen.push((quantile(&times, 0.5)?, quantile(&times, 0.99)?));
        }
    }
    let of = |index: usize| {
        let seen = &kinds[index].1;
        let of = |figure: fn(&(f64, f64)) -> f64| median(seen.iter().map(figure).collect());
        (of(|seen| seen.0), of(|seen| seen.1))
    };
    let server = of(0);
    let mut figures = Vec::new();
    let mut nginxs = None;
    for (index, (kind, _)) in kinds.iter().enumerate().skip(1) {
        let (median, p99) = of(index);
        let added = ((median - server.0) / 1e3, (p99 - server.1) / 1e3);
        let aim = (*kind == Kind::Gateway).then_some(nginxs).flatten();
        if *kind == Kind::Nginx {
            nginxs = Some(added);
        }
        let figure = |name: &str, value, aim| Figure {
            name: format!("added_latency.{}_{name}_ms", kind.name()),
            value,
            unit: "ms",
            aim,
        };
        figures.push(figure("p50", added.0, aim.map(|aim: (f64, f64)| aim.0)));
        figures.push(figure("p99", added.1, aim.map(|aim| aim.1)));
    }
    Ok(figures)
}

fn plain(name: String, value: f64, unit: &'static str) -> Figure {
    Figure { name, value, unit, aim: None }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn quantile(sorted: &[u64], share: f64) -> Result<f64> {
    let position = (sorted.len() as f64 * share) as usize;
    sorted.get(position).map(|value| *value as f64).context("h2load told no times")
}
