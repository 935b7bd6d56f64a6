//! Prequal's asynchronous mode with its hot-cold lexicographic rule (Wydrowski, Kleinberg, Rumble, Archer: "Load is not
//! what you should balance: Introducing Prequal", NSDI'24), at the paper's baseline: 3 probes a query, a pool of 16, one
//! removed per query (the oldest and the worst in turn), age-out 1 s, RIF quantile 0.84, δ = 1, random choice under 2
//! probes. A newer probe of a server takes the place of the older one, which matters where the fleet is hardly larger than
//! the pool. Probes take the network's time. The idle time after which it probes without a query is not published.

use std::collections::VecDeque;

use anyhow::Result;

use super::members::Members;
use super::{Answer, Io, Policy, Question, Request, Start};
use crate::sim::rng::Rng;
use crate::sim::time::{MILLISECOND, SECOND, Time};

const PROBES_PER_QUERY: usize = 3;
const POOL: usize = 16;
const LEAST_POOL: usize = 2;
const REMOVED_PER_QUERY: f64 = 1.0;
const AGE_OUT: Time = SECOND;
const QUANTILE: f64 = 0.84;
const DELTA: f64 = 1.0;
const IDLE: Time = 500 * MILLISECOND;
/// Probes from whose requests in flight the quantile is estimated.
const RECENT: usize = 128;
/// More requests in flight are counted as so many.
const LARGEST: usize = 255;

struct Prequal {
    members: Members<()>,
    pool: Vec<Probe>,
    recent: Recent,
    hot_from: u32,
    removes_oldest: bool,
    last_probe: Time,
    rng: Rng,
}

/// Requests in flight that the last probes met, and how many met as many each.
struct Recent {
    last: VecDeque<usize>,
    counts: [usize; LARGEST + 1],
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    server: usize,
    came: Time,
    in_flight: u32,
    latency: Time,
    uses: u32,
}

/// An instance.
pub(super) fn make(start: &Start) -> Result<Box<dyn Policy>> {
    Ok(Box::new(Prequal::new(start)))
}

impl Prequal {
    fn new(start: &Start) -> Self {
        Self {
            members: Members::new(start.servers),
            pool: Vec::new(),
            recent: Recent { last: VecDeque::new(), counts: [0; LARGEST + 1] },
            hot_from: u32::MAX,
            removes_oldest: false,
            last_probe: start.now,
            rng: Rng::new(start.seed, 0),
        }
    }

    /// How often a probe may be used: the paper's `max(1, (1 + δ) / ((1 − m/n) × probes − removed))`, without bound
    /// where the denominator is not positive, as in fleets little larger than the pool.
    fn uses(&self) -> f64 {
        let fresh = (1.0 - POOL as f64 / self.members.present().len() as f64) * PROBES_PER_QUERY as f64;
        let left = fresh - REMOVED_PER_QUERY;
        if left > 0.0 { ((1.0 + DELTA) / left).max(1.0) } else { f64::INFINITY }
    }

    /// Cold probes by latency, after them the hot ones by requests in flight.
    fn rank(&self, probe: &Probe) -> (bool, u64) {
        let is_hot = probe.in_flight > self.hot_from;
        (is_hot, if is_hot { u64::from(probe.in_flight) } else { probe.latency })
    }

    fn remove_one(&mut self) {
        self.removes_oldest = !self.removes_oldest;
        let place = if self.removes_oldest {
            (0..self.pool.len()).min_by_key(|place| self.pool[*place].came)
        } else {
            (0..self.pool.len()).max_by_key(|place| self.rank(&self.pool[*place]))
        };
        if let Some(place) = place {
            self.pool.remove(place);
        }
    }

    fn probe(&mut self, now: Time, io: &mut Io) {
        self.last_probe = now;
        let present = self.members.present();
        // Without replacement, by rejection: there are many more servers than probes.
        let mut chosen = [usize::MAX; PROBES_PER_QUERY];
        for place in 0..PROBES_PER_QUERY.min(present.len()) {
            while chosen[place] == usize::MAX {
                let server = present[self.rng.below(present.len())];
                if !chosen.contains(&server) {
                    chosen[place] = server;
                    io.ask(server, Question::Probe);
                }
            }
        }
    }

    fn learn(&mut self, probe: Probe) {
        self.recent.add(probe.in_flight);
        self.hot_from = self.recent.quantile();
        // What was known of the same server is older and would be taken for another's.
        if let Some(place) = self.pool.iter().position(|old| old.server == probe.server) {
            self.pool.remove(place);
        } else if self.pool.len() == POOL {
            self.pool.remove(0);
        }
        self.pool.push(probe);
    }
}

impl Recent {
    fn add(&mut self, in_flight: u32) {
        let in_flight = (in_flight as usize).min(LARGEST);
        self.counts[in_flight] += 1;
        self.last.push_back(in_flight);
        if self.last.len() > RECENT
            && let Some(oldest) = self.last.pop_front()
        {
            self.counts[oldest] -= 1;
        }
    }

    fn quantile(&self) -> u32 {
        let rank = (QUANTILE * self.last.len() as f64).ceil() as usize;
        let mut below = 0;
        let reached = self.counts.iter().position(|count| {
            below += count;
            below >= rank
        });
        reached.unwrap_or(LARGEST) as u32
    }
}

impl Policy for Prequal {
    fn pick(&mut self, _: &Request, now: Time, rng: &mut Rng, io: &mut Io) -> Option<usize> {
        self.pool.retain(|probe| now < probe.came + AGE_OUT);
        let best = (0..self.pool.len()).min_by_key(|place| self.rank(&self.pool[*place]));
        let server = match best.filter(|_| self.pool.len() >= LEAST_POOL) {
            Some(place) => {
                let budget = self.uses();
                let probe = &mut self.pool[place];
                probe.uses += 1;
                // The query just sent is there, though the probe did not see it.
                probe.in_flight += 1;
                let server = probe.server;
                // A budget of 1.5 is one use or two by chance.
                if f64::from(probe.uses) + rng.unit() > budget {
                    self.pool.remove(place);
                }
                server
            }
            None => self.members.random(rng)?,
        };
        self.remove_one();
        self.probe(now, io);
        Some(server)
    }

    fn joined(&mut self, server: usize, _: Time) {
        self.members.add(server);
    }

    fn tick(&mut self, now: Time, io: &mut Io) {
        if now >= self.last_probe + IDLE {
            self.probe(now, io);
        }
    }

    fn answered(&mut self, server: usize, answer: Answer, now: Time) {
        if let Answer::Probe { in_flight, latency } = answer {
            self.learn(Probe { server, came: now, in_flight, latency, uses: 0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(servers: usize) -> Prequal {
        let mut policy = Prequal::new(&Start { now: 0, servers, seed: 1 });
        (0..servers).for_each(|server| policy.joined(server, 0));
        policy
    }

    fn pick(policy: &mut Prequal, now: Time) -> usize {
        let mut io = Io::default();
        let server = policy.pick(&Request { hash: 0 }, now, &mut Rng::new(9, 9), &mut io).unwrap();
        assert_eq!(io.asked.len(), PROBES_PER_QUERY);
        server
    }

    #[test]
    fn cold_before_hot_then_latency_then_requests_in_flight() {
        for (description, probes, expected) in [
            ("the fastest of the cold", [(9, 1), (2, 40), (2, 50)], 1),
            ("all hot: the fewest in flight", [(9, 1), (8, 50), (7, 60)], 2),
            ("the only cold one", [(1, 90), (9, 1), (8, 2)], 0),
        ] {
            let mut policy = policy(20);
            for (server, (in_flight, latency)) in probes.iter().enumerate() {
                policy.pool.push(Probe {
                    server,
                    came: 0,
                    in_flight: *in_flight,
                    latency: *latency,
                    uses: 0,
                });
            }
            policy.hot_from = 5;
            assert_eq!(pick(&mut policy, 1), expected, "{description}");
        }
    }

    #[test]
    fn the_pool_is_bounded_and_old_probes_leave() {
        let mut policy = policy(20);
        for i in 0..40 {
            policy.answered(i % 20, Answer::Probe { in_flight: 1, latency: 5 }, 0);
        }
        assert_eq!(policy.pool.len(), POOL);
        pick(&mut policy, 1);
        assert_eq!(policy.pool.len(), POOL - 1);
        pick(&mut policy, 2 * SECOND);
        assert!(policy.pool.is_empty());
    }

    #[test]
    fn probes_are_used_as_often_as_the_paper_says() {
        for (servers, expected) in [(20, f64::INFINITY), (100, 2.0 / 1.52), (1000, 2.0 / 1.952)] {
            let got = policy(servers).uses();
            assert!(got == expected || (got - expected).abs() < 1e-9, "{servers}: {got}");
        }
    }
}
