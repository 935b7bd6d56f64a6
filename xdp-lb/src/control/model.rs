//! The forwarding invariant under random histories: a small kernel that obeys control's commands, clients whose
//! connections live through it, and an operator who changes things.
//!
//! A live connection whose server has not failed never changes backend, with the flow table full or far too small,
//! inserts refused, many connections in one slot, and the agent killed between any two commands. Connections are never
//! silent for as long as `drain`: that is what it means. Those of a VIP that was removed are not kept, but they may go on
//! sending when it is there again, and harm no others.

mod kernel;
mod world;

use proptest::prelude::*;

use world::World;

/// Seconds.
const DRAIN: u64 = 10;
const SERVERS: u8 = 6;
const VIPS: usize = 2;

/// What the operator, the servers and the clients do.
#[derive(Clone, Debug)]
enum Step {
    Weight(usize, u8, u16),
    Drain(usize, u8, bool),
    Present(usize, u8, bool),
    VipPresent(usize, bool),
    Healthy(u8, bool),
    /// The route to a server leads through a gateway, which ends what is forwarded there by MAC address.
    Detour(u8, bool),
    /// A server reports from now on that so many percent of it are in use; nothing any more above 100.
    Load(u8, u8),
    Open(usize, u8),
    Close(u8),
    Refuse(u8),
    Wait(u8),
    /// The agent dies after this many commands of the next reload and starts anew.
    KillReloading(u8, u16),
}

fn step() -> impl Strategy<Value = Step> {
    let vip = 0..VIPS;
    let server = 1..=SERVERS;
    prop_oneof![
        3 => (vip.clone(), server.clone(), prop::sample::select(vec![0, 1, 50, 100, 300]))
            .prop_map(|(v, s, w)| Step::Weight(v, s, w)),
        2 => (vip.clone(), server.clone(), any::<bool>()).prop_map(|(v, s, on)| Step::Drain(v, s, on)),
        4 => (vip.clone(), server.clone(), any::<bool>()).prop_map(|(v, s, on)| Step::Present(v, s, on)),
        1 => (vip.clone(), prop::bool::weighted(0.8)).prop_map(|(v, on)| Step::VipPresent(v, on)),
        3 => (server.clone(), prop::bool::weighted(0.6)).prop_map(|(s, on)| Step::Healthy(s, on)),
        1 => (server.clone(), any::<bool>()).prop_map(|(s, on)| Step::Detour(s, on)),
        3 => (server.clone(), 0u8..110).prop_map(|(s, percent)| Step::Load(s, percent)),
        6 => (vip, 1u8..20).prop_map(|(v, n)| Step::Open(v, n)),
        2 => (0u8..80).prop_map(Step::Close),
        2 => prop::sample::select(vec![0, 0, 30, 100]).prop_map(Step::Refuse),
        8 => (1u8..30).prop_map(Step::Wait),
        1 => (0u8..12, 1u16..400).prop_map(|(n, w)| Step::KillReloading(n, w)),
    ]
}

proptest! {
    #[test]
    fn live_connections_keep_their_backend(
        seed in any::<u64>(),
        room in prop::sample::select(vec![0, 4, 16, 1000]),
        crowded in any::<bool>(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(seed, room, crowded);
        for step in steps {
            world.step(step);
        }
        world.wait(80);
    }
}
