//! A child process that ends with its guard, and whose last words are kept.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::clock;

/// How long a process may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// Lines of output shown when something failed.
const TAIL: usize = 30;

/// A running child. On drop it gets SIGTERM, then SIGKILL, and is waited for.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; both its outputs are appended to the file `log`.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("opening {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("starting {name}: {}", command.get_program().display()))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// An error with its last words if it has ended.
    pub fn must_run(&mut self) -> Result<()> {
        if let Some(status) = self.ended() {
            bail!("{} ended: {status}\n{}", self.name, self.tail());
        }
        Ok(())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).with_context(|| format!("sending {signal:?} to {}", self.name))
    }

    /// SIGTERM, and how it ended; killed when that takes too long.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.ended() {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        // Not by `wait_until`, which may be cancelled: leaving in order takes as long as it takes.
        let deadline = clock::now() + GRACE;
        while clock::now() < deadline {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.kill()?;
        bail!("{} did not end within {GRACE:?} after SIGTERM\n{}", self.name, self.tail())
    }

    /// SIGKILL, and waits.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        if self.ended().is_none() {
            self.child.kill().with_context(|| format!("killing {}", self.name))?;
        }
        self.child.wait().with_context(|| format!("waiting for {}", self.name))
    }

    /// The last lines it wrote.
    pub fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let shown = &lines[lines.len().saturating_sub(TAIL)..];
        format!("--- last lines of {}:\n{}", self.name, shown.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let status = self.terminate();
        if thread::panicking() {
            let status = status.map_or_else(|error| format!("{error:#}"), describe);
            eprintln!("{}: {status}\n{}", self.name, self.tail());
        }
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use crate::wait::wait_until;

    #[test]
    fn a_child_is_stopped_and_its_last_words_are_kept() {
        let scratch = Scratch::new("process").unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo ready >&2; trap 'exit 7' TERM; while :; do sleep 0.05; done"]);
        let mut process = Process::spawn("shell", command, &scratch.path().join("log")).unwrap();
        wait_until(GRACE, "the shell is ready", || process.tail().contains("ready").then_some(())).unwrap();
        process.must_run().unwrap();
        assert_eq!(process.terminate().unwrap().code(), Some(7));
        let error = process.must_run().unwrap_err().to_string();
        assert!(error.contains("shell ended") && error.contains("ready"), "{error}");
    }
}
