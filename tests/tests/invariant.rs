//! The forwarding invariant, end to end on the host: control decides, its orders fill the maps, and the program that
//! the kernel runs handles every packet.
//!
//! Under any sequence of weight changes, additions, drains, removals, re-additions and reloads, a live connection whose
//! server is not hard down never changes its server: with the flow table full, with the insert limit active, and with
//! the agent hanging, dying between any two commands and starting again. Beside it, at all times:
//!
//! - no packet goes to a backend that is cleared or down, and none is dropped while a server takes it;
//! - a new connection goes to a server that takes new ones, unless it could not be recorded;
//! - no backend is given up, and no id used again, while a live connection is there;
//! - after a time of quiet no flow is looked up any more, and the tables are those of an agent that has seen nothing.
//!
//! A history that breaks one of these is printed, shrunk, in words: put it into `corpus/invariant/`, where it is played
//! again from then on.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops where it stands")]

#[path = "invariant/adopt.rs"]
mod adopt;
#[path = "invariant/balancer.rs"]
mod balancer;
#[path = "invariant/client.rs"]
mod client;
#[path = "invariant/clients.rs"]
mod clients;
#[path = "invariant/history.rs"]
mod history;
#[path = "invariant/plan.rs"]
mod plan;
#[path = "invariant/rng.rs"]
mod rng;
#[path = "invariant/words.rs"]
mod words;
#[path = "invariant/world.rs"]
mod world;

use std::path::Path;

use history::{History, histories};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestError, TestRunner};
use world::Scene;

/// Whether something holds that has to; else what does not, in words.
pub(crate) type Holds<T = ()> = Result<T, String>;

/// Random histories, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 256;

/// Most steps of a history.
const LENGTH: usize = 80;

#[test]
fn live_connections_keep_their_server() {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    let result = TestRunner::new(config)
        .run(&histories(LENGTH), |history| play(&history).map_err(TestCaseError::fail));
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, history)) => panic!("{reason}\n\nThe history:\n\n{history}"),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

#[test]
fn histories_of_the_corpus_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/invariant");
    let mut paths: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = path.display();
        let text = std::fs::read_to_string(&path).unwrap();
        let history: History = text.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
        play(&history).unwrap_or_else(|broken| panic!("{name}: {broken}"));
    }
}

proptest! {
    #[test]
    fn histories_are_read_back_as_written(history in histories(LENGTH)) {
        prop_assert_eq!(history.to_string().parse(), Ok(history));
    }
}

fn play(history: &History) -> Holds {
    let mut scene = Scene::new(history)?;
    for step in &history.steps {
        scene.step(step).map_err(|broken| format!("second {}, {step}: {broken}", scene.second()))?;
    }
    scene.finish().map_err(|broken| format!("second {}, at the end: {broken}", scene.second()))
}
