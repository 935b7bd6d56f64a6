//! The data path with what it was ordered to be: hands frames to the shipped program and checks what holds of every
//! packet and every order.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use xdp_lb::config::Protocol;
use xdp_lb::control::{BackendRecord, Command, VipRecord};
use xdp_lb::datapath::Datapath;
use xdp_lb_common::flow::slot_of;
use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::maps::FlowWord;
use xdp_lb_common::reason::{Outcome, Reason};
use xdp_lb_common::slot::Slot;
use xdp_lb_common::steer::Tables;
use xdp_lb_tests::world::{HostTables, World, agent};

use crate::Holds;
use crate::history::History;
use crate::plan::{self, VIPS};

#[derive(Debug)]
pub(crate) struct Balancer {
    pub(crate) tables: HostTables,
    /// The entries in use.
    pub(crate) records: BTreeMap<BackendId, BackendRecord>,
    pub(crate) directory: Vec<VipRecord>,
    /// VIPs whose table has led somewhere since they were added: before that it waits for the first outcomes of checks.
    pub(crate) filled: BTreeSet<VipId>,
    /// Those that failed their checks and have not come back.
    pub(crate) hard_down: BTreeSet<BackendId>,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) reason: Reason,
    /// Which server it went to.
    pub(crate) server: Option<u8>,
    /// Whether it should have been recorded and could not.
    pub(crate) unrecorded: bool,
}

/// Whose connections an order ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    Nobody,
    /// Those of VIPs that are no longer in the directory.
    OfGoneVips,
    /// Those of this server behind this VIP, if it is hard down; else there must be none.
    OfServer(usize, u8, BackendId),
}

impl Balancer {
    pub(crate) fn new(history: &History) -> Self {
        let text = format!(
            "max_vips = 4\ntable_size = 251\nflow_idle = \"{}s\"\nflow_insert_limit = {}",
            history.idle, history.insert_limit
        );
        let mut agent = agent(&text);
        agent.flow_entries = history.flow_entries;
        agent.max_backends = history.max_backends;
        Self {
            tables: HostTables::new(&agent, history.seed),
            records: BTreeMap::new(),
            directory: Vec::new(),
            filled: BTreeSet::new(),
            hard_down: BTreeSet::new(),
        }
    }

    /// The VIP's record while it is in the directory.
    pub(crate) fn vip(&self, vip: usize) -> Option<&VipRecord> {
        self.directory.iter().find(|record| index(record) == vip)
    }

    /// Whether a backend is there and not down.
    pub(crate) fn is_up(&self, id: BackendId) -> bool {
        self.records.get(&id).is_some_and(|record| !record.down)
    }

    /// Handles a frame for a VIP.
    pub(crate) fn send(&mut self, vip: usize, frame: &[u8]) -> Holds<Sent> {
        let handled = self.tables.handle(frame);
        let name = VIPS[vip].name;
        let Some(record) = self.vip(vip) else {
            let sent = Sent { reason: handled.reason, server: None, unrecorded: false };
            let passed = handled.reason == Reason::NotVip;
            return if passed { Ok(sent) } else { Err(format!("{name} is gone, yet {:?}", handled.reason)) };
        };
        let Some(forwarded) = handled.forwarded else {
            self.may_drop(vip, handled.reason)?;
            return Ok(Sent { reason: handled.reason, server: None, unrecorded: false });
        };
        let Some(backend) = self.records.get(&forwarded.backend) else {
            return Err(format!("{name}: a packet went to {:?}, which is cleared", forwarded.backend));
        };
        if backend.down || backend.vip != record.vip {
            return Err(format!("{name}: a packet went to {backend:?}, of {:?}", record.vip));
        }
        let reached = outer_destination(&handled.bytes);
        if reached != Some(backend.address) {
            return Err(format!("{name}: a packet for {backend:?} was sent to {reached:?}"));
        }
        let unrecorded = forwarded.counted.unrecorded > 0;
        Ok(Sent { reason: handled.reason, server: Some(plan::number(backend.address)), unrecorded })
    }

    /// A VIP's packet is dropped for want of a server only, or while a slot leads to one that has just gone down.
    fn may_drop(&self, vip: usize, reason: Reason) -> Holds {
        let has_hard_down = self
            .hard_down
            .iter()
            .filter_map(|id| self.records.get(id))
            .any(|record| self.vip(vip).is_some_and(|vip| vip.vip == record.vip));
        match reason {
            Reason::NoBackend => Ok(()),
            Reason::BackendDown if has_hard_down => Ok(()),
            _ if reason.outcome() == Outcome::Pass => Ok(()),
            _ => Err(format!("{}: a packet was dropped: {reason:?}", VIPS[vip].name)),
        }
    }

    /// Carries out an order for the data path.
    pub(crate) fn carry_out(&mut self, command: &Command) -> Holds<Ends> {
        self.tables.apply(command).map_err(|error| format!("{command:?}: {error}"))?;
        match command {
            Command::WriteDirectory(directory) => {
                self.directory.clone_from(directory);
                self.filled.retain(|id| directory.iter().any(|vip| vip.vip == *id));
                Ok(Ends::OfGoneVips)
            }
            Command::WriteSlots { vip, changes } => {
                if changes.iter().any(|(_, slot)| slot.current().is_some()) {
                    self.filled.insert(*vip);
                }
                Ok(Ends::Nobody)
            }
            Command::WriteBackend(record) => self.backend_written(record),
            Command::ClearBackend(id) => match self.records.remove(id) {
                Some(record) if !record.down => Err(format!("{record:?} is cleared while in use")),
                _ => {
                    self.hard_down.remove(id);
                    Ok(Ends::Nobody)
                }
            },
            _ => Ok(Ends::Nobody),
        }
    }

    fn backend_written(&mut self, record: &BackendRecord) -> Holds<Ends> {
        let old = self.records.insert(record.backend, record.clone());
        if let Some(old) = &old
            && (old.vip, old.address) != (record.vip, record.address)
        {
            return Err(format!("{record:?} takes the place of {old:?}"));
        }
        if old.is_none() && self.words().any(|word| word.backend() == Some(record.backend)) {
            return Err(format!("recorded flows refer to the new {record:?}"));
        }
        if !record.down {
            self.hard_down.remove(&record.backend);
        }
        let goes_down = record.down && old.is_some_and(|old| !old.down);
        let vip = self.directory.iter().find(|vip| vip.vip == record.vip);
        Ok(match vip {
            Some(vip) if goes_down => {
                Ends::OfServer(index(vip), plan::number(record.address), record.backend)
            }
            _ => Ends::Nobody,
        })
    }

    /// Once everything ordered together is carried out, nothing refers to a backend that is not usable.
    pub(crate) fn check(&self) -> Holds {
        for vip in &self.directory {
            let mut usable = [false; 32];
            for record in self.records.values().filter(|record| record.vip == vip.vip && !record.down) {
                usable[record.backend.index() as usize] = true;
            }
            for position in 0..vip.table_size {
                let slot = self.tables.slot(vip.vip, position).unwrap_or_default();
                let named = [slot.base(), slot.current()].into_iter().flatten();
                if let Some(id) = named.into_iter().find(|id| !usable[id.index() as usize]) {
                    let name = VIPS[index(vip)].name;
                    return Err(format!("{name}: slot {position} names {id:?}, which is not usable"));
                }
            }
        }
        match self.words().filter_map(FlowWord::backend).find(|id| !self.records.contains_key(id)) {
            Some(id) => Err(format!("a recorded flow refers to {id:?}, which is cleared")),
            None => Ok(()),
        }
    }

    fn words(&self) -> impl Iterator<Item = FlowWord> {
        let buckets = (0..=self.tables.current_settings().flow_mask).map_while(|at| self.tables.bucket(at));
        buckets.flatten().map(|place| FlowWord(self.tables.read(place)))
    }

    /// The slot of a flow, for the report.
    pub(crate) fn slot_of(&self, vip: usize, hash: u64) -> Option<Slot> {
        let record = self.vip(vip)?;
        self.tables.slot(record.vip, slot_of(hash, record.table_size))
    }

    /// Every slot is stable.
    pub(crate) fn is_at_rest(&self) -> Holds {
        for vip in &self.directory {
            for position in 0..vip.table_size {
                let slot = self.tables.slot(vip.vip, position).unwrap_or_default();
                if slot.is_tracked() || slot.is_moved() {
                    let name = VIPS[index(vip)].name;
                    return Err(format!("{name}: slot {position} does not come to rest: {slot:?}"));
                }
            }
        }
        Ok(())
    }

    /// Which server each slot of a VIP leads new connections to.
    pub(crate) fn table(&self, vip: usize) -> Vec<Option<u8>> {
        let Some(record) = self.vip(vip) else { return Vec::new() };
        let server = |position| {
            let id = self.tables.slot(record.vip, position)?.current()?;
            Some(plan::number(self.records.get(&id)?.address))
        };
        (0..record.table_size).map(server).collect()
    }
}

/// Which VIP of the histories a record is of.
pub(crate) fn index(record: &VipRecord) -> usize {
    let is = |vip: &&plan::Service| {
        vip.is_udp == (record.protocol == Protocol::Udp) && plan::target(vip).ip() == record.address
    };
    VIPS.iter().position(|vip| is(&vip)).unwrap_or_else(|| panic!("{record:?} is not configured"))
}

/// Where the outer header of a frame leads to.
fn outer_destination(frame: &[u8]) -> Option<IpAddr> {
    match frame.get(12..14)? {
        [0x08, 0x00] => Some(IpAddr::from(<[u8; 4]>::try_from(frame.get(30..34)?).ok()?)),
        [0x86, 0xdd] => Some(IpAddr::from(<[u8; 16]>::try_from(frame.get(38..54)?).ok()?)),
        _ => None,
    }
}
