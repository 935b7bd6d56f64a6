//! The agent and its machine in virtual time: control decides, its orders fill the tables, clients send meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use xdp_lb::agent::MOST_SECONDS;
use xdp_lb::control::{BackendRecord, Command, Control, Event, NextHop};
use xdp_lb::datapath::Datapath;
use xdp_lb_common::ids::BackendId;
use xdp_lb_common::maps::CLOSED_SECONDS;
use xdp_lb_tests::packet::BALANCER_MAC;
use xdp_lb_tests::world::INGRESS;

use crate::Holds;
use crate::adopt::adopt;
use crate::balancer::{Balancer, Ends};
use crate::client::Kind;
use crate::clients::Clients;
use crate::history::{Edit, Ending, History, Step};
use crate::plan::{self, FALL, LONG_DRAIN, Plan, SERVERS, ServerPlan, VIPS};
use crate::rng::Rng;

const SECOND: Duration = Duration::from_secs(1);

/// Seconds after which a closed connection's record is gone.
const CLOSED: u64 = CLOSED_SECONDS as u64;

pub(crate) struct Scene {
    pub(crate) balancer: Balancer,
    clients: Clients,
    /// `None` while no agent runs.
    control: Option<Control>,
    plan: Plan,
    /// The configuration in force, at moments when all that was ordered is carried out.
    in_force: Option<Plan>,
    healthy: [bool; SERVERS as usize + 1],
    /// Checks to be answered the next second.
    late: Vec<Check>,
    /// Checks to be answered as soon as everything ordered with them is carried out.
    soon: VecDeque<Check>,
    /// Addresses that the next hop is asked for.
    hops: VecDeque<IpAddr>,
    /// The last answer to a check of a backend, and how many in a row were failures.
    answers: BTreeMap<BackendId, (Check, u32)>,
    kill: Option<Kill>,
    /// When the next agent is started.
    start_at: u64,
    second: u64,
    /// Up to when the data path's clock was advanced.
    epoch: u64,
    sweep_parts: u32,
    room: u32,
    idle: u64,
    /// Whether connections are opened between two commands.
    opens_between: bool,
    /// Whether no connection is opened any more.
    is_ending: bool,
    rng: Rng,
}

/// A check and its answer.
#[derive(Clone, Copy, Debug)]
struct Check {
    backend: BackendId,
    server: u8,
    ok: bool,
}

/// Death after so many commands.
#[derive(Clone, Copy, Debug)]
struct Kill {
    after: u8,
    dead: u8,
    again: u8,
}

impl Scene {
    pub(crate) fn new(history: &History) -> Holds<Self> {
        let mut scene = Self {
            balancer: Balancer::new(history),
            clients: Clients::default(),
            control: None,
            plan: Plan::new(),
            in_force: None,
            healthy: [true; SERVERS as usize + 1],
            late: Vec::new(),
            soon: VecDeque::new(),
            hops: VecDeque::new(),
            answers: BTreeMap::new(),
            kill: None,
            start_at: 0,
            second: 0,
            epoch: 0,
            sweep_parts: history.sweep_parts,
            room: history.max_backends,
            idle: history.idle,
            opens_between: true,
            is_ending: false,
            rng: Rng(history.seed),
        };
        for vip in &VIPS {
            for number in 1..=SERVERS {
                scene.balancer.tables.set_route(plan::address(vip, number), Some(hop(number)));
            }
        }
        let (control, commands) = Control::new(scene.config(), None, history.seed, scene.now());
        scene.begin(control, commands)?;
        scene.wait(3)?;
        Ok(scene)
    }

    /// In which second something does not hold.
    pub(crate) fn second(&self) -> u64 {
        self.second
    }

    fn now(&self) -> Instant {
        static START: OnceLock<Instant> = OnceLock::new();
        *START.get_or_init(xdp_lb_tests::clock::now) + Duration::from_secs(self.second)
    }

    fn config(&self) -> xdp_lb::config::Config {
        self.plan.config(self.room)
    }

    pub(crate) fn step(&mut self, step: &Step) -> Holds {
        let Self { balancer, clients, in_force, rng, second, .. } = self;
        let plan = in_force.as_ref();
        match *step {
            Step::Reload(ref edits) => {
                edits.iter().for_each(|edit| self.edit(edit));
                self.tell(Event::Configured(Box::new(self.config())))
            }
            Step::Healthy(server, on) => {
                self.healthy[usize::from(server)] = on;
                Ok(())
            }
            Step::Open(vip, count) => {
                (0..count).try_for_each(|_| clients.open(vip, plan, balancer, *second, rng))
            }
            Step::Reopen(count) => (0..count).try_for_each(|_| clients.reopen(plan, balancer, *second, rng)),
            Step::Close(how, percent) => clients.close(how, percent, balancer, *second, rng),
            Step::Flood(vip, count) => clients.noise(vip, Kind::Syn, count, plan, balancer),
            Step::Stray(vip, count) => clients.noise(vip, Kind::More, count, plan, balancer),
            Step::Wait(seconds) => self.wait(seconds.into()),
            Step::Stall(seconds) => {
                (0..seconds).try_for_each(|_| self.second_without_agent())?;
                self.wait(1)
            }
            Step::Kill { after, dead, again } => {
                if self.control.is_some() {
                    self.kill = Some(Kill { after, dead, again });
                }
                Ok(())
            }
        }
    }

    fn edit(&mut self, edit: &Edit) {
        match *edit {
            Edit::Weight(vip, number, weight) => {
                self.plan.0[vip].servers.entry(number).and_modify(|server| server.weight = weight);
            }
            Edit::Drain(vip, number, drain) => {
                self.plan.0[vip].servers.entry(number).and_modify(|server| server.drain = drain);
            }
            Edit::Server(vip, number, true) => {
                self.plan.0[vip].servers.entry(number).or_insert(ServerPlan::NEW);
            }
            Edit::Server(vip, number, false) => {
                self.plan.0[vip].servers.remove(&number);
            }
            Edit::Vip(vip, present) => self.plan.0[vip].present = present,
            Edit::DrainTime(vip, seconds) => self.plan.0[vip].drain = seconds,
            Edit::Checks(vip, checked) => self.plan.0[vip].checked = checked,
        }
    }

    /// Seconds pass, and the agent does what it does every second (see `Agent::every_second`).
    fn wait(&mut self, seconds: u64) -> Holds {
        for _ in 0..seconds {
            self.second_without_agent()?;
            if self.control.is_none() && self.second >= self.start_at {
                self.start()?;
            }
            self.soon.extend(std::mem::take(&mut self.late));
            self.answer_soon()?;
            while self.control.as_ref().and_then(Control::next_deadline).is_some_and(|at| at <= self.now()) {
                self.tell(Event::Tick)?;
            }
            if self.control.is_none() {
                continue;
            }
            let (elapsed, now) = (self.second - self.epoch, self.now());
            self.epoch = self.second;
            let tables = &mut self.balancer.tables;
            tables.advance_epoch(Duration::from_secs(elapsed.min(MOST_SECONDS)));
            let swept = tables.sweep(self.sweep_parts, now);
            let counters = tables.counters().map_err(|error| error.to_string())?;
            // A SYN that cannot be recorded between the reading of the counters and the settling that they allow would
            // go where the slot no longer leads: microseconds, against which nothing is done.
            self.opens_between = false;
            self.tell(Event::Counted(counters))?;
            self.opens_between = !self.is_ending;
            if let Some(sweep) = swept {
                self.tell(Event::Swept(sweep))?;
            }
        }
        Ok(())
    }

    fn second_without_agent(&mut self) -> Holds {
        self.second += 1;
        self.balancer.tables.advance_kernel_clock(SECOND);
        self.clients.second(&mut self.balancer, self.second, &mut self.rng)
    }

    /// A new agent takes over what the last one left.
    fn start(&mut self) -> Holds {
        let now = self.now();
        self.epoch = self.second;
        let adopted = adopt(&mut self.balancer.tables, now);
        let (control, commands) = Control::new(self.config(), Some(adopted), self.rng.next(), now);
        self.begin(control, commands)
    }

    fn begin(&mut self, control: Control, commands: Vec<Command>) -> Holds {
        self.control = Some(control);
        self.in_force = None;
        self.obey(commands, true)?;
        self.answer_soon()
    }

    fn tell(&mut self, event: Event) -> Holds {
        self.handle(vec![event])?;
        self.answer_soon()
    }

    /// What was asked is answered: some by one, or all together, as an agent finds it that is busy meanwhile.
    fn answer_soon(&mut self) -> Holds {
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
        Event::Probed { backend: check.backend, outcome }
    }

    fn handle(&mut self, events: Vec<Event>) -> Holds {
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
        (self.late, self.soon, self.hops, self.answers) = Default::default();
        self.start_at = self.second + u64::from(dead);
        true
    }

    /// One command; then somebody sends, for packets do not wait for the next.
    fn carry_out(&mut self, command: &Command) -> Holds {
        match command {
            Command::WriteBackend(record) => self.check_up(record)?,
            Command::ClearBackend(id) => drop(self.answers.remove(id)),
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
                if self.answers.get(&backend).is_some_and(|(_, failures)| *failures >= FALL) {
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

    /// What is checked comes up by its own answer only.
    fn check_up(&self, record: &BackendRecord) -> Holds {
        let was_up = self.balancer.records.get(&record.backend).is_some_and(|old| !old.down);
        let Some((check, failures)) = self.answers.get(&record.backend).filter(|_| !record.down && !was_up)
        else {
            return Ok(());
        };
        let is_its = |index: &usize| self.balancer.vip(*index).is_some_and(|vip| vip.vip == record.vip);
        let is_checked = (0..VIPS.len()).find(is_its).is_some_and(|index| self.plan.0[index].checked);
        let has_answered = *failures == 0 && check.server == plan::number(record.address);
        if is_checked && !has_answered { Err(format!("{record:?} is up by {check:?}")) } else { Ok(()) }
    }

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
        self.wait(CLOSED.max(self.idle) + LONG_DRAIN + 5 * u64::from(self.sweep_parts))?;
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
        let (mut control, commands) = Control::new(self.config(), None, 0, now);
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

/// The way to a server.
fn hop(number: u8) -> NextHop {
    let destination_mac = [0x02, 0, 0, 0, 0xbe, number];
    NextHop { egress: INGRESS, source_mac: BALANCER_MAC, destination_mac, mtu: 1500, via_gateway: false }
}
