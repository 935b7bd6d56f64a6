//! The kernel side as the agent sees it: load, attach, pin, publish, read. The only users of aya.

mod adopt;
mod check;
pub mod directory;
pub mod encode;
mod entry;
mod ethtool;
pub mod flows;
mod holder;
pub mod interface;
mod kernel;
pub mod link;
pub mod loads;
mod mapping;
pub mod maps;
mod netlink;
pub mod object;
mod pins;
mod ports;
pub mod system;
mod terminator;
mod totals;
pub mod ways;

#[cfg(test)]
pub(crate) mod fake;

pub use check::CheckError;
pub use kernel::{AttachError, Kernel, KernelError};
pub use pins::PinsError;
pub use terminator::Terminator;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use xdp_lb_common::choice::BackendLoad;
use xdp_lb_common::ids::BackendId;

use crate::control::{Command, Counters, InterfaceStatus, Sweep};

/// What the agent's loop needs of the kernel. The real one holds BPF maps; tests use a fake.
pub trait Datapath {
    /// What can go wrong.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Carries out `WriteDirectory`, `WriteBackend`, `ClearBackend`, `PurgeFlows`, `WriteSlots` and `WriteLoads`;
    /// other commands are not for the data path and do nothing.
    fn apply(&mut self, command: &Command) -> Result<(), Self::Error>;

    /// Lets `elapsed` whole seconds pass on the data path's clock, by which recorded flows age, and so do
    /// the estimates of connections in flight.
    fn advance_epoch(&mut self, elapsed: Duration);

    /// Looks through the next part of the flow table, freeing expired places; every `parts` calls end a whole pass
    /// and give its result.
    fn sweep(&mut self, parts: u32, now: Instant) -> Option<Sweep>;

    /// Totals over all CPUs.
    fn counters(&mut self) -> Result<Counters, Self::Error>;

    /// Flow hash of a connection from `client` to `vip`.
    fn flow_hash(&self, client: SocketAddr, vip: SocketAddr, protocol: u8) -> u64;

    /// Backend of the live recorded flow with this hash.
    fn recorded(&self, flow_hash: u64) -> Option<BackendId>;

    /// What a backend is worth to the choice of two, with its connections in flight; `None` past the end.
    fn load(&self, backend: BackendId) -> Option<BackendLoad>;

    /// Where the program is attached and how.
    fn interfaces(&self) -> Vec<InterfaceStatus>;

    /// From now on leads checks by the data path to their backends, where they are `wanted`.
    fn lead_checks(&mut self, wanted: bool) -> Result<(), Self::Error> {
        let _ = wanted;
        Ok(())
    }

    /// Notices interfaces that are gone, and attaches to those that are back. To be called every second.
    fn watch_interfaces(&mut self) -> Vec<InterfaceChange> {
        Vec::new()
    }
}

/// What is to be said of the program on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceChange {
    /// Its name.
    pub interface: String,
    /// In words: "native XDP", "gone: …".
    pub what: String,
    /// Whether somebody should look at it.
    pub warning: bool,
}

impl InterfaceChange {
    /// Writes it to the log.
    pub fn log(&self) {
        let Self { interface, what, warning } = self;
        if *warning {
            tracing::warn!("{interface}: {what}");
        } else {
            tracing::info!("{interface}: {what}");
        }
    }
}
