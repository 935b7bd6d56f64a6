//! A program on an interface: attached, kept beyond the agent by a pin, replaced in one step, detached.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aya::programs::Xdp;
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::xdp::{XdpLink, XdpMode as Mode};

use super::interface::Interface;
use crate::config::XdpMode;
use crate::control::InterfaceStatus;

/// Why a program is not on an interface.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Somebody else's is.
    #[error(
        "interface {0} already has an XDP program; see whose with `ip -details link show dev {0}`, remove it with `ip link set dev {0} xdp off`"
    )]
    InUse(String),
    /// The driver cannot, and nothing else was allowed.
    #[error(
        "interface {name}: the driver takes no XDP program ({reason}); set agent.xdp_mode = \"auto\" or \"generic\""
    )]
    NoNative {
        /// Which.
        name: String,
        /// As the kernel says.
        reason: String,
    },
    /// Neither way.
    #[error("interface {name}: cannot attach the XDP program: {reason}")]
    Attach {
        /// Which.
        name: String,
        /// As the kernel says.
        reason: String,
    },
    /// The pin could not be made or removed.
    #[error("{path}: {source}")]
    Pin {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A program on an interface. The pin keeps it there, whatever becomes of the agent.
pub(super) struct Attached {
    interface: Interface,
    native: bool,
    /// Why it is not native, where that was tried.
    fallback: Option<String>,
    pin: PathBuf,
}

impl Attached {
    /// Puts `program` on `interface`: in place of what an earlier agent left there, or anew.
    pub(super) fn new(
        program: &mut Xdp,
        interface: Interface,
        mode: XdpMode,
        folder: &Path,
    ) -> Result<Self, LinkError> {
        for native in [true, false] {
            let pin = pin_path(folder, native, interface.index);
            if pin.exists() && replace(program, &pin).is_ok() {
                return Ok(Self { interface, native, fallback: None, pin });
            }
        }
        let (link, native, fallback) = attach(program, &interface, mode)?;
        let pin = pin_path(folder, native, interface.index);
        let pin_error = |error| LinkError::Pin { path: pin.clone(), source: error };
        // What is left here by now is the link of an interface that is gone.
        remove_if_there(&pin).map_err(pin_error)?;
        link.pin(&pin).map_err(|error| pin_error(io::Error::other(error)))?;
        Ok(Self { interface, native, fallback, pin })
    }

    /// Where and how.
    pub(super) fn status(&self) -> InterfaceStatus {
        let mode = if self.native { "native" } else { "generic" };
        InterfaceStatus { name: self.interface.name.clone(), mode: mode.into() }
    }

    /// Name and reason, where native was tried in vain.
    pub(super) fn fallback(&self) -> Option<(&str, &str)> {
        Some((self.interface.name.as_str(), self.fallback.as_deref()?))
    }

    /// Takes the program off.
    pub(super) fn detach(self) -> Result<(), LinkError> {
        fs::remove_file(&self.pin).map_err(|source| LinkError::Pin { path: self.pin, source })
    }
}

/// Makes `program` the one of the pinned link, without a packet in between. Fails where the interface is gone.
fn replace(program: &mut Xdp, pin: &Path) -> Result<(), Box<dyn std::error::Error>> {
    // aya gives a pinned link away only by removing its pin, so give it another name to remove.
    let alias = pin.with_file_name(format!("{PREFIX}alias_{}", std::process::id()));
    remove_if_there(&alias)?;
    fs::hard_link(pin, &alias)?;
    let link = XdpLink::try_from(PinnedLink::from_pin(&alias)?.unpin()?)?;
    let id = program.attach_to_link(link)?;
    FdLink::try_from(program.take_link(id)?)?;
    Ok(())
}

/// Attaches anew: the link, whether it is native, and why not.
fn attach(
    program: &mut Xdp,
    interface: &Interface,
    mode: XdpMode,
) -> Result<(FdLink, bool, Option<String>), LinkError> {
    let name = || interface.name.clone();
    let refused = match mode {
        XdpMode::Generic => None,
        XdpMode::Native | XdpMode::Auto => match try_attach(program, interface.index, Mode::Driver) {
            Ok(link) => return Ok((link, true, None)),
            Err(Refusal { in_use: true, .. }) => return Err(LinkError::InUse(name())),
            Err(Refusal { reason, .. }) if mode == XdpMode::Native => {
                return Err(LinkError::NoNative { name: name(), reason });
            }
            Err(Refusal { reason, .. }) => Some(reason),
        },
    };
    match try_attach(program, interface.index, Mode::Skb) {
        Ok(link) => Ok((link, false, refused)),
        Err(Refusal { in_use: true, .. }) => Err(LinkError::InUse(name())),
        Err(Refusal { reason, .. }) => Err(LinkError::Attach { name: name(), reason }),
    }
}

struct Refusal {
    in_use: bool,
    reason: String,
}

fn try_attach(program: &mut Xdp, index: u32, mode: Mode) -> Result<FdLink, Refusal> {
    let id = program.attach_to_if_index(index, mode).map_err(|error| refusal(&error))?;
    // aya falls back to netlink where the kernel refuses a link, and such a program would end with the agent.
    program
        .take_link(id)
        .map_err(|error| refusal(&error))
        .and_then(|link| FdLink::try_from(link).map_err(|error| refusal(&error)))
}

fn refusal(error: &(dyn std::error::Error + 'static)) -> Refusal {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    let io = causes.find_map(|cause| cause.downcast_ref::<io::Error>());
    let code = io.and_then(io::Error::raw_os_error);
    Refusal {
        in_use: matches!(code, Some(libc::EBUSY | libc::EEXIST)),
        reason: io.map_or_else(|| error.to_string(), ToString::to_string),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the pins of links in `folder` that `keep` does not hold: programs on interfaces that are no longer
/// configured, or that are gone.
pub(super) fn remove_others(folder: &Path, keep: &[Attached]) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_link = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        if is_link && !keep.iter().any(|attached| attached.pin == path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Removes a folder with all pins in it.
pub(super) fn remove_pins(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        fs::remove_file(entry?.path())?;
    }
    fs::remove_dir(folder)
}

const PREFIX: &str = "link_";

/// Named by index, since names of interfaces may hold dots, which a BPF file system refuses.
fn pin_path(folder: &Path, native: bool, index: u32) -> PathBuf {
    let mode = if native { "native" } else { "generic" };
    folder.join(format!("{PREFIX}{mode}_{index}"))
}
