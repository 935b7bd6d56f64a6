//! The forwarding invariant under random histories: a small kernel that obeys control's commands, clients whose
//! connections live through it, and an operator who changes things.
//!
//! A live connection whose server has not failed never changes backend, with the flow table full, inserts refused, and
//! the agent killed between any two commands.

mod kernel;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use xdp_lb_common::flow::slot_of;
use xdp_lb_common::ids::BackendId;
use xdp_lb_common::maps::Traffic;

use super::fixtures::{address, backend, config, health, start, vip};
use super::rng::Rng;
use super::vip::{Key, key_of};
use super::{Adopted, BackendRecord, Command, Control, Counters, Event, Sweep};
use crate::config::{Config, Health, Weight};
use kernel::Kernel;

const DRAIN: u64 = 10;
const SERVERS: u8 = 6;
const VIPS: usize = 2;

/// What the operator, the servers and the clients do.
#[derive(Clone, Debug)]
enum Step {
    Weight(usize, u8, u16),
    Drain(usize, u8, bool),
    Present(usize, u8, bool),
    VipPresent(usize, bool),
    Healthy(u8, bool),
    Open(usize, u8),
    Close(u8),
    Refuse(u8),
    Wait(u8),
    /// The agent dies after this many commands of the next reload and starts anew.
    KillReloading(u8, u16),
}

fn step() -> impl Strategy<Value = Step> {
    let vip = 0..VIPS;
    let server = 1..=SERVERS;
    prop_oneof![
        3 => (vip.clone(), server.clone(), prop::sample::select(vec![0, 1, 50, 100, 300]))
            .prop_map(|(v, s, w)| Step::Weight(v, s, w)),
        2 => (vip.clone(), server.clone(), any::<bool>()).prop_map(|(v, s, on)| Step::Drain(v, s, on)),
        4 => (vip.clone(), server.clone(), any::<bool>()).prop_map(|(v, s, on)| Step::Present(v, s, on)),
        1 => (vip.clone(), prop::bool::weighted(0.8)).prop_map(|(v, on)| Step::VipPresent(v, on)),
        3 => (server.clone(), prop::bool::weighted(0.6)).prop_map(|(s, on)| Step::Healthy(s, on)),
        6 => (vip, 1u8..20).prop_map(|(v, n)| Step::Open(v, n)),
        2 => (0u8..80).prop_map(Step::Close),
        2 => prop::sample::select(vec![0, 0, 30, 100]).prop_map(Step::Refuse),
        8 => (1u8..30).prop_map(Step::Wait),
        1 => (0u8..12, 1u16..400).prop_map(|(n, w)| Step::KillReloading(n, w)),
    ]
}

proptest! {
    #[test]
    fn live_connections_keep_their_backend(
        seed in any::<u64>(),
        room in prop::sample::select(vec![4, 16, 1000]),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(seed, room);
        for step in steps {
            world.step(step);
        }
        world.wait(80);
    }
}

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

struct World {
    kernel: Kernel,
    control: Control,
    wanted: Config,
    absent: [bool; VIPS],
    healthy: BTreeMap<IpAddr, bool>,
    live: Vec<Connection>,
    closed: Vec<Connection>,
    sweep: Option<HalfSweep>,
    refuse_percent: u8,
    rng: Rng,
    second: u64,
}

impl World {
    fn new(seed: u64, room: usize) -> Self {
        let health = Health { interval: Duration::from_secs(2), ..health() };
        let vips = (0..VIPS as u16).map(|index| {
            let backends = (1..=3).map(|last| backend(last, 100)).collect();
            let mut vip = vip(health.clone(), backends);
            vip.port += index;
            vip.drain = Duration::from_secs(DRAIN);
            vip
        });
        let wanted = config(vips.collect());
        let (control, commands) = Control::new(wanted.clone(), None, seed, start());
        let mut world = Self {
            kernel: Kernel { room, ..Kernel::default() },
            control,
            wanted,
            absent: [false; VIPS],
            healthy: (1..=SERVERS).map(|last| (address(last), true)).collect(),
            live: Vec::new(),
            closed: Vec::new(),
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

    fn step(&mut self, step: Step) {
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
                    self.live.retain(|connection| connection.key != key);
                }
                self.reload();
            }
            Step::Healthy(server, healthy) => {
                self.healthy.insert(address(server), healthy);
                if !healthy {
                    self.live.retain(|connection| connection.server != address(server));
                }
            }
            Step::Open(vip, count) => (0..count).for_each(|_| self.open(vip)),
            Step::Close(percent) => self.close(percent),
            Step::Refuse(percent) => self.refuse_percent = percent,
            Step::Wait(seconds) => self.wait(u64::from(seconds)),
            Step::KillReloading(after, weight) => self.kill_reloading(usize::from(after), weight),
        }
    }

    fn edit(&mut self, vip: usize, server: u8, change: impl FnOnce(&mut crate::config::Backend)) {
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
        let (control, commands) = Control::new(self.file(), Some(adopted), self.rng.next(), self.now());
        self.control = control;
        self.obey(commands);
    }

    fn tell(&mut self, event: Event, now: Instant) {
        let commands = self.control.handle(event, now);
        self.obey(commands);
    }

    fn obey(&mut self, commands: Vec<Command>) {
        let mut checks = Vec::new();
        for command in &commands {
            self.carry_out(command);
            if let Command::Probe { backend, address, .. } = command {
                checks.push((*backend, self.healthy[address]));
            }
        }
        if checks.len() < commands.len() {
            self.kernel.check();
        }
        let answer = |(backend, healthy)| {
            let outcome = if healthy { Ok(()) } else { Err("connection refused".into()) };
            Event::Probed { backend, outcome }
        };
        let mut answers: Vec<Event> = checks.into_iter().map(answer).collect();
        while !answers.is_empty() {
            let count = 1 + (self.rng.next() % answers.len() as u64) as usize;
            let commands = self.control.handle_all(answers.drain(..count), self.now());
            self.obey(commands);
        }
    }

    /// One command; then some connection sends, for packets do not wait for the others.
    fn carry_out(&mut self, command: &Command) {
        self.kernel.apply(command, self.wanted.agent.table_size.slots());
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
        let hash = again.unwrap_or_else(|| self.rng.next());
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

    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.second += 1;
            for index in 0..self.live.len() {
                let silent = self.second - self.live[index].sent;
                if silent >= DRAIN - 1 || self.rng.next().is_multiple_of(8) {
                    self.send(index);
                }
            }
            while self.control.next_deadline().is_some_and(|deadline| deadline <= self.now()) {
                self.tell(Event::Tick, self.now());
            }
            let mut counters = Counters { backends: vec![Traffic::default(); 17], ..Counters::default() };
            for (id, unrecorded) in &self.kernel.unrecorded {
                counters.backends[id.index() as usize].unrecorded = *unrecorded;
            }
            self.tell(Event::Counted(counters), self.now());
            self.sweep();
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
