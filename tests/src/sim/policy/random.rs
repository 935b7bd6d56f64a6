//! A server by chance, all with the same: what every other policy has to be better than.

use anyhow::Result;

use super::members::Members;
use super::{Io, Policy, Request, Start};
use crate::sim::rng::Rng;
use crate::sim::time::Time;

struct Random(Members<()>);

/// An instance.
pub(super) fn make(start: &Start) -> Result<Box<dyn Policy>> {
    Ok(Box::new(Random(Members::new(start.servers))))
}

impl Policy for Random {
    fn pick(&mut self, _: &Request, _: Time, rng: &mut Rng, _: &mut Io) -> Option<usize> {
        self.0.random(rng)
    }

    fn joined(&mut self, server: usize, _: Time) {
        self.0.add(server);
    }
}
