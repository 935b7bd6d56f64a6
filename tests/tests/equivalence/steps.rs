//! Random histories: frames, and between them what the agent does to the tables.

use std::time::Duration;

use proptest::prelude::*;
use xdp_lb::control::{Command, Load};
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
    let tables = VIPS.map(|vip| order_of_slots(vip).prop_map(Step::Order));
    let steps = prop::collection::vec(step(), 1..40);
    (tables, order_of_loads(), steps)
        .prop_map(|(tables, loads, steps)| [&tables[..], &[Step::Order(loads)], &steps].concat())
}

const VIPS: [VipId; 11] = [WEB4, WEB6, DNS4, DNS6, ANY4, EXACT4, SIP4, ANY6, TWO4, TWO6, TWO_SIP4];

/// One slot everywhere, or two by turns where there is a choice between two.
fn order_of_slots(vip: VipId) -> impl Strategy<Value = Command> {
    let turns = [TWO4, TWO6, TWO_SIP4].contains(&vip);
    (slot(), slot()).prop_map(move |(even, odd)| {
        let slot = |position: u32| if turns && position % 2 == 1 { odd } else { even };
        Command::WriteSlots {
            vip,
            changes: (0..TABLE_SIZE).map(|position| (position, slot(position))).collect(),
        }
    })
}

fn order_of_loads() -> impl Strategy<Value = Command> {
    let number = || prop_oneof![4 => 0..4_u32, 1 => any::<u32>()];
    let load = (number(), number()).prop_map(|(standing, per_flow)| Load { standing, per_flow });
    prop::collection::vec(load, SERVERS.len()).prop_map(|loads| {
        Command::WriteLoads(SERVERS.iter().zip(loads).map(|(server, load)| (server.id(), load)).collect())
    })
}

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
        2 => prop::sample::select(VIPS.to_vec()).prop_flat_map(order_of_slots).prop_map(Step::Order),
        1 => order_of_loads().prop_map(Step::Order),
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
