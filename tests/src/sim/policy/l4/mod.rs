//! xdp-lb's layer 4: the shipped [`Control`], which is told what its agent would tell it and whose orders are carried
//! out on a table of slots as the kernel's is. Each request is a connection of its own here: its SYN takes a slot by hash.

mod config;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use xdp_lb::config::{Config, Scheduler};
use xdp_lb::control::{
    Adopted, BackendRecord, Command, Control, Counters, Event, Load, NextHop, NoReport, NoReportKind, Sweep,
    VipRecord,
};
use xdp_lb_common::choice::BackendLoad;
use xdp_lb_common::flow::{second_slot_of, slot_of};
use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::maps::Traffic;
use xdp_lb_common::slot::Slot;

use super::{Answer, Io, Policy, Question, Reply, Report, Request, Start};
use crate::clock;
use crate::sim::rng::Rng;
use crate::sim::time::{SECOND, Time};

/// A whole pass over the flow table takes the agent so long.
const SWEEP: Time = 16 * SECOND;

struct Layer4 {
    /// Its line in the configuration.
    scheduler: &'static str,
    /// By which the second's load must be lower, in thousandths; `None` without a choice.
    margin: Option<u32>,
    control: Option<Control>,
    /// Some instant, which stands for the run's begin.
    epoch: Instant,
    seed: u64,
    members: Vec<usize>,
    table: Vec<Slot>,
    vips: Vec<VipRecord>,
    backends: BTreeMap<BackendId, BackendRecord>,
    /// Traffic and server by backend id.
    counters: Vec<Traffic>,
    servers: Vec<Option<usize>>,
    /// What the choice of two compares, by backend id.
    loads: Vec<BackendLoad>,
    polls: BTreeMap<usize, Poll>,
    /// To be asked at the next tick.
    questions: Vec<(usize, Question)>,
    next_count: Time,
    next_sweep: Time,
    moved: usize,
    rng: Rng,
}

/// A server that is asked for reports.
struct Poll {
    interval: Duration,
    next: Time,
}

/// An instance that follows its table.
pub(super) fn make(start: &Start) -> Result<Box<dyn Policy>> {
    make_with(config::MAGLEV, start)
}

/// An instance that takes the better of two slots.
pub(super) fn make_p2c(start: &Start) -> Result<Box<dyn Policy>> {
    make_with(config::P2C, start)
}

fn make_with(scheduler: &'static str, start: &Start) -> Result<Box<dyn Policy>> {
    // That every later configuration is valid too: they differ in the list of backends.
    config::of(scheduler, &[0])?;
    Ok(Box::new(Layer4 {
        scheduler,
        margin: None,
        control: None,
        epoch: clock::now(),
        seed: start.seed,
        members: Vec::new(),
        table: Vec::new(),
        vips: Vec::new(),
        backends: BTreeMap::new(),
        counters: Vec::new(),
        servers: Vec::new(),
        loads: Vec::new(),
        polls: BTreeMap::new(),
        questions: Vec::new(),
        next_count: start.now + SECOND,
        next_sweep: start.now + SWEEP,
        moved: 0,
        rng: Rng::new(start.seed, 1),
    }))
}

impl Layer4 {
    fn at(&self, now: Time) -> Instant {
        self.epoch + Duration::from_nanos(now)
    }

    fn feed(&mut self, event: Event, now: Time) {
        let at = self.at(now);
        let Some(control) = &mut self.control else { return };
        let commands = control.handle(event, at);
        self.execute(commands, now);
    }

    /// Starts the agent, on top of the maps where there are any, with what its predecessor wrote down.
    fn begin(&mut self, config: Config, now: Time) {
        let remembered = self.control.take().map(|control| control.remember(self.at(now)));
        let adopted = (!self.vips.is_empty()).then(|| Adopted {
            vips: self.vips.clone(),
            backends: self.backends.values().cloned().collect(),
            tables: self.vips.iter().map(|vip| (vip.vip, self.table.clone())).collect(),
        });
        let (control, commands) = Control::new(config, adopted, remembered, self.seed, self.at(now));
        self.control = Some(control);
        self.execute(commands, now);
    }

    fn execute(&mut self, commands: Vec<Command>, now: Time) {
        for command in commands {
            match command {
                Command::WriteDirectory(vips) => {
                    let margin = |vip: &VipRecord| match vip.scheduler {
                        Scheduler::P2c { margin } => Some(margin.in_thousandths()),
                        Scheduler::Maglev => None,
                    };
                    self.margin = vips.first().and_then(margin);
                    self.vips = vips;
                }
                Command::WriteLoads(loads) => {
                    for (id, Load { standing, per_flow }) in loads {
                        let load = &mut self.loads[id.index() as usize];
                        (load.standing, load.per_flow) = (standing, per_flow);
                    }
                }
                Command::WriteBackend(record) => self.write_backend(record),
                Command::ClearBackend(id) => {
                    self.backends.remove(&id);
                    self.servers[id.index() as usize] = None;
                }
                Command::WriteSlots { vip, changes } => self.write_slots(vip, changes),
                Command::Probe { address, .. } => {
                    self.questions.extend(config::server_of(address).map(|server| (server, Question::Check)));
                }
                Command::WatchReports { address, utilization, .. } => {
                    let interval = utilization.interval;
                    let first = self.rng.unit() * interval.as_nanos() as f64;
                    let poll = Poll { interval, next: now + first as Time };
                    self.polls.extend(config::server_of(address).map(|server| (server, poll)));
                }
                Command::UnwatchReports(id) => {
                    let server = self.server_of(id);
                    self.polls.retain(|watched, _| Some(*watched) != server);
                }
                Command::WatchNextHop(address) => self.resolve(address, now),
                // Kept flows are the kernel's business, which has none longer than a request here.
                Command::PurgeFlows(_) | Command::UnwatchNextHop(_) | Command::Announce(_) => {}
            }
        }
    }

    fn write_backend(&mut self, record: BackendRecord) {
        let place = record.backend.index() as usize;
        if self.servers.len() <= place {
            self.servers.resize(place + 1, None);
            self.counters.resize(place + 1, Traffic::default());
            self.loads.resize(place + 1, BackendLoad::default());
        }
        self.servers[place] = config::server_of(record.address);
        self.backends.insert(record.backend, record);
    }

    fn write_slots(&mut self, vip: VipId, changes: Vec<(u32, Slot)>) {
        let size = self.vips.iter().find(|record| record.vip == vip).map_or(0, |record| record.table_size);
        self.table.resize(size.max(self.table.len() as u32) as usize, Slot::EMPTY);
        for (position, slot) in changes {
            let Some(old) = self.table.get_mut(position as usize) else { continue };
            self.moved += usize::from(*old != Slot::EMPTY && old.current() != slot.current());
            *old = slot;
        }
    }

    fn resolve(&mut self, address: IpAddr, now: Time) {
        let hop = NextHop {
            egress: 1,
            source_mac: [2, 0, 0, 0, 0, 1],
            destination_mac: [2, 0, 0, 0, 0, 2],
            mtu: 1500,
            via_gateway: false,
        };
        self.feed(Event::NextHop { address, hop: Ok(hop) }, now);
    }

    fn server_of(&self, id: BackendId) -> Option<usize> {
        self.servers.get(id.index() as usize).copied().flatten()
    }

    fn backend_of(&self, server: usize) -> Option<BackendId> {
        let found = self.servers.iter().position(|other| *other == Some(server))?;
        BackendId::new(found as u16)
    }

    fn counted(&self) -> Counters {
        let vip = self.counters.iter().fold(Traffic::default(), |sum, backend| sum + *backend);
        Counters { vips: vec![vip], backends: self.counters.clone(), reasons: Vec::new() }
    }
}

impl Policy for Layer4 {
    fn pick(&mut self, request: &Request, _: Time, _: &mut Rng, _: &mut Io) -> Option<usize> {
        let size = self.table.len() as u32;
        let backend_at = |slot: u32| self.table.get(slot as usize).and_then(|slot| slot.current());
        let first = backend_at(slot_of(request.hash, size))?;
        let load = |backend: BackendId| &self.loads[backend.index() as usize];
        let second = self.margin.and_then(|margin| {
            let second = backend_at(second_slot_of(request.hash, size))?;
            load(second).beats(load(first), margin).then_some(second)
        });
        let backend = second.unwrap_or(first);
        self.loads[backend.index() as usize].in_flight += 1;
        let traffic = &mut self.counters[backend.index() as usize];
        // A SYN; what follows it, so that the connection is seen to be answered, is counted at its end.
        traffic.packets += 1;
        traffic.new_flows += 1;
        self.server_of(backend)
    }

    fn done(&mut self, server: usize, _: &Reply, _: Time) {
        let Some(backend) = self.backend_of(server) else { return };
        self.loads[backend.index() as usize].in_flight -= 1;
        let traffic = &mut self.counters[backend.index() as usize];
        traffic.packets += 3;
        traffic.closes += 1;
    }

    fn joined(&mut self, server: usize, now: Time) {
        self.members.push(server);
        if self.control.is_some()
            && let Ok(config) = config::of(self.scheduler, &self.members)
        {
            self.feed(Event::Configured(Box::new(config)), now);
        }
    }

    fn tick(&mut self, now: Time, io: &mut Io) {
        if self.control.is_none()
            && let Ok(config) = config::of(self.scheduler, &self.members)
        {
            self.begin(config, now);
        }
        if now >= self.next_count {
            self.next_count += SECOND;
            self.feed(Event::Counted(self.counted()), now);
        }
        if now >= self.next_sweep {
            self.next_sweep += SWEEP;
            let began = Some(self.at(now.saturating_sub(SWEEP)));
            self.feed(Event::Swept(Sweep { began, ..Sweep::default() }), now);
        }
        let deadline = self.control.as_ref().and_then(Control::next_deadline);
        if deadline.is_some_and(|deadline| deadline <= self.at(now)) {
            self.feed(Event::Tick, now);
        }
        for (server, poll) in &mut self.polls {
            if now >= poll.next {
                poll.next = now + poll.interval.as_nanos() as Time;
                io.ask(*server, Question::Report);
            }
        }
        self.questions.drain(..).for_each(|(server, question)| io.ask(server, question));
    }

    fn answered(&mut self, server: usize, answer: Answer, now: Time) {
        let Some(backend) = self.backend_of(server) else { return };
        let event = match answer {
            Answer::Check(well) => {
                let outcome = if well { Ok(()) } else { Err("status 500".to_owned()) };
                Event::Probed { backend, outcome }
            }
            Answer::Report(report) => {
                let missing =
                    || NoReport { kind: NoReportKind::Unreachable, detail: "connection refused".into() };
                let report = report.map(shipped).ok_or_else(missing);
                Event::Reported { backend, address: config::address_of(server), report }
            }
            Answer::Probe { .. } => return,
        };
        self.feed(event, now);
    }

    /// The maps are pinned; the agent starts on top of them.
    fn restart(&mut self, now: Time) -> bool {
        self.polls.clear();
        self.questions.clear();
        self.seed = self.rng.bits();
        if let Ok(config) = config::of(self.scheduler, &self.members) {
            self.begin(config, now);
        }
        true
    }

    fn take_moved(&mut self) -> Option<f64> {
        Some(std::mem::take(&mut self.moved) as f64 / self.table.len().max(1) as f64)
    }
}

/// A report as the agent reads it.
pub(super) fn shipped(report: Report) -> xdp_lb::control::Report {
    xdp_lb::control::Report {
        utilization: Some(report.utilization),
        rate: Some(report.rate),
        errors: Some(report.errors),
        age: Duration::try_from_secs_f64(report.age).ok(),
        ..xdp_lb::control::Report::default()
    }
}
