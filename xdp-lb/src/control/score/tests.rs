//! The rules of the choice, each by itself, and what holds whatever happens.

mod properties;
mod rules;

use std::time::{Duration, Instant};

use super::*;

/// A pool, and a clock that only tests move.
struct Bench {
    pool: Pool,
    now: Instant,
}

impl Bench {
    /// So many servers of weight 1, each of which has served well.
    fn new(servers: u32, settings: Settings) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an instant to count from")]
        let mut bench = Self { pool: Pool::new(settings, 7), now: Instant::now() };
        bench.set(&vec![1.0; servers as usize]);
        for server in 0..servers {
            bench.proved(server);
        }
        bench
    }

    fn set(&mut self, weights: &[f64]) {
        let servers: Vec<_> = (0..).map(ServerId).zip(weights.iter().copied()).collect();
        self.pool.set_servers(&servers, self.now);
    }

    /// One request that this server alone can take.
    fn sent_to(&mut self, server: u32) -> Pick {
        let others: Vec<_> =
            self.pool.servers.iter().map(|server| server.id).filter(|&id| id != ServerId(server)).collect();
        self.pool.pick(&others, self.now).unwrap()
    }

    fn proved(&mut self, server: u32) {
        let pick = self.sent_to(server);
        self.pool.done(pick, &success(10), self.now);
    }

    fn fail(&mut self, server: u32, times: u32) {
        for _ in 0..times {
            let pick = self.sent_to(server);
            self.pool.done(pick, &failure(), self.now);
        }
    }

    fn pass(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
    }

    /// How many of `count` requests, each answered well and at once, every server got; and of them how many for `why`.
    fn serve(&mut self, count: u32, why: Option<Why>) -> Vec<u32> {
        let mut served = vec![0; self.pool.servers.len()];
        for _ in 0..count {
            let pick = self.pool.pick(&[], self.now).unwrap();
            if why.is_none_or(|why| pick.why() == why) {
                served[pick.server().0 as usize] += 1;
            }
            self.pool.done(pick, &success(10), self.now);
        }
        served
    }
}

fn success(milliseconds: u64) -> Outcome<'static> {
    let latency = Duration::from_millis(milliseconds);
    Outcome { latency, verdict: Verdict::Success, report: None, in_flight: None }
}

fn failure() -> Outcome<'static> {
    Outcome { verdict: Verdict::Failure, ..success(0) }
}
