//! The folder of pins: one process at a time has it, and only names of our own are ever removed from it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock, major, minor};

use super::link;
use super::system::{self, SystemError};

/// Why the pins cannot be used or removed.
#[derive(Debug, thiserror::Error)]
pub enum PinsError {
    /// There is no place for them.
    #[error(transparent)]
    System(#[from] SystemError),
    /// Somebody has them.
    #[error(
        "another xdp-lb{holder} is running with pin_dir = {folder:?}: stop it, or give this one a pin_dir of its own"
    )]
    Held {
        /// The folder.
        folder: PathBuf,
        /// " (process 123)", where it is known.
        holder: String,
    },
    /// The folder cannot be looked at.
    #[error("cannot use pin_dir = {folder:?}: {source}")]
    Unusable {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Some could not be removed; all others were.
    #[error(
        "cannot remove {0}; remove them by hand once that is mended: the program stays attached until then"
    )]
    Left(String),
}

/// The folder, locked until this is dropped.
pub(super) struct Pins {
    folder: PathBuf,
    maps: &'static [&'static str],
    /// Whether the folder was made for this process.
    made: bool,
    /// Of our own names, those that were there before.
    earlier: BTreeSet<PathBuf>,
    _lock: File,
}

impl Pins {
    /// Makes the folder where it is missing and takes it. `maps` are the names that maps are pinned under in it.
    pub(super) fn take(folder: &Path, maps: &'static [&'static str]) -> Result<Self, PinsError> {
        let made = !folder.exists();
        let lock = lock(folder)?;
        let mut pins = Self { folder: folder.into(), maps, made, earlier: BTreeSet::new(), _lock: lock };
        pins.earlier = pins.own().map_err(|source| pins.unusable(source))?.into_iter().collect();
        Ok(pins)
    }

    /// Where they are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Removes what was pinned since [`Pins::take`], after a start that failed. What an earlier process left stays.
    pub(super) fn undo(&self) {
        for path in self.own().unwrap_or_default() {
            if !self.earlier.contains(&path) {
                // The error that led here is the one to tell.
                let _ = remove(&path);
            }
        }
        if self.made {
            let _ = fs::remove_dir(&self.folder);
        }
    }

    /// Removes every pin of ours, however many fail, and the folder if nothing else is in it.
    pub(super) fn remove(&self) -> Result<(), PinsError> {
        self.remove_all(self.own().map_err(|source| self.unusable(source))?)?;
        match fs::remove_dir(&self.folder) {
            // Others pin here too, or it is where the file system is mounted.
            Err(error)
                if !matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty | ErrorKind::ResourceBusy
                ) =>
            {
                Err(PinsError::Left(format!("{}: {error}", self.folder.display())))
            }
            _ => Ok(()),
        }
    }

    /// Removes the pins of links that `keep` does not name: programs on interfaces that are no longer configured, or
    /// that are gone.
    pub(super) fn remove_links_but(&self, keep: &[&Path]) -> Result<(), PinsError> {
        let own = self.own().map_err(|source| self.unusable(source))?;
        let others = own.into_iter().filter(|path| is_link(path) && !keep.contains(&path.as_path()));
        self.remove_all(others)
    }

    fn remove_all(&self, paths: impl IntoIterator<Item = PathBuf>) -> Result<(), PinsError> {
        let failures: Vec<String> = paths
            .into_iter()
            .filter_map(|path| Some(format!("{}: {}", path.display(), remove(&path).err()?)))
            .collect();
        if failures.is_empty() { Ok(()) } else { Err(PinsError::Left(failures.join("; "))) }
    }

    /// Paths in the folder that are ours by their names, links first. Others may pin in the same folder.
    fn own(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.folder) {
            // Removed by hand while we ran.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        let is_map = |path: &PathBuf| self.maps.iter().any(|map| path.file_name() == Some(OsStr::new(map)));
        let (links, others): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| is_link(path));
        Ok(links.into_iter().chain(others.into_iter().filter(is_map)).collect())
    }

    fn unusable(&self, source: io::Error) -> PinsError {
        PinsError::Unusable { folder: self.folder.clone(), source }
    }
}

fn is_link(path: &Path) -> bool {
    path.file_name().is_some_and(link::is_pin)
}

/// What is not there any more need not be removed.
fn remove(path: &Path) -> io::Result<()> {
    if is_link(path) {
        link::detach(path)
    } else {
        match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

/// The folder itself is what is locked: whoever has the same folder meets here, whatever else differs.
fn lock(folder: &Path) -> Result<File, PinsError> {
    let unusable = |source| PinsError::Unusable { folder: folder.into(), source };
    // The process before us may remove the folder between any two of these steps.
    for _ in 0..TRIES {
        system::prepare_pins(folder)?;
        let file = match File::open(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            file => file.map_err(unusable)?,
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(PinsError::Held { folder: folder.into(), holder: holder(&file) });
            }
            Err(error) => return Err(unusable(error.into())),
        }
        let locked = file.metadata().map_err(unusable)?;
        if fs::metadata(folder).is_ok_and(|now| (now.dev(), now.ino()) == (locked.dev(), locked.ino())) {
            return Ok(file);
        }
    }
    Err(unusable(io::Error::other("it is removed again and again")))
}

const TRIES: usize = 10;

/// Who has the lock, where /proc/locks tells.
fn holder(file: &File) -> String {
    let process = file.metadata().ok().and_then(|folder| {
        let locks = fs::read_to_string("/proc/locks").ok()?;
        holder_in(&locks, major(folder.dev()), minor(folder.dev()), folder.ino())
    });
    process.map_or_else(String::new, |process| format!(" (process {process})"))
}

/// A line is "1: FLOCK  ADVISORY  WRITE 6226 00:28:535285 0 EOF": process, then device in hexadecimal and inode.
fn holder_in(locks: &str, major: u32, minor: u32, inode: u64) -> Option<u32> {
    let wanted = format!("{major:02x}:{minor:02x}:{inode}");
    let mut lines = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line =
        lines.find(|words| words.get(1) == Some(&"FLOCK") && words.get(5) == Some(&wanted.as_str()))?;
    line.get(4)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_found_by_device_and_inode() {
        let locks = "1: FLOCK  ADVISORY  WRITE 6226 00:28:535285 0 EOF\n\
                     2: POSIX  ADVISORY  WRITE 9 fe:00:77 0 EOF\n3: FLOCK  ADVISORY  WRITE 4947 fe:00:77 0 EOF\n";
        assert_eq!(holder_in(locks, 0, 0x28, 535_285), Some(6226));
        assert_eq!(holder_in(locks, 0xfe, 0, 77), Some(4947));
        assert_eq!(holder_in(locks, 0, 0x28, 5), None);
    }
}
