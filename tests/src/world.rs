//! The balancer without its agent: tables that the same commands fill, and a program that handles frames by them.
//!
//! There are two of them, told apart by nothing but where they run:
//!
//! - [`HostTables`]: the maps in plain memory. Property tests and simulations drive it without any privilege.
//! - [`KernelProgram`]: the program in the kernel, loaded and unattached, run by `BPF_PROG_TEST_RUN`.
//!
//! Both are a [`Datapath`], so that what control orders is carried out by [`Datapath::apply`] and recorded flows age by
//! [`Datapath::advance_epoch`] and [`Datapath::sweep`]; and both are a [`World`], which handles frames.
//!
//! ```
//! use xdp_lb_common::reason::Reason;
//! use xdp_lb_tests::packet::tcp;
//! use xdp_lb_tests::world::{HostTables, World, agent};
//!
//! let mut world = HostTables::new(&agent(""), 1);
//! let frame = tcp("198.51.100.7:40000", "203.0.113.10:80").frame();
//! assert_eq!(world.handle(&frame).reason, Reason::NotVip);
//! ```

#![expect(clippy::panic, reason = "a test whose world cannot be made stops there")]

mod decap;
mod host;
mod kernel;
mod program;
pub mod services;

use std::path::Path;

use xdp_lb::config::{Agent, Config};
use xdp_lb::datapath::{Datapath, KernelError};
use xdp_lb_common::ids::BackendId;
use xdp_lb_common::maps::Traffic;
use xdp_lb_common::reason::{Outcome, Reason};

pub use decap::{HostTerminator, KernelTerminator};
pub use host::HostTables;
pub use kernel::{KernelProgram, in_own_network};

/// A balancer that can be handed frames.
pub trait World: Datapath<Error = KernelError> {
    /// Handles one frame that came in by the interface [`INGRESS`].
    fn handle(&mut self, frame: &[u8]) -> Handled {
        self.handle_with_room(frame, DRIVER_ROOM)
    }

    /// The same with `room` bytes before the frame into which it may grow.
    fn handle_with_room(&mut self, frame: &[u8], room: usize) -> Handled;

    /// The settings in force.
    fn settings(&self) -> xdp_lb_common::maps::Settings;
}

/// Index of the interface by which frames come in: the loopback, where test runs are made.
pub const INGRESS: u32 = 1;

/// Bytes that drivers leave before a frame (`XDP_PACKET_HEADROOM`) less those that the kernel keeps for itself.
pub const DRIVER_ROOM: usize = 256 - 40;

/// What the program did with a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handled {
    /// Under which it was counted.
    pub reason: Reason,
    /// What the program returned.
    pub action: Action,
    /// The frame afterwards.
    pub bytes: Vec<u8>,
    /// Where it was counted beside, if it went to a backend.
    pub forwarded: Option<Forwarded>,
}

/// A forwarded frame in the counters of its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Whose counter went up.
    pub backend: BackendId,
    /// By how much.
    pub counted: Traffic,
}

/// What an XDP program returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `XDP_ABORTED`, which is never to be seen.
    Aborted,
    /// `XDP_DROP`.
    Drop,
    /// `XDP_PASS`.
    Pass,
    /// `XDP_TX`.
    Tx,
    /// `XDP_REDIRECT`.
    Redirect,
}

impl Action {
    /// By the number that the kernel knows it by; others are aborted as well.
    pub fn from_number(number: u32) -> Self {
        [Self::Aborted, Self::Drop, Self::Pass, Self::Tx, Self::Redirect]
            .get(number as usize)
            .copied()
            .unwrap_or(Self::Aborted)
    }

    /// For a frame that is not forwarded.
    pub fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Pass => Self::Pass,
            Outcome::Reply => Self::Tx,
            Outcome::Drop | Outcome::Forward => Self::Drop,
        }
    }

    /// For a frame that leaves by the interface `egress`.
    pub fn towards(egress: u32) -> Self {
        if egress == INGRESS { Self::Tx } else { Self::Redirect }
    }
}

/// The agent's settings by default but for the lines in `changes`, as `flow_entries = 1024`.
///
/// # Panics
///
/// If these are no valid settings.
pub fn agent(changes: &str) -> Agent {
    let text = format!("[agent]\ninterfaces = [\"lo\"]\n{changes}\n");
    match Config::from_toml(&text, Path::new("test.toml")) {
        Ok(config) => config.agent,
        Err(errors) => panic!("{errors}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use xdp_lb_common::ids::VipId;
    use xdp_lb_common::slot::Slot;

    use super::services::{ACROSS, BACK, TWO_SIP4, WEB4, fill, table};
    use super::*;
    use crate::packet::{SYN, tcp};

    fn world(limit: u32) -> HostTables {
        let limit = format!("{}\nflow_insert_limit = {limit}\nflow_idle = \"10s\"", services::AGENT);
        let mut world = HostTables::new(&agent(&limit), 1);
        services::apply(&mut world, &fill());
        services::apply(&mut world, &[table(WEB4, Slot::tracked(BACK.id(), ACROSS.id()))]);
        world
    }

    fn syn(client: u16) -> Vec<u8> {
        tcp(&format!("198.51.100.7:{client}"), "203.0.113.10:80").flags(SYN).frame()
    }

    fn backend(handled: &Handled) -> BackendId {
        handled.forwarded.unwrap().backend
    }

    #[test]
    fn flows_are_recorded_swept_and_purged() {
        #[expect(clippy::disallowed_methods, reason = "the time is handed through and decides nothing")]
        let now = Instant::now();
        let mut world = world(100);
        assert_eq!(backend(&world.handle(&syn(1))), ACROSS.id());
        let hash = world.flow_hash("198.51.100.7:1".parse().unwrap(), "203.0.113.10:80".parse().unwrap(), 6);
        assert_eq!(world.recorded(hash), Some(ACROSS.id()));
        assert_eq!(world.recorded_flows(), 1);
        let slot = xdp_lb_common::flow::slot_of(hash, services::TABLE_SIZE);
        assert_eq!(world.sweep(2, now), None, "half a pass");
        let swept = world.sweep(2, now).unwrap();
        assert_eq!((swept.live_slots, swept.flows), (vec![(WEB4, slot)], vec![(ACROSS.id(), 1)]));
        world.advance_epoch(Duration::from_secs(11));
        assert_eq!(world.sweep(1, now).unwrap().flows, vec![]);
        assert_eq!(world.recorded_flows(), 0);
        world.handle(&syn(1));
        services::apply(&mut world, &[xdp_lb::control::Command::PurgeFlows(ACROSS.id())]);
        assert_eq!(world.recorded_flows(), 0);
    }

    #[test]
    fn budgets_are_renewed_by_either_clock() {
        let mut world = world(1);
        let mut next = 0;
        let mut recorded = |world: &mut HostTables| {
            next += 1;
            backend(&world.handle(&syn(next))) == ACROSS.id()
        };
        assert!(recorded(&mut world));
        assert!(!recorded(&mut world));
        world.advance_epoch(Duration::from_secs(1));
        assert!(recorded(&mut world));
        assert!(!recorded(&mut world));
        world.advance_kernel_clock(Duration::from_secs(1));
        assert!(!recorded(&mut world), "counted from when it ran out, which nobody noted at the time 0");
        world.advance_kernel_clock(Duration::from_secs(1));
        assert!(recorded(&mut world));
    }

    #[test]
    fn what_is_handled_is_counted() {
        let mut world = world(100);
        let handled = world.handle(&syn(1));
        world.handle(&syn(2)[..20]);
        let counters = world.counters().unwrap();
        assert_eq!(counters.vips[WEB4.index() as usize], handled.forwarded.unwrap().counted);
        assert_eq!(counters.reasons[Reason::Forwarded as usize], 1);
        assert_eq!(counters.reasons[Reason::TruncatedIpv4 as usize], 1);
        services::apply(&mut world, &[xdp_lb::control::Command::ClearBackend(ACROSS.id())]);
        assert_eq!(world.counters().unwrap().backends[ACROSS.number as usize], Traffic::default());
        assert_eq!(world.counters().unwrap().vips[WEB4.index() as usize].packets, 1, "a VIP's total stays");
        assert_eq!(world.handle(&syn(1)).reason, Reason::BackendDown);
    }

    #[test]
    fn ids_past_the_end_are_refused() {
        let mut world = world(1);
        let error = world.apply(&table(VipId::new(TWO_SIP4.raw() + 1), Slot::EMPTY)).unwrap_err();
        assert!(error.to_string().contains("max_vips"), "{error}");
    }
}
