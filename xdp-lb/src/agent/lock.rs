//! One agent per state directory: two would write the same pinned maps.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody holds it.
    #[error(
        "another agent{holder} is running with agent.state_dir = {directory:?}: stop it, or give this one a state_dir, \
         pin_dir and control_socket of its own"
    )]
    Held {
        /// The state directory.
        directory: PathBuf,
        /// " (process 123)", where it is known.
        holder: String,
    },
    /// The system refused.
    #[error("cannot lock {}: {reason}; agent.state_dir has to be a directory that the agent may write to", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
}

/// The lock, held until dropped. The file stays: removing it would let two agents lock two files of the same name.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes the lock in `directory`, which is created.
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join("lock");
        let failed = |reason: io::Error| LockError::Io { path: path.clone(), reason };
        fs::create_dir_all(directory).map_err(failed)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(LockError::Held { directory: directory.to_owned(), holder: holder(&mut file) });
            }
            Err(e) => return Err(failed(e.into())),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(20).read_to_string(&mut text);
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(process)) => format!(" (process {process})"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("a/b");
        let lock = StateLock::take(&state).unwrap();
        let error = StateLock::take(&state).unwrap_err().to_string();
        let holder = format!("another agent (process {}) is running", std::process::id());
        assert!(error.starts_with(&holder) && error.contains("a/b"), "{error}");
        drop(lock);
        StateLock::take(&state).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("file");
        fs::write(&state, "").unwrap();
        let error = StateLock::take(&state).unwrap_err().to_string();
        assert!(error.contains("file/lock") && error.contains("agent.state_dir"), "{error}");
    }
}
