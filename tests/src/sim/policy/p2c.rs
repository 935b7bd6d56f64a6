//! Choice of two on least requests: of two servers by chance the one with fewer requests of this balancer in flight
//! (Envoy documentation, "Weighted least request", all weights equal, choice_count 2), with and without outlier
//! detection.

use anyhow::Result;

use super::members::Members;
use super::outlier::Outlier;
use super::{Io, Policy, Reply, Request, Start};
use crate::sim::measure::Ended;
use crate::sim::rng::Rng;
use crate::sim::time::Time;

struct ChoiceOfTwo {
    in_flight: Members<u32>,
    outlier: Option<Outlier>,
}

/// An instance that ejects nobody.
pub(super) fn make(start: &Start) -> Result<Box<dyn Policy>> {
    Ok(Box::new(ChoiceOfTwo { in_flight: Members::new(start.servers), outlier: None }))
}

/// An instance that ejects.
pub(super) fn make_ejecting(start: &Start) -> Result<Box<dyn Policy>> {
    let outlier = Some(Outlier::new(start.servers, start.now));
    Ok(Box::new(ChoiceOfTwo { in_flight: Members::new(start.servers), outlier }))
}

impl ChoiceOfTwo {
    fn two(&self, rng: &mut Rng) -> Option<(usize, usize)> {
        let Some(outlier) = self.outlier.as_ref().filter(|outlier| outlier.is_any_ejected()) else {
            return self.in_flight.random_two(rng);
        };
        // Few are ejected at once: a draw that meets one is repeated.
        let mut draw = || loop {
            let server = self.in_flight.random(rng)?;
            if !outlier.is_ejected(server) {
                return Some(server);
            }
        };
        Some((draw()?, draw()?))
    }
}

impl Policy for ChoiceOfTwo {
    fn pick(&mut self, _: &Request, _: Time, rng: &mut Rng, _: &mut Io) -> Option<usize> {
        let (first, second) = self.two(rng)?;
        let server = if self.in_flight[second] < self.in_flight[first] { second } else { first };
        self.in_flight[server] += 1;
        Some(server)
    }

    fn done(&mut self, server: usize, reply: &Reply, now: Time) {
        self.in_flight[server] -= 1;
        if let Some(outlier) = &mut self.outlier {
            outlier.observe(server, reply.ended == Ended::Success, now);
        }
    }

    fn joined(&mut self, server: usize, _: Time) {
        self.in_flight.add(server);
        if let Some(outlier) = &mut self.outlier {
            outlier.add(server);
        }
    }

    fn tick(&mut self, now: Time, _: &mut Io) {
        if let Some(outlier) = &mut self.outlier {
            outlier.tick(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_idler_of_two_and_never_an_ejected_one() {
        let mut policy = make_ejecting(&Start { now: 0, servers: 2, seed: 0 }).unwrap();
        (0..2).for_each(|server| policy.joined(server, 0));
        let (mut rng, mut io) = (Rng::new(1, 1), Io::default());
        let mut counts = [0; 2];
        for _ in 0..100 {
            counts[policy.pick(&Request { hash: 0 }, 0, &mut rng, &mut io).unwrap()] += 1;
        }
        assert_eq!(counts, [50, 50]);
        let failure = Reply { latency: 1, ended: Ended::Error, report: None };
        (0..5).for_each(|_| policy.done(0, &failure, 1));
        for _ in 0..20 {
            assert_eq!(policy.pick(&Request { hash: 0 }, 0, &mut rng, &mut io), Some(1));
        }
    }
}
