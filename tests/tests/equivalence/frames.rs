//! Random frames: good ones, good ones with something broken, and noise.

use proptest::prelude::*;
use xdp_lb_tests::packet::{ACK, FIN, Packet, RST, SYN, echo_request, icmp, other, tcp, udp};

/// The shortest frame that the kernel lets a program see.
pub(crate) const LEAST: usize = 14;

/// Any frame.
pub(crate) fn frame() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        12 => packet().prop_map(|packet| packet.frame()),
        4 => broken(packet().prop_map(|packet| packet.frame()).boxed()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => noise_behind_a_header(),
    ]
    .boxed()
}

/// A packet, mostly a good one, mostly to a VIP, in up to three VLANs.
fn packet() -> BoxedStrategy<Packet> {
    let odd_one = prop_oneof![3 => Just(None), 1 => (0..8_u8, any::<u8>()).prop_map(Some)];
    (prop_oneof![7 => flow(), 2 => message()], link(), any::<u8>(), any::<bool>(), odd_one)
        .prop_map(|(packet, (tags, padding), class, dont_fragment, odd_one)| {
            let packet = tags.into_iter().fold(packet, Packet::vlan).class(class);
            let packet = if dont_fragment { packet.dont_fragment() } else { packet };
            let packet = packet.trailer(&vec![0; padding]);
            odd_one.map_or_else(|| packet.clone(), |(kind, value)| odd(packet.clone(), kind, value))
        })
        .boxed()
}

fn link() -> BoxedStrategy<(Vec<u16>, usize)> {
    let tags = prop_oneof![20 => Just(0), 3 => Just(1), 3 => Just(2), 1 => Just(3)];
    (
        tags.prop_flat_map(|n| prop::collection::vec(1..4095_u16, n)),
        prop_oneof![3 => Just(0), 1 => 0..30_usize],
    )
        .boxed()
}

/// A segment or datagram of one of a few clients.
pub(crate) fn flow() -> BoxedStrategy<Packet> {
    let flags = prop_oneof![3 => Just(SYN), 5 => Just(ACK), 1 => Just(FIN | ACK), 1 => Just(RST)];
    let service = prop::sample::select(vec![
        ("203.0.113.10", 80, true),
        ("2001:db8::10", 80, true),
        ("203.0.113.20", 443, true),
        ("203.0.113.20", 8443, true),
        ("203.0.113.11", 80, true),
        ("203.0.113.10", 53, false),
        ("2001:db8::10", 53, false),
        ("203.0.113.10", 5060, false),
        ("2001:db8::20", 7, false),
        ("203.0.113.30", 80, true),
        ("2001:db8::30", 80, true),
        ("203.0.113.30", 5060, false),
    ]);
    (service, 1000..1016_u16, flags, payload(), 0..6_u8)
        .prop_map(|((address, port, is_tcp), client, flags, payload, extra)| {
            let v6 = address.contains(':');
            let source =
                if v6 { format!("[2001:db8:1::7]:{client}") } else { format!("198.51.100.7:{client}") };
            let service = if v6 { format!("[{address}]:{port}") } else { format!("{address}:{port}") };
            let packet = if is_tcp { tcp(&source, &service).flags(flags) } else { udp(&source, &service) };
            extended(packet.payload(&payload), extra)
        })
        .boxed()
}

/// Lengths around what matters: odd ones, and those that no longer fit the way.
fn payload() -> BoxedStrategy<Vec<u8>> {
    let length = prop_oneof![4 => 0..40_usize, 1 => 1180..1300_usize, 1 => 1400..1480_usize];
    (length, any::<u8>())
        .prop_map(|(length, step)| (0..length).map(|n| (n as u8).wrapping_mul(step)).collect())
        .boxed()
}

/// IPv4 options or IPv6 extension headers.
fn extended(packet: Packet, extra: u8) -> Packet {
    match (packet.is_v4(), extra) {
        (true, 4) => packet.options(&[1; 4]),
        (true, 5) => packet.options(&[1; 40]),
        (false, 4) => packet.extension(0, &[1, 4, 0, 0, 0, 0]).fragment(0, false),
        (false, 5) => packet.extension(60, &[&[1, 28][..], &[0; 28]].concat()),
        _ => packet,
    }
}

/// ICMP of all sorts, and other protocols.
fn message() -> BoxedStrategy<Packet> {
    prop_oneof![
        (any::<bool>(), any::<[u16; 2]>(), payload()).prop_map(|(v4, [id, sequence], payload)| {
            let (source, vip) =
                if v4 { ("192.0.2.1", "203.0.113.10") } else { ("2001:db8::1", "2001:db8::10") };
            echo_request(source, vip, id, sequence).payload(&payload)
        }),
        (flow(), prop_oneof![1 => 0..14_u8, 3 => 1..4_u8], any::<u8>(), 0..60_usize).prop_map(
            |(packet, kind, code, quoted)| {
                let quote = packet.reversed().quoted(quoted);
                let vip = packet.destination().to_string();
                if packet.is_v4() {
                    icmp("192.0.2.1", &vip, kind, code, [0; 4]).payload(&quote)
                } else {
                    icmp("2001:db8::1", &vip, kind, code, [0; 4]).payload(&quote)
                }
            }
        ),
        any::<u8>().prop_map(|protocol| other("192.0.2.1", "203.0.113.10", protocol, &[0; 40])),
        any::<u8>().prop_map(|protocol| other("2001:db8::1", "2001:db8::10", protocol, &[0; 40])),
    ]
    .boxed()
}

/// One thing about a packet is not what it should be, and the lengths around it are as if it were.
fn odd(packet: Packet, kind: u8, value: u8) -> Packet {
    match kind {
        0 => packet.transport_len(usize::from(value % 24)),
        1 => packet.tcp_header_words(value % 16).flags(value),
        2 => packet.udp_length(u16::from(value % 64)),
        3 => packet.fragment(u16::from(value / 2 % 3), value % 2 == 1),
        4 if packet.is_v4() => packet.header_words(value % 16),
        4 => (0..value % 8).fold(packet, |packet, _| packet.extension(60, &[1, 4, 0, 0, 0, 0])),
        5 if packet.is_v4() => packet.ip_length(u16::from(value)),
        5 => packet.extension(43, &[4, value % 2, 0, 0, 0, 0]),
        6 => packet.version(value % 8),
        _ => packet
            .extension(60, &[0; 254])
            .extension(60, &[&[0; 254][..], &[0; 8][..usize::from(value % 2) * 8]].concat()),
    }
}

/// One to three changes to a frame, mostly to its headers.
pub(crate) fn broken(frames: BoxedStrategy<Vec<u8>>) -> BoxedStrategy<Vec<u8>> {
    let change = (0..5_u8, prop_oneof![4 => 12..90_usize, 1 => 0..1500_usize], any::<u8>());
    (frames, prop::collection::vec(change, 1..4))
        .prop_map(|(mut frame, changes)| {
            for (kind, position, value) in changes {
                let length = frame.len();
                match kind {
                    0 => frame.truncate(position),
                    1 => frame.extend(vec![value; position % 30]),
                    2 if length > 0 => frame[position % length] ^= 1 << (value % 8),
                    3 if length > 0 => frame[position % length] = [0, 1, 0x7f, 0xff][usize::from(value % 4)],
                    _ if length > 0 => frame[position % length] = value,
                    _ => {}
                }
            }
            frame
        })
        .boxed()
}

fn noise_behind_a_header() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop::sample::select(vec![
        [0x08, 0x00, 0x45],
        [0x08, 0x00, 0x4f],
        [0x86, 0xdd, 0x60],
        [0x81, 0x00, 0x00],
        [0x88, 0xa8, 0x00],
    ]);
    (kind, prop::collection::vec(any::<u8>(), 0..120))
        .prop_map(|(kind, noise)| [&[2; 12][..], &kind, &noise].concat())
}
