//! A data path without a kernel, for tests: keeps what it is told, fails when it is asked to.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use xdp_lb_common::choice::BackendLoad;
use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::slot::Slot;

use super::{Datapath, InterfaceChange};
use crate::control::{BackendRecord, Command, Counters, InterfaceStatus, Load, Sweep, VipRecord};

/// A handle: clones share the same data path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fake(Arc<Mutex<World>>);

/// What the kernel would hold.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) directory: Vec<VipRecord>,
    pub(crate) backends: BTreeMap<BackendId, BackendRecord>,
    pub(crate) slots: HashMap<VipId, Vec<Slot>>,
    pub(crate) flows: HashMap<u64, BackendId>,
    pub(crate) loads: BTreeMap<BackendId, Load>,
    pub(crate) counters: Counters,
    pub(crate) epoch: Duration,
    applied: Vec<Command>,
    failures: u32,
    /// Checks by the data path are refused.
    pub(crate) leads_no_checks: bool,
    swept_parts: u32,
}

/// The error that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("this failure was asked for")]
pub(crate) struct Asked;

impl Fake {
    /// What the kernel would hold now.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The next `times` commands fail.
    pub(crate) fn fail_next(&self, times: u32) {
        self.world().failures = times;
    }

    /// The commands that succeeded so far.
    pub(crate) fn applied(&self) -> Vec<Command> {
        self.world().applied.clone()
    }
}

impl Datapath for Fake {
    type Error = Asked;

    fn lead_checks(&mut self, wanted: bool) -> Result<(), Asked> {
        if wanted && self.world().leads_no_checks { Err(Asked) } else { Ok(()) }
    }

    fn apply(&mut self, command: &Command) -> Result<(), Asked> {
        let mut world = self.world();
        if world.failures > 0 {
            world.failures -= 1;
            return Err(Asked);
        }
        match command {
            Command::WriteDirectory(vips) => {
                for vip in vips {
                    let table = world.slots.entry(vip.vip).or_default();
                    table.resize(vip.table_size as usize, Slot::EMPTY);
                }
                world.directory.clone_from(vips);
            }
            Command::WriteBackend(record) => {
                world.backends.insert(record.backend, record.clone());
            }
            Command::ClearBackend(backend) => {
                world.backends.remove(backend);
                world.loads.remove(backend);
            }
            Command::PurgeFlows(backend) => world.flows.retain(|_, of| of != backend),
            Command::WriteSlots { vip, changes } => {
                let table = world.slots.entry(*vip).or_default();
                for &(position, slot) in changes {
                    if table.len() <= position as usize {
                        table.resize(position as usize + 1, Slot::EMPTY);
                    }
                    table[position as usize] = slot;
                }
            }
            Command::WriteLoads(loads) => world.loads.extend(loads.iter().copied()),
            _ => {}
        }
        world.applied.push(command.clone());
        Ok(())
    }

    fn advance_epoch(&mut self, elapsed: Duration) {
        self.world().epoch += elapsed;
    }

    fn sweep(&mut self, parts: u32, now: Instant) -> Option<Sweep> {
        let mut world = self.world();
        world.swept_parts += 1;
        if world.swept_parts < parts {
            return None;
        }
        world.swept_parts = 0;
        let mut flows = BTreeMap::new();
        for backend in world.flows.values() {
            *flows.entry(*backend).or_default() += 1;
        }
        Some(Sweep { began: Some(now), live_slots: vec![], flows: flows.into_iter().collect() })
    }

    fn counters(&mut self) -> Result<Counters, Asked> {
        Ok(self.world().counters.clone())
    }

    fn flow_hash(&self, client: SocketAddr, vip: SocketAddr, protocol: u8) -> u64 {
        let mut hasher = DefaultHasher::new();
        (client, vip, protocol).hash(&mut hasher);
        hasher.finish()
    }

    fn recorded(&self, flow_hash: u64) -> Option<BackendId> {
        self.world().flows.get(&flow_hash).copied()
    }

    fn load(&self, backend: BackendId) -> Option<BackendLoad> {
        let Load { standing, per_flow } = self.world().loads.get(&backend).copied().unwrap_or_default();
        Some(BackendLoad { standing, per_flow, ..BackendLoad::default() })
    }

    fn interfaces(&self) -> Vec<InterfaceStatus> {
        vec![InterfaceStatus { name: "fake0".into(), mode: "native".into() }]
    }

    fn watch_interfaces(&mut self) -> Vec<InterfaceChange> {
        Vec::new()
    }
}
