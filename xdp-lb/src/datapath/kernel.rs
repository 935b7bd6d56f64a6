//! The real data path: the loaded program, its maps, and the interfaces it is on.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aya::Ebpf;
use aya::maps::MapError;
use aya::programs::{ProgramError, Xdp};
use xdp_lb_common::choice::BackendLoad;
use xdp_lb_common::flow::{Flow, Signal};
use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::maps::{Backend, CLOSED_SECONDS, DirectoryWord, LAYOUT_VERSION, Settings, names};
use xdp_lb_common::slot::Slot;

use super::adopt::adopt;
use super::check::{CheckError, Checks};
use super::directory::{Directory, DirectoryFull};
use super::encode::{TunnelSources, address, decode, decode_hop, encode};
use super::entry;
use super::flows::{self, Owners, Sweeper};
use super::interface::{Interface, InterfaceError};
use super::link::LinkError;
use super::loads::{self, Ageing};
use super::maps::{self, Maps, MapsError};
use super::object;
use super::pins::{Pins, PinsError};
use super::ports::Ports;
use super::system::{self, SystemError};
use super::totals::Totals;
use super::{Datapath, InterfaceChange};
use crate::config::Agent;
use crate::control::{Adopted, BackendRecord, Command, Counters, InterfaceStatus, NextHop, Sweep, VipRecord};

/// Why there is no data path.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The machine is not fit.
    #[error(transparent)]
    System(#[from] SystemError),
    /// An interface is not fit.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// The maps are not there.
    #[error(transparent)]
    Maps(#[from] MapsError),
    /// The program is not on an interface.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The kernel refused the program.
    #[error("the kernel refuses the XDP program: {0}")]
    Program(#[from] ProgramError),
    /// The object lacks it.
    #[error("the object has no program {0}; rebuild it: `cargo xtask build-ebpf`")]
    NoProgram(&'static str),
    /// The pins cannot be used or removed.
    #[error(transparent)]
    Pins(#[from] PinsError),
    /// Checks by the data path cannot be led.
    #[error(transparent)]
    Check(#[from] CheckError),
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// More VIPs than there is room for.
    #[error(transparent)]
    Full(#[from] DirectoryFull),
    /// The kernel refused.
    #[error("map {name}: {source}")]
    Map {
        /// Which.
        name: &'static str,
        /// Why.
        source: MapError,
    },
    /// A position past the end of a map.
    #[error("map {name} has no position {index}; raise agent.max_vips or agent.max_backends and restart")]
    OutOfRange {
        /// Which.
        name: &'static str,
        /// Asked for.
        index: u32,
    },
    /// Checks by the data path cannot be led.
    #[error(transparent)]
    Check(#[from] CheckError),
}

/// The program in the kernel and its maps.
pub struct Kernel {
    ebpf: Ebpf,
    maps: Maps,
    ports: Ports,
    interfaces: Vec<String>,
    /// Where there are pins.
    checks: Option<Checks>,
    sources: TunnelSources,
    vips: BTreeMap<VipId, VipRecord>,
    backends: BTreeMap<BackendId, VipId>,
    /// Backends whose next hop is still the one that an earlier agent wrote.
    inherited_hops: BTreeSet<BackendId>,
    totals: Totals,
    sweeper: Sweeper,
    ageing: Ageing,
    /// Last, so that the next process finds everything in order when the folder is free.
    pins: Option<Pins>,
}

impl Kernel {
    /// Loads the program and puts it on the configured interfaces; adopts what an earlier agent left in the pins.
    /// Leads `checks` by the data path from the beginning, where there are to be such.
    ///
    /// Where that fails, nothing is left that was not there, and what an earlier agent left goes on by its own tables
    /// and settings. It may be that it goes on with this program: on interfaces that came before the one that failed.
    pub fn attach(agent: &Agent, checks: bool) -> Result<(Self, Option<Adopted>), AttachError> {
        system::check()?;
        let interfaces =
            agent.interfaces.iter().map(|name| Interface::find(name)).collect::<Result<Vec<_>, _>>()?;
        let pins = Pins::take(&agent.pin_dir, maps::PINNED)?;
        let start = || {
            let (mut kernel, adopted) = Self::open(agent, Some(pins.folder()))?;
            // No packet is handled without settings; and those in force stay until nothing can fail any more.
            if adopted.is_none() {
                kernel.write_settings(agent);
            }
            kernel.ports = Ports::attach(kernel.program()?, interfaces, agent.xdp_mode, &pins)?;
            kernel.ports.clear_others(&pins)?;
            let mut leader = Checks::new(agent, pins.folder());
            leader.lead(checks, &kernel.interfaces)?;
            kernel.checks = Some(leader);
            if adopted.is_some() {
                kernel.write_settings(agent);
            }
            Ok((kernel, adopted))
        };
        match start() {
            Ok((kernel, adopted)) => Ok((Self { pins: Some(pins), ..kernel }, adopted)),
            Err(error) => {
                pins.undo();
                Err(error)
            }
        }
    }

    /// Loads the program and its maps without attaching it, pinned in `pins` where given.
    pub fn load(agent: &Agent, pins: Option<&Path>) -> Result<(Self, Option<Adopted>), AttachError> {
        let (kernel, adopted) = Self::open(agent, pins)?;
        kernel.write_settings(agent);
        Ok((kernel, adopted))
    }

    /// The same with the settings left as they are: none in new maps, an earlier agent's in those it left.
    fn open(agent: &Agent, pins: Option<&Path>) -> Result<(Self, Option<Adopted>), AttachError> {
        let (mut ebpf, maps) = maps::load(object::BALANCER, agent, pins)?;
        xdp(&mut ebpf)?.load()?;
        let earlier = maps.settings();
        let adopted = (earlier.layout == LAYOUT_VERSION).then(|| adopt(&maps, &earlier));
        if let (Some(adopted), Some(pins)) = (&adopted, pins) {
            maps::check_tables(&adopted.vips, agent, pins)?;
        }
        let mut kernel = Self {
            ebpf,
            maps,
            ports: Ports::none(),
            interfaces: agent.interfaces.clone(),
            checks: None,
            sources: TunnelSources::of(agent),
            vips: BTreeMap::new(),
            backends: BTreeMap::new(),
            inherited_hops: BTreeSet::new(),
            totals: Totals::default(),
            sweeper: Sweeper::default(),
            ageing: Ageing::default(),
            pins: None,
        };
        if let Some(adopted) = &adopted {
            kernel.vips = adopted.vips.iter().map(|vip| (vip.vip, vip.clone())).collect();
            kernel.backends = adopted.backends.iter().map(|record| (record.backend, record.vip)).collect();
            kernel.inherited_hops = adopted.backends.iter().map(|record| record.backend).collect();
        }
        Ok((kernel, adopted))
    }

    /// The loaded program, for test runs.
    pub fn program(&mut self) -> Result<&mut Xdp, AttachError> {
        xdp(&mut self.ebpf)
    }

    /// The settings in force.
    pub fn settings(&self) -> Settings {
        self.maps.settings()
    }

    /// Ends the agent's part: takes the program off and removes the pins, or leaves both for the next agent.
    pub fn detach(mut self, leave_attached: bool) -> Result<(), AttachError> {
        if let Some(checks) = &mut self.checks {
            checks.take_off();
        }
        match &self.pins {
            Some(pins) if !leave_attached => Ok(pins.remove()?),
            _ => Ok(()),
        }
    }

    /// In which mode the program is on each interface and why, for the log.
    pub fn attachments(&self) -> Vec<InterfaceChange> {
        self.ports.describe()
    }

    fn write_settings(&self, agent: &Agent) {
        let earlier = self.maps.settings();
        let fresh = earlier.layout != LAYOUT_VERSION;
        let directory = DirectoryWord::new(0, self.maps.log2_positions, 0, false).0;
        let settings = Settings {
            directory: if fresh { directory } else { earlier.directory },
            hash_seed: agent.hash_seed,
            flow_seed: if fresh { RandomState::new().build_hasher().finish() | 1 } else { earlier.flow_seed },
            flow_mask: self.maps.flows.entries() - 1,
            epoch: if fresh { 1 } else { earlier.epoch },
            insert_limit: agent.flow_insert_limit,
            icmp_limit: agent.icmp_limit,
            idle_seconds: u32::try_from(agent.flow_idle.as_secs()).unwrap_or(u32::MAX),
            closing_seconds: CLOSED_SECONDS,
            layout: LAYOUT_VERSION,
            reserved: 0,
        };
        self.maps.settings.set(0, &settings);
    }

    fn write_directory(&mut self, vips: &[VipRecord]) -> Result<(), KernelError> {
        let map_error = |source| KernelError::Map { name: names::DIRECTORY, source };
        let half = 1 - DirectoryWord(self.maps.settings().directory).half() as u8;
        let directory = Directory::place(vips, self.maps.log2_positions, half)?;
        let first = u32::from(half) << self.maps.log2_positions;
        for (position, entry) in (first..).zip(&directory.entries) {
            self.maps.directory.set(position, entry, 0).map_err(map_error)?;
        }
        if let Some(word) = self.maps.settings.word(0, 0) {
            word.store(directory.word.0, Ordering::Release);
        }
        self.vips = vips.iter().map(|vip| (vip.vip, vip.clone())).collect();
        self.totals.keep_vips(|vip| self.vips.contains_key(vip));
        Ok(())
    }

    fn write_slots(&self, vip: VipId, changes: &[(u32, Slot)]) -> Result<(), KernelError> {
        for &(position, slot) in changes {
            let place = self.maps.slots.half_word(vip.index(), position as usize);
            let place = place.ok_or(KernelError::OutOfRange { name: names::SLOTS, index: vip.index() })?;
            place.store(slot.word(), Ordering::Release);
        }
        Ok(())
    }

    fn write_backend(&mut self, record: &BackendRecord) -> Result<(), KernelError> {
        let next_hop = record.next_hop.or_else(|| self.inherited_hop(record));
        if record.next_hop.is_some() || next_hop.is_none() {
            self.inherited_hops.remove(&record.backend);
        }
        self.store(record.backend, &encode(&BackendRecord { next_hop, ..record.clone() }, &self.sources))?;
        self.backends.insert(record.backend, record.vip);
        Ok(())
    }

    /// The next hop that an earlier agent wrote, while control has none because it has not heard yet. That it heard
    /// there is none is seen from a record in which nothing else is new.
    fn inherited_hop(&self, record: &BackendRecord) -> Option<NextHop> {
        let entry = self.maps.backends.get(record.backend.index())?;
        let written = decode(record.backend, &entry)?;
        let is_news = written == *record || written.address != record.address;
        (!is_news && self.inherited_hops.contains(&record.backend)).then(|| decode_hop(&entry)).flatten()
    }

    fn store(&self, backend: BackendId, entry: &Backend) -> Result<(), KernelError> {
        let index = backend.index();
        let missing = || KernelError::OutOfRange { name: names::BACKENDS, index };
        let old = self.maps.backends.get(index).ok_or_else(missing)?;
        for (word, content) in entry::steps(&old, entry) {
            self.maps.backends.word(index, word).ok_or_else(missing)?.store(content, Ordering::Release);
        }
        Ok(())
    }

    fn clear_backend(&mut self, backend: BackendId) -> Result<(), KernelError> {
        self.store(backend, &Backend::default())?;
        loads::clear(&self.maps.loads, backend);
        self.ageing.forget(backend);
        self.inherited_hops.remove(&backend);
        let vip = self.backends.get(&backend).copied().filter(|vip| self.vips.contains_key(vip));
        self.totals.retire(&mut self.maps, backend, vip)?;
        self.backends.remove(&backend);
        Ok(())
    }

    fn owners(&self) -> Owners {
        self.backends
            .iter()
            .filter_map(|(&backend, vip)| Some((backend, (*vip, self.vips.get(vip)?.table_size))))
            .collect()
    }
}

fn xdp(ebpf: &mut Ebpf) -> Result<&mut Xdp, AttachError> {
    let program = ebpf.program_mut("xdp_lb").ok_or(AttachError::NoProgram("xdp_lb"))?;
    Ok(program.try_into()?)
}

impl Datapath for Kernel {
    type Error = KernelError;

    fn apply(&mut self, command: &Command) -> Result<(), KernelError> {
        match command {
            Command::WriteDirectory(vips) => self.write_directory(vips),
            Command::WriteBackend(record) => self.write_backend(record),
            Command::ClearBackend(backend) => self.clear_backend(*backend),
            Command::PurgeFlows(backend) => {
                flows::purge(&self.maps.flows, *backend);
                Ok(())
            }
            Command::WriteSlots { vip, changes } => self.write_slots(*vip, changes),
            Command::WriteLoads(loads) => loads::publish(&self.maps.loads, loads),
            _ => Ok(()),
        }
    }

    fn advance_epoch(&mut self, elapsed: Duration) {
        let seconds = elapsed.as_secs() as u32;
        // The epoch is the second half of the settings' fourth word.
        if let Some(epoch) = self.maps.settings.half_word(0, std::mem::offset_of!(Settings, epoch) / 4) {
            epoch.store(epoch.load(Ordering::Relaxed).wrapping_add(seconds), Ordering::Release);
        }
        self.ageing.pass(&self.maps.loads, self.backends.keys().copied(), seconds);
    }

    fn sweep(&mut self, parts: u32, now: Instant) -> Option<Sweep> {
        let owners = self.owners();
        self.sweeper.step(&self.maps.flows, &self.maps.settings(), &owners, parts, now)
    }

    fn counters(&mut self) -> Result<Counters, KernelError> {
        self.totals.read(&self.maps, &self.backends)
    }

    fn flow_hash(&self, client: SocketAddr, vip: SocketAddr, protocol: u8) -> u64 {
        let flow = Flow {
            source: address(client.ip()),
            destination: address(vip.ip()),
            ports: u32::from(client.port().to_be()) | u32::from(vip.port().to_be()) << 16,
            protocol,
            is_v4: vip.is_ipv4(),
            signal: Signal::Continue,
        };
        flow.hash(self.maps.settings().hash_seed)
    }

    fn recorded(&self, flow_hash: u64) -> Option<BackendId> {
        flows::recorded(&self.maps.flows, &self.maps.settings(), flow_hash)
    }

    fn load(&self, backend: BackendId) -> Option<BackendLoad> {
        loads::read(&self.maps.loads, backend)
    }

    fn interfaces(&self) -> Vec<InterfaceStatus> {
        self.ports.status()
    }

    fn lead_checks(&mut self, wanted: bool) -> Result<(), KernelError> {
        match &mut self.checks {
            Some(checks) => Ok(checks.lead(wanted, &self.interfaces)?),
            None => Ok(()),
        }
    }

    fn watch_interfaces(&mut self) -> Vec<InterfaceChange> {
        let mut changes = match (xdp(&mut self.ebpf), &self.pins) {
            (Ok(program), Some(pins)) => self.ports.watch(program, pins),
            _ => Vec::new(),
        };
        changes.extend(self.checks.as_mut().map(Checks::watch).unwrap_or_default());
        changes
    }
}
