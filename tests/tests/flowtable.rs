//! What is remembered of a flow, where, and for how long; on the host and in the kernel.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops where it stands")]

use std::time::Duration;

use xdp_lb::control::Command;
use xdp_lb_common::slot::Slot;
use xdp_lb_tests::packet::{self, Packet};
use xdp_lb_tests::require_root;
use xdp_lb_tests::world::services::{self, ACROSS, BACK, SMALL, Server, TWO_SIP4, TWO4, WEB4};
use xdp_lb_tests::world::{HostTables, KernelProgram, World, agent};

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// Two buckets of eight places; a flow that talks is remembered for an hour.
fn worlds(test: impl Fn(&mut dyn Table)) {
    let mut agent = agent(&format!("{}\nflow_idle = \"1h\"", services::AGENT));
    agent.flow_entries = 16;
    test(&mut Began::new(HostTables::new(&agent, 7)));
    require_root!();
    test(&mut Began::new(KernelProgram::load(&agent)));
}

/// What the tests need of a world.
trait Table {
    fn send(&mut self, client: u16, flags: u8) -> Server;
    /// Every slot's old and new server.
    fn slots(&mut self, base: Server, current: Server);
    fn wait(&mut self, seconds: u64);
}

struct Began<W>(W);

impl<W: World> Began<W> {
    fn new(mut world: W) -> Self {
        services::apply(&mut world, &services::fill());
        Self(world)
    }
}

impl<W: World> Table for Began<W> {
    fn send(&mut self, client: u16, flags: u8) -> Server {
        let frame = segment(client, flags).frame();
        let backend = self.0.handle(&frame).forwarded.unwrap().backend;
        [BACK, ACROSS, SMALL].into_iter().find(|server| server.id() == backend).unwrap()
    }

    fn slots(&mut self, base: Server, current: Server) {
        let slot = Slot::tracked(base.id(), current.id());
        services::apply(&mut self.0, &[services::table(WEB4, slot)]);
    }

    fn wait(&mut self, seconds: u64) {
        self.0.advance_epoch(Duration::from_secs(seconds));
    }
}

fn segment(client: u16, flags: u8) -> Packet {
    packet::tcp(&format!("198.51.100.7:{}", 20_000 + client), "203.0.113.10:80").flags(flags)
}

fn ids(servers: impl IntoIterator<Item = Server>) -> Vec<u16> {
    servers.into_iter().map(|server| server.id().raw()).collect()
}

#[test]
fn sixteen_places_hold_sixteen_flows_and_the_next_stays_where_it_was() {
    worlds(|table| {
        table.slots(BACK, ACROSS);
        let opened = ids((0..17).map(|client| table.send(client, SYN)));
        assert_eq!(opened, ids([ACROSS; 16].into_iter().chain([BACK])));
        // Found again in both buckets, wherever the slots point by now.
        table.slots(BACK, SMALL);
        let after = ids((0..17).map(|client| table.send(client, ACK)));
        assert_eq!(after, opened);
    });
}

#[test]
fn a_single_syn_is_forgotten_after_a_minute_and_a_second_one_changes_nothing() {
    worlds(|table| {
        table.slots(BACK, ACROSS);
        for client in 0..16 {
            table.send(client, SYN);
        }
        table.wait(40);
        let again = ids((0..16).map(|client| table.send(client, SYN)));
        assert_eq!(again, ids([ACROSS; 16]), "sent again");
        table.wait(24);
        assert_eq!(table.send(100, SYN).id(), BACK.id(), "no place after 64 s");
        table.wait(1);
        assert_eq!(table.send(101, SYN).id(), ACROSS.id(), "a place after 65 s");
    });
}

#[test]
fn a_flow_that_talks_is_remembered_for_as_long_as_configured() {
    worlds(|table| {
        table.slots(BACK, ACROSS);
        for client in 0..16 {
            table.send(client, SYN);
            table.wait(1);
            table.send(client, ACK);
        }
        table.slots(BACK, SMALL);
        table.wait(3600 - 16);
        assert_eq!(table.send(100, SYN).id(), BACK.id(), "every place is held");
        let after = ids((0..16).map(|client| table.send(client, ACK)));
        assert_eq!(after, ids([ACROSS; 16]));
    });
}

#[test]
fn a_port_used_again_at_once_is_a_connection_of_its_own() {
    worlds(|table| {
        table.slots(BACK, ACROSS);
        table.send(1, SYN);
        table.send(1, FIN | ACK);
        assert_eq!(table.send(1, SYN).id(), ACROSS.id(), "follows the record of the one before");
        table.send(1, ACK);
        // Longer than a closed connection is remembered: others would have its place by then.
        table.wait(130);
        for client in 2..18 {
            table.send(client, SYN);
        }
        table.slots(BACK, SMALL);
        assert_eq!(table.send(1, ACK).id(), ACROSS.id());
    });
}

/// Connections in flight to `BACK` and `ACROSS` after each of the segments.
fn in_flight<W: World>(mut world: W, slots: impl Fn(u32) -> Slot, segments: &[(u16, u8)]) -> Vec<[i32; 2]> {
    services::apply(&mut world, &services::fill());
    let changes = (0..services::TABLE_SIZE).map(|position| (position, slots(position))).collect();
    services::apply(&mut world, &[Command::WriteSlots { vip: TWO4, changes }]);
    let mut counts = |&(client, flags): &(u16, u8)| {
        let segment = packet::tcp(&format!("198.51.100.7:{}", 20_000 + client), "203.0.113.30:80");
        world.handle(&segment.flags(flags).frame());
        [BACK, ACROSS].map(|server| world.load(server.id()).unwrap().in_flight)
    };
    segments.iter().map(&mut counts).collect()
}

#[test]
fn recorded_connections_are_in_flight_once_and_others_as_often_as_they_say() {
    let mut agent = agent(&format!("{}\nflow_idle = \"1h\"", services::AGENT));
    agent.flow_entries = 16;
    let moved = |_| Slot::tracked(BACK.id(), ACROSS.id());
    let recorded = [
        (1, SYN, [0, 1]),
        (1, SYN, [0, 1]), // sent again
        (1, ACK, [0, 1]),
        (2, SYN, [0, 2]),
        (1, FIN | ACK, [0, 1]),
        (1, FIN | ACK, [0, 1]), // sent again
        (1, RST, [0, 1]),
        (3, ACK, [0, 1]), // older than the move
        (3, RST, [0, 1]), // nothing to take off
        (1, SYN, [0, 2]), // the same ports used again
    ];
    let stable = |_| Slot::stable(BACK.id());
    let unrecorded = [
        (1, SYN, [1, 0]),
        (1, SYN, [2, 0]), // sent again: nobody can tell
        (1, ACK, [2, 0]),
        (1, FIN | ACK, [1, 0]),
        (1, RST, [0, 0]),
        (1, RST, [0, 0]),
        (2, SYN, [1, 0]),
    ];
    for (slots, table) in [(&moved as &dyn Fn(u32) -> Slot, &recorded[..]), (&stable, &unrecorded)] {
        let segments: Vec<_> = table.iter().map(|&(client, flags, _)| (client, flags)).collect();
        let expected: Vec<_> = table.iter().map(|&(.., counts)| counts).collect();
        assert_eq!(in_flight(HostTables::new(&agent, 7), slots, &segments), expected);
        require_root!();
        assert_eq!(in_flight(KernelProgram::load(&agent), slots, &segments), expected);
    }
}

#[test]
fn datagrams_of_a_flow_count_once_and_not_at_all_while_it_is_not_recorded() {
    fn counts(mut world: impl World) -> Vec<i32> {
        services::apply(&mut world, &services::fill());
        services::apply(&mut world, &[services::table(TWO_SIP4, Slot::stable(BACK.id()))]);
        let frame = packet::udp("198.51.100.7:20000", "203.0.113.30:5060").frame();
        let mut count = |_| {
            assert_eq!(world.handle(&frame).forwarded.unwrap().backend, BACK.id());
            world.load(BACK.id()).unwrap().in_flight
        };
        (0..3).map(&mut count).collect()
    }
    for (limit, expected) in [(1000, [1; 3]), (0, [0; 3])] {
        let agent = agent(&format!("{}\nflow_insert_limit = {limit}", services::AGENT));
        assert_eq!(counts(HostTables::new(&agent, 7)), expected, "{limit} a second");
        require_root!();
        assert_eq!(counts(KernelProgram::load(&agent)), expected, "{limit} a second");
    }
}
