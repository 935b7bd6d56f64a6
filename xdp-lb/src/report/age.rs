//! How long the server has been running, from `/proc`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::Server;

/// Samples between two looks at which process the server is.
const LOOK_EVERY: u32 = 20;

#[derive(Debug)]
pub(super) struct Age {
    server: Server,
    /// Time from the host's start to the server's.
    started: Option<Duration>,
    samples: u32,
    missed: bool,
}

impl Age {
    pub(super) fn of(server: Server) -> Self {
        Self { server, started: None, samples: 0, missed: false }
    }

    /// The server's age; nothing while it does not run.
    pub(super) fn now(&mut self) -> Option<Duration> {
        if self.samples.is_multiple_of(LOOK_EVERY) {
            self.started = self.find();
            if self.started.is_none() && !self.missed {
                tracing::warn!("{}; no age is reported until it does", self.absence());
            }
            self.missed = self.started.is_none();
        }
        self.samples = self.samples.wrapping_add(1);
        Some(since_boot().saturating_sub(self.started?))
    }

    fn find(&self) -> Option<Duration> {
        match &self.server {
            Server::Host => Some(Duration::ZERO),
            Server::PidFile(path) => started(fs::read_to_string(path).ok()?.trim().parse().ok()?),
            Server::Name(name) => {
                let entries = fs::read_dir("/proc").ok()?.flatten();
                let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
                pids.filter(|pid| is_called(*pid, name)).filter_map(started).min()
            }
        }
    }

    fn absence(&self) -> String {
        match &self.server {
            Server::Host => "the host has no start".to_owned(),
            Server::PidFile(path) => format!("{} does not name a process that runs", path.display()),
            Server::Name(name) => format!("no process called {name:?} runs"),
        }
    }
}

/// Whether `/proc/PID/comm`, which holds 15 letters at most, is the name.
fn is_called(pid: u32, name: &str) -> bool {
    let comm = fs::read(Path::new("/proc").join(pid.to_string()).join("comm")).unwrap_or_default();
    let comm = comm.strip_suffix(b"\n").unwrap_or(&comm);
    let name = name.as_bytes();
    comm == &name[..name.len().min(15)]
}

/// Time from the host's start to a process's.
fn started(pid: u32) -> Option<Duration> {
    let stat = fs::read(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let ticks = start_ticks(&String::from_utf8_lossy(&stat))?;
    Some(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// Field 22 of proc_pid_stat(5). The second is a name in brackets that may hold anything, brackets too.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_of_a_process() {
        let stat = "77 (a ) b) S 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3\n";
        assert_eq!(start_ticks(stat), Some(987_654));
        assert_eq!(start_ticks("77 (a"), None);
        assert_eq!(start_ticks("77 (a) S 1"), None);
    }

    #[test]
    fn ages() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        fs::write(&file, format!("{}\n", std::process::id())).unwrap();
        let own = Age::of(Server::PidFile(file)).now().unwrap();
        let host = Age::of(Server::Host).now().unwrap();
        assert!(own < host && own < Duration::from_secs(24 * 3600), "{own:?} of {host:?}");
        let name = fs::read_to_string("/proc/self/comm").unwrap();
        let named = Age::of(Server::Name(name.trim().to_owned())).now().unwrap();
        assert!(named >= own && named <= host, "{named:?}");
        assert_eq!(Age::of(Server::Name("no such server".to_owned())).now(), None);
        assert_eq!(Age::of(Server::PidFile(dir.path().join("none"))).now(), None);
    }
}
