//! Control, the kernel that obeys it, and everybody around them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use xdp_lb_common::flow::slot_of;
use xdp_lb_common::ids::BackendId;
use xdp_lb_common::maps::Traffic;

use super::super::fixtures::{address, backend, config, health, start, vip};
use super::super::rng::Rng;
use super::super::vip::{Key, key_of};
use super::super::{Adopted, BackendRecord, Command, Control, Counters, Event, NextHop, Report, Sweep};
use super::kernel::Kernel;
use super::{DRAIN, SERVERS, Step, VIPS};
use crate::config::{Backend, Config, Forward, Health, Percent, Ratio, UtilizationKind, Weight};

/// The VIP whose packets are forwarded by MAC address.
const BY_MAC: usize = 1;

#[derive(Clone, Debug)]
struct Connection {
    key: Key,
    hash: u64,
    server: IpAddr,
    sent: u64,
}

/// A sweep under way: the live words found in its first half.
#[derive(Debug)]
struct HalfSweep {
    began: Instant,
    found: Vec<(u64, BackendId)>,
}

pub(super) struct World {
    kernel: Kernel,
    control: Control,
    wanted: Config,
    absent: [bool; VIPS],
    healthy: BTreeMap<IpAddr, bool>,
    /// Backends that failed so many checks in a row, until they pass some: they may be given up, even if they were tried
    /// meanwhile because most were down.
    fallen: BTreeMap<BackendId, u32>,
    /// Percent of each server in use, as it reports.
    loads: BTreeMap<IpAddr, u8>,
    /// Whom control asks for reports, and where.
    asked: BTreeMap<BackendId, IpAddr>,
    live: Vec<Connection>,
    closed: Vec<Connection>,
    /// Of a VIP that was removed.
    orphans: Vec<Connection>,
    detoured: BTreeMap<IpAddr, bool>,
    /// Whether all connections share a few slots.
    crowded: bool,
    sweep: Option<HalfSweep>,
    refuse_percent: u8,
    rng: Rng,
    second: u64,
}

impl World {
    pub(super) fn new(seed: u64, room: usize, crowded: bool) -> Self {
        let health = Health { interval: Duration::from_secs(2), ..health() };
        let vips = (0..VIPS as u16).map(|index| {
            let backends = (1..=3).map(|last| backend(last, 100)).collect();
            let mut vip = vip(health.clone(), backends);
            vip.port += index;
            vip.forward = if index == BY_MAC as u16 { Forward::L2 } else { Forward::Ipip };
            vip.drain = Duration::from_secs(DRAIN);
            // Weights move fast and far, so that histories see much of it.
            vip.utilization.kind =
                UtilizationKind::AgentCheck { port: 9707, send: String::new(), percent: Percent::Idle };
            vip.utilization.smoothing = Duration::from_secs(3);
            vip.warmup.window = Duration::from_secs(9);
            vip.warmup.step = Duration::from_secs(1);
            vip.weights.publish_interval = Duration::from_secs(1);
            vip.weights.publish_limit = Ratio::thousandths(200);
            vip.weights.minute_limit = Ratio::thousandths(6_000);
            vip
        });
        let wanted = config(vips.collect());
        let (control, commands) = Control::new(wanted.clone(), None, None, seed, start());
        let mut world = Self {
            kernel: Kernel { room, ..Kernel::default() },
            control,
            wanted,
            absent: [false; VIPS],
            healthy: (1..=SERVERS).map(|last| (address(last), true)).collect(),
            fallen: BTreeMap::new(),
            loads: (1..=SERVERS).map(|last| (address(last), 50)).collect(),
            asked: BTreeMap::new(),
            live: Vec::new(),
            closed: Vec::new(),
            orphans: Vec::new(),
            detoured: (1..=SERVERS).map(|last| (address(last), false)).collect(),
            crowded,
            sweep: None,
            refuse_percent: 0,
            rng: Rng::new(seed),
            second: 0,
        };
        world.obey(commands);
        world.wait(3);
        world
    }

    fn now(&self) -> Instant {
        start() + Duration::from_secs(self.second)
    }

    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Weight(vip, server, weight) => self.edit(vip, server, |b| b.weight = Weight::from(weight)),
            Step::Drain(vip, server, drain) => self.edit(vip, server, |b| b.drain = drain),
            Step::Present(vip, server, true) => {
                let backends = &mut self.wanted.vips[vip].backends;
                if !backends.iter().any(|b| b.address == address(server)) {
                    backends.push(backend(server, 100));
                    self.reload();
                }
            }
            Step::Present(vip, server, false) => {
                self.wanted.vips[vip].backends.retain(|b| b.address != address(server));
                self.reload();
            }
            Step::VipPresent(vip, present) => {
                self.absent[vip] = !present;
                if !present {
                    let key = key_of(&self.wanted.vips[vip]);
                    self.orphans.extend(self.live.extract_if(.., |connection| connection.key == key));
                }
                self.reload();
            }
            Step::Healthy(server, healthy) => {
                self.healthy.insert(address(server), healthy);
                if !healthy {
                    self.live.retain(|connection| connection.server != address(server));
                }
            }
            Step::Detour(server, on) => {
                self.detoured.insert(address(server), on);
                let key = key_of(&self.wanted.vips[BY_MAC]);
                if on {
                    self.live.retain(|c| c.key != key || c.server != address(server));
                }
                let way = self.way(address(server));
                self.tell(way, self.now());
            }
            Step::Load(server, percent) => drop(self.loads.insert(address(server), percent)),
            Step::Open(vip, count) => (0..count).for_each(|_| self.open(vip)),
            Step::Close(percent) => self.close(percent),
            Step::Refuse(percent) => self.refuse_percent = percent,
            Step::Wait(seconds) => self.wait(u64::from(seconds)),
            Step::KillReloading(after, weight) => self.kill_reloading(usize::from(after), weight),
        }
    }

    fn edit(&mut self, vip: usize, server: u8, change: impl FnOnce(&mut Backend)) {
        let backends = &mut self.wanted.vips[vip].backends;
        if let Some(backend) = backends.iter_mut().find(|b| b.address == address(server)) {
            change(backend);
            self.reload();
        }
    }

    fn file(&self) -> Config {
        let present = self.wanted.vips.iter().zip(self.absent).filter(|(_, absent)| !absent);
        let mut config = self.wanted.clone();
        config.vips = present.map(|(vip, _)| vip.clone()).collect();
        config
    }

    fn reload(&mut self) {
        let file = Box::new(self.file());
        self.tell(Event::Configured(file), self.now());
    }

    fn kill_reloading(&mut self, after: usize, weight: u16) {
        for backend in self.wanted.vips.iter_mut().filter_map(|vip| vip.backends.first_mut()) {
            backend.weight = Weight::from(weight);
        }
        let commands = self.control.handle(Event::Configured(Box::new(self.file())), self.now());
        for command in commands.iter().take(after) {
            self.carry_out(command);
        }
        self.sweep = None;
        let backends = self.kernel.backends.values();
        let adopted = Adopted {
            vips: self.kernel.directory.clone(),
            backends: backends.map(|b| BackendRecord { next_hop: None, ..b.clone() }).collect(),
            tables: self.kernel.directory_tables(),
        };
        let (control, commands) = Control::new(self.file(), Some(adopted), None, self.rng.next(), self.now());
        self.control = control;
        self.asked.clear();
        self.obey(commands);
    }

    fn way(&self, address: IpAddr) -> Event {
        let via_gateway = self.detoured[&address];
        let hop = NextHop { egress: 2, source_mac: [2; 6], destination_mac: [4; 6], mtu: 1500, via_gateway };
        Event::NextHop { address, hop: Ok(hop) }
    }

    fn tell(&mut self, event: Event, now: Instant) {
        let commands = self.control.handle(event, now);
        self.obey(commands);
    }

    fn obey(&mut self, commands: Vec<Command>) {
        let mut answers = Vec::new();
        for command in &commands {
            self.carry_out(command);
            match command {
                Command::Probe { backend, address, .. } => {
                    if self.healthy[address] {
                        self.fallen.retain(|id, passed| {
                            *passed += u32::from(id == backend);
                            *passed < 2
                        });
                    } else {
                        self.fallen.insert(*backend, 0);
                    }
                    let outcome =
                        if self.healthy[address] { Ok(()) } else { Err("connection refused".into()) };
                    answers.push(Event::Probed { backend: *backend, outcome });
                }
                Command::WatchReports { backend, address, .. } => drop(self.asked.insert(*backend, *address)),
                Command::UnwatchReports(backend) => drop(self.asked.remove(backend)),
                Command::WatchNextHop(address) => answers.push(self.way(*address)),
                _ => {}
            }
        }
        if answers.len() < commands.len() {
            self.kernel.check();
        }
        while !answers.is_empty() {
            let count = 1 + (self.rng.next() % answers.len() as u64) as usize;
            let commands = self.control.handle_all(answers.drain(..count), self.now());
            self.obey(commands);
        }
    }

    /// One command; then some connection sends, for packets do not wait for the others.
    fn carry_out(&mut self, command: &Command) {
        self.kernel.apply(command, self.wanted.agent.table_size.slots());
        if let Command::WriteBackend(record) = command
            && record.down
            && self.fallen.contains_key(&record.backend)
        {
            let vip = self.kernel.directory.iter().find(|vip| vip.vip == record.vip);
            let key = vip.map(|vip| (vip.address, vip.port, vip.protocol));
            self.live.retain(|c| Some(c.key) != key || c.server != record.address);
        }
        if !self.live.is_empty() {
            let index = (self.rng.next() % self.live.len() as u64) as usize;
            self.send(index);
        }
    }

    fn refused(&mut self) -> bool {
        self.rng.next() % 100 < u64::from(self.refuse_percent)
    }

    fn open(&mut self, vip: usize) {
        let key = key_of(&self.wanted.vips[vip]);
        // Clients use ports again, also while the old flow is still recorded as closing.
        let again = self.closed.pop().filter(|old| old.key == key).map(|old| old.hash);
        let hash = again.unwrap_or_else(|| {
            let bits = self.rng.next();
            if self.crowded { bits & 0xe000_00ff_ffff_ffff } else { bits }
        });
        let refuse = self.refused();
        let Some(id) = self.kernel.packet(key, hash, true, refuse, self.second) else { return };
        let server = self.kernel.backends[&id].address;
        if self.healthy[&server] {
            self.live.push(Connection { key, hash, server, sent: self.second });
        }
    }

    fn send(&mut self, index: usize) {
        let refuse = self.refused();
        let connection = &mut self.live[index];
        let id = self.kernel.packet(connection.key, connection.hash, false, refuse, self.second);
        let server = id.map(|id| self.kernel.backends[&id].address);
        assert_eq!(server, Some(connection.server), "{connection:?} changed backend at {} s", self.second);
        connection.sent = self.second;
    }

    fn close(&mut self, percent: u8) {
        for index in (0..self.live.len()).rev() {
            if self.rng.next() % 100 < u64::from(percent) {
                self.send(index);
                let connection = self.live.swap_remove(index);
                if let Some(word) = self.kernel.words.get_mut(&connection.hash) {
                    word.closing = true;
                }
                self.closed.push(connection);
            }
        }
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.second += 1;
            for index in 0..self.live.len() {
                let silent = self.second - self.live[index].sent;
                if silent >= DRAIN - 1 || self.rng.next().is_multiple_of(8) {
                    self.send(index);
                }
            }
            self.disturb();
            while self.control.next_deadline().is_some_and(|deadline| deadline <= self.now()) {
                self.tell(Event::Tick, self.now());
            }
            self.report();
            let mut counters = Counters { backends: vec![Traffic::default(); 17], ..Counters::default() };
            for (id, unrecorded) in &self.kernel.unrecorded {
                counters.backends[id.index() as usize].unrecorded = *unrecorded;
            }
            self.tell(Event::Counted(counters), self.now());
            self.sweep();
        }
    }

    /// Who is asked says how busy it is.
    fn report(&mut self) {
        let reports: Vec<Event> = self
            .asked
            .iter()
            .filter_map(|(&backend, &address)| {
                let percent = self.loads[&address];
                let utilization = Some(f64::from(percent) / 100.0).filter(|_| percent <= 100)?;
                let report =
                    Report { utilization: Some(utilization), rate: Some(100.0), ..Report::default() };
                Some(Event::Reported { backend, address, report: Ok(report) })
            })
            .collect();
        let commands = self.control.handle_all(reports, self.now());
        self.obey(commands);
    }

    /// Connections of a VIP that was removed go on for a while.
    fn disturb(&mut self) {
        let orphans = std::mem::take(&mut self.orphans);
        for orphan in orphans {
            let refuse = self.refused();
            let id = self.kernel.packet(orphan.key, orphan.hash, false, refuse, self.second);
            let is_there =
                self.kernel.directory.iter().any(|v| (v.address, v.port, v.protocol) == orphan.key);
            assert!(is_there || id.is_none(), "{orphan:?} is forwarded without a VIP");
            if !self.rng.next().is_multiple_of(20) {
                self.orphans.push(orphan);
            }
        }
    }

    /// Half of the flow table a second, freeing expired places, so that things happen between a sweep's beginning and its end.
    fn sweep(&mut self) {
        let second = self.second;
        let half = u64::from(self.sweep.is_some());
        self.kernel.words.retain(|hash, word| hash % 2 != half || !word.is_expired(second));
        let words = self.kernel.words.iter().filter(|(hash, _)| **hash % 2 == half);
        let words: Vec<_> = words.map(|(hash, word)| (*hash, word.backend)).collect();
        let Some(HalfSweep { began, mut found }) = self.sweep.take() else {
            self.sweep = Some(HalfSweep { began: self.now(), found: words });
            return;
        };
        found.extend(words);
        let mut flows = BTreeMap::new();
        let mut live_slots = Vec::new();
        for (hash, id) in found {
            *flows.entry(id).or_insert(0) += 1;
            if let Some(backend) = self.kernel.backends.get(&id) {
                live_slots.push((backend.vip, slot_of(hash, self.wanted.agent.table_size.slots())));
            }
        }
        live_slots.sort_unstable();
        live_slots.dedup();
        let sweep = Sweep { began: Some(began), live_slots, flows: flows.into_iter().collect() };
        self.tell(Event::Swept(sweep), self.now());
    }
}
