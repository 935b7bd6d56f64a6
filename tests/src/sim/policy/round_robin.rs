//! Each server in turn. Every balancer begins somewhere else.

use anyhow::Result;

use super::members::Members;
use super::{Io, Policy, Request, Start};
use crate::sim::rng::Rng;
use crate::sim::time::Time;

struct RoundRobin {
    members: Members<()>,
    turn: usize,
}

/// An instance.
pub(super) fn make(start: &Start) -> Result<Box<dyn Policy>> {
    Ok(Box::new(RoundRobin {
        members: Members::new(start.servers),
        turn: start.seed as usize % start.servers.max(1),
    }))
}

impl Policy for RoundRobin {
    fn pick(&mut self, _: &Request, _: Time, _: &mut Rng, _: &mut Io) -> Option<usize> {
        let present = self.members.present();
        self.turn = (self.turn + 1) % present.len().max(1);
        present.get(self.turn).copied()
    }

    fn joined(&mut self, server: usize, _: Time) {
        self.members.add(server);
    }
}
