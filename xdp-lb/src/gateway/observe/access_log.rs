//! Where lines of the access log go: to a file or standard output, by a thread of its own, so that no request waits for
//! a disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use crate::regular::AT_ONCE;

/// Bytes that wait to be written; further lines are lost and counted.
const MOST_WAITING: usize = 8 << 20;

/// Bytes from which on the writer is woken early.
const MANY: usize = 64 << 10;

/// How long a line waits at most.
const WAIT: Duration = Duration::from_millis(100);

/// Why lines cannot be written.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot open log.path = {path:?}: {reason}; make its folder writable for this user, or leave it out for standard output"
)]
pub struct AccessLogError {
    path: PathBuf,
    reason: io::Error,
}

/// Takes lines. What was taken when this goes is still written, and [`finish`](Self::finish) waits for that.
#[derive(Debug)]
pub struct LogWriter {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    end: Condvar,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// In place of the one written to.
    next: Option<Option<File>>,
    ends: bool,
    /// All is written that was told before.
    ended: bool,
}

impl LogWriter {
    /// To the file at `path`, or to standard output.
    pub fn open(path: Option<&Path>) -> Result<Self, AccessLogError> {
        let file = open(path)?;
        let shared = Arc::new(Shared::default());
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || write(&shared, file)
            })
            .map_err(|reason| AccessLogError {
                path: path.map(Path::to_owned).unwrap_or_default(),
                reason,
            })?;
        Ok(Self { shared })
    }

    /// Goes on in the file at `path`, opened anew: the old one may have been moved away.
    pub fn reopen(&self, path: Option<&Path>) -> Result<(), AccessLogError> {
        let file = open(path)?;
        self.state().next = Some(file);
        Ok(())
    }

    /// Takes a line, which ends in a newline.
    pub fn line(&self, line: &[u8]) {
        let mut state = self.state();
        if state.waiting.len() + line.len() > MOST_WAITING {
            self.shared.lost.fetch_add(1, Relaxed);
            return;
        }
        let before = state.waiting.len();
        state.waiting.extend_from_slice(line);
        if before < MANY && state.waiting.len() >= MANY {
            self.shared.wake.notify_one();
        }
    }

    /// Lines that were lost because nothing could be written for too long.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Relaxed)
    }

    /// Writes what waits, for so long at most. Nothing is to be told afterwards.
    pub fn finish(&self, patience: Duration) {
        let mut state = self.state();
        state.ends = true;
        self.shared.wake.notify_one();
        let ended = self.shared.end.wait_timeout_while(state, patience, |state| !state.ended);
        drop(ended);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LogWriter {
    /// The thread writes what waits and ends. It is not waited for: who reads the log may have stopped to.
    fn drop(&mut self) {
        self.state().ends = true;
        self.shared.wake.notify_one();
    }
}

fn open(path: Option<&Path>) -> Result<Option<File>, AccessLogError> {
    let Some(path) = path else { return Ok(None) };
    // Without waiting for somebody who reads a pipe.
    let opened = OpenOptions::new().append(true).create(true).custom_flags(AT_ONCE).open(path);
    let opened = match opened {
        Ok(file) => writable(file),
        Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
            Err(io::Error::other("it is a pipe that nobody reads, or a socket"))
        }
        Err(error) => Err(error),
    };
    opened.map(Some).map_err(|reason| AccessLogError { path: path.to_owned(), reason })
}

/// A file, a device of characters, or a pipe, which `/dev/stdout` is in a container. Writing to it may wait: that has a
/// thread of its own.
fn writable(file: File) -> io::Result<File> {
    let kind = file.metadata()?.file_type();
    if !(kind.is_file() || kind.is_char_device() || kind.is_fifo()) {
        return Err(io::Error::other("it is no file that lines can be written to"));
    }
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(file)
}

fn write(shared: &Shared, mut file: Option<File>) {
    let mut lines = Vec::new();
    let mut fails = false;
    loop {
        let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.ends && state.waiting.len() < MANY {
            state = shared.wake.wait_timeout(state, WAIT).unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::swap(&mut lines, &mut state.waiting);
        let (next, ends) = (state.next.take(), state.ends);
        drop(state);
        // Lines taken before the file was opened anew may go to either.
        if let Some(next) = next {
            file = next;
        }
        let written = match &mut file {
            Some(file) => file.write_all(&lines),
            None => io::stdout().lock().write_all(&lines),
        };
        match written {
            Ok(()) => fails = false,
            Err(e) => {
                let count = lines.iter().filter(|byte| **byte == b'\n').count();
                shared.lost.fetch_add(count as u64, Relaxed);
                if !std::mem::replace(&mut fails, true) {
                    tracing::error!("the access log cannot be written, lines are lost: {e}");
                }
            }
        }
        lines.clear();
        if ends {
            shared.state.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
            shared.end.notify_all();
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regular::tests::{pipe, soon};

    #[test]
    fn lines_are_written_before_the_end_and_go_on_in_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let log = LogWriter::open(Some(&path)).unwrap();
        for number in 0..10_000 {
            log.line(format!("line {number}\n").as_bytes());
        }
        let deadline = std::time::Duration::from_secs(10);
        let mut waited = Duration::ZERO;
        while std::fs::read(&path).unwrap().iter().filter(|byte| **byte == b'\n').count() < 10_000 {
            assert!(waited < deadline, "not written");
            std::thread::sleep(Duration::from_millis(5));
            waited += Duration::from_millis(5);
        }
        let moved = folder.path().join("access.log.1");
        std::fs::rename(&path, &moved).unwrap();
        log.reopen(Some(&path)).unwrap();
        log.line(b"after\n");
        assert_eq!(log.lost(), 0);
        log.finish(deadline);
        assert!(std::fs::read_to_string(&moved).unwrap().ends_with("line 9999\n"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after\n");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let error = LogWriter::open(Some(Path::new("/nonexistent/access.log"))).unwrap_err().to_string();
        assert!(error.contains("log.path = \"/nonexistent/access.log\""), "{error}");
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        pipe(&path);
        let error = soon(move || LogWriter::open(Some(&path))).unwrap_err().to_string();
        assert!(error.contains("it is a pipe that nobody reads"), "{error}");
        LogWriter::open(Some(Path::new("/dev/null"))).unwrap();
    }

    #[test]
    fn what_cannot_wait_is_counted() {
        let log = LogWriter::open(Some(Path::new("/dev/full"))).unwrap();
        log.line(b"a\nb\n");
        log.finish(Duration::from_secs(10));
        assert_eq!(log.lost(), 2);
    }

    #[test]
    fn nobody_waits_for_a_reader_that_has_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        pipe(&path);
        // Open, so that the log can be opened too, and never read.
        let _reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let log = LogWriter::open(Some(&path)).unwrap();
        log.line(&vec![b'x'; 1 << 20]);
        log.finish(Duration::from_millis(100));
        assert!(!log.state().ended, "a pipe holds less than that");
        drop(log);
    }
}
