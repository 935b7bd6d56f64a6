//! The flow hash once more, by its definition: what all balancers have to agree about, and what the outer source
//! address and the flow label of tunnels show.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use xdp_lb_tests::packet::Packet;
use xdp_lb_tests::world::services::Server;

/// `agent.hash_seed` by default.
const SEED: u64 = 0x7864_702d_6c62;

/// Hash of a flow from client to VIP.
pub(crate) fn flow_hash(source: SocketAddr, destination: SocketAddr, protocol: u8) -> u64 {
    let port = |address: SocketAddr| u64::from(u16::from_le_bytes(address.port().to_be_bytes()));
    let transport = port(source) | port(destination) << 16 | u64::from(protocol) << 32;
    let addresses = match (source.ip(), destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let word = |address: Ipv4Addr| u64::from(u32::from_le_bytes(address.octets()));
            absorb(SEED, [word(source) | word(destination) << 32])
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let halves = |address: Ipv6Addr| {
                let number = u128::from_le_bytes(address.octets());
                [number as u64, (number >> 64) as u64]
            };
            absorb(SEED, halves(source)) ^ absorb(!SEED, halves(destination)).rotate_left(32)
        }
        _ => panic!("families differ"),
    };
    absorb(addresses, [transport])
}

fn absorb<const N: usize>(state: u64, words: [u64; N]) -> u64 {
    words.iter().fold(state, |state, word| {
        let product = (state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        product ^ product >> 32
    })
}

/// What the backend `server` gets of `packet`, which belongs to the flow from `source` to `destination`: in a tunnel
/// from 172.16.0.0/16 or 100::/64.
pub(crate) fn tunnelled(
    server: Server,
    packet: &Packet,
    source: &str,
    destination: &str,
    protocol: u8,
) -> Packet {
    let hash = flow_hash(source.parse().unwrap(), destination.parse().unwrap(), protocol);
    let [a, b, c, d] = (hash as u32).to_le_bytes();
    let packet = server.addressed(packet);
    match server.ip() {
        IpAddr::V4(_) => packet.tunnelled(Ipv4Addr::new(172, 16, c, d).into(), server.ip()),
        IpAddr::V6(_) => {
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let outer = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, high, low);
            packet.tunnelled(outer.into(), server.ip()).label(hash as u32 & 0xf_ffff)
        }
    }
}
