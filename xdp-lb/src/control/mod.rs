//! Pure policy: events in, commands out, `now` as an argument. No clock, no socket, no map.
//!
//! What it decides: whether a backend is up (`health`), what it is worth (`weights`), which backend each slot should
//! lead to (`maglev`), how slots get there without breaking a connection (`table`, `settle`), and when a backend
//! that left may be forgotten. Commands are to be carried out in their order: it keeps connections whole.

mod adopt;
mod backends;
mod explain;
#[cfg(test)]
mod fixtures;
mod health;
mod hops;
mod ids;
mod leave;
mod maglev;
mod message;
mod meter;
#[cfg(test)]
mod model;
mod reload;
mod rng;
mod settle;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod vip;
mod weights;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use xdp_lb_common::ids::{BackendId, VipId};

use self::backends::Backends;
use self::health::Change;
use self::hops::Hops;
use self::ids::Ids;
use self::rng::Rng;
use self::table::Changes;
use self::vip::{Key, Vip};
use crate::config::Config;

pub use explain::ExplainError;
pub use message::*;

/// The state of the load balancer and all decisions about it.
#[derive(Debug)]
pub struct Control {
    /// In force. `agent` is that of the start.
    config: Config,
    vips: BTreeMap<VipId, Vip>,
    keys: BTreeMap<Key, VipId>,
    vip_ids: Ids,
    /// Tables of ids that an earlier agent may have left in any state.
    unread_tables: BTreeSet<VipId>,
    backends: Backends,
    hops: Hops,
    rng: Rng,
    /// As last written.
    directory: Option<Vec<VipRecord>>,
    /// As last read.
    counters: Counters,
    /// Live recorded flows at the last sweep.
    flows: u64,
    /// Whether changes of the configuration are news.
    started: bool,
}

impl Control {
    /// Starts with `config`, on top of what an earlier agent left in the maps, where there is such. Adopted tables must
    /// have the configured size. `seed` spreads the checks of several balancers.
    pub fn new(config: Config, adopted: Option<Adopted>, seed: u64, now: Instant) -> (Self, Vec<Command>) {
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
            rng: Rng::new(seed),
            directory: None,
            counters: Counters::default(),
            flows: 0,
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
        (control, out)
    }

    /// What to do about `event`. `now` never goes back.
    pub fn handle(&mut self, event: Event, now: Instant) -> Vec<Command> {
        let mut out = Vec::new();
        match event {
            Event::Configured(config) => self.configure(*config, now, &mut out),
            Event::Probed { backend, outcome } => self.probed(backend, outcome, now, &mut out),
            Event::NextHop { address, hop } => self.next_hop(address, hop, &mut out),
            Event::Swept(sweep) => self.swept(&sweep, now, &mut out),
            Event::Counted(counters) => self.counted(counters, now, &mut out),
            Event::Tick => {}
        }
        self.begin_due_checks(now, &mut out);
        out
    }

    /// When [`Event::Tick`] is wanted, unless another event comes first. Slots settle when counters come in, which
    /// the caller reads every second.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.backends.next_deadline()
    }

    fn begin_due_checks(&mut self, now: Instant, out: &mut Vec<Command>) {
        while let Some(id) = self.backends.next_due(now) {
            self.backends.with_check(id, |check| check.begin(now));
            let Some(backend) = self.backends.get(id) else { return };
            let spec = backend.check.spec();
            out.push(Command::Probe {
                backend: id,
                address: backend.address,
                kind: spec.kind.clone(),
                timeout: spec.timeout,
            });
        }
    }

    fn probed(&mut self, id: BackendId, outcome: Result<(), String>, now: Instant, out: &mut Vec<Command>) {
        if self.backends.end_rest(id) {
            self.admit_waiting(now, out);
            return;
        }
        let rng = &mut self.rng;
        if let Some(Some(change)) = self.backends.with_check(id, |check| check.judge(outcome, now, rng)) {
            self.condition_changed(id, change, now, out);
        }
    }

    /// A backend came up or went down: tells the kernel, the operator, and moves the slots, in the order in which no
    /// packet follows a flow recorded before the backend was down.
    fn condition_changed(&mut self, id: BackendId, change: Change, now: Instant, out: &mut Vec<Command>) {
        let Some(backend) = self.backends.get(id) else { return };
        let (vip, removed) = (backend.vip, backend.removed);
        match change {
            Change::Up { was_down } => {
                out.extend(was_down.then_some(Command::PurgeFlows(id)));
                self.announce_backend(id, "up".into(), false, out);
            }
            Change::Down { reason, failures } => {
                let checks =
                    if failures == 1 { "1 check failed".into() } else { format!("{failures} checks failed") };
                self.announce_backend(id, format!("down: {reason} ({checks})"), true, out);
            }
        }
        self.publish(id, out);
        self.lead(vip, now, out);
        if removed && !self.backends.get(id).is_some_and(|backend| backend.check.is_up()) {
            self.retire(id, out);
            self.admit_waiting(now, out);
        }
    }

    /// Brings a VIP's slots in line with its backends.
    fn lead(&mut self, id: VipId, now: Instant, out: &mut Vec<Command>) {
        let Some(vip) = self.vips.get_mut(&id) else { return };
        let changes = vip.lead(&self.backends, now);
        self.write_slots(id, changes, now, out);
        let Some(vip) = self.vips.get_mut(&id) else { return };
        let refusing = vip.table.takes_nothing();
        if refusing != vip.refusing {
            vip.refusing = refusing;
            let what = if refusing { "no backend takes new connections" } else { "takes new connections" };
            self.announce_vip(id, what.into(), refusing, out);
        }
    }

    /// Orders changed slots to be stored and notes which backends no slot names any more.
    fn write_slots(&mut self, id: VipId, changes: Changes, now: Instant, out: &mut Vec<Command>) {
        if changes.is_empty() {
            return;
        }
        out.push(Command::WriteSlots { vip: id, changes });
        self.note_unnamed(id, now);
    }

    fn note_unnamed(&mut self, id: VipId, now: Instant) {
        let Some(vip) = self.vips.get(&id) else { return };
        for member in vip.members.values() {
            let Some(backend) = self.backends.get_mut(*member) else { continue };
            backend.unnamed_since = match vip.table.held(*member) {
                table::Held { current: 0, base: 0 } => backend.unnamed_since.or(Some(now)),
                _ => None,
            };
        }
    }

    fn next_hop(&mut self, address: IpAddr, hop: Result<NextHop, String>, out: &mut Vec<Command>) {
        let problem = hop.as_ref().err().cloned();
        let Some((before, users)) = self.hops.learn(address, hop) else { return };
        for id in users {
            match (&before, &problem) {
                (_, Some(reason)) => {
                    self.announce_backend(id, format!("next hop: {reason}"), true, out);
                }
                (Some(Err(_)), None) => self.announce_backend(id, "next hop: resolved".into(), false, out),
                _ => {}
            }
            self.write_backend(id, out);
        }
    }

    /// Writes a backend's entry if the kernel holds another.
    fn publish(&mut self, id: BackendId, out: &mut Vec<Command>) {
        let record = self.backend_record(id);
        if self.backends.get(id).is_some_and(|backend| backend.written != record) {
            self.write_backend(id, out);
        }
    }

    fn write_backend(&mut self, id: BackendId, out: &mut Vec<Command>) {
        let record = self.backend_record(id);
        if let Some(backend) = self.backends.get_mut(id) {
            backend.written.clone_from(&record);
        }
        out.extend(record.map(Command::WriteBackend));
    }

    fn backend_record(&self, id: BackendId) -> Option<BackendRecord> {
        let backend = self.backends.get(id)?;
        Some(BackendRecord {
            backend: id,
            vip: backend.vip,
            address: backend.address,
            forward: self.vips.get(&backend.vip)?.config.forward,
            down: !backend.check.is_up(),
            next_hop: self.hops.next_hop(backend.address),
        })
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
