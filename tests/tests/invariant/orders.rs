//! What control is told and orders: orders are carried out one by one while clients send, and the agent may die over any.

use xdp_lb::control::{BackendRecord, Command, Control, Event};
use xdp_lb_common::ids::{BackendId, VipId};

use super::{Scene, hop};
use crate::Holds;
use crate::balancer::{Ends, index};
use crate::plan::{self, FALL, RISE, VIPS};

/// A check and its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Check {
    pub(super) backend: BackendId,
    pub(super) server: u8,
    pub(super) ok: bool,
}

/// Death after so many commands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kill {
    pub(super) after: u8,
    pub(super) dead: u8,
    pub(super) again: u8,
}

impl Scene {
    pub(super) fn begin(&mut self, control: Control, commands: Vec<Command>) -> Holds {
        self.control = Some(control);
        self.in_force = None;
        self.obey(commands, true)?;
        self.answer_soon()
    }

    pub(super) fn tell(&mut self, event: Event) -> Holds {
        self.handle(vec![event])?;
        self.answer_soon()
    }

    /// What was asked is answered: some by one, or all together, as an agent finds it that is busy meanwhile.
    pub(super) fn answer_soon(&mut self) -> Holds {
        while !self.hops.is_empty() || !self.soon.is_empty() {
            let count = if self.rng.one_in(2) { usize::MAX } else { 1 };
            let hops = self.hops.drain(..count.min(self.hops.len()));
            let told = |address| Event::NextHop { address, hop: Ok(hop(plan::number(address))) };
            let mut events: Vec<Event> = hops.map(told).collect();
            let checks: Vec<Check> = self.soon.drain(..count.min(self.soon.len())).collect();
            events.extend(checks.into_iter().map(|check| self.answer(check)));
            self.handle(events)?;
        }
        Ok(())
    }

    fn answer(&mut self, check: Check) -> Event {
        let before = self.answers.get(&check.backend).map_or(0, |(_, failures)| *failures);
        let (outcome, failures) =
            if check.ok { (Ok(()), 0) } else { (Err("connection refused".into()), before + 1) };
        self.answers.insert(check.backend, (check, failures));
        if failures >= FALL {
            self.fallen.insert(check.backend, 0);
        } else if let Some(successes) = self.fallen.get_mut(&check.backend).filter(|_| check.ok) {
            *successes += 1;
            if *successes >= RISE {
                self.fallen.remove(&check.backend);
            }
        }
        Event::Probed { backend: check.backend, outcome }
    }

    pub(super) fn handle(&mut self, events: Vec<Event>) -> Holds {
        let now = self.now();
        let is_file = matches!(events[..], [Event::Configured(_)]);
        let Some(control) = &mut self.control else { return Ok(()) };
        let commands = control.handle_all(events, now);
        self.obey(commands, is_file)
    }

    /// Carries out commands, unless the agent dies over them.
    fn obey(&mut self, commands: Vec<Command>, is_file: bool) -> Holds {
        let in_force = if is_file { Some(self.plan.clone()) } else { self.in_force.clone() };
        let mut writes = false;
        for command in commands {
            match command {
                Command::Probe { backend, address, .. } => {
                    let server = plan::number(address);
                    let check = Check { backend, server, ok: self.healthy[usize::from(server)] };
                    if self.rng.one_in(4) { self.late.push(check) } else { self.soon.push_back(check) }
                }
                Command::WatchNextHop(address) => self.hops.push_back(address),
                Command::UnwatchNextHop(_) | Command::Announce(_) => {}
                Command::WatchReports { backend, address, .. } => drop(self.asked.insert(backend, address)),
                Command::UnwatchReports(backend) => drop(self.asked.remove(&backend)),
                command => {
                    writes = true;
                    self.in_force = None;
                    if self.dies() {
                        return if self.start_at <= self.second { self.start() } else { Ok(()) };
                    }
                    self.carry_out(&command).map_err(|broken| format!("{broken}\nafter {command:?}"))?;
                }
            }
        }
        self.in_force = in_force;
        if writes { self.balancer.check() } else { Ok(()) }
    }

    /// Whether the agent dies before its next command.
    fn dies(&mut self) -> bool {
        let Some(kill) = &mut self.kill else { return false };
        if kill.after > 0 {
            kill.after -= 1;
            return false;
        }
        let Kill { dead, again, .. } = *kill;
        self.kill = again.checked_sub(1).map(|after| Kill { after, dead: 0, again: 0 });
        self.control = None;
        (self.late, self.soon, self.hops, self.asked) = Default::default();
        (self.answers, self.fallen) = Default::default();
        self.start_at = self.second + u64::from(dead);
        true
    }

    /// One command; then somebody sends, for packets do not wait for the next.
    fn carry_out(&mut self, command: &Command) -> Holds {
        match command {
            Command::WriteBackend(record) => self.check_up(record)?,
            Command::ClearBackend(id) => {
                self.answers.remove(id);
                self.fallen.remove(id);
            }
            _ => {}
        }
        match self.balancer.carry_out(command)? {
            Ends::Nobody => {}
            Ends::OfGoneVips => {
                let balancer = &self.balancer;
                self.clients.live.retain(|connection| balancer.vip(connection.client.vip).is_some());
            }
            Ends::OfServer(vip, server, backend) => {
                let lost = self.clients.lose(vip, server, &self.balancer);
                // One that was tried all the same is given up if it has not risen when others have.
                if self.fallen.contains_key(&backend) {
                    self.balancer.hard_down.insert(backend);
                } else if lost > 0 {
                    let name = VIPS[vip].name;
                    return Err(format!("{name}: server {server} is given up with {lost} live connections"));
                }
            }
        }
        let Self { balancer, clients, rng, second, .. } = self;
        clients.some(balancer, *second, rng)?;
        if self.opens_between && rng.one_in(4) {
            clients.open(rng.below(VIPS.len()), None, balancer, *second, rng)
        } else {
            Ok(())
        }
    }

    /// What is checked comes up by its own answer, or because more than half of its VIP's servers are down.
    fn check_up(&mut self, record: &BackendRecord) -> Holds {
        let was_down = self.balancer.records.get(&record.backend).is_none_or(|old| old.down);
        if record.down || !was_down {
            return Ok(());
        }
        let is_its = |index: &usize| self.balancer.vip(*index).is_some_and(|vip| vip.vip == record.vip);
        let is_checked = (0..VIPS.len()).find(is_its).is_some_and(|index| self.plan.0[index].checked);
        let answer = self.answers.get(&record.backend);
        let has_answered = answer
            .is_some_and(|(check, failures)| *failures == 0 && check.server == plan::number(record.address));
        if is_checked && !has_answered && self.most_are_down(record.vip) {
            // Tried all the same: that does not make it one that is not down.
            self.fallen.entry(record.backend).or_insert(0);
            return Ok(());
        }
        match answer {
            Some((check, _)) if is_checked && !has_answered => Err(format!("{record:?} is up by {check:?}")),
            _ => Ok(()),
        }
    }

    /// Whether more than half of a VIP's servers that are to take new connections, and have a verdict, are down.
    fn most_are_down(&self, vip: VipId) -> bool {
        let Some(index) = self.balancer.directory.iter().find(|record| record.vip == vip).map(index) else {
            return true;
        };
        let servers = &self.plan.0[index].servers;
        let takes = |record: &&BackendRecord| {
            let server = servers.get(&plan::number(record.address));
            record.vip == vip && server.is_some_and(|server| server.weight > 0 && !server.drain)
        };
        let (mut down, mut of) = (0, 0);
        for record in self.balancer.records.values().filter(takes) {
            // One that fell and has not risen is down, and so is one that flaps, whatever it answers.
            let is_down = record.down || self.fallen.contains_key(&record.backend);
            down += usize::from(is_down);
            of += 1;
        }
        2 * down > of
    }
}
