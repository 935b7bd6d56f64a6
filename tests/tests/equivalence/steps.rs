//! Random histories: frames, and between them what the agent does to the tables.

use std::time::Duration;

use proptest::prelude::*;
use xdp_lb::control::Command;
use xdp_lb_common::ids::VipId;
use xdp_lb_common::slot::Slot;
use xdp_lb_tests::world::World;
use xdp_lb_tests::world::services::*;

use crate::frames::frame;

/// One step of a history.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Frame(Vec<u8>),
    Order(Command),
    Seconds(u64),
}

/// Some steps, of which the first lead every table somewhere.
pub(crate) fn histories() -> impl Strategy<Value = Vec<Step>> {
    let tables = VIPS.map(|vip| slot().prop_map(move |slot| Step::Order(table(vip, slot))));
    let steps = prop::collection::vec(step(), 1..40);
    (tables, steps).prop_map(|(tables, steps)| [&tables[..], &steps].concat())
}

const VIPS: [VipId; 8] = [WEB4, WEB6, DNS4, DNS6, ANY4, EXACT4, SIP4, ANY6];

fn server() -> impl Strategy<Value = Server> {
    prop_oneof![30 => prop::sample::select(SERVERS.to_vec()), 1 => Just(NOWHERE)]
}

fn slot() -> BoxedStrategy<Slot> {
    prop_oneof![
        1 => Just(Slot::EMPTY),
        4 => server().prop_map(|server| Slot::stable(server.id())),
        10 => (server(), server()).prop_map(|(base, current)| Slot::tracked(base.id(), current.id())),
        1 => any::<u32>().prop_map(Slot::from_word),
    ]
    .boxed()
}

fn step() -> impl Strategy<Value = Step> {
    let known = || prop::sample::select(SERVERS.to_vec());
    prop_oneof![
        30 => frame().prop_map(Step::Frame),
        2 => (prop::sample::select(VIPS.to_vec()), slot()).prop_map(|(vip, slot)| Step::Order(table(vip, slot))),
        1 => (known(), any::<bool>()).prop_map(|(server, down)| Step::Order(Command::WriteBackend(server.record(down)))),
        1 => known().prop_map(|server| Step::Order(Command::PurgeFlows(server.id()))),
        1 => known().prop_map(|server| Step::Order(Command::ClearBackend(server.id()))),
        2 => prop::sample::select(vec![1, 5, 11, 61]).prop_map(Step::Seconds),
    ]
}

impl Step {
    /// Does what is not a frame, and gives back what is.
    pub(crate) fn carry_out(&self, world: &mut impl World) -> Option<Vec<u8>> {
        match self {
            Self::Frame(frame) => return Some(frame.clone()),
            Self::Order(command) => apply(world, std::slice::from_ref(command)),
            Self::Seconds(seconds) => world.advance_epoch(Duration::from_secs(*seconds)),
        }
        None
    }
}
