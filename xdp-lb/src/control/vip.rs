//! One VIP: its configuration, its members and its table.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use xdp_lb_common::ids::{BackendId, VipId};

use super::backends::{Backend, Backends};
use super::message::VipRecord;
use super::meter::Meter;
use super::slots::{Candidate, Race};
use super::table::{Changes, Table};
use super::weights::Rules;
use super::weights::publish::Publisher;
use crate::config::{self, Affinity, Protocol};

/// What names a VIP: address, port (0 = any), protocol.
pub(super) type Key = (IpAddr, u16, Protocol);

/// The key of a configured VIP.
pub(super) fn key_of(vip: &config::Vip) -> Key {
    (vip.address, vip.port, vip.protocol)
}

/// A VIP in force.
#[derive(Debug)]
pub(super) struct Vip {
    pub(super) config: config::Vip,
    pub(super) table: Table,
    /// Every backend the kernel knows for this VIP, removed ones too.
    pub(super) members: BTreeMap<IpAddr, BackendId>,
    pub(super) meter: Meter,
    /// When weights were published.
    pub(super) publisher: Publisher,
    /// More than half of its backends are down, and so all are tried.
    pub(super) suspended: bool,
    /// All that could take new connections ask for none, and so get them.
    pub(super) needs_all: bool,
    /// Whether no slot takes new connections.
    pub(super) refusing: bool,
    /// Whether the table has ever led anywhere.
    was_filled: bool,
    /// What the table was made of.
    made_of: Option<Vec<Ingredient>>,
    /// The race of the configured backends, once a table was made.
    race: Option<Race>,
}

/// All of a backend that its VIP's table depends on. Weights are compared as bits: a table is made anew for any change.
type Ingredient = (BackendId, u64, bool);

impl Vip {
    pub(super) fn new(config: config::Vip, table: Table, meter: Meter) -> Self {
        let (refusing, was_filled) = (table.takes_nothing(), !table.is_empty());
        Self {
            config,
            table,
            members: BTreeMap::new(),
            meter,
            publisher: Publisher::default(),
            suspended: false,
            needs_all: false,
            refusing,
            was_filled,
            made_of: None,
            race: None,
        }
    }

    pub(super) fn record(&self, id: VipId) -> VipRecord {
        VipRecord {
            vip: id,
            address: self.config.address,
            port: self.config.port,
            protocol: self.config.protocol,
            table_size: self.table.len(),
            affinity: self.config.affinity,
            scheduler: self.config.scheduler,
        }
    }

    /// Makes the table anew the next time, whether or not a backend has changed.
    pub(super) fn forget_table(&mut self) {
        self.made_of = None;
    }

    /// Until when the table is better left empty: the first backend known to be up would get every slot, and those that
    /// follow in a moment would have to move theirs away from it. Only ever before the first fill, and only while a
    /// backend that would take part waits for its first outcome.
    pub(super) fn hold_until(&self, backends: &Backends, now: Instant) -> Option<Instant> {
        if self.was_filled {
            return None;
        }
        let members = self.members.values().filter_map(|id| backends.get(*id));
        let awaited = members.filter(|backend| !backend.is_leaving() && !backend.behind_gateway);
        awaited.filter_map(|backend| backend.check.first_outcome_by()).max().filter(|until| *until > now)
    }

    /// Whether its table has ever led anywhere.
    pub(super) fn was_filled(&self) -> bool {
        self.was_filled
    }

    /// How its weights are moved.
    pub(super) fn rules(&self) -> Rules<'_> {
        let config::Vip { utilization, warmup, weights, .. } = &self.config;
        Rules { utilization, warmup, weights }
    }

    /// Brings the slots in line with what the backends are worth now.
    pub(super) fn lead(&mut self, backends: &Backends, now: Instant) -> Changes {
        // A new configuration is a new race, also where no weight in force has changed.
        let race_is_new = self.set_race();
        let made_of = self.ingredients(backends);
        if !race_is_new && self.made_of.as_ref() == Some(&made_of) {
            return Changes::new();
        }
        let desired = self.table_of(backends, |_, backend| backend.table_weight());
        self.lead_to(&desired, made_of, now)
    }

    /// Brings the slots in line with a table that was made of what the backends are worth now.
    pub(super) fn take_table(
        &mut self,
        desired: &[Option<BackendId>],
        backends: &Backends,
        now: Instant,
    ) -> Changes {
        let made_of = self.ingredients(backends);
        self.lead_to(desired, made_of, now)
    }

    /// The table that these weights of the members make.
    pub(super) fn table_of(
        &self,
        backends: &Backends,
        weight: impl Fn(BackendId, &Backend) -> f64,
    ) -> Vec<Option<BackendId>> {
        let members = self.members.values().filter_map(|&id| Some((id, backends.get(id)?)));
        let candidates: Vec<Candidate> = members
            .map(|(id, backend)| Candidate { id, address: backend.address, weight: weight(id, backend) })
            .collect();
        self.race.as_ref().map_or_else(Vec::new, |race| race.fill(&candidates))
    }

    fn ingredients(&self, backends: &Backends) -> Vec<Ingredient> {
        let members = self.members.values().filter_map(|&id| Some((id, backends.get(id)?)));
        members.map(|(id, backend)| (id, backend.table_weight().to_bits(), backend.is_usable())).collect()
    }

    fn lead_to(&mut self, desired: &[Option<BackendId>], made_of: Vec<Ingredient>, now: Instant) -> Changes {
        let mut usable =
            vec![false; made_of.iter().map(|(id, ..)| id.index() as usize + 1).max().unwrap_or(0)];
        for (id, _, is_usable) in &made_of {
            usable[id.index() as usize] = *is_usable;
        }
        self.made_of = Some(made_of);
        let usable = |id: BackendId| usable.get(id.index() as usize).copied().unwrap_or(false);
        self.was_filled |= desired.iter().any(Option::is_some);
        self.table.lead(desired, usable, self.tracks(), now)
    }

    /// Makes the race one of the backends as they are configured; whether it was another.
    fn set_race(&mut self) -> bool {
        let backends = self.config.backends.iter();
        let configured: Vec<(IpAddr, f64)> =
            backends.map(|backend| (backend.address, f64::from(backend.weight.get()))).collect();
        let size = self.table.len();
        if self.race.as_ref().is_some_and(|race| race.is_of(&configured, size)) {
            return false;
        }
        self.race = Some(Race::new(&configured, size));
        true
    }

    /// Whether recorded flows stay where they are when slots move.
    fn tracks(&self) -> bool {
        self.config.protocol == Protocol::Tcp || self.config.affinity == Affinity::Flow
    }
}
