//! One VIP: its configuration, its members and its table.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use xdp_lb_common::ids::{BackendId, VipId};

use super::backends::Backends;
use super::message::VipRecord;
use super::meter::Meter;
use super::slots::{Candidate, Race};
use super::table::{Changes, Table};
use super::weights::Factors;
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
        let members = BTreeMap::new();
        Self { config, table, members, meter, refusing, was_filled, made_of: None, race: None }
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

    /// Brings the slots in line with what the backends are worth now.
    pub(super) fn lead(&mut self, backends: &Backends, now: Instant) -> Changes {
        // A new configuration is a new race, also where no weight in force has changed.
        let race_is_new = self.set_race();
        let members = || self.members.values().filter_map(|&id| Some((id, backends.get(id)?)));
        let made_of: Vec<Ingredient> = members()
            .map(|(id, backend)| (id, Factors::of(backend).product().to_bits(), backend.is_usable()))
            .collect();
        if !race_is_new && self.made_of.as_ref() == Some(&made_of) {
            return Changes::new();
        }
        let candidates: Vec<Candidate> = members()
            .map(|(id, backend)| Candidate {
                id,
                address: backend.address,
                weight: Factors::of(backend).product(),
            })
            .collect();
        let mut usable =
            vec![false; made_of.iter().map(|(id, ..)| id.index() as usize + 1).max().unwrap_or(0)];
        for (id, _, is_usable) in &made_of {
            usable[id.index() as usize] = *is_usable;
        }
        self.made_of = Some(made_of);
        let desired = self.race.as_ref().map_or_else(Vec::new, |race| race.fill(&candidates));
        let usable = |id: BackendId| usable.get(id.index() as usize).copied().unwrap_or(false);
        self.was_filled |= desired.iter().any(Option::is_some);
        self.table.lead(&desired, usable, self.tracks(), now)
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
