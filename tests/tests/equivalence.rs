//! Host and kernel do the same: random histories of frames and orders end alike in every byte, reason, counter,
//! recorded flow and count of connections in flight. And what the balancer wraps, the backend's side unwraps.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops where it stands")]

#[path = "equivalence/frames.rs"]
mod frames;
#[path = "equivalence/round_trip.rs"]
mod round_trip;
#[path = "equivalence/steps.rs"]
mod steps;

use std::cell::RefCell;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestCaseError, TestRunner};
use steps::{Step, histories};
use xdp_lb::config::Agent;
use xdp_lb::datapath::Datapath;
use xdp_lb_common::reason::Outcome;
use xdp_lb_tests::require_root;
use xdp_lb_tests::world::services;
use xdp_lb_tests::world::{HostTables, KernelProgram, World, agent, in_own_network};

/// Random cases of each test, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 300;

fn runner() -> TestRunner {
    let mut config = ProptestConfig {
        // Failures are written down beside this file and tried first from then on.
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("proptest-regressions"))),
        max_global_rejects: u32::MAX,
        ..ProptestConfig::with_source_file(file!())
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    TestRunner::new(config)
}

fn run<S: Strategy>(strategy: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    runner().run(strategy, test).unwrap_or_else(|failure| panic!("{failure}"));
}

/// Two buckets for recorded flows, and limits that a history can reach.
fn small_agent() -> Agent {
    let limits = "flow_idle = \"10s\"\nflow_insert_limit = 10\nicmp_limit = 2";
    let mut agent = agent(&format!("{}\n{limits}", services::AGENT));
    agent.flow_entries = 16;
    agent
}

fn begin(world: &mut impl World) {
    services::apply(world, &services::reset());
    world.advance_epoch(Duration::from_secs(1));
}

#[test]
fn histories_on_the_host() {
    let world = RefCell::new(HostTables::new(&small_agent(), 1));
    services::apply(&mut *world.borrow_mut(), &services::fill());
    run(&histories(), |history| {
        let world = &mut *world.borrow_mut();
        begin(world);
        for step in history {
            let Some(frame) = step.carry_out(world) else { continue };
            let handled = world.handle(&frame);
            if handled.reason.outcome() == Outcome::Pass {
                prop_assert_eq!(&handled.bytes, &frame, "{:?}", handled.reason);
            }
        }
        Ok(())
    });
}

#[test]
fn histories_in_the_kernel_end_as_on_the_host() {
    require_root!();
    in_own_network(&[], || {
        let mut kernel = KernelProgram::load(&small_agent());
        let mut host = HostTables::new(&small_agent(), kernel.settings().flow_seed);
        services::apply(&mut kernel, &services::fill());
        services::apply(&mut host, &services::fill());
        assert_eq!(host.settings(), kernel.settings());
        let worlds = RefCell::new((host, kernel));
        run(&histories(), |history| {
            let (host, kernel) = &mut *worlds.borrow_mut();
            compare(host, kernel, &history)
        });
    });
}

fn compare(host: &mut HostTables, kernel: &mut KernelProgram, history: &[Step]) -> Result<(), TestCaseError> {
    begin(host);
    begin(kernel);
    for (number, step) in history.iter().enumerate() {
        step.carry_out(kernel);
        let Some(frame) = step.carry_out(host).filter(|frame| frame.len() >= frames::LEAST) else { continue };
        let expected = host.handle(&frame);
        let got = kernel.handle(&frame);
        prop_assert_eq!(got, expected, "step {}, frame {:02x?}", number, frame);
    }
    for server in services::SERVERS {
        prop_assert_eq!(
            Datapath::load(kernel, server.id()),
            Datapath::load(host, server.id()),
            "{:?}",
            server
        );
    }
    #[expect(clippy::disallowed_methods, reason = "the time is handed through and decides nothing")]
    let now = Instant::now();
    prop_assert_eq!(kernel.sweep(1, now), host.sweep(1, now));
    Ok(())
}
