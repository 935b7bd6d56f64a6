//! The end of a history: a time of quiet, after which nothing is left of what happened.

use std::collections::VecDeque;

use xdp_lb::control::{Command, Control, Event};
use xdp_lb_common::maps::CLOSED_SECONDS;

use super::{SECOND, Scene};
use crate::Holds;
use crate::balancer::Balancer;
use crate::history::{Ending, History};
use crate::plan::{LONG_DRAIN, VIPS};

impl Scene {
    /// Everything comes to rest: then nothing is left of what happened.
    pub(crate) fn finish(&mut self) -> Holds {
        self.healthy.fill(true);
        self.kill = None;
        self.start_at = self.second;
        (self.is_ending, self.opens_between) = (true, false);
        self.wait(LONG_DRAIN + 4)?;
        while !self.clients.live.is_empty() {
            self.clients.close(Ending::Fin, 100, &mut self.balancer, self.second, &mut self.rng)?;
            self.wait(1)?;
        }
        self.weights_come_to_rest()?;
        self.wait(u64::from(CLOSED_SECONDS).max(self.idle) + LONG_DRAIN + 5 * u64::from(self.sweep_parts))?;
        // Who had to wait for room has come only now.
        self.weights_come_to_rest()?;
        self.wait(LONG_DRAIN + 5 * u64::from(self.sweep_parts))?;
        self.balancer.is_at_rest()?;
        if self.plan.backends() > self.room as usize {
            return Ok(());
        }
        let known = self.balancer.records.len();
        if known != self.plan.backends() {
            return Err(format!("{known} backends are left of {}", self.plan.backends()));
        }
        let fresh = self.fresh_tables()?;
        for (vip, service) in VIPS.iter().enumerate() {
            let (found, fresh) = (self.balancer.table(vip), fresh.table(vip));
            if let Some(slot) = (0..fresh.len()).find(|&slot| found.get(slot) != fresh.get(slot)) {
                let (found, fresh) = (found.get(slot), fresh[slot]);
                return Err(format!("{}: slot {slot} leads to {found:?}, afresh to {fresh:?}", service.name));
            }
        }
        Ok(())
    }

    /// Who flapped is held down for up to five minutes, then warms up, and is moved up to step by step.
    fn weights_come_to_rest(&mut self) -> Holds {
        for _ in 0..500 {
            let now = self.now();
            let Some(status) = self.control.as_ref().map(|control| control.status(now)) else { break };
            let mut backends = status.vips.iter().flat_map(|vip| &vip.backends);
            let is_at_rest = |weight: u16, effective: f64| effective == f64::from(weight);
            let waits = |reason: &str| reason.starts_with("waits for room");
            if backends.all(|b| {
                b.state == "draining" || waits(&b.reason) || is_at_rest(b.weight, b.effective_weight)
            }) {
                return Ok(());
            }
            self.wait(1)?;
        }
        Err("weights do not come to rest".into())
    }

    /// The tables of an agent that has seen nothing but the last configuration.
    fn fresh_tables(&self) -> Holds<Balancer> {
        let history = History {
            seed: 0,
            flow_entries: 8,
            idle: 10,
            insert_limit: 0,
            sweep_parts: 1,
            max_backends: self.room,
            steps: Vec::new(),
        };
        let mut fresh = Balancer::new(&history);
        let now = self.now();
        let (mut control, commands) = Control::new(self.config(), None, None, 0, now);
        let mut commands = VecDeque::from(commands);
        for second in 0..3 {
            let now = now + SECOND * second;
            commands.extend(control.handle(Event::Tick, now));
            while let Some(command) = commands.pop_front() {
                if let Command::Probe { backend, .. } = command {
                    commands.extend(control.handle(Event::Probed { backend, outcome: Ok(()) }, now));
                } else {
                    fresh.carry_out(&command)?;
                }
            }
        }
        Ok(fresh)
    }
}
