//! xdp-lb's choice per request: the shipped [`Pool`], as the gateway runs it, told what the gateway would see.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::Result;
use xdp_lb::control::score::{Outcome, Pick, Pool, ServerId, Settings, Verdict};

use super::{Io, Policy, Reply, Request, Start, l4};
use crate::clock;
use crate::sim::measure::Ended;
use crate::sim::rng::Rng;
use crate::sim::time::Time;

struct PerRequest {
    pool: Pool,
    /// Some instant, which stands for the run's begin.
    epoch: Instant,
    servers: Vec<(ServerId, f64)>,
    /// Requests on their way, by server, oldest first.
    picks: Vec<VecDeque<Pick>>,
}

/// An instance with the constants as shipped.
pub(super) fn make(start: &Start) -> Result<Box<dyn Policy>> {
    let pool = Pool::new(Settings::default(), start.seed);
    let picks = (0..start.servers).map(|_| VecDeque::new()).collect();
    Ok(Box::new(PerRequest { pool, epoch: clock::now(), servers: Vec::new(), picks }))
}

impl PerRequest {
    fn at(&self, now: Time) -> Instant {
        self.epoch + Duration::from_nanos(now)
    }
}

impl Policy for PerRequest {
    fn pick(&mut self, _: &Request, now: Time, _: &mut Rng, _: &mut Io) -> Option<usize> {
        let pick = self.pool.pick(&[], self.at(now))?;
        let server = pick.server().0 as usize;
        self.picks[server].push_back(pick);
        Some(server)
    }

    fn done(&mut self, server: usize, reply: &Reply, now: Time) {
        let Some(pick) = self.picks[server].pop_front() else { return };
        let report = reply.report.map(l4::shipped);
        let verdict = if reply.ended == Ended::Success { Verdict::Success } else { Verdict::Failure };
        let outcome = Outcome {
            latency: Duration::from_nanos(reply.latency),
            verdict,
            report: report.as_ref(),
            in_flight: reply.report.map(|report| report.in_flight),
        };
        self.pool.done(pick, &outcome, self.at(now));
    }

    fn joined(&mut self, server: usize, now: Time) {
        self.servers.push((ServerId(server as u32), 1.0));
        let at = self.at(now);
        self.pool.set_servers(&self.servers, at);
    }
}
