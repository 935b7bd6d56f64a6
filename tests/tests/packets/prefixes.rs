//! Frames cut off at every byte: nothing is guessed, and what is left to the host is left as it came.

use xdp_lb_common::reason::Outcome;
use xdp_lb_tests::packet::{Packet, echo_request, icmp};
use xdp_lb_tests::require_root;
use xdp_lb_tests::world::services::{self, *};
use xdp_lb_tests::world::{Handled, HostTerminator, KernelTerminator, World, in_own_network};

use crate::given::*;
use crate::{decap_rows, host, kernel};

/// The shortest frame that the kernel lets a program see.
const LEAST: usize = 14;

fn good() -> Vec<Packet> {
    vec![
        ack4(),
        ack4().options(&[1; 8]).service_vlan(6).vlan(5),
        ack6(),
        ack6().vlan(5).extension(0, &[1, 4, 0, 0, 0, 0]).fragment(0, false),
        query4(),
        query6(),
        echo_request(ROUTER4, VIP4, 1, 1).payload(b"odd"),
        echo_request(ROUTER6, VIP6, 1, 1).payload(b"odd"),
        icmp(ROUTER4, VIP4, 3, 4, [0, 0, 5, 0x14]).payload(&ack4().reversed().quoted(8)),
        icmp(ROUTER6, VIP6, 2, 0, [0, 0, 5, 0]).payload(&ack6().reversed().quoted(8)),
        ack4().tunnelled(ROUTER4.parse().unwrap(), VIP4.parse().unwrap()),
    ]
}

fn try_all(packets: Vec<Packet>, least: usize, mut handle: impl FnMut(&[u8]) -> Handled) {
    for packet in packets {
        let frame = packet.frame();
        for length in least..frame.len() {
            let handled = handle(&frame[..length]);
            let outcome = handled.reason.outcome();
            assert!(
                matches!(outcome, Outcome::Drop | Outcome::Pass),
                "{packet:?} of {length} bytes: {handled:?}"
            );
            if outcome == Outcome::Pass {
                assert_eq!(handled.bytes, frame[..length], "{packet:?} of {length} bytes");
            }
        }
    }
}

/// Sends the packets through a tunnel, which writes the most.
fn through_tunnels(world: &mut impl World) {
    for vip in [WEB4, WEB6, DNS4, DNS6] {
        let slot = xdp_lb_common::slot::Slot::stable(TUNNEL6.id());
        services::apply(world, &[services::table(vip, slot)]);
    }
}

#[test]
fn cut_off_on_the_host() {
    let mut world = host();
    through_tunnels(&mut world);
    try_all(good(), 0, |frame| world.handle(frame));
}

#[test]
fn cut_off_in_the_kernel() {
    require_root!();
    in_own_network(&[], || {
        let mut world = kernel();
        through_tunnels(&mut world);
        try_all(good(), LEAST, |frame| world.handle(frame));
    });
}

fn tunnels() -> Vec<Packet> {
    let inside = |packet: Packet, source: &str, destination: &str| {
        packet.tunnelled(source.parse().unwrap(), destination.parse().unwrap())
    };
    vec![
        inside(ack4(), "172.16.1.1", "10.0.0.3"),
        inside(ack6(), "172.16.1.1", "10.0.0.3").vlan(5),
        inside(ack4(), "100::1", "fd00::4").service_vlan(6).vlan(5),
        inside(ack6(), "100::1", "fd00::4"),
    ]
}

#[test]
fn tunnels_cut_off_on_the_host() {
    let terminator = HostTerminator::new(&decap_rows::ADDRESSES, &decap_rows::SOURCES);
    try_all(tunnels(), 0, |frame| terminator.handle(frame));
}

#[test]
fn tunnels_cut_off_in_the_kernel() {
    require_root!();
    in_own_network(&[], || {
        let settings = HostTerminator::new(&decap_rows::ADDRESSES, &decap_rows::SOURCES).0;
        let mut terminator = KernelTerminator::load(&settings);
        try_all(tunnels(), LEAST, |frame| terminator.handle(frame));
    });
}
