//! The agent and its machine in virtual time: control decides, its orders fill the tables, clients send meanwhile.

mod orders;
mod rest;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use xdp_lb::agent::MOST_SECONDS;
use xdp_lb::control::{Control, Event, NextHop, Remembered, Report};
use xdp_lb::datapath::Datapath;
use xdp_lb_common::ids::BackendId;
use xdp_lb_tests::packet::BALANCER_MAC;
use xdp_lb_tests::world::INGRESS;

use crate::Holds;
use crate::adopt::adopt;
use crate::balancer::Balancer;
use crate::client::Kind;
use crate::clients::Clients;
use crate::history::{History, Step};
use crate::plan::{self, Plan, SERVERS, VIPS};
use crate::rng::Rng;
use orders::{Check, Kill};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) struct Scene {
    pub(crate) balancer: Balancer,
    clients: Clients,
    /// `None` while no agent runs.
    control: Option<Control>,
    plan: Plan,
    /// The configuration in force, at moments when all that was ordered is carried out.
    in_force: Option<Plan>,
    healthy: [bool; SERVERS as usize + 1],
    /// Percent of each server in use, as it reports.
    loads: [u8; SERVERS as usize + 1],
    /// Whom the agent asks for reports, and where.
    asked: BTreeMap<BackendId, IpAddr>,
    /// What the agent last wrote to its file, and when.
    remembered: (u64, Option<Remembered>),
    /// Checks to be answered the next second.
    late: Vec<Check>,
    /// Checks to be answered as soon as everything ordered with them is carried out.
    soon: VecDeque<Check>,
    /// Addresses that the next hop is asked for.
    hops: VecDeque<IpAddr>,
    /// The last answer to a check of a backend, and how many in a row were failures.
    answers: BTreeMap<BackendId, (Check, u32)>,
    /// Backends that fell and have not risen, with their successes since.
    fallen: BTreeMap<BackendId, u32>,
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

impl Scene {
    pub(crate) fn new(history: &History) -> Holds<Self> {
        let mut scene = Self {
            balancer: Balancer::new(history),
            clients: Clients::default(),
            control: None,
            plan: Plan::new(),
            in_force: None,
            healthy: [true; SERVERS as usize + 1],
            loads: [50; SERVERS as usize + 1],
            asked: BTreeMap::new(),
            remembered: (0, None),
            late: Vec::new(),
            soon: VecDeque::new(),
            hops: VecDeque::new(),
            answers: BTreeMap::new(),
            fallen: BTreeMap::new(),
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
        let (control, commands) = Control::new(scene.config(), None, None, history.seed, scene.now());
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
                edits.iter().for_each(|edit| self.plan.change(edit));
                self.tell(Event::Configured(Box::new(self.config())))
            }
            Step::Healthy(server, on) => {
                self.healthy[usize::from(server)] = on;
                Ok(())
            }
            Step::Load(server, percent) => {
                self.loads[usize::from(server)] = percent;
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
            self.report()?;
            // A SYN that cannot be recorded between the reading of the counters and the settling that they allow would
            // go where the slot no longer leads: microseconds, against which nothing is done.
            self.opens_between = false;
            self.tell(Event::Counted(counters))?;
            self.opens_between = !self.is_ending;
            if let Some(control) = self.control.as_ref().filter(|_| self.second.is_multiple_of(10)) {
                self.remembered = (self.second, Some(control.remember(now)));
            }
            if let Some(sweep) = swept {
                self.tell(Event::Swept(sweep))?;
            }
        }
        Ok(())
    }

    /// Who is asked says how busy it is; in the end, that it wants what is configured.
    fn report(&mut self) -> Holds {
        let (loads, is_ending) = (self.loads, self.is_ending);
        let reports = self.asked.iter().filter_map(|(&backend, &address)| {
            let percent = loads[usize::from(plan::number(address))];
            let report = if is_ending {
                Report { weight: Some(1.0), ..Report::default() }
            } else {
                let utilization = Some(f64::from(percent) / 100.0).filter(|_| percent <= 100)?;
                Report { utilization: Some(utilization), rate: Some(100.0), ..Report::default() }
            };
            Some(Event::Reported { backend, address, report: Ok(report) })
        });
        self.handle(reports.collect())
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
        self.balancer.tables.lose_agent();
        let adopted = adopt(&self.balancer.tables);
        let since = self.second - self.remembered.0;
        let remembered = self.remembered.1.clone().filter(|_| self.rng.one_in(2));
        let remembered = remembered.map(|remembered| remembered.aged(Duration::from_secs(since)));
        let (control, commands) =
            Control::new(self.config(), Some(adopted), remembered, self.rng.next(), now);
        self.begin(control, commands)
    }
}

/// The way to a server.
fn hop(number: u8) -> NextHop {
    let destination_mac = [0x02, 0, 0, 0, 0xbe, number];
    NextHop { egress: INGRESS, source_mac: BALANCER_MAC, destination_mac, mtu: 1500, via_gateway: false }
}
