//! The program that leads checks by the data path: loaded and on the configured interfaces while some VIP wants it.

use std::io;
use std::path::{Path, PathBuf};

use aya::maps::{MapError, PerCpuArray};
use aya::programs::links::{FdLink, LinkOrder};
use aya::programs::tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions};
use aya::programs::{ProgramError, SchedClassifier, TcAttachType};
use aya::{Ebpf, EbpfError, EbpfLoader};
use xdp_lb_common::maps::names;
use xdp_lb_common::reason::Reason;

use super::InterfaceChange;
use super::interface;
use super::link;
use super::maps::ReasonCounts;
use super::object;
use crate::config::Agent;

const PROGRAM: &str = "xdp_lb_check";
const REASONS: &str = "CHECK_REASONS";

/// Why checks by the data path are not led.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The kernel refused the object.
    #[error("cannot load the program for checks by the data path: {0}")]
    Load(#[from] EbpfError),
    /// The kernel refused the program.
    #[error("the kernel refuses the program for checks by the data path: {0}")]
    Program(#[from] ProgramError),
    /// The object lacks it.
    #[error("the object has no program {PROGRAM}; rebuild it: `cargo xtask build-ebpf`")]
    NoProgram,
    /// The map of backends cannot be found by others.
    #[error("{0} is gone: restart the agent, which pins it again")]
    NoPin(PathBuf),
    /// Neither way.
    #[error(
        "interface {name}: cannot attach the program for checks by the data path: {reason}; without it set \
         health.via = \"direct\""
    )]
    Attach {
        /// Which.
        name: String,
        /// As the kernel says.
        reason: String,
    },
}

/// The program and the interfaces it is on.
pub(super) struct Checks {
    folder: PathBuf,
    max_backends: u32,
    loaded: Option<Loaded>,
}

struct Loaded {
    ebpf: Ebpf,
    ports: Vec<Port>,
}

struct Port {
    name: String,
    state: Result<Attached, String>,
}

/// The program on an interface. Links are better, since nobody removes them by accident, but came with Linux 6.6.
struct Attached {
    index: u32,
    how: How,
}

enum How {
    /// By a link, with a pin by which the next agent finds it.
    Link(PathBuf),
    /// By netlink, beside others' filters; dropping it takes it off.
    Filter { _link: SchedClassifierLink },
}

impl Checks {
    /// Not loaded yet, and an earlier agent's is off the configured interfaces, where it was without a pin. The
    /// balancer's maps are pinned in `folder`.
    pub(super) fn new(agent: &Agent, folder: &Path) -> Self {
        agent.interfaces.iter().for_each(|name| clear_filter(name));
        Self { folder: folder.into(), max_backends: agent.max_backends, loaded: None }
    }

    /// Puts the program on `interfaces`, in place of an earlier agent's, or takes it off them where it is not `wanted`.
    pub(super) fn lead(&mut self, wanted: bool, interfaces: &[String]) -> Result<(), CheckError> {
        if !wanted {
            self.take_off();
            return Ok(());
        }
        if self.loaded.is_some() {
            return Ok(());
        }
        let mut ebpf = self.load()?;
        let program = classifier(&mut ebpf)?;
        let mut ports = Vec::new();
        for name in interfaces {
            match attach(program, name, &self.folder) {
                Ok(attached) => ports.push(Port { name: name.clone(), state: Ok(attached) }),
                Err(reason) => {
                    ports.iter().for_each(Port::take_off);
                    return Err(CheckError::Attach { name: name.clone(), reason });
                }
            }
        }
        self.loaded = Some(Loaded { ebpf, ports });
        Ok(())
    }

    /// Follows interfaces that are gone, or back. To be called every second or so.
    pub(super) fn watch(&mut self) -> Vec<InterfaceChange> {
        let Some(Loaded { ebpf, ports }) = &mut self.loaded else { return Vec::new() };
        let Ok(program) = classifier(ebpf) else { return Vec::new() };
        ports.iter_mut().filter_map(|port| port.watch(program, &self.folder)).collect()
    }

    /// Takes the program off all interfaces: without an agent nobody checks.
    pub(super) fn take_off(&mut self) {
        let Some(loaded) = self.loaded.take() else { return };
        loaded.ports.iter().for_each(Port::take_off);
        match loaded.reasons() {
            Ok(reasons) => {
                for (reason, packets) in reasons {
                    tracing::info!("{packets} packets of checks by the data path: {}", reason.description());
                }
            }
            Err(error) => tracing::warn!("what became of checks by the data path is not known: {error}"),
        }
    }

    fn load(&self) -> Result<Ebpf, CheckError> {
        let pin = self.folder.join(names::BACKENDS);
        // A map of its own would be made in its place, of which the balancer knows nothing.
        if !pin.exists() {
            return Err(CheckError::NoPin(pin));
        }
        let mut loader = EbpfLoader::new();
        loader.map_max_entries(names::BACKENDS, self.max_backends + 1).map_pin_path(names::BACKENDS, pin);
        let mut ebpf = loader.load(object::CHECK)?;
        classifier(&mut ebpf)?.load()?;
        Ok(ebpf)
    }
}

impl Loaded {
    /// Packets by reason, zeros left out.
    fn reasons(&self) -> Result<Vec<(Reason, u64)>, MapError> {
        let map = self.ebpf.map(REASONS).ok_or(MapError::ElementNotFound)?;
        let counts: PerCpuArray<_, ReasonCounts> = map.try_into()?;
        let per_cpu = counts.get(&0, 0)?;
        let total = |reason: &Reason| per_cpu.iter().map(|counts| counts[*reason as usize]).sum();
        Ok(Reason::ALL.iter().map(|reason| (*reason, total(reason))).filter(|&(_, n)| n > 0).collect())
    }
}

impl Port {
    /// Says what is to be mended; that an interface is gone or back is said of the balancer's program.
    fn watch(&mut self, program: &mut SchedClassifier, folder: &Path) -> Option<InterfaceChange> {
        // Where the kernel does not tell, it is asked again.
        let index = interface::index_of(&self.name).ok()?;
        if self.state.as_ref().ok().map(|attached| attached.index) == index && index.is_some() {
            return None;
        }
        self.take_off();
        let state = match index {
            Some(_) => attach(program, &self.name, folder),
            None => Err(GONE.to_owned()),
        };
        let before = std::mem::replace(&mut self.state, state);
        let error = self.state.as_ref().err().filter(|error| *error != GONE)?;
        let what = format!("back, but checks by the data path are not led there: {error}");
        let is_news = before.as_ref().err() != Some(error);
        is_news.then(|| InterfaceChange { interface: self.name.clone(), what, warning: true })
    }

    fn take_off(&self) {
        if let Ok(Attached { how: How::Link(pin), .. }) = &self.state {
            // What remains is removed with all other pins, and that tells what it cannot remove.
            let _ = link::detach(pin);
        }
    }
}

const GONE: &str = "gone";

/// Puts the program on the interface called `name`, before others' programs: it leaves to them what is not its own.
fn attach(program: &mut SchedClassifier, name: &str, folder: &Path) -> Result<Attached, String> {
    let index = interface::index_of(name).map_err(|error| error.to_string())?.ok_or("it does not exist")?;
    let pin = link::check_pin(folder, index);
    link::detach(&pin).map_err(|error| format!("{}: {error}", pin.display()))?;
    let order = TcAttachOptions::TcxOrder(LinkOrder::first());
    let id = match program.attach_with_options(name, TcAttachType::Egress, order) {
        Ok(id) => id,
        Err(error) if is_unknown(&error) => return attach_filter(program, name, index),
        Err(error) => return Err(words(&error)),
    };
    let link = program.take_link(id).map_err(|error| error.to_string())?;
    let link = FdLink::try_from(link).map_err(|error| error.to_string())?;
    link.pin(&pin).map_err(|error| format!("{}: {error}", pin.display()))?;
    Ok(Attached { index, how: How::Link(pin) })
}

/// The same by netlink, before Linux 6.6. The queueing discipline that holds filters stays when they go: by then others
/// may have theirs there, and an empty one does nothing.
fn attach_filter(program: &mut SchedClassifier, name: &str, index: u32) -> Result<Attached, String> {
    // There may be one already; if this fails for another reason, the next step tells.
    let _ = tc::qdisc_add_clsact(name);
    clear_filter(name);
    // Without a priority of its own it gets one before those that are there.
    let options = TcAttachOptions::Netlink(NlOptions::default());
    let id = program.attach_with_options(name, TcAttachType::Egress, options).map_err(|e| words(&e))?;
    let link = program.take_link(id).map_err(|error| error.to_string())?;
    Ok(Attached { index, how: How::Filter { _link: link } })
}

/// Takes off what an earlier agent that was killed left by netlink. It can be nobody else's: two agents are never on one
/// interface, since their XDP programs are not.
fn clear_filter(name: &str) {
    // Mostly there is none, which is an error here.
    let _ = tc::qdisc_detach_program(name, TcAttachType::Egress, PROGRAM);
}

/// Whether the kernel does not know this kind of link.
fn is_unknown(error: &ProgramError) -> bool {
    let code = source(error).and_then(io::Error::raw_os_error);
    matches!(code, Some(libc::EINVAL | libc::EOPNOTSUPP))
}

fn words(error: &ProgramError) -> String {
    source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

fn source(error: &ProgramError) -> Option<&io::Error> {
    let first: &(dyn std::error::Error + 'static) = error;
    let mut causes = std::iter::successors(Some(first), |error| error.source());
    causes.find_map(|cause| cause.downcast_ref::<io::Error>())
}

fn classifier(ebpf: &mut Ebpf) -> Result<&mut SchedClassifier, CheckError> {
    let program = ebpf.program_mut(PROGRAM).ok_or(CheckError::NoProgram)?;
    Ok(program.try_into()?)
}
