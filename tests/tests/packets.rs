//! The packet table: each row is a frame and what is to become of it, byte for byte, on the host and in the kernel.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops where it stands")]

#[path = "packets/answer_rows.rs"]
mod answer_rows;
#[path = "packets/choice_rows.rs"]
mod choice_rows;
#[path = "packets/decap_rows.rs"]
mod decap_rows;
#[path = "packets/forward_rows.rs"]
mod forward_rows;
#[path = "packets/given.rs"]
mod given;
#[path = "packets/hash.rs"]
mod hash;
#[path = "packets/link_rows.rs"]
mod link_rows;
#[path = "packets/prefixes.rs"]
mod prefixes;
#[path = "packets/routes.rs"]
mod routes;
#[path = "packets/row.rs"]
mod row;
#[path = "packets/spread.rs"]
mod spread;
#[path = "packets/tracked_rows.rs"]
mod tracked_rows;
#[path = "packets/transport_rows.rs"]
mod transport_rows;

use std::collections::HashSet;

use row::Row;
use xdp_lb::config::Agent;
use xdp_lb_common::reason::Reason;
use xdp_lb_tests::require_root;
use xdp_lb_tests::world::services;
use xdp_lb_tests::world::{
    HostTables, HostTerminator, KernelProgram, KernelTerminator, World, agent, in_own_network,
};

/// A flow table of one bucket, and limits that a row can reach.
fn small_agent() -> Agent {
    let limits = "flow_idle = \"10s\"\nflow_insert_limit = 12\nicmp_limit = 2";
    let mut agent = agent(&format!("{}\n{limits}", services::AGENT));
    agent.flow_entries = 8;
    agent
}

fn host() -> HostTables {
    filled(HostTables::new(&small_agent(), 1))
}

fn kernel() -> KernelProgram {
    filled(KernelProgram::load(&small_agent()))
}

fn filled<W: World>(mut world: W) -> W {
    services::apply(&mut world, &services::fill());
    world
}

fn balancer_rows() -> Vec<Row> {
    [
        link_rows::rows(),
        transport_rows::rows(),
        forward_rows::rows(),
        tracked_rows::rows(),
        choice_rows::rows(),
        answer_rows::rows(),
    ]
    .concat()
}

/// Fails with all rows that went wrong.
fn report(results: impl IntoIterator<Item = Result<(), String>>) {
    let wrong: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{} rows went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn balancer_on_the_host() {
    let mut world = host();
    report(balancer_rows().iter().map(|row| row.run(&mut world)));
}

#[test]
fn balancer_in_the_kernel() {
    require_root!();
    in_own_network(&[], || {
        let mut world = kernel();
        report(balancer_rows().iter().map(|row| row.run(&mut world)));
    });
}

#[test]
fn decap_on_the_host() {
    let terminator = HostTerminator::new(&decap_rows::ADDRESSES, &decap_rows::SOURCES);
    report(decap_rows::rows().iter().map(|row| row.judge(&terminator.handle(&row.frame))));
}

#[test]
fn decap_in_the_kernel() {
    require_root!();
    in_own_network(&[], || {
        let settings = HostTerminator::new(&decap_rows::ADDRESSES, &decap_rows::SOURCES).0;
        let mut terminator = KernelTerminator::load(&settings);
        report(decap_rows::rows().iter().map(|row| row.judge(&terminator.handle(&row.frame))));
    });
}

#[test]
fn every_reason_has_a_row() {
    let rows: HashSet<Reason> =
        [balancer_rows(), routes::rows(), decap_rows::rows()].concat().iter().map(Row::reason).collect();
    let missing: Vec<_> = Reason::ALL.iter().filter(|reason| !rows.contains(reason)).collect();
    assert!(missing.is_empty(), "no row ends in {missing:?}");
}

#[test]
fn descriptions_are_unique() {
    let mut seen = HashSet::new();
    for row in [balancer_rows(), routes::rows(), decap_rows::rows()].concat() {
        assert!(seen.insert(row.description), "two rows are described as {:?}", row.description);
    }
}
