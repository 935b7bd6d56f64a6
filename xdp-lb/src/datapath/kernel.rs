//! The real data path: the loaded program, its maps, and the interfaces it is on.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aya::Ebpf;
use aya::maps::{MapError, PerCpuValues};
use aya::programs::{ProgramError, Xdp};
use xdp_lb_common::flow::{Flow, Signal};
use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::maps::{Backend, CLOSED_SECONDS, DirectoryWord, LAYOUT_VERSION, Settings, Traffic, names};
use xdp_lb_common::reason::Reason;
use xdp_lb_common::slot::Slot;

use super::Datapath;
use super::adopt::adopt;
use super::directory::{Directory, DirectoryFull};
use super::encode::{TunnelSources, address, encode};
use super::flows::{self, Owners, Sweeper};
use super::interface::{Interface, InterfaceError};
use super::link::{self, Attached, LinkError};
use super::maps::{self, Maps, MapsError};
use super::object;
use super::system::{self, SystemError};
use crate::config::Agent;
use crate::control::{Adopted, Command, Counters, InterfaceStatus, Sweep, VipRecord};

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
    /// Pins could not be removed.
    #[error("{path}: {source}")]
    Pins {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
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
}

/// The program in the kernel and its maps.
pub struct Kernel {
    ebpf: Ebpf,
    maps: Maps,
    pins: Option<PathBuf>,
    attached: Vec<Attached>,
    sources: TunnelSources,
    vips: BTreeMap<VipId, VipRecord>,
    backends: BTreeMap<BackendId, VipId>,
    /// What passed to backends that are gone, by VIP.
    gone: BTreeMap<VipId, Traffic>,
    sweeper: Sweeper,
}

impl Kernel {
    /// Loads the program and puts it on the configured interfaces; adopts what an earlier agent left in the pins.
    pub fn attach(agent: &Agent) -> Result<(Self, Option<Adopted>), AttachError> {
        system::check()?;
        let interfaces =
            agent.interfaces.iter().map(|name| Interface::find(name)).collect::<Result<Vec<_>, _>>()?;
        system::prepare_pins(&agent.pin_dir)?;
        let (mut kernel, adopted) = Self::load(agent, Some(&agent.pin_dir))?;
        let attached = interfaces
            .into_iter()
            .map(|interface| {
                Attached::new(kernel.program()?, interface, agent.xdp_mode, &agent.pin_dir)
                    .map_err(AttachError::from)
            })
            .collect::<Result<Vec<_>, _>>();
        match attached {
            Ok(attached) => {
                kernel.attached = attached;
                link::remove_others(&agent.pin_dir, &kernel.attached)
                    .map_err(|source| AttachError::Pins { path: agent.pin_dir.clone(), source })?;
                Ok((kernel, adopted))
            }
            Err(error) => {
                // Nothing may be left of a start that failed; what an earlier agent left stays.
                if adopted.is_none() {
                    let _ = link::remove_pins(&agent.pin_dir);
                }
                Err(error)
            }
        }
    }

    /// Loads the program and its maps without attaching it, pinned in `pins` where given.
    pub fn load(agent: &Agent, pins: Option<&Path>) -> Result<(Self, Option<Adopted>), AttachError> {
        let (mut ebpf, maps) = maps::load(object::BALANCER, agent, pins)?;
        xdp(&mut ebpf)?.load()?;
        let earlier = maps.settings();
        let adopted = (earlier.layout == LAYOUT_VERSION).then(|| adopt(&maps, &earlier));
        let mut kernel = Self {
            ebpf,
            maps,
            pins: pins.map(Path::to_path_buf),
            attached: Vec::new(),
            sources: TunnelSources::of(agent),
            vips: BTreeMap::new(),
            backends: BTreeMap::new(),
            gone: BTreeMap::new(),
            sweeper: Sweeper::default(),
        };
        kernel.write_settings(agent, &earlier);
        if let Some(adopted) = &adopted {
            kernel.vips = adopted.vips.iter().map(|vip| (vip.vip, vip.clone())).collect();
            kernel.backends = adopted.backends.iter().map(|record| (record.backend, record.vip)).collect();
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
    pub fn detach(self, leave_attached: bool) -> Result<(), AttachError> {
        if leave_attached {
            return Ok(());
        }
        for attached in self.attached {
            attached.detach()?;
        }
        match &self.pins {
            Some(folder) => {
                link::remove_pins(folder).map_err(|source| AttachError::Pins { path: folder.clone(), source })
            }
            None => Ok(()),
        }
    }

    /// Why an interface that was to be native is generic, for the log.
    pub fn fallbacks(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attached.iter().filter_map(Attached::fallback)
    }

    fn write_settings(&self, agent: &Agent, earlier: &Settings) {
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

    fn write_backend(&self, backend: BackendId, entry: &Backend) -> Result<(), KernelError> {
        let index = backend.index();
        self.maps.backends.set(index, entry).ok_or(KernelError::OutOfRange { name: names::BACKENDS, index })
    }

    fn clear_backend(&mut self, backend: BackendId) -> Result<(), KernelError> {
        self.write_backend(backend, &Backend::default())?;
        let passed = self.traffic(backend)?;
        if let Some(vip) = self.backends.remove(&backend) {
            let total = self.gone.entry(vip).or_default();
            *total = *total + passed;
        }
        let map_error = |source| KernelError::Map { name: names::BACKEND_TRAFFIC, source };
        let zeros = PerCpuValues::try_from(vec![
            Traffic::default();
            aya::util::nr_cpus()
                .map_err(|(_, error)| map_error(error.into()))?
        ])
        .map_err(|error| map_error(error.into()))?;
        self.maps.backend_traffic.set(backend.index(), zeros, 0).map_err(map_error)
    }

    /// What passed to a backend, over all CPUs.
    fn traffic(&self, backend: BackendId) -> Result<Traffic, KernelError> {
        let per_cpu = self
            .maps
            .backend_traffic
            .get(&backend.index(), 0)
            .map_err(|source| KernelError::Map { name: names::BACKEND_TRAFFIC, source })?;
        Ok(per_cpu.iter().fold(Traffic::default(), |sum, cpu| sum + *cpu))
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
            Command::WriteBackend(record) => {
                self.write_backend(record.backend, &encode(record, &self.sources))?;
                self.backends.insert(record.backend, record.vip);
                Ok(())
            }
            Command::ClearBackend(backend) => self.clear_backend(*backend),
            Command::PurgeFlows(backend) => {
                flows::purge(&self.maps.flows, *backend);
                Ok(())
            }
            Command::WriteSlots { vip, changes } => self.write_slots(*vip, changes),
            _ => Ok(()),
        }
    }

    fn advance_epoch(&mut self, elapsed: Duration) {
        let seconds = elapsed.as_secs() as u32;
        // The epoch is the second half of the settings' fourth word.
        if let Some(epoch) = self.maps.settings.half_word(0, std::mem::offset_of!(Settings, epoch) / 4) {
            epoch.store(epoch.load(Ordering::Relaxed).wrapping_add(seconds), Ordering::Release);
        }
    }

    fn sweep(&mut self, parts: u32, now: Instant) -> Option<Sweep> {
        let owners = self.owners();
        self.sweeper.step(&self.maps.flows, &self.maps.settings(), &owners, parts, now)
    }

    fn counters(&mut self) -> Result<Counters, KernelError> {
        let (mut vips, mut backends) = (Vec::new(), Vec::new());
        for (vip, passed) in &self.gone {
            add(&mut vips, vip.index(), *passed);
        }
        for (&backend, vip) in &self.backends {
            let passed = self.traffic(backend)?;
            add(&mut backends, backend.index(), passed);
            add(&mut vips, vip.index(), passed);
        }
        let map_error = |source| KernelError::Map { name: names::REASONS, source };
        let per_cpu = self.maps.reasons.get(&0, 0).map_err(map_error)?;
        let mut reasons: Vec<u64> =
            (0..Reason::COUNT).map(|reason| per_cpu.iter().map(|counts| counts[reason]).sum()).collect();
        // The fast path counts no reason: what is left of the packets forwarded is it.
        let forwarded: u64 = vips.iter().map(|traffic| traffic.packets).sum();
        let counted =
            reasons[Reason::ForwardedByRoute as usize] + reasons[Reason::ForwardedIcmpError as usize];
        reasons[Reason::Forwarded as usize] = forwarded.saturating_sub(counted);
        Ok(Counters { vips, backends, reasons })
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

    fn interfaces(&self) -> Vec<InterfaceStatus> {
        self.attached.iter().map(Attached::status).collect()
    }
}

/// Adds `passed` to what is at `index`; the list grows as needed.
fn add(totals: &mut Vec<Traffic>, index: u32, passed: Traffic) {
    let position = index as usize;
    if totals.len() <= position {
        totals.resize(position + 1, Traffic::default());
    }
    totals[position] = totals[position] + passed;
}
