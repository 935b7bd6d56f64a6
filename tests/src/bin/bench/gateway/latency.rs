//! The latency that a proxy adds to a request, where nothing queues.
//!
//! Requests leave at times that were fixed beforehand, and each is timed from that time on, whether it could leave then or
//! not: an answer that comes late delays none of those after it for free. The rate is low, so that there is seldom more than
//! one request under way: load, server and proxy take turns, and none of them waits for a processor. The server alone and
//! every proxy have short slices in turn, so that what slows the machine down for a while slows all of them.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_setaffinity, set_current_timer_slack};
use xdp_lb_tests::clock::now;

use super::peers::{self, Bed, Kind, SHARED_CPU};
use crate::report::Figure;

/// Between two requests.
const PACE: Duration = Duration::from_millis(1);

/// Connections to each; requests take them in turn.
const CONNECTIONS: usize = 8;

/// Slices of a second.
const SLICES: u32 = 2;

/// Requests at the begin of a slice that are not counted: caches are another's.
const WARM_UP: u32 = 25;

const KINDS: [Kind; 4] = [Kind::Server, Kind::Nginx, Kind::Haproxy, Kind::Gateway];

/// What each proxy adds to the server's own median and 99th percentile. A percentile is the median of those of all slices,
/// so that a machine that stood still for some of them does not decide it; what a proxy does to its requests in most slices
/// does.
pub(super) fn measure(bed: &Bed<'_>, rounds: u32, seconds: u32) -> Result<Vec<Figure>> {
    let slices = rounds * seconds * SLICES;
    let seen = bed.netns().run_in(|| run(bed, slices))?;
    let mut figures = Vec::new();
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let of = |index: usize| quantile(&seen[index], share);
        let server = of(0)?;
        let nginxs = of(1)? - server;
        for (index, kind) in KINDS.iter().enumerate().skip(1) {
            figures.push(Figure {
                name: format!("added_latency.{}_{name}_ms", kind.name()),
                value: of(index)? - server,
                unit: "ms",
                aim: (*kind == Kind::Gateway).then_some(nginxs),
            });
        }
        let name = format!("added_latency.server_{name}_ms");
        figures.push(Figure { name, value: server, unit: "ms", aim: None });
    }
    Ok(figures)
}

/// Milliseconds of the requests of each slice, sorted.
type Seen = Vec<Vec<f64>>;

/// What was seen of each of [`KINDS`].
fn run(bed: &Bed<'_>, slices: u32) -> Result<[Seen; KINDS.len()]> {
    let mut processor = CpuSet::new();
    processor.set(SHARED_CPU);
    sched_setaffinity(None, &processor).context("pinning the load to a processor")?;
    // Wakes up when it asked to, not up to 50 microseconds later.
    set_current_timer_slack(NonZeroU64::new(1)).context("setting the timer's slack")?;
    let mut seen: [Seen; KINDS.len()] = Default::default();
    let mut connections = Vec::new();
    for kind in KINDS {
        let address = bed.address(kind, false);
        let open: Result<Vec<_>> = (0..CONNECTIONS).map(|_| peers::connect(address)).collect();
        connections.push(open.with_context(|| format!("connecting to {}", kind.name()))?);
    }
    let counted = u32::try_from(Duration::from_secs(1).as_nanos() / PACE.as_nanos())? / SLICES;
    for slice in 0..slices as usize {
        for turn in 0..KINDS.len() {
            // Who is first changes: nobody always follows the same other.
            let index = if slice % 2 == 0 { turn } else { KINDS.len() - 1 - turn };
            let streams = &mut connections[index];
            let mut times = Vec::with_capacity(counted as usize);
            let begin = now() + PACE;
            for number in 0..WARM_UP + counted {
                let planned = begin + PACE * number;
                wait_until(planned);
                peers::ask(&mut streams[number as usize % CONNECTIONS])
                    .with_context(|| format!("asking {}", KINDS[index].name()))?;
                if number >= WARM_UP {
                    times.push(now().saturating_duration_since(planned).as_secs_f64() * 1e3);
                }
            }
            times.sort_by(f64::total_cmp);
            seen[index].push(times);
        }
    }
    Ok(seen)
}

fn wait_until(planned: Instant) {
    let left = planned.saturating_duration_since(now());
    if !left.is_zero() {
        std::thread::sleep(left);
    }
}

/// The median of the slices' quantiles.
fn quantile(slices: &[Vec<f64>], share: f64) -> Result<f64> {
    let mut quantiles: Vec<f64> = slices.iter().filter_map(|times| at(times, share)).collect();
    quantiles.sort_by(f64::total_cmp);
    at(&quantiles, 0.5).context("nothing was measured")
}

fn at(sorted: &[f64], share: f64) -> Option<f64> {
    sorted.get((sorted.len() as f64 * share) as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_slice_does_not_decide() {
        let calm: Vec<f64> = (0..200).map(f64::from).collect();
        let slices = [calm.clone(), vec![1e6; 200], calm];
        assert_eq!(quantile(&slices, 0.5).unwrap(), 100.0);
        assert_eq!(quantile(&slices, 0.99).unwrap(), 198.0);
        assert!(quantile(&[], 0.5).is_err());
    }
}
