//! The maps on the host: [`Tables`] over plain memory, filled by the commands that fill the kernel's.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use xdp_lb::config::Agent;
use xdp_lb::control::{Command, Counters, InterfaceStatus, NextHop, Sweep, VipRecord};
use xdp_lb::datapath::directory::{Directory, log2_positions};
use xdp_lb::datapath::encode::{self, TunnelSources};
use xdp_lb::datapath::flows::{self, FlowTable, Sweeper};
use xdp_lb::datapath::loads::{self, Ageing, LoadTable};
use xdp_lb::datapath::{Datapath, KernelError};
use xdp_lb_common::choice::BackendLoad;
use xdp_lb_common::flow::{Flow, Signal};
use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::limits::{BUCKET_WORDS, MAX_TABLE_SIZE};
use xdp_lb_common::maps::{
    Address, Backend, Budget, CLOSED_SECONDS, DirectoryEntry, DirectoryWord, FlowWord, LAYOUT_VERSION,
    Settings, Traffic, names,
};
use xdp_lb_common::reason::Reason;
use xdp_lb_common::slot::Slot;
use xdp_lb_common::steer::{BudgetKind, Tables};

/// The balancer's maps in memory, for one CPU.
///
/// Time does not pass by itself: [`Datapath::advance_epoch`] moves the agent's clock, by which recorded flows age and
/// budgets are renewed, and [`HostTables::advance_kernel_clock`] the kernel's, which renews spent budgets while no
/// agent runs.
#[derive(Debug)]
pub struct HostTables {
    settings: Settings,
    directory: Vec<DirectoryEntry>,
    log2_positions: u8,
    /// By VIP id; a table is as long as the furthest slot written.
    slots: Vec<Vec<Slot>>,
    backends: Vec<Backend>,
    loads: Loads,
    flows: Flows,
    budgets: Mutex<[Budget; 2]>,
    kernel_clock: u64,
    sources: TunnelSources,
    vips: BTreeMap<VipId, VipRecord>,
    owners: BTreeMap<BackendId, VipId>,
    sweeper: Sweeper,
    ageing: Ageing,
    pub(super) routes: HashMap<Address, NextHop>,
    /// Packets by reason.
    pub(super) reasons: Vec<u64>,
    /// What passed to each backend, by its id.
    pub(super) passed: Vec<Traffic>,
    /// What passed to backends that are gone, by VIP.
    gone: BTreeMap<VipId, Traffic>,
}

#[derive(Debug)]
struct Flows(Vec<[AtomicU64; BUCKET_WORDS]>);

impl FlowTable for Flows {
    fn buckets(&self) -> u32 {
        self.0.len() as u32
    }

    fn word(&self, bucket: u32, place: usize) -> Option<&AtomicU64> {
        self.0.get(bucket as usize)?.get(place)
    }
}

/// Published load and connections in flight, by backend id.
#[derive(Debug)]
struct Loads(Vec<(AtomicU64, AtomicU32)>);

impl LoadTable for Loads {
    fn published(&self, backend: BackendId) -> Option<&AtomicU64> {
        self.0.get(backend.index() as usize).map(|(published, _)| published)
    }

    fn in_flight(&self, backend: BackendId) -> Option<&AtomicU32> {
        self.0.get(backend.index() as usize).map(|(_, in_flight)| in_flight)
    }
}

impl HostTables {
    /// Empty tables of the sizes and with the limits that `agent` has. `flow_seed` decides which bucket a recorded
    /// flow goes to; it is made odd.
    ///
    /// `agent.flow_entries` may be as small as 8, one bucket, which no valid configuration has.
    pub fn new(agent: &Agent, flow_seed: u64) -> Self {
        let log2_positions = log2_positions(agent.max_vips);
        let buckets = (agent.flow_entries / BUCKET_WORDS as u32).max(1);
        Self {
            settings: Settings {
                directory: DirectoryWord::new(0, log2_positions, 0, false).0,
                hash_seed: agent.hash_seed,
                flow_seed: flow_seed | 1,
                flow_mask: buckets - 1,
                epoch: 1,
                insert_limit: agent.flow_insert_limit,
                icmp_limit: agent.icmp_limit,
                idle_seconds: u32::try_from(agent.flow_idle.as_secs()).unwrap_or(u32::MAX),
                closing_seconds: CLOSED_SECONDS,
                layout: LAYOUT_VERSION,
                reserved: 0,
            },
            directory: vec![DirectoryEntry::default(); 2 << log2_positions],
            log2_positions,
            slots: vec![Vec::new(); agent.max_vips as usize],
            backends: vec![Backend::default(); agent.max_backends as usize + 1],
            loads: Loads((0..=agent.max_backends).map(|_| Default::default()).collect()),
            flows: Flows((0..buckets).map(|_| Default::default()).collect()),
            budgets: Mutex::default(),
            kernel_clock: 0,
            sources: TunnelSources::of(agent),
            vips: BTreeMap::new(),
            owners: BTreeMap::new(),
            sweeper: Sweeper::default(),
            ageing: Ageing::default(),
            routes: HashMap::new(),
            reasons: vec![0; Reason::COUNT],
            passed: vec![Traffic::default(); agent.max_backends as usize + 1],
            gone: BTreeMap::new(),
        }
    }

    /// Lets the kernel's clock go on, by which budgets are renewed where the agent's stands still.
    pub fn advance_kernel_clock(&mut self, elapsed: Duration) {
        self.kernel_clock += u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
    }

    /// The agent is gone, and what it remembered of its sweep and of ageing with it; the maps are not.
    pub fn lose_agent(&mut self) {
        self.sweeper = Sweeper::default();
        self.ageing = Ageing::default();
    }

    /// What the kernel's routing table knows of the way to `address`: asked for backends without a next hop.
    pub fn set_route(&mut self, address: IpAddr, hop: Option<NextHop>) {
        let address = encode::address(address);
        match hop {
            Some(hop) => self.routes.insert(address, hop),
            None => self.routes.remove(&address),
        };
    }

    /// Number of words in the flow table that name a backend, live or expired.
    pub fn recorded_flows(&self) -> usize {
        let words = self.flows.0.iter().flatten().map(|word| word.load(Ordering::Relaxed));
        words.filter(|&word| FlowWord(word).backend().is_some()).count()
    }

    /// Number of flows that can be recorded.
    pub fn flow_capacity(&self) -> usize {
        self.flows.0.len() * BUCKET_WORDS
    }

    /// The settings in force.
    pub fn current_settings(&self) -> &Settings {
        &self.settings
    }

    fn write_directory(&mut self, vips: &[VipRecord]) -> Result<(), KernelError> {
        let half = 1 - DirectoryWord(self.settings.directory).half();
        let placed = Directory::place(vips, self.log2_positions, half as u8)?;
        let first = (half as usize) << self.log2_positions;
        self.directory[first..first + placed.entries.len()].copy_from_slice(&placed.entries);
        self.settings.directory = placed.word.0;
        self.vips = vips.iter().map(|vip| (vip.vip, vip.clone())).collect();
        Ok(())
    }

    fn write_slots(&mut self, vip: VipId, changes: &[(u32, Slot)]) -> Result<(), KernelError> {
        let out_of_range = || KernelError::OutOfRange { name: names::SLOTS, index: vip.index() };
        let table = self.slots.get_mut(vip.index() as usize).ok_or_else(out_of_range)?;
        for &(position, slot) in changes {
            if position >= MAX_TABLE_SIZE {
                return Err(out_of_range());
            }
            let position = position as usize;
            if table.len() <= position {
                table.resize(position + 1, Slot::EMPTY);
            }
            table[position] = slot;
        }
        Ok(())
    }

    fn write_backend(&mut self, backend: BackendId, entry: Backend) -> Result<(), KernelError> {
        let index = backend.index();
        let place = self.backends.get_mut(index as usize);
        *place.ok_or(KernelError::OutOfRange { name: names::BACKENDS, index })? = entry;
        Ok(())
    }

    fn clear_backend(&mut self, backend: BackendId) -> Result<(), KernelError> {
        self.write_backend(backend, Backend::default())?;
        loads::clear(&self.loads, backend);
        self.ageing.forget(backend);
        let passed = std::mem::take(&mut self.passed[backend.index() as usize]);
        if let Some(vip) = self.owners.remove(&backend) {
            let gone = self.gone.entry(vip).or_default();
            *gone = *gone + passed;
        }
        Ok(())
    }
}

impl Tables for HostTables {
    type Place = AtomicU64;

    fn settings(&self) -> Option<&Settings> {
        Some(&self.settings)
    }

    fn directory(&self, position: u32) -> Option<&DirectoryEntry> {
        self.directory.get(position as usize)
    }

    fn slot(&self, vip: VipId, slot: u32) -> Option<Slot> {
        let table = self.slots.get(vip.index() as usize)?;
        (slot < MAX_TABLE_SIZE).then(|| table.get(slot as usize).copied().unwrap_or(Slot::EMPTY))
    }

    fn backend(&self, backend: BackendId) -> Option<&Backend> {
        self.backends.get(backend.index() as usize)
    }

    fn load(&self, backend: BackendId) -> BackendLoad {
        loads::read(&self.loads, backend).unwrap_or_default()
    }

    fn add_in_flight(&self, backend: BackendId, more: i32) {
        if let Some(place) = self.loads.in_flight(backend) {
            place.fetch_add(more as u32, Ordering::Relaxed);
        }
    }

    fn bucket(&self, bucket: u32) -> Option<&[AtomicU64; BUCKET_WORDS]> {
        self.flows.0.get(bucket as usize)
    }

    fn read(&self, place: &AtomicU64) -> u64 {
        place.load(Ordering::Relaxed)
    }

    fn exchange(&self, place: &AtomicU64, old: u64, new: u64) -> bool {
        place.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    fn spend(&self, kind: BudgetKind, settings: &Settings) -> bool {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        budgets[kind as usize].spend(kind.limit(settings), settings.epoch, || self.kernel_clock)
    }
}

impl Datapath for HostTables {
    type Error = KernelError;

    fn apply(&mut self, command: &Command) -> Result<(), KernelError> {
        match command {
            Command::WriteDirectory(vips) => self.write_directory(vips),
            Command::WriteBackend(record) => {
                self.write_backend(record.backend, encode::encode(record, &self.sources))?;
                self.owners.insert(record.backend, record.vip);
                Ok(())
            }
            Command::ClearBackend(backend) => self.clear_backend(*backend),
            Command::PurgeFlows(backend) => {
                flows::purge(&self.flows, *backend);
                Ok(())
            }
            Command::WriteSlots { vip, changes } => self.write_slots(*vip, changes),
            Command::WriteLoads(loads) => loads::publish(&self.loads, loads),
            _ => Ok(()),
        }
    }

    fn advance_epoch(&mut self, elapsed: Duration) {
        let seconds = elapsed.as_secs() as u32;
        self.settings.epoch = self.settings.epoch.wrapping_add(seconds);
        self.ageing.pass(&self.loads, self.owners.keys().copied(), seconds);
    }

    fn sweep(&mut self, parts: u32, now: Instant) -> Option<Sweep> {
        let table_size = |vip: &VipId| Some((*vip, self.vips.get(vip)?.table_size));
        let owners =
            self.owners.iter().filter_map(|(&backend, vip)| Some((backend, table_size(vip)?))).collect();
        self.sweeper.step(&self.flows, &self.settings, &owners, parts, now)
    }

    fn counters(&mut self) -> Result<Counters, KernelError> {
        let mut vips = vec![Traffic::default(); self.slots.len()];
        let of_backends =
            self.owners.iter().map(|(backend, vip)| (vip, &self.passed[backend.index() as usize]));
        for (vip, passed) in of_backends.chain(&self.gone) {
            if let Some(total) = vips.get_mut(vip.index() as usize) {
                *total = *total + *passed;
            }
        }
        Ok(Counters { vips, backends: self.passed.clone(), reasons: self.reasons.clone() })
    }

    fn flow_hash(&self, client: SocketAddr, vip: SocketAddr, protocol: u8) -> u64 {
        let flow = Flow {
            source: encode::address(client.ip()),
            destination: encode::address(vip.ip()),
            ports: u32::from(client.port().to_be()) | u32::from(vip.port().to_be()) << 16,
            protocol,
            is_v4: vip.is_ipv4(),
            signal: Signal::Continue,
        };
        flow.hash(self.settings.hash_seed)
    }

    fn recorded(&self, flow_hash: u64) -> Option<BackendId> {
        flows::recorded(&self.flows, &self.settings, flow_hash)
    }

    fn load(&self, backend: BackendId) -> Option<BackendLoad> {
        loads::read(&self.loads, backend)
    }

    fn interfaces(&self) -> Vec<InterfaceStatus> {
        Vec::new()
    }
}
