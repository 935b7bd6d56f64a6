//! A network namespace that exists as long as its guard.
//!
//! Only the network is entered, never another view of `/sys` as `ip netns exec` gives: BPF pins stay visible.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::panic::resume_unwind;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{
    CapabilitySet, LinkNameSpaceType, move_into_link_name_space, remove_capability_from_bounding_set,
};

use crate::{ip, scratch};

/// A namespace of this process's own, removed on drop.
#[derive(Debug)]
pub struct Netns {
    name: String,
    handle: Handle,
}

/// Enters a namespace; can be sent to threads and keeps the namespace alive.
#[derive(Clone, Debug)]
pub struct Handle(Arc<File>);

impl Netns {
    /// Makes a namespace with a unique name that ends in `role`, loopback up.
    pub fn new(role: &str) -> Result<Self> {
        let name = scratch::unique_name(role);
        ip::run(&["netns", "add", &name])?;
        let path = format!("/run/netns/{name}");
        let file = File::open(&path).with_context(|| format!("opening {path}"));
        // From here on the guard removes the namespace, whatever fails.
        let netns = match file {
            Ok(file) => Self { name, handle: Handle(Arc::new(file)) },
            Err(error) => {
                let _ = ip::run(&["netns", "delete", &name]);
                return Err(error);
            }
        };
        ip::batch(Some(&netns.name), &["link set lo up".to_owned()])?;
        Ok(netns)
    }

    /// The name under which `ip -netns` finds it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Enters the namespace from other threads.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs `work` on a new thread inside the namespace and gives back what it gives; panics pass through.
    pub fn run_in<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.handle.enter()?;
                work()
            });
            inside.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// A command that will run inside the namespace.
    ///
    /// Spawn it from a thread that outlives it: the child is killed with the thread that made it, so that nothing
    /// outlives a test that dies.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.command_without(program, &[])
    }

    /// The same without these capabilities, each a set of one.
    pub fn command_without(
        &self,
        program: impl AsRef<std::ffi::OsStr>,
        dropped: &[CapabilitySet],
    ) -> Command {
        let mut command = Command::new(program);
        let (handle, dropped) = (self.handle.clone(), dropped.to_vec());
        let prepare = move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            handle.enter_raw()?;
            dropped.iter().try_for_each(|one| Ok(remove_capability_from_bounding_set(*one)?))
        };
        // Its own process group: Ctrl-C reaches the one who started it, and that one stops it in order.
        command.process_group(0);
        // SAFETY: `prepare` makes system calls on what was made before; it neither allocates nor takes a lock.
        unsafe { command.pre_exec(prepare) };
        command
    }

    /// Writes a kernel parameter of this namespace: `net/ipv4/ip_forward`.
    pub fn sysctl(&self, settings: &[(&str, &str)]) -> Result<()> {
        self.run_in(|| {
            settings.iter().try_for_each(|(name, value)| {
                let path = format!("/proc/sys/{name}");
                std::fs::write(&path, value).with_context(|| format!("writing {value} to {path}"))
            })
        })
    }
}

impl Handle {
    /// Moves the calling thread into the namespace, for good.
    pub fn enter(&self) -> Result<()> {
        self.enter_raw().context("entering a network namespace")
    }

    fn enter_raw(&self) -> std::io::Result<()> {
        Ok(move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))?)
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        if let Err(error) = ip::run(&["netns", "delete", &self.name]) {
            eprintln!("{error:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::require_root;

    fn interfaces() -> String {
        std::fs::read_to_string("/proc/thread-self/net/dev").unwrap()
    }

    #[test]
    fn work_and_commands_run_inside_and_this_thread_stays_outside() {
        require_root!();
        let before = interfaces();
        let netns = Netns::new("inside").unwrap();
        ip::batch(Some(netns.name()), &["link add name only-here type bridge".to_owned()]).unwrap();
        assert!(netns.run_in(|| Ok(interfaces())).unwrap().contains("only-here"));
        let output = netns.command("cat").arg("/proc/net/dev").output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("only-here"));
        assert_eq!(interfaces().lines().count(), before.lines().count());
    }

    #[test]
    fn a_namespace_goes_away_even_when_its_test_panics() {
        require_root!();
        let panicked = thread::spawn(|| {
            let netns = Netns::new("panics").unwrap();
            std::panic::panic_any(netns.name().to_owned());
        });
        let name = *panicked.join().unwrap_err().downcast::<String>().unwrap();
        assert!(!std::path::Path::new("/run/netns").join(name).exists());
    }
}
