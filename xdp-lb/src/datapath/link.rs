//! A program on an interface: attached, kept beyond the agent by a pin, replaced in one step, detached.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aya::programs::Xdp;
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::xdp::{XdpLink, XdpMode as Mode};

use super::holder::Holder;
use super::interface::Interface;
use crate::config::XdpMode;

/// Why a program is not on an interface.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Somebody else's is.
    #[error("{0}")]
    InUse(Holder),
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
    how: How,
    pin: PathBuf,
}

/// How it came to be attached in this mode.
enum How {
    /// As was asked for.
    Wanted,
    /// The driver cannot do what would be better; as the kernel says.
    Fallback(String),
    /// As an earlier agent left it.
    Kept,
    /// An earlier agent left it in the other mode.
    Changed,
}

impl Attached {
    /// Puts `program` on `interface`: in place of what an earlier agent left there, or anew. "auto" keeps the mode
    /// it finds; another than the one asked for is changed.
    pub(super) fn new(
        program: &mut Xdp,
        interface: Interface,
        mode: XdpMode,
        folder: &Path,
    ) -> Result<Self, LinkError> {
        for native in [true, false] {
            let pin = pin_path(folder, native, interface.index);
            if !pin.exists() || replace(program, &pin).is_err() {
                continue;
            }
            if mode == XdpMode::Auto || native == (mode == XdpMode::Native) {
                return Ok(Self { interface, native, how: How::Kept, pin });
            }
            // The kernel takes no program beside one in the other mode.
            detach(&pin).map_err(|source| LinkError::Pin { path: pin, source })?;
            return match Self::anew(program, &interface, mode, folder) {
                Ok(attached) => Ok(Self { how: How::Changed, ..attached }),
                Err(error) => {
                    let before = if native { XdpMode::Native } else { XdpMode::Generic };
                    // As it was: a start that fails takes nothing away. The first error is the one to tell.
                    let _ = Self::anew(program, &interface, before, folder);
                    Err(error)
                }
            };
        }
        Self::anew(program, &interface, mode, folder)
    }

    fn anew(
        program: &mut Xdp,
        interface: &Interface,
        mode: XdpMode,
        folder: &Path,
    ) -> Result<Self, LinkError> {
        let (link, native, how) = attach(program, interface, mode)?;
        let pin = pin_path(folder, native, interface.index);
        let pin_error = |error| LinkError::Pin { path: pin.clone(), source: error };
        // What is left here by now is the link of an interface that is gone.
        remove_if_there(&pin).map_err(pin_error)?;
        link.pin(&pin).map_err(|error| pin_error(io::Error::other(error)))?;
        Ok(Self { interface: interface.clone(), native, how, pin })
    }

    /// Where.
    pub(super) fn interface(&self) -> &Interface {
        &self.interface
    }

    /// Its pin.
    pub(super) fn pin(&self) -> &Path {
        &self.pin
    }

    /// "native" or "generic".
    pub(super) fn mode(&self) -> &'static str {
        if self.native { "native" } else { "generic" }
    }

    /// The mode and why it is that, for the log; and whether somebody should look at it.
    pub(super) fn describe(&self) -> (String, bool) {
        let mode = self.mode();
        match &self.how {
            How::Wanted => (format!("{mode} XDP"), false),
            How::Fallback(reason) => (
                format!("generic XDP, because the driver takes no native one ({reason}); it is slower"),
                true,
            ),
            How::Kept if self.native => ("native XDP, kept from before".into(), false),
            How::Kept => (
                "generic XDP, kept from before; with xdp_mode = \"native\" a restart changes it".into(),
                false,
            ),
            How::Changed => (
                format!(
                    "{mode} XDP, attached anew since it was in the other mode; packets may have passed unbalanced for an instant"
                ),
                true,
            ),
        }
    }
}

/// Makes `program` the one of the pinned link, without a packet in between. Fails where the interface is gone.
fn replace(program: &mut Xdp, pin: &Path) -> Result<(), Box<dyn std::error::Error>> {
    // aya gives a pinned link away only by removing its pin, so give it another name to remove.
    let alias = pin.with_file_name(format!("{PREFIX}{ALIAS}_{}", std::process::id()));
    remove_if_there(&alias)?;
    fs::hard_link(pin, &alias)?;
    let link = XdpLink::try_from(PinnedLink::from_pin(&alias)?.unpin()?)?;
    let id = program.attach_to_link(link)?;
    FdLink::try_from(program.take_link(id)?)?;
    Ok(())
}

/// Attaches anew: the link, whether it is native, and why.
fn attach(program: &mut Xdp, interface: &Interface, mode: XdpMode) -> Result<(FdLink, bool, How), LinkError> {
    let name = || interface.name.clone();
    let how = match mode {
        XdpMode::Generic => How::Wanted,
        XdpMode::Native | XdpMode::Auto => match try_attach(program, interface.index, Mode::Driver) {
            Ok(link) => return Ok((link, true, How::Wanted)),
            Err(Refusal { in_use: true, .. }) => {
                return Err(LinkError::InUse(Holder::of(&interface.name, interface.index)));
            }
            Err(Refusal { reason, .. }) if mode == XdpMode::Native => {
                return Err(LinkError::NoNative { name: name(), reason });
            }
            Err(Refusal { reason, .. }) => How::Fallback(reason),
        },
    };
    match try_attach(program, interface.index, Mode::Skb) {
        Ok(link) => Ok((link, false, how)),
        Err(Refusal { in_use: true, .. }) => {
            Err(LinkError::InUse(Holder::of(&interface.name, interface.index)))
        }
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

/// Takes the program of a pinned link off its interface, at once, and removes the pin. One that is not there any more
/// is no error.
pub(super) fn detach(pin: &Path) -> io::Result<()> {
    // Removing the pin ends the link only some time later. If this fails, it still does.
    let _ = sys::detach(pin);
    remove_if_there(pin)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether a pin of this name is a link of ours.
pub(super) fn is_pin(name: &OsStr) -> bool {
    let number = name.to_str().and_then(|name| {
        let (kind, number) = name.strip_prefix(PREFIX)?.split_once('_')?;
        [NATIVE, GENERIC, CHECK, ALIAS].contains(&kind).then_some(number)
    });
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

const PREFIX: &str = "link_";
const NATIVE: &str = "native";
const GENERIC: &str = "generic";
/// Of the program for checks by the data path.
const CHECK: &str = "check";
/// Exists for a moment only, unless its maker is killed in it.
const ALIAS: &str = "alias";

/// The pin of the program for checks by the data path.
pub(super) fn check_pin(folder: &Path, index: u32) -> PathBuf {
    folder.join(format!("{PREFIX}{CHECK}_{index}"))
}

/// Named by index, since names of interfaces may hold dots, which a BPF file system refuses.
fn pin_path(folder: &Path, native: bool, index: u32) -> PathBuf {
    folder.join(format!("{PREFIX}{}_{index}", if native { NATIVE } else { GENERIC }))
}

mod sys {
    //! What aya does not offer of links: to end one that is pinned.

    use std::ffi::CString;
    use std::io;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    const BPF_OBJ_GET: libc::c_int = 7;
    const BPF_LINK_DETACH: libc::c_int = 34;

    /// The beginning of `union bpf_attr` for `BPF_OBJ_GET`; for `BPF_LINK_DETACH` it begins with the descriptor.
    #[repr(C)]
    struct Attributes {
        first: u64,
        rest: u64,
    }

    pub(super) fn detach(pin: &Path) -> io::Result<()> {
        let path = CString::new(pin.as_os_str().as_bytes())?;
        let fd = bpf(BPF_OBJ_GET, &Attributes { first: path.as_ptr() as u64, rest: 0 })?;
        // SAFETY: the call has just opened it for us.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        bpf(BPF_LINK_DETACH, &Attributes { first: fd.as_raw_fd() as u64, rest: 0 }).map(drop)
    }

    fn bpf(command: libc::c_int, attributes: &Attributes) -> io::Result<libc::c_int> {
        // SAFETY: the attributes live through the call, as does the path they may point to; the kernel reads only.
        let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<Attributes>()) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as libc::c_int) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_our_own_are_ours() {
        for (name, ours) in [
            ("link_native_2", true),
            ("link_generic_17", true),
            ("link_alias_4711", true),
            ("link_check_2", true),
            ("link_check_x", false),
            ("link_native_eth0", false),
            ("link_2", false),
            ("link_uprobe_2", false),
            ("xdp_link_native_2", false),
        ] {
            assert_eq!(is_pin(OsStr::new(name)), ours, "{name}");
        }
    }
}
