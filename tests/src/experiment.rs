//! Eight servers behind the real balancer, of which one returns cold and one becomes ten times slower for a while: what
//! live weights are for.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::agent::{Agent, backend};
use crate::lbconfig::LbConfig;
use crate::openload::{Demand, OpenLoad, Request};
use crate::topology::{Options, Topology, VIPS_V4};
use crate::wait::wait_until_ok;
use crate::worker::{REPORT_PORT, Service, Worker};
use crate::{clock, scene};

/// Servers.
pub const SERVERS: u8 = 8;

/// Position of the server that returns cold.
pub const RETURNS: usize = 5;

/// Position of the server that becomes slow.
pub const SLOWED: usize = 2;

/// How much slower it becomes.
pub const SLOWNESS: f64 = 10.0;

/// How long a client waits for its answer.
pub const PATIENCE: Duration = Duration::from_secs(2);

const PORT: u16 = 8080;

/// 200 requests a second each.
const SERVICE: Service = Service {
    workers: 8,
    line: 200,
    mean: Duration::from_millis(40),
    age: Duration::from_secs(3600),
    cold: 1.0,
    warms_over: Duration::from_secs(15),
};

/// How many times slower it begins.
const COLD: f64 = 6.0;

/// 55 % of what eight servers can do.
const RATE: f64 = 880.0;

/// How the balancer weighs its servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighing {
    /// By their configured weights and health checks alone.
    Static,
    /// By utilization and age as well.
    Live,
    /// The same, and each new connection takes the better of two.
    LiveP2c,
}

impl Weighing {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Live => "live",
            Self::LiveP2c => "live_p2c",
        }
    }

    fn config(self, topology: &Topology, vip: SocketAddr) -> LbConfig {
        let live = format!(
            "[vip.utilization]\nkind = \"orca-http\"\nport = {REPORT_PORT}\npath = \"/load\"\n[vip.warmup]\nwindow = \"90s\""
        );
        let tables = match self {
            Self::Static => "[vip.warmup]\nwindow = \"0s\"".to_owned(),
            Self::Live | Self::LiveP2c => live,
        };
        let health = format!(
            "kind = \"http\"\npath = \"/healthz\"\ninterval = \"500ms\"\ntimeout = \"400ms\"\n{tables}"
        );
        let config = scene::vip(topology, vip, "l2", &[100; SERVERS as usize]).health(&health);
        let config = match self {
            Self::LiveP2c => config.extra("scheduler = \"p2c\""),
            Self::Static | Self::Live => config,
        };
        LbConfig::new(vec![config])
    }
}

/// The network, the servers and the clients.
#[derive(Debug)]
pub struct Bed {
    topology: Topology,
    vip: SocketAddr,
}

impl Bed {
    /// Builds the network.
    pub fn new() -> Result<Self> {
        let topology = Topology::new(Options { backends: SERVERS, ..Options::default() })?;
        Ok(Self { topology, vip: (VIPS_V4[0], PORT).into() })
    }

    /// Starts all servers but the one that returns later, the balancer and the clients.
    pub fn start(&self, weighing: Weighing) -> Result<Experiment<'_>> {
        let workers = (0..usize::from(SERVERS))
            .map(|index| if index == RETURNS { Ok(None) } else { self.worker(index, SERVICE).map(Some) })
            .collect::<Result<Vec<_>>>()?;
        let mut agent = Agent::new(&self.topology.balancer)?;
        agent.launch(&weighing.config(&self.topology, self.vip), &[])?;
        for (index, worker) in workers.iter().enumerate() {
            let state = if worker.is_some() { "up" } else { "down" };
            let seen = agent.wait_state(&scene::name(index), state, Duration::from_secs(20));
            seen.with_context(|| agent.tail())?;
        }
        let demand = Demand { server: self.vip, rate: RATE, patience: PATIENCE, seed: 0x5eed };
        let began = clock::now();
        let load = OpenLoad::start(self.topology.client.handle(), demand)?;
        Ok(Experiment { bed: self, workers, agent, load, began })
    }

    fn worker(&self, index: usize, service: Service) -> Result<Worker> {
        let netns = &self.topology.backends[index];
        Worker::start(netns.handle(), &scene::name(index), PORT, service, 1 + index as u64)
    }
}

/// What runs.
#[derive(Debug)]
pub struct Experiment<'a> {
    bed: &'a Bed,
    workers: Vec<Option<Worker>>,
    agent: Agent<'a>,
    load: OpenLoad,
    /// When the clients began.
    pub began: Instant,
}

impl Experiment<'_> {
    /// The server that was away comes back, cold.
    pub fn return_cold(&mut self) -> Result<()> {
        self.workers[RETURNS] =
            Some(self.bed.worker(RETURNS, Service { age: Duration::ZERO, cold: COLD, ..SERVICE })?);
        Ok(())
    }

    /// Makes the server that becomes slow `factor` times slower than it began.
    pub fn slow_down(&self, factor: f64) {
        if let Some(worker) = &self.workers[SLOWED] {
            worker.slow_down(factor);
        }
    }

    /// Share of new connections that the table sends to the server at `index`.
    pub fn share(&self, index: usize) -> Result<f64> {
        let status = self.agent.status()?;
        let vip = status.vips.first().context("status names no VIP")?;
        Ok(backend(vip, &scene::name(index))?.share)
    }

    /// Waits until that share meets `wanted`, and how long that took.
    pub fn wait_share(
        &self,
        index: usize,
        within: Duration,
        what: &str,
        wanted: impl Fn(f64) -> bool,
    ) -> Result<Duration> {
        let began = clock::now();
        wait_until_ok(within, &format!("{} has a share {what}", scene::name(index)), || {
            let share = self.share(index)?;
            anyhow::ensure!(wanted(share), "its share is {share:.4}");
            Ok(())
        })
        .with_context(|| self.agent.tail())?;
        Ok(clock::now().saturating_duration_since(began))
    }

    /// Ends the clients and gives every request.
    pub fn end(self) -> Vec<Request> {
        self.load.stop()
    }
}
