//! Memory of idle connections: each has had one answer and is kept open.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use xdp_lb_tests::wait::wait_until_ok;

use super::peers::{self, Bed, Kind};
use crate::report::Figure;

/// How long a proxy may take to give back what it used to answer.
const SETTLES: Duration = Duration::from_secs(20);

/// Opens so many connections to nginx and to the gateway.
pub(super) fn measure(bed: &Bed<'_>, connections: usize) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut nginxs = None;
    for kind in [Kind::Nginx, Kind::Gateway] {
        let kibibytes = of(bed, kind, connections)?;
        figures.push(Figure {
            name: format!("idle_{connections}.{}_kib", kind.name()),
            value: kibibytes,
            unit: "KiB",
            aim: None,
        });
        match kind {
            Kind::Nginx => nginxs = Some(kibibytes),
            Kind::Gateway => {
                let over = kibibytes / nginxs.context("nginx comes first")?;
                let name = format!("idle_{connections}.memory_over_nginx");
                figures.push(Figure { name, value: over, unit: "ratio", aim: Some(2.0) });
            }
            _ => {}
        }
    }
    Ok(figures)
}

/// The whole process with them, in KiB.
fn of(bed: &Bed<'_>, kind: Kind, connections: usize) -> Result<f64> {
    let address = bed.address(kind, false);
    bed.netns().run_in(|| {
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            open.push(connect(address).with_context(|| format!("connection {}", open.len()))?);
        }
        // What is given back is given back some time after the last answer.
        let mut last = f64::INFINITY;
        wait_until_ok(SETTLES, "memory stays the same", || {
            std::thread::sleep(Duration::from_secs(2));
            let now = bed.memory(kind)?;
            let before = std::mem::replace(&mut last, now);
            ensure!((before - now).abs() <= 0.005 * now, "{before} KiB, then {now}");
            Ok(now)
        })
    })
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let mut stream = peers::connect(address)?;
    peers::ask(&mut stream)?;
    Ok(stream)
}
