//! Pure policy: events in, commands out, `now` as an argument. No clock, no socket, no map.
//!
//! What it decides: whether a backend is up (`health`, `damping`, `reports`), what it is worth (`weights`), which backend
//! each slot should lead to (`slots`), how slots get there without breaking a connection (`table`, `settle`), when a backend that left
//! may be forgotten (`leave`), and in which order all that is ordered (`follow`). Commands are to be carried out in
//! their order: it keeps connections whole.

mod adopt;
mod backends;
pub mod curves;
mod damping;
mod explain;
#[cfg(test)]
mod fixtures;
mod follow;
pub(crate) mod health;
mod hops;
mod ids;
mod leave;
mod loads;
mod message;
mod meter;
#[cfg(test)]
mod model;
mod notices;
mod reload;
mod remember;
mod reports;
pub(crate) mod rng;
pub mod score;
mod settle;
pub mod slots;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod tick;
mod vip;
mod weights;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use xdp_lb_common::check::mark_of;
use xdp_lb_common::ids::{BackendId, VipId};

use self::backends::Backends;
use self::follow::Due;
use self::health::Change;
use self::hops::Hops;
use self::ids::Ids;
use self::remember::Memory;
use self::rng::Rng;
use self::vip::{Key, Vip};
use crate::config::{CheckVia, Config};

pub use explain::ExplainError;
pub use message::*;
pub use remember::Remembered;

/// The state of the load balancer and all decisions about it.
#[derive(Debug)]
pub struct Control {
    /// In force, but for `agent`, which is that of the start.
    config: Config,
    vips: BTreeMap<VipId, Vip>,
    keys: BTreeMap<Key, VipId>,
    vip_ids: Ids,
    /// Tables of ids that an earlier agent may have left in any state.
    unread_tables: BTreeSet<VipId>,
    backends: Backends,
    hops: Hops,
    due: Due,
    rng: Rng,
    /// As last written.
    directory: Option<Vec<VipRecord>>,
    /// What the kernel's choices of two go by, as last written.
    loads: BTreeMap<BackendId, Load>,
    /// As last read.
    counters: Counters,
    /// Live recorded flows at the last sweep.
    flows: u64,
    /// The VIP whose turn it is to publish weights first: there was no time for it at the last tick.
    publishes_first: VipId,
    /// What an earlier agent knew, during the start.
    memory: Memory,
    /// Whether changes of the configuration are news.
    started: bool,
}

impl Control {
    /// Starts with `config`, on top of what an earlier agent left in the maps, where there is such. Adopted tables must
    /// have the configured size. `remembered` is what that agent knew of the backends, its ages as of `now`. `seed`
    /// spreads the checks of several balancers.
    pub fn new(
        config: Config,
        adopted: Option<Adopted>,
        remembered: Option<Remembered>,
        seed: u64,
        now: Instant,
    ) -> (Self, Vec<Command>) {
        let maps_are_new = adopted.is_none();
        let adopted = adopted.unwrap_or_default();
        let used_vips: BTreeSet<u16> = adopted.vips.iter().map(|vip| vip.vip.raw()).collect();
        let used_backends: BTreeSet<u16> = adopted.backends.iter().map(|b| b.backend.raw()).collect();
        let mut control = Self {
            vips: BTreeMap::new(),
            keys: BTreeMap::new(),
            vip_ids: Ids::new(0..config.agent.max_vips, &used_vips),
            unread_tables: BTreeSet::new(),
            backends: Backends::new(config.agent.max_backends, &used_backends),
            hops: Hops::default(),
            due: Due::default(),
            rng: Rng::new(seed),
            directory: None,
            loads: BTreeMap::new(),
            counters: Counters::default(),
            flows: 0,
            publishes_first: VipId::new(0),
            memory: Memory::new(remembered),
            started: false,
            config: without_vips(&config),
        };
        let mut out = Vec::new();
        if !maps_are_new {
            control.adopt(adopted, &config, now, &mut out);
        }
        control.configure(config, now, &mut out);
        control.begin_due_checks(now, &mut out);
        control.started = true;
        control.memory = Memory::default();
        (control, out)
    }

    /// What to do about `event`. `now` never goes back.
    pub fn handle(&mut self, event: Event, now: Instant) -> Vec<Command> {
        self.handle_all([event], now)
    }

    /// What to do about events that came in this order: each entry is written and each table rebuilt once for all of
    /// them.
    pub fn handle_all(&mut self, events: impl IntoIterator<Item = Event>, now: Instant) -> Vec<Command> {
        let mut out = Vec::new();
        for event in events {
            match event {
                Event::Configured(config) => {
                    self.configure(*config, now, &mut out);
                    self.publish_loads(now, &mut out);
                }
                Event::Probed { backend, outcome } => self.probed(backend, outcome, now, &mut out),
                Event::Reported { backend, address, report } => {
                    self.reported(backend, address, report, now, &mut out);
                }
                Event::NextHop { address, hop } => self.next_hop(address, hop, &mut out),
                Event::Swept(sweep) => self.swept(&sweep, now, &mut out),
                Event::Counted(counters) => {
                    self.counted(counters, now, &mut out);
                    self.publish_loads(now, &mut out);
                }
                Event::Tick => {}
            }
        }
        self.follow(now, &mut out);
        self.begin_due_checks(now, &mut out);
        out
    }

    /// When [`Event::Tick`] is wanted, unless another event comes first. Slots settle when counters come in, which
    /// the caller reads every second.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.backends.next_deadline().into_iter().chain(self.due.held.values().copied()).min()
    }

    fn begin_due_checks(&mut self, now: Instant, out: &mut Vec<Command>) {
        while let Some(id) = self.backends.next_due(now) {
            self.backends.with_check(id, |check| check.begin(now));
            let Some(backend) = self.backends.get(id) else { return };
            let spec = backend.check.spec();
            let vip = self.vips.get(&backend.vip).map(|vip| vip.config.address);
            let (address, mark) = match (spec.via, vip) {
                (CheckVia::DataPath, Some(vip)) => (vip, Some(mark_of(id))),
                _ => (backend.address, None),
            };
            out.push(Command::Probe {
                backend: id,
                address,
                mark,
                kind: spec.kind.clone(),
                timeout: spec.timeout,
            });
        }
    }

    fn probed(&mut self, id: BackendId, outcome: Result<(), String>, now: Instant, out: &mut Vec<Command>) {
        if self.backends.end_rest(id) {
            self.due.room = true;
            return;
        }
        self.note_outcome(id, &outcome, now);
        let rng = &mut self.rng;
        let change = self.backends.with_check(id, |check| check.judge(outcome, now, rng)).flatten();
        if let Some(backend) =
            self.backends.get(id).filter(|backend| self.due.held.contains_key(&backend.vip))
        {
            self.due.tables.insert(backend.vip);
        }
        let down = change.map(|change| match change {
            Change::Up => None,
            Change::Down { reason, failures } => {
                let checks =
                    if failures == 1 { "1 check failed".into() } else { format!("{failures} checks failed") };
                Some(format!("down: {reason} ({checks})"))
            }
        });
        if let Some(down) = down {
            self.turn(id, down, now, out);
        }
    }

    fn next_hop(&mut self, address: IpAddr, hop: Result<NextHop, String>, out: &mut Vec<Command>) {
        for id in self.hops.learn(address, hop) {
            if let Some(backend) = self.backends.get_mut(id) {
                backend.rewrite = true;
            }
            self.look_at_way(id, out);
            self.touch(id);
        }
    }

    /// Lets a backend know the way to its address.
    fn look_at_way(&mut self, id: BackendId, out: &mut Vec<Command>) {
        let Some(backend) = self.backends.get_mut(id) else { return };
        let Some(vip) = self.vips.get(&backend.vip) else { return };
        match backend.take_way(vip.config.forward, self.hops.way(backend.address)) {
            Some(Some(reason)) => self.announce_backend(id, format!("next hop: {reason}"), true, out),
            Some(None) => self.announce_backend(id, "next hop: resolved".into(), false, out),
            None => {}
        }
    }

    fn announce_backend(&self, id: BackendId, what: String, warning: bool, out: &mut Vec<Command>) {
        let Some(backend) = self.backends.get(id) else { return };
        let Some(vip) = self.vips.get(&backend.vip) else { return };
        let (vip, backend) = (vip.config.name.clone(), Some(backend.name.clone()));
        out.push(Command::Announce(Announcement { vip, backend, what, warning }));
    }

    fn announce_vip(&self, id: VipId, what: String, warning: bool, out: &mut Vec<Command>) {
        let Some(vip) = self.vips.get(&id) else { return };
        let vip = vip.config.name.clone();
        out.push(Command::Announce(Announcement { vip, backend: None, what, warning }));
    }
}

/// What is in force before the first configuration is applied: its settings, and no VIP.
fn without_vips(config: &Config) -> Config {
    let mut config = config.clone();
    config.vips.clear();
    config
}
