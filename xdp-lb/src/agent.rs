//! The one loop: feeds events to control and carries out its commands. Decides nothing.

mod applier;
mod explain;
mod files;
mod probes;
mod reload;
mod state;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use xdp_lb_common::reason::Reason;

use crate::api::admin::pages;
use crate::api::control::{ControlSocket, ControlSocketError};
use crate::api::web::{AdminError, AdminServer};
use crate::api::{Answer, Query, Question};
use crate::config::{Config, LoadError};
use crate::control::{Adopted, Announcement, Command, Control, Counters, Event, ReasonStatus, Status};
use crate::datapath::{Datapath, InterfaceChange, ways};
use crate::nexthop::Watcher;
use crate::notify::Notifier;
use crate::utilization::Reports;
use applier::Applier;
use probes::Probes;
use state::StateFile;

/// Calls that make up a whole pass over the flow table, one a second: a pass takes 16 s, and no second of it holds the
/// loop up for long.
const SWEEP_PARTS: u32 = 16;

/// Events and questions that may wait for the loop.
const QUEUE: usize = 1024;

/// Most that the data path's clock is advanced by at once. While the agent itself stood still (SIGSTOP, a frozen
/// container) that clock did too, and flows with packets all the time bear the second at which it stopped: advanced
/// by the whole time in one step, live flows would be expired before their next packet.
pub const MOST_SECONDS: u64 = 2;

/// Where the agent is asked. Opened before the data path is touched, closed after it was detached.
#[derive(Debug)]
pub struct Edges {
    control_socket: ControlSocket,
    admin: Option<AdminServer>,
}

/// Why the agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No control socket.
    #[error(transparent)]
    ControlSocket(#[from] ControlSocketError),
    /// No admin server.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

impl Edges {
    /// Listens, as `config` says. To be called on a tokio runtime.
    pub async fn open(config: &Config) -> Result<Self, OpenError> {
        let control_socket = ControlSocket::open(&config.agent.control_socket)?;
        let admin = match &config.admin {
            Some(admin) => Some(AdminServer::open(admin.listen).await?),
            None => None,
        };
        Ok(Self { control_socket, admin })
    }
}

/// What the agent is told to do from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Read the configuration file again (SIGHUP).
    Reload,
    /// End the loop (SIGTERM, SIGINT).
    Stop,
}

/// The loop and what it holds.
#[derive(Debug)]
pub struct Agent<D: Datapath> {
    config_path: PathBuf,
    /// [`Config::load`]; tests put another in its place.
    load: fn(&Path) -> Result<Config, LoadError>,
    config: Config,
    control: Control,
    applier: Applier<D>,
    probes: Probes,
    reports: Reports,
    watcher: Watcher,
    edges: Edges,
    events: mpsc::Receiver<Event>,
    queries: (mpsc::Sender<Query>, mpsc::Receiver<Query>),
    notifier: Notifier,
    state: StateFile,
    /// Up to when the data path's clock was advanced.
    epoch: Instant,
    counters: Counters,
    counters_failed: bool,
}

impl<D: Datapath> Agent<D> {
    /// Brings `datapath` to what `config`, read from `config_path`, asks for. `adopted` is what it held before, `seed`
    /// any random number. To be called on a tokio runtime.
    pub fn new(
        config_path: PathBuf,
        config: Config,
        datapath: D,
        adopted: Option<Adopted>,
        edges: Edges,
        seed: u64,
    ) -> Self {
        let now = now();
        let (sender, events) = mpsc::channel(QUEUE);
        let state = StateFile::new(&config.agent.state_dir);
        let (control, commands) = Control::new(config.clone(), adopted, state.load(), seed, now);
        let mut agent = Self {
            config_path,
            load: Config::load,
            config,
            control,
            applier: Applier::new(datapath),
            probes: Probes::new(sender.clone(), files::for_checks()),
            // Half of the files are for checks, half of the rest for reports.
            reports: Reports::new(sender.clone(), files::for_checks() / 2),
            watcher: Watcher::start(sender),
            edges,
            events,
            queries: mpsc::channel(QUEUE),
            notifier: Notifier::from_environment(),
            state,
            epoch: now,
            counters: Counters::default(),
            counters_failed: false,
        };
        agent.log_notes();
        agent.execute(commands);
        agent
    }

    /// Serves until it is ordered to stop. Gives the data path back, and what has to be held until that is detached.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) -> (D, Edges) {
        self.edges.control_socket.serve(self.queries.0.clone());
        if let Some(admin) = &mut self.edges.admin {
            admin.serve(pages(self.queries.0.clone()));
            tracing::info!("metrics at http://{}/metrics", admin.address());
        }
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.notifier.ready();
        loop {
            let deadline = self.control.next_deadline();
            tokio::select! {
                Some(event) = self.events.recv() => self.feed_all_after(event),
                Some(query) = self.queries.1.recv() => {
                    let answer = self.answer(&query.question);
                    // Who asked may have left.
                    let _ = query.answer.send(answer);
                }
                _ = second.tick() => self.every_second(),
                () = until(deadline) => self.feed(Event::Tick),
                order = orders.recv() => match order {
                    Some(Order::Reload) => self.reload().await,
                    Some(Order::Stop) | None => break,
                },
            }
        }
        self.notifier.stopping();
        let now = now();
        self.state.save(&self.control.remember(now), now);
        (self.applier.into_datapath(), self.edges)
    }

    /// What has come in by now, at once: many backends that fail or return together cost one table.
    fn feed_all_after(&mut self, first: Event) {
        let mut batch = vec![first];
        batch.extend(std::iter::from_fn(|| self.events.try_recv().ok()).take(QUEUE));
        let commands = self.control.handle_all(batch, now());
        self.execute(commands);
    }

    fn feed(&mut self, event: Event) {
        let commands = self.control.handle(event, now());
        self.execute(commands);
    }

    /// Carries out commands in their order.
    fn execute(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Probe { backend, address, mark, kind, timeout } => {
                    self.probes.start(backend, address, mark, kind, timeout);
                }
                Command::WatchReports { backend, address, utilization } => {
                    self.reports.watch(backend, address, utilization);
                }
                Command::UnwatchReports(backend) => self.reports.unwatch(backend),
                Command::WatchNextHop(address) => self.watcher.watch(address),
                Command::UnwatchNextHop(address) => self.watcher.unwatch(address),
                Command::Announce(announcement) => announce(&announcement),
                Command::WriteDirectory(_)
                | Command::WriteBackend(_)
                | Command::ClearBackend(_)
                | Command::PurgeFlows(_)
                | Command::WriteLoads(_)
                | Command::WriteSlots { .. } => self.applier.apply(command),
            }
        }
    }

    fn every_second(&mut self) {
        self.applier.retry();
        let now = now();
        let elapsed = Duration::from_secs(now.saturating_duration_since(self.epoch).as_secs());
        self.epoch += elapsed;
        let datapath = self.applier.datapath();
        datapath.advance_epoch(elapsed.min(Duration::from_secs(MOST_SECONDS)));
        datapath.watch_interfaces().iter().for_each(InterfaceChange::log);
        let swept = datapath.sweep(SWEEP_PARTS, now);
        match datapath.counters() {
            Ok(counters) => {
                self.counters_failed = false;
                self.counters = counters.clone();
                let commands = self.control.handle(Event::Counted(counters), now);
                // What is published and what is remembered of it should not part.
                let moves = commands.iter().any(|command| matches!(command, Command::WriteSlots { .. }));
                self.execute(commands);
                if moves || self.state.is_due(now) {
                    self.state.save(&self.control.remember(now), now);
                }
            }
            Err(e) if !self.counters_failed => {
                self.counters_failed = true;
                tracing::error!(
                    "cannot read the kernel's counters: {e}; figures stand still until this is over"
                );
            }
            Err(_) => {}
        }
        if let Some(sweep) = swept {
            self.feed(Event::Swept(sweep));
        }
    }

    /// Says what in the configuration somebody should look at once.
    fn log_notes(&self) {
        for note in self.config.notes().into_iter().chain(ways::obstacles(&self.config)) {
            tracing::warn!("{}: {note}", self.config_path.display());
        }
    }

    fn answer(&mut self, question: &Question) -> Answer {
        match question {
            Question::Status {} => Answer::Status(Box::new(self.status())),
            Question::Explain { vip, client } => {
                let datapath = self.applier.datapath();
                match explain::explain(&self.config, &self.control, datapath, vip, *client) {
                    Ok(explanation) => Answer::Explanation(explanation),
                    Err(error) => Answer::Error { error },
                }
            }
        }
    }

    fn status(&mut self) -> Status {
        let mut status = self.control.status(now());
        status.interfaces = self.applier.datapath().interfaces();
        status.reasons = Reason::ALL
            .iter()
            .zip(&self.counters.reasons)
            .filter(|(_, packets)| **packets > 0)
            .map(|(reason, packets)| ReasonStatus {
                name: reason.name().to_owned(),
                outcome: reason.outcome().name().to_owned(),
                description: reason.description().to_owned(),
                packets: *packets,
            })
            .collect();
        status
    }
}

fn announce(Announcement { vip, backend, what, warning }: &Announcement) {
    let whom = backend.as_ref().map_or_else(|| vip.clone(), |backend| format!("{vip}/{backend}"));
    if *warning {
        tracing::warn!("{whom}: {what}");
    } else {
        tracing::info!("{whom}: {what}");
    }
}

/// The clock, read at the edge and nowhere else.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
