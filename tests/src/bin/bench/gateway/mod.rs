//! The gateway beside nginx and HAProxy: processor time of a request, added latency, memory of idle connections.
//!
//! Each proxy has one thread on one processor; load and server share the other. Every round measures every proxy once,
//! in turn, so that what slows the machine down for a while slows all of them.

mod cost;
mod latency;
mod load;
mod memory;
mod peers;

use std::io::Write as _;

use anyhow::{Context, Result};
use xdp_lb_tests::netns::Netns;

use self::cost::{Case, Cost};
use self::peers::{Bed, Kind};
use crate::report::Figure;

/// What is asked of the proxies, and how much the gateway's processor time may be of nginx's.
const CASES: [Case; 7] = [
    Case {
        name: "h1_small",
        what: "HTTP/1.1, 125 bytes",
        load: load::H1,
        tls: false,
        path: "/small",
        checked: false,
        aim: 1.0,
    },
    Case {
        name: "h1_64k",
        what: "HTTP/1.1, 64 KiB",
        load: load::H1,
        tls: false,
        path: "/large",
        checked: false,
        aim: 1.0,
    },
    Case {
        name: "h2_small",
        what: "HTTP/2, 125 bytes",
        load: load::H2,
        tls: false,
        path: "/small",
        checked: false,
        aim: 1.0,
    },
    Case {
        name: "tls_h1_small",
        what: "HTTP/1.1 over TLS, 125 bytes",
        load: load::H1,
        tls: true,
        path: "/small",
        checked: false,
        aim: 1.0,
    },
    Case {
        name: "tls_h1_64k",
        what: "HTTP/1.1 over TLS, 64 KiB",
        load: load::H1,
        tls: true,
        path: "/large",
        checked: false,
        aim: 1.0,
    },
    Case {
        name: "tls_h2_small",
        what: "HTTP/2 over TLS, 125 bytes",
        load: load::H2,
        tls: true,
        path: "/small",
        checked: false,
        aim: 1.0,
    },
    Case {
        name: "h1_checked",
        what: "HTTP/1.1, JWT and OpenAPI",
        load: load::H1,
        tls: false,
        path: "/checked/7",
        checked: true,
        aim: 1.3,
    },
];

/// Idle connections of the measurement of memory.
const IDLE: usize = 10_000;

/// Measures and prints.
pub(crate) fn run(json: bool, rounds: u32, seconds: u32, only: &str) -> Result<()> {
    let netns = Netns::new("bench")?;
    let bed = Bed::new(&netns).context("starting the server and the proxies")?;
    let wanted = |name: &str| name.contains(only);
    let mut figures = Vec::new();
    for case in CASES.iter().filter(|case| wanted(case.name)) {
        let mut costs: Vec<(Kind, Vec<Cost>)> = Kind::ALL.iter().map(|kind| (*kind, Vec::new())).collect();
        for round in 1..=rounds {
            progress(json, &format!("{}: round {round} of {rounds}", case.what));
            for (kind, costs) in &mut costs {
                costs.push(cost::measure(&bed, *kind, case, seconds)?);
            }
        }
        figures.extend(cost::figures(case, &costs));
    }
    if wanted("added_latency") {
        progress(json, "added latency");
        figures.extend(latency::measure(&bed, rounds, seconds)?);
    }
    if wanted("idle") {
        progress(json, "idle connections");
        figures.extend(memory::measure(&bed, IDLE)?);
    }
    progress(json, "");
    // Nobody listens any more: nothing is lost by ending quietly.
    let _ = print(&figures, json);
    Ok(())
}

fn progress(json: bool, what: &str) {
    if !json {
        eprint!("\r{what:60}\r");
    }
}

fn print(figures: &[Figure], json: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if !json {
        writeln!(out, "{:44} {:>12} {:8} {:>8}", "figure", "value", "unit", "aim")?;
    }
    for figure in figures {
        if json {
            writeln!(out, "{}", serde_json::to_string(figure)?)?;
        } else {
            let aim = figure.aim.map_or_else(String::new, |aim| format!("≤ {aim}"));
            writeln!(out, "{:44} {:12.3} {:8} {aim:>8}", figure.name, figure.value, figure.unit)?;
        }
    }
    Ok(())
}
