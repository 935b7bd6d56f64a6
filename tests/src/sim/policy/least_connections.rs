//! The server with the fewest requests of this balancer in flight; among equals each in turn
//! (nginx, `ngx_http_upstream_least_conn_module`: "If there are several such servers, they are tried in turn using a
//! weighted round-robin balancing method").

use anyhow::Result;

use super::members::Members;
use super::{Io, Policy, Reply, Request, Start};
use crate::sim::rng::Rng;
use crate::sim::time::Time;

struct LeastConnections {
    in_flight: Members<u32>,
    turn: usize,
}

/// An instance.
pub(super) fn make(start: &Start) -> Result<Box<dyn Policy>> {
    let turn = start.seed as usize % start.servers.max(1);
    Ok(Box::new(LeastConnections { in_flight: Members::new(start.servers), turn }))
}

impl Policy for LeastConnections {
    fn pick(&mut self, _: &Request, _: Time, _: &mut Rng, _: &mut Io) -> Option<usize> {
        let present = self.in_flight.present();
        let (later, earlier) = (self.turn + 1..present.len(), 0..(self.turn + 1).min(present.len()));
        self.turn = later.chain(earlier).min_by_key(|place| self.in_flight[present[*place]])?;
        let server = present[self.turn];
        self.in_flight[server] += 1;
        Some(server)
    }

    fn done(&mut self, server: usize, _: &Reply, _: Time) {
        self.in_flight[server] -= 1;
    }

    fn joined(&mut self, server: usize, _: Time) {
        self.in_flight.add(server);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::measure::Ended;

    #[test]
    fn the_idlest_and_among_equals_the_next() {
        let mut policy = make(&Start { now: 0, servers: 3, seed: 0 }).unwrap();
        (0..3).for_each(|server| policy.joined(server, 0));
        let mut rng = Rng::new(1, 1);
        let mut pick = |policy: &mut Box<dyn Policy>| {
            policy.pick(&Request { hash: 0 }, 0, &mut rng, &mut Io::default()).unwrap()
        };
        assert_eq!(
            [pick(&mut policy), pick(&mut policy), pick(&mut policy), pick(&mut policy)],
            [1, 2, 0, 1]
        );
        policy.done(0, &Reply { latency: 1, ended: Ended::Success, report: None }, 1);
        assert_eq!([pick(&mut policy), pick(&mut policy), pick(&mut policy)], [0, 2, 0]);
    }
}
