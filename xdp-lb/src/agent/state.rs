//! What control remembers, in a file, so that the next agent goes on where this one ended.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::control::Remembered;

/// The file in `agent.state_dir`.
const FILE: &str = "state.json";

/// Form of the file. One of another form is not read.
const VERSION: u32 = 1;

/// What is older says nothing of today's servers.
const OLDEST: Duration = Duration::from_secs(3_600);

/// Between two writings, unless something was published.
const EVERY: Duration = Duration::from_secs(10);

/// Most bytes that are read: 4096 backends take some 3 MB.
const LARGEST: u64 = 64 << 20;

#[derive(Deserialize)]
struct Saved {
    version: u32,
    /// Seconds since 1970.
    saved: f64,
    state: Remembered,
}

#[derive(Serialize)]
struct Saving<'a> {
    version: u32,
    saved: f64,
    state: &'a Remembered,
}

/// Why a state is not used.
#[derive(Debug, thiserror::Error)]
enum StateError {
    #[error("{0}")]
    Read(io::Error),
    #[error("not what xdp-lb writes there: {0}")]
    Garbage(serde_json::Error),
    #[error("version {0} of the file: expected {VERSION}")]
    Version(u32),
    #[error("saved {0:.0} s ago, which is too long")]
    Old(f64),
    #[error("saved {0:.0} s from now: the clock was set back")]
    Future(f64),
}

/// Keeps the state in a folder.
#[derive(Debug)]
pub(super) struct StateFile {
    folder: PathBuf,
    written: Option<Instant>,
    /// Whether the last writing failed.
    failed: bool,
}

impl StateFile {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), written: None, failed: false }
    }

    /// What the last agent remembered, with the time that has passed; `None` if there is nothing to go by, which is
    /// told unless there is no file.
    pub(super) fn load(&self) -> Option<Remembered> {
        let path = self.folder.join(FILE);
        match read(&path, since_1970()) {
            Ok(remembered) => Some(remembered),
            Err(StateError::Read(e)) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => {
                tracing::warn!(
                    "{}: {e}; it is not used: weights are told from the tables, and servers are taken as warm",
                    path.display()
                );
                None
            }
        }
    }

    /// Whether it is time to write.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.written.is_none_or(|written| now.saturating_duration_since(written) >= EVERY)
    }

    /// Writes it whole or not at all. That it cannot be written is told once.
    pub(super) fn save(&mut self, state: &Remembered, now: Instant) {
        self.written = Some(now);
        match write(&self.folder, state, since_1970()) {
            Ok(()) => self.failed = false,
            Err(e) if !self.failed => {
                self.failed = true;
                tracing::warn!(
                    "cannot write {FILE} in agent.state_dir {}: {e}; after a restart weights and ages begin anew",
                    self.folder.display()
                );
            }
            Err(_) => {}
        }
    }
}

fn read(path: &Path, now: f64) -> Result<Remembered, StateError> {
    let size = std::fs::metadata(path).map_err(StateError::Read)?.len();
    if size > LARGEST {
        let e = format!("{size} bytes: expected at most {LARGEST}");
        return Err(StateError::Read(io::Error::new(io::ErrorKind::InvalidData, e)));
    }
    let text = std::fs::read(path).map_err(StateError::Read)?;
    let Saved { version, saved, state } = serde_json::from_slice(&text).map_err(StateError::Garbage)?;
    if version != VERSION {
        return Err(StateError::Version(version));
    }
    // A clock may be set by a little.
    let passed = now - saved;
    if passed < -1.0 {
        return Err(StateError::Future(-passed));
    }
    match Duration::try_from_secs_f64(passed.max(0.0)) {
        Ok(passed) if passed <= OLDEST => Ok(state.aged(passed)),
        _ => Err(StateError::Old(passed)),
    }
}

fn write(folder: &Path, state: &Remembered, now: f64) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let text = serde_json::to_vec(&Saving { version: VERSION, saved: now, state })?;
    let new = folder.join(format!("{FILE}.new"));
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&text)?;
    drop(file);
    std::fs::rename(&new, folder.join(FILE))
}

/// Wall-clock time, the only one that a restart of the machine does not begin anew.
#[expect(
    clippy::disallowed_methods,
    reason = "an edge: ages in a file need a clock that outlives the process"
)]
fn since_1970() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_grows_older() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("not/there/yet");
        write(&folder, &Remembered::default(), 1000.0).unwrap();
        assert_eq!(read(&folder.join(FILE), 1060.0).unwrap(), Remembered::default());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");
        for (now, expected) in [
            (1000.0 + 3601.0, "saved 3601 s ago, which is too long"),
            (900.0, "saved 100 s from now: the clock was set back"),
        ] {
            assert_eq!(read(&folder.join(FILE), now).unwrap_err().to_string(), expected);
        }
        assert!(read(&folder.join(FILE), 999.5).is_ok(), "set back by a little");
    }

    #[test]
    fn what_is_no_state_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        assert!(StateFile::new(dir.path()).load().is_none(), "no file");
        for (text, expected) in [
            ("", "not what xdp-lb writes there"),
            ("{\"version\":1,\"saved\":1e3,\"state\":{\"vips\":7}}", "not what xdp-lb writes there"),
            ("{\"version\":9,\"saved\":1e3,\"state\":{}}", "version 9 of the file: expected 1"),
            ("{\"version\":1,\"saved\":-1e300,\"state\":{}}", "too long"),
            ("{\"version\":1,\"saved\":1e300,\"state\":{}}", "the clock was set back"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read(&path, 1000.0).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(StateFile::new(dir.path()).load().is_none());
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_to_is_told_of_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let mut state = StateFile::new(&file);
        let now = crate::agent::now();
        assert!(state.is_due(now));
        state.save(&Remembered::default(), now);
        assert!(state.failed && !state.is_due(now) && state.is_due(now + EVERY));
    }
}
