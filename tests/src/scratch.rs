//! A folder for one guard's files, named after this process so that what a killed test left can be told apart.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::process::{Pid, getpid};

/// Begins the name of everything that the test bed makes on the machine.
const PREFIX: &str = "xlb-";

/// Where `ip netns` keeps its namespaces.
const NAMESPACES: &str = "/run/netns";

static COUNT: AtomicU32 = AtomicU32::new(0);
static SWEEP: Once = Once::new();

/// A name no other guard has, on this machine: `xlb-<pid>-<number>-<role>`.
pub(crate) fn unique_name(role: &str) -> String {
    SWEEP.call_once(sweep);
    format!("{PREFIX}{}-{}-{role}", getpid().as_raw_pid(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A folder that goes away with its contents, and a BPF file system in it where one was asked for.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes the folder.
    pub fn new(role: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(unique_name(role));
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self { path })
    }

    /// Makes the folder, and mounts a BPF file system of its own at `bpf` in it: pins in it are gone with it, and
    /// two tests never meet in `/sys/fs/bpf`.
    pub fn with_bpf_fs(role: &str) -> Result<Self> {
        let scratch = Self::new(role)?;
        let target = scratch.bpf();
        fs::create_dir_all(&target).with_context(|| format!("making {}", target.display()))?;
        rustix::mount::mount(c"bpf", &target, c"bpf", MountFlags::empty(), Some(c"mode=0700"))
            .with_context(|| format!("mounting a BPF file system at {}", target.display()))?;
        Ok(scratch)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The BPF file system.
    pub fn bpf(&self) -> PathBuf {
        self.path.join("bpf")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn remove(folder: &Path) {
    // Not mounted is what most folders are; nothing is lost when this fails.
    let _ = rustix::mount::unmount(folder.join("bpf"), UnmountFlags::DETACH);
    let _ = fs::remove_dir_all(folder);
}

/// Removes what processes that no longer live left behind: a test that was killed has no guards.
fn sweep() {
    for name in leftovers(Path::new(NAMESPACES)) {
        let _ = crate::ip::run(&["netns", "delete", &name]);
    }
    let temporary = std::env::temp_dir();
    for name in leftovers(&temporary) {
        remove(&temporary.join(name));
    }
}

fn leftovers(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_leftover(name))
        .collect()
}

fn is_leftover(name: &str) -> bool {
    let Some(pid) = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse().ok()) else {
        return false;
    };
    Pid::from_raw(pid).is_some_and(|pid| rustix::process::test_kill_process(pid).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_only_those_of_dead_processes_are_left_over() {
        let (one, two) = (unique_name("a"), unique_name("a"));
        assert_ne!(one, two);
        for (name, expected) in [
            (one.as_str(), false),
            ("xlb-2147483646-0-client", true),
            ("xlb-x-0", false),
            ("web", false),
            ("xlb-", false),
        ] {
            assert_eq!(is_leftover(name), expected, "{name}");
        }
    }

    #[test]
    fn a_folder_goes_away_with_its_contents() {
        let scratch = Scratch::new("folder").unwrap();
        fs::write(scratch.path().join("file"), "x").unwrap();
        let path = scratch.path().to_owned();
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn a_bpf_file_system_goes_away_with_its_folder() {
        crate::require_root!();
        let scratch = Scratch::with_bpf_fs("bpffs").unwrap();
        fs::create_dir(scratch.bpf().join("pins")).unwrap();
        let path = scratch.path().to_owned();
        drop(scratch);
        assert!(!path.exists());
        assert!(!fs::read_to_string("/proc/mounts").unwrap().contains(path.to_str().unwrap()));
    }
}
