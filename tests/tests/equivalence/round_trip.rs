//! Through a tunnel and out of it again; and the backend's program against the host's code.

use std::cell::RefCell;

use proptest::prelude::*;
use xdp_lb_common::reason::{Outcome, Reason};
use xdp_lb_common::slot::Slot;
use xdp_lb_tests::packet::{Packet, tcp};
use xdp_lb_tests::require_root;
use xdp_lb_tests::world::services::{self, *};
use xdp_lb_tests::world::{
    HostTables, HostTerminator, KernelProgram, KernelTerminator, World, in_own_network,
};

use crate::frames::{LEAST, broken, flow, frame};
use crate::{run, small_agent};

/// Ends tunnels at the servers behind them, from where the balancer sends by default.
fn terminator() -> HostTerminator {
    HostTerminator::new(&[TUNNEL4.address, TUNNEL6.address], &["172.16.0.0/16", "100::/64"])
}

/// Leads everything through a tunnel.
fn through(world: &mut impl World, server: Server) {
    for vip in [WEB4, WEB6, DNS4, DNS6, ANY4, EXACT4] {
        services::apply(world, &[services::table(vip, Slot::stable(server.id()))]);
    }
}

fn filled<W: World>(mut world: W) -> W {
    services::apply(&mut world, &services::fill());
    world
}

/// One connection of each family, in no, one and two VLANs.
fn every_shape() -> Vec<Packet> {
    let connections =
        [tcp("198.51.100.7:1", "203.0.113.10:80"), tcp("[2001:db8:1::7]:1", "[2001:db8::10]:80")];
    let tags: [&[u16]; 3] = [&[], &[5], &[5, 6]];
    let tagged = |packet: &Packet, tags: &[u16]| tags.iter().fold(packet.clone(), |p, tag| p.vlan(*tag));
    connections.iter().flat_map(|packet| tags.map(|tags| tagged(packet, tags))).collect()
}

#[test]
fn every_family_in_every_family_comes_out_as_it_went_in() {
    let mut world = filled(HostTables::new(&small_agent(), 1));
    for server in [TUNNEL4, TUNNEL6] {
        through(&mut world, server);
        for packet in every_shape() {
            let packet = packet.payload(b"odd").class(0xff).trailer(&[0; 3]);
            let sent = world.handle(&packet.frame());
            assert_eq!(sent.reason, Reason::Forwarded, "{packet:?}");
            let received = terminator().handle(&sent.bytes);
            assert_eq!(received.reason, Reason::DecapTerminated, "{packet:?}");
            assert_eq!(received.bytes, server.addressed(&packet).frame(), "{packet:?} by {server:?}");
        }
    }
}

#[test]
fn the_kernels_programs_wrap_and_unwrap() {
    require_root!();
    in_own_network(&[], || {
        let mut world = filled(KernelProgram::load(&small_agent()));
        let mut terminator = KernelTerminator::load(&terminator().0);
        for server in [TUNNEL4, TUNNEL6] {
            through(&mut world, server);
            for packet in every_shape() {
                let sent = world.handle(&packet.frame());
                let received = terminator.handle(&sent.bytes);
                assert_eq!(received.reason, Reason::DecapTerminated, "{packet:?}");
                assert_eq!(received.bytes, server.addressed(&packet).frame(), "{packet:?} by {server:?}");
            }
        }
    });
}

#[test]
fn any_packet_comes_out_as_it_went_in() {
    let world = RefCell::new(filled(HostTables::new(&small_agent(), 1)));
    let packets = (flow(), prop::collection::vec(1..4095_u16, 0..3), any::<u8>(), any::<bool>());
    run(&packets, |(packet, tags, class, v6)| {
        let packet = tags.into_iter().fold(packet, Packet::vlan).class(class);
        let server = if v6 { TUNNEL6 } else { TUNNEL4 };
        let world = &mut *world.borrow_mut();
        through(world, server);
        let sent = world.handle(&packet.frame());
        prop_assume!(sent.reason == Reason::Forwarded && sent.forwarded.unwrap().backend == server.id());
        let received = terminator().handle(&sent.bytes);
        prop_assert_eq!(received.reason, Reason::DecapTerminated);
        prop_assert_eq!(received.bytes, server.addressed(&packet).frame());
        Ok(())
    });
}

/// Tunnel packets, good and broken, and everything else.
fn received() -> impl Strategy<Value = Vec<u8>> {
    let tunnel = || {
        let source = prop::sample::select(vec!["172.16.1.1", "172.17.1.1", "100::1", "100:0:0:1::1"]);
        (flow(), source, prop::collection::vec(1..4095_u16, 0..3), any::<u8>(), any::<u8>()).prop_map(
            |(packet, source, tags, inner, outer)| {
                let server = if source.contains(':') { TUNNEL6 } else { TUNNEL4 };
                let packet = tags.into_iter().fold(packet, Packet::vlan).class(inner);
                packet.tunnelled(source.parse().unwrap(), server.ip()).class(outer).frame()
            },
        )
    };
    prop_oneof![3 => tunnel(), 4 => broken(tunnel().boxed()), 1 => frame()]
}

#[test]
fn decap_on_the_host() {
    let terminator = terminator();
    run(&received(), |frame| {
        let handled = terminator.handle(&frame);
        if handled.reason.outcome() == Outcome::Pass && handled.reason != Reason::DecapTerminated {
            prop_assert_eq!(handled.bytes, frame);
        }
        Ok(())
    });
}

#[test]
fn decap_in_the_kernel_ends_as_on_the_host() {
    require_root!();
    in_own_network(&[], || {
        let kernel = RefCell::new(KernelTerminator::load(&terminator().0));
        run(&received(), |frame| {
            prop_assume!(frame.len() >= LEAST);
            prop_assert_eq!(
                kernel.borrow_mut().handle(&frame),
                terminator().handle(&frame),
                "{:02x?}",
                frame
            );
            Ok(())
        });
    });
}
