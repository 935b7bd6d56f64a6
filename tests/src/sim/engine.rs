//! The loop over events. Everything that takes the network's time goes through one queue, for it takes all as long;
//! only the ends of service need a heap.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use anyhow::Result;

use super::measure::{Ended, Measured};
use super::policy::{Answer, Io, Policy, Question, Reply, Report, Request, Row, Start};
use super::rng::Rng;
use super::scenario::Scenario;
use super::server::{Begun, Job, Received, Server};
use super::settings::{Checks, Settings};
use super::time::{SECOND, Time, seconds};

/// How often the world's state, what servers report and the policies are brought up to date.
const TICK: Time = SECOND / 10;

/// Runs `row`'s policy through `scenario`.
///
/// # Errors
/// If an instance of the policy cannot be made.
pub fn run(settings: &Settings, scenario: &Scenario, row: &Row, seed: u64) -> Result<Measured> {
    let mut engine = Engine::new(settings, scenario, row, seed)?;
    engine.run()?;
    Ok(engine.measured)
}

struct Engine<'a> {
    settings: &'a Settings,
    scenario: &'a Scenario,
    row: &'a Row,
    seed: u64,
    now: Time,
    servers: Vec<Server>,
    balancers: Vec<Balancer>,
    requests: Vec<Flight>,
    free: Vec<u32>,
    serial: u64,
    /// When the next request comes; its gaps are drawn from `world` alone, as is all of a request.
    next_request: Time,
    world: Rng,
    /// Requests a second, at present.
    rate: f64,
    reporting: bool,
    wire: VecDeque<(Time, Packet)>,
    /// Ends of service, the earliest first; the second number makes the order of equal times certain.
    ends: BinaryHeap<Reverse<(Time, u64)>>,
    /// What the heap's second numbers stand for.
    running: Vec<Option<(usize, Begun)>>,
    patience: VecDeque<(Time, u32, u64)>,
    next_tick: Time,
    is_restarted: bool,
    measured: Measured,
}

struct Balancer {
    policy: Box<dyn Policy>,
    io: Io,
    rng: Rng,
    /// Grows with every start: who restarted knows nothing of the requests from before.
    generation: u32,
}

/// A request under way.
#[derive(Clone, Copy)]
struct Flight {
    serial: u64,
    sent: Time,
    server: u16,
    balancer: u16,
    generation: u32,
    demand: f64,
    luck: f64,
    given_up: bool,
}

enum Packet {
    Request(u32),
    Response { request: u32, ok: bool, report: Option<Report> },
    Question { balancer: u16, server: u16, question: Question },
    Answer { balancer: u16, server: u16, answer: Answer },
}

impl<'a> Engine<'a> {
    fn new(settings: &'a Settings, scenario: &'a Scenario, row: &'a Row, seed: u64) -> Result<Self> {
        let server = |server| {
            let state = scenario.state(server, settings, 0);
            Server::new(settings.workers, settings.queue, state, row.probes)
        };
        let mut engine = Self {
            settings,
            scenario,
            row,
            seed,
            now: 0,
            servers: (0..settings.servers).map(server).collect(),
            balancers: Vec::new(),
            requests: Vec::new(),
            free: Vec::new(),
            serial: 0,
            next_request: 0,
            world: Rng::new(seed, 0),
            rate: scenario.rate(settings, 0),
            reporting: true,
            wire: VecDeque::new(),
            ends: BinaryHeap::new(),
            running: Vec::new(),
            patience: VecDeque::new(),
            next_tick: 0,
            is_restarted: false,
            measured: Measured::new(settings.servers),
        };
        for index in 0..settings.balancers {
            let policy = engine.start(index, 0)?;
            let rng = Rng::new(seed, 1000 + index as u64);
            engine.balancers.push(Balancer { policy, io: Io::default(), rng, generation: 0 });
        }
        engine.next_request = engine.gap();
        Ok(engine)
    }

    /// A new instance for balancer `index`, which knows the servers that are there.
    fn start(&self, index: usize, generation: u32) -> Result<Box<dyn Policy>> {
        let seed = Rng::new(self.seed, 2000 + index as u64 + 1000 * u64::from(generation)).bits();
        let start = Start { now: self.now, servers: self.settings.servers, seed };
        let mut policy = (self.row.make)(&start)?;
        let is_there = |server: &usize| self.scenario.joins(*server, self.settings) <= self.now;
        (0..self.settings.servers).filter(is_there).for_each(|server| policy.joined(server, self.now));
        Ok(policy)
    }

    fn gap(&mut self) -> Time {
        seconds(self.world.exponential() / self.rate).max(1)
    }

    fn run(&mut self) -> Result<()> {
        let end = self.scenario.end(self.settings);
        // Until the last request of the window has been answered or given up.
        let over = end + self.settings.timeout + SECOND;
        loop {
            let wire = self.wire.front().map_or(Time::MAX, |(at, _)| *at);
            let service = self.ends.peek().map_or(Time::MAX, |Reverse((at, _))| *at);
            let patience = self.patience.front().map_or(Time::MAX, |(at, ..)| *at);
            let next = wire.min(service).min(patience).min(self.next_request).min(self.next_tick);
            if next > over {
                break;
            }
            self.now = next;
            self.measured.events += 1;
            if next == self.next_tick {
                self.tick()?;
            } else if next == self.next_request {
                self.request();
            } else if next == service {
                self.end_service();
            } else if next == wire {
                self.deliver();
            } else {
                self.lose_patience();
            }
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<()> {
        self.next_tick = self.now + TICK;
        self.rate = self.scenario.rate(self.settings, self.now);
        self.reporting = self.scenario.has_reports(self.settings, self.now);
        for (index, server) in self.servers.iter_mut().enumerate() {
            server.state = self.scenario.state(index, self.settings, self.now);
            server.refresh(self.scenario.age(index, self.settings, self.now), self.now);
        }
        if !self.is_restarted && self.scenario.restart(self.settings).is_some_and(|at| at <= self.now) {
            self.is_restarted = true;
            self.restart()?;
        }
        let joining = |server: &usize| {
            let joins = self.scenario.joins(*server, self.settings);
            joins > 0 && joins <= self.now && joins + TICK > self.now
        };
        let joining: Vec<usize> = (0..self.settings.servers).filter(joining).collect();
        for (index, balancer) in self.balancers.iter_mut().enumerate() {
            joining.iter().for_each(|server| balancer.policy.joined(*server, self.now));
            balancer.policy.tick(self.now, &mut balancer.io);
            send_questions(balancer, index, &mut self.wire, self.now + self.settings.delay);
        }
        self.count_moved();
        Ok(())
    }

    /// What moved before the window's begin does not count.
    fn count_moved(&mut self) {
        let count = self.balancers.len().max(1) as f64;
        let moved: Option<f64> = self.balancers.iter_mut().map(|b| b.policy.take_moved()).sum();
        if let Some(moved) = moved {
            let counts = self.now > self.scenario.begin() && self.now <= self.scenario.end(self.settings);
            *self.measured.moved.get_or_insert(0.0) += if counts { moved / count } else { 0.0 };
        }
    }

    fn restart(&mut self) -> Result<()> {
        for index in 0..self.balancers.len() {
            if !self.balancers[index].policy.restart(self.now) {
                let generation = self.balancers[index].generation + 1;
                self.balancers[index].policy = self.start(index, generation)?;
                self.balancers[index].generation = generation;
            }
        }
        Ok(())
    }

    fn is_measured(&self, sent: Time) -> bool {
        sent >= self.scenario.begin() && sent < self.scenario.end(self.settings)
    }

    /// All of a request is drawn here, whoever balances it: every policy meets the same.
    fn request(&mut self) {
        let index = self.world.below(self.balancers.len());
        let request = Request { hash: self.world.bits() };
        let demand = self.settings.service.draw(&mut self.world);
        let luck = self.world.unit();
        self.next_request = self.now + self.gap();

        let balancer = &mut self.balancers[index];
        let picked = balancer.policy.pick(&request, self.now, &mut balancer.rng, &mut balancer.io);
        let arrival = self.now + self.settings.delay;
        let generation = balancer.generation;
        send_questions(balancer, index, &mut self.wire, arrival);
        let Some(server) = picked else {
            if self.is_measured(self.now) {
                self.measured.count(Ended::Error, 0);
            }
            return;
        };
        self.serial += 1;
        let flight = Flight {
            serial: self.serial,
            sent: self.now,
            server: server as u16,
            balancer: index as u16,
            generation,
            demand,
            luck,
            given_up: false,
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.requests[id as usize] = flight;
                id
            }
            None => {
                self.requests.push(flight);
                (self.requests.len() - 1) as u32
            }
        };
        if self.is_measured(self.now) {
            self.measured.sent[server] += 1;
        }
        self.wire.push_back((arrival, Packet::Request(id)));
        self.patience.push_back((self.now + self.settings.timeout, id, self.serial));
    }

    fn deliver(&mut self) {
        let Some((_, packet)) = self.wire.pop_front() else { return };
        match packet {
            Packet::Request(id) => self.arrive(id),
            Packet::Response { request, ok, report } => {
                let flight = self.requests[request as usize];
                self.free.push(request);
                if !flight.given_up {
                    // So that its place in `patience` is known to be of a request that has ended.
                    self.requests[request as usize].serial = 0;
                    self.conclude(&flight, if ok { Ended::Success } else { Ended::Error }, report);
                }
            }
            Packet::Question { balancer, server, question } => {
                let answer = self.answer(usize::from(server), question);
                let packet = Packet::Answer { balancer, server, answer };
                self.wire.push_back((self.now + self.settings.delay, packet));
            }
            Packet::Answer { balancer, server, answer } => {
                let policy = &mut self.balancers[usize::from(balancer)].policy;
                policy.answered(usize::from(server), answer, self.now);
            }
        }
    }

    fn arrive(&mut self, id: u32) {
        let flight = self.requests[id as usize];
        let server = usize::from(flight.server);
        let Flight { demand, luck, .. } = flight;
        let job = Job { request: id, came: self.now, demand, luck, in_flight: 0 };
        match self.servers[server].receive(job, self.now) {
            Received::Begun(begun) => self.run_job(server, begun),
            Received::Waits => {}
            Received::Refused => self.respond(server, id, false),
        }
    }

    fn run_job(&mut self, server: usize, begun: Begun) {
        // A server has as many places as workers, side by side.
        let first = server * self.settings.workers;
        if self.running.is_empty() {
            self.running.resize(self.servers.len() * self.settings.workers, None);
        }
        let places = first..first + self.settings.workers;
        let Some(place) = places.into_iter().find(|place| self.running[*place].is_none()) else { return };
        self.running[place] = Some((server, begun));
        self.ends.push(Reverse((begun.ends, place as u64)));
    }

    fn end_service(&mut self) {
        let Some(Reverse((_, place))) = self.ends.pop() else { return };
        let Some((server, begun)) = self.running[place as usize].take() else { return };
        self.respond(server, begun.job.request, begun.ok);
        if let Some(next) = self.servers[server].end(&begun, self.now) {
            self.run_job(server, next);
        }
    }

    fn respond(&mut self, server: usize, request: u32, ok: bool) {
        let report = self.reporting.then(|| self.servers[server].report());
        self.wire.push_back((self.now + self.settings.delay, Packet::Response { request, ok, report }));
    }

    fn answer(&mut self, server: usize, question: Question) -> Answer {
        let at = &self.servers[server];
        match question {
            Question::Probe => Answer::Probe { in_flight: at.in_flight(), latency: at.expected_latency() },
            Question::Report => Answer::Report(self.reporting.then(|| at.report())),
            Question::Check => {
                let fails = self.settings.checks == Checks::Deep && at.state.errors > 0.0;
                // Drawn from the balancers' side of the world, for the requests have to stay the same.
                let luck = Rng::new(self.seed ^ self.now, 3000 + server as u64).unit();
                Answer::Check(!fails || luck >= at.state.errors)
            }
        }
    }

    /// A client gives up; the server works on what it has all the same.
    fn lose_patience(&mut self) {
        let Some((_, id, serial)) = self.patience.pop_front() else { return };
        let flight = &mut self.requests[id as usize];
        if flight.serial == serial {
            flight.given_up = true;
            let flight = *flight;
            self.conclude(&flight, Ended::TimedOut, None);
        }
    }

    fn conclude(&mut self, flight: &Flight, ended: Ended, report: Option<Report>) {
        let latency = self.now - flight.sent;
        if self.is_measured(flight.sent) {
            self.measured.count(ended, latency);
        }
        let balancer = &mut self.balancers[usize::from(flight.balancer)];
        if balancer.generation == flight.generation {
            let reply = Reply { latency, ended, report };
            balancer.policy.done(usize::from(flight.server), &reply, self.now);
        }
    }
}

fn send_questions(balancer: &mut Balancer, index: usize, wire: &mut VecDeque<(Time, Packet)>, at: Time) {
    for (server, question) in balancer.io.asked.drain(..) {
        wire.push_back((at, Packet::Question { balancer: index as u16, server: server as u16, question }));
    }
}
