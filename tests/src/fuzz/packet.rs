//! Any frame: what is passed to the kernel is what came, and what is sent through a tunnel comes out of it as it went in.

use std::cell::RefCell;
use std::time::Duration;

use xdp_lb::control::Command;
use xdp_lb::datapath::Datapath as _;
use xdp_lb_common::reason::{Outcome, Reason};
use xdp_lb_common::slot::Slot;

use crate::world::services::{self, ANY4, DNS6, TUNNEL4, TUNNEL6, WEB4, WEB6};
use crate::world::{HostTables, HostTerminator, World as _, agent};

thread_local! {
    static WORLD: RefCell<HostTables> = RefCell::new(world());
}

fn world() -> HostTables {
    let limits = "flow_idle = \"10s\"\nflow_insert_limit = 10\nicmp_limit = 2";
    let mut agent = agent(&format!("{}\n{limits}", services::AGENT));
    // Two buckets, which are soon full.
    agent.flow_entries = 16;
    let mut world = HostTables::new(&agent, 1);
    services::apply(&mut world, &services::fill());
    for (vip, server) in [(WEB4, TUNNEL4), (DNS6, TUNNEL4), (WEB6, TUNNEL6), (ANY4, TUNNEL6)] {
        services::apply(&mut world, &[services::table(vip, Slot::stable(server.id()))]);
    }
    world
}

/// Ends tunnels at the servers behind them, from where the balancer sends by default.
fn terminator() -> HostTerminator {
    HostTerminator::new(&[TUNNEL4.address, TUNNEL6.address], &["172.16.0.0/16", "100::/64"])
}

pub(super) fn check(input: &[u8]) {
    WORLD.with_borrow_mut(|world| balanced(world, input));
    let handled = terminator().handle(input);
    if handled.reason.outcome() == Outcome::Pass && handled.reason != Reason::DecapTerminated {
        assert_eq!(handled.bytes, input, "{:?}", handled.reason);
    }
}

fn balanced(world: &mut HostTables, input: &[u8]) {
    // Recorded flows go again, so that an input alone decides what becomes of it.
    let purge = services::SERVERS.map(|server| Command::PurgeFlows(server.id()));
    services::apply(world, &purge);
    world.advance_kernel_clock(Duration::from_secs(1));
    world.advance_epoch(Duration::from_secs(1));
    let handled = world.handle(input);
    if handled.reason.outcome() == Outcome::Pass {
        assert_eq!(handled.bytes, input, "{:?}", handled.reason);
    }
    let to = handled.forwarded.map(|forwarded| forwarded.backend);
    if [TUNNEL4, TUNNEL6].iter().any(|server| to == Some(server.id())) {
        let received = terminator().handle(&handled.bytes);
        assert_eq!(received.reason, Reason::DecapTerminated);
        assert_eq!(received.bytes.get(12..), input.get(12..));
    }
}
