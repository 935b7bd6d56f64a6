//! The IP header of a packet in the making, either version.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Packet;
use super::verify::checksum;

/// Hop limit of a packet that came some way.
const RECEIVED_HOP_LIMIT: u8 = 57;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ip {
    addresses: Addresses,
    class: u8,
    hop_limit: u8,
    /// Where it is to be wrong.
    version: Option<u8>,
    /// Total length (IPv4) or payload length (IPv6), where it is to be wrong.
    length: Option<u16>,
    id: u16,
    /// IPv4's flags and fragment offset.
    fragment: u16,
    options: Vec<u8>,
    /// IPv4's header length in words, where it is to be wrong.
    header_words: Option<u8>,
    label: u32,
    /// IPv6 extension headers: type and bytes, of which the first will tell the next type.
    extensions: Vec<(u8, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Addresses {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl Ip {
    pub(super) fn new(source: IpAddr, destination: IpAddr) -> Self {
        let addresses = match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Addresses::V4(source, destination),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Addresses::V6(source, destination),
            _ => panic!("{source} and {destination} are of different families"),
        };
        Self {
            addresses,
            class: 0,
            hop_limit: RECEIVED_HOP_LIMIT,
            version: None,
            length: None,
            id: 0x1234,
            fragment: 0,
            options: Vec::new(),
            header_words: None,
            label: 0,
            extensions: Vec::new(),
        }
    }

    /// A tunnel's header around `inner`.
    pub(super) fn outer(source: IpAddr, destination: IpAddr, inner: &Self) -> Self {
        Self { class: inner.class, hop_limit: 64, id: 0, fragment: 0x4000, ..Self::new(source, destination) }
    }

    pub(super) fn reversed(&self) -> Self {
        let addresses = match self.addresses {
            Addresses::V4(source, destination) => Addresses::V4(destination, source),
            Addresses::V6(source, destination) => Addresses::V6(destination, source),
        };
        Self { addresses, ..self.clone() }
    }

    pub(super) fn is_v4(&self) -> bool {
        matches!(self.addresses, Addresses::V4(..))
    }

    /// Header and `transport`, which is of type `protocol`.
    pub(super) fn bytes(&self, protocol: u8, transport: &[u8]) -> Vec<u8> {
        match self.addresses {
            Addresses::V4(source, destination) => self.v4_bytes(source, destination, protocol, transport),
            Addresses::V6(source, destination) => self.v6_bytes(source, destination, protocol, transport),
        }
    }

    fn v4_bytes(&self, source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, transport: &[u8]) -> Vec<u8> {
        let words = 5 + self.options.len() as u8 / 4;
        let version = self.version.unwrap_or(4) << 4 | self.header_words.unwrap_or(words);
        let length = self.length.unwrap_or((20 + self.options.len() + transport.len()) as u16);
        let mut header = vec![version, self.class];
        header.extend([length, self.id, self.fragment].map(u16::to_be_bytes).concat());
        header.extend([self.hop_limit, protocol, 0, 0]);
        header.extend(source.octets());
        header.extend(destination.octets());
        header.extend(&self.options);
        let sum = checksum(&header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        [&header[..], transport].concat()
    }

    fn v6_bytes(&self, source: Ipv6Addr, destination: Ipv6Addr, protocol: u8, transport: &[u8]) -> Vec<u8> {
        let mut kinds: Vec<u8> = self.extensions.iter().map(|(kind, _)| *kind).collect();
        kinds.push(protocol);
        let mut payload = Vec::new();
        for ((_, bytes), next) in self.extensions.iter().zip(&kinds[1..]) {
            payload.push(*next);
            payload.extend(&bytes[1..]);
        }
        payload.extend(transport);
        let version = u32::from(self.version.unwrap_or(6));
        let mut header = (version << 28 | u32::from(self.class) << 20 | self.label).to_be_bytes().to_vec();
        header.extend(self.length.unwrap_or(payload.len() as u16).to_be_bytes());
        header.extend([kinds[0], self.hop_limit]);
        header.extend(source.octets());
        header.extend(destination.octets());
        [header, payload].concat()
    }

    /// What the checksum of TCP, UDP and ICMPv6 covers beside the transport (RFC 9293 section 3.1, RFC 8200 section
    /// 8.1).
    pub(super) fn pseudo_header(&self, protocol: u8, length: usize) -> Vec<u8> {
        match self.addresses {
            Addresses::V4(source, destination) => {
                super::verify::pseudo_v4(source, destination, protocol, length)
            }
            Addresses::V6(source, destination) => {
                super::verify::pseudo_v6(source, destination, protocol, length)
            }
        }
    }
}

impl Packet {
    /// Where it goes.
    pub fn destination(&self) -> IpAddr {
        match self.ip.addresses {
            Addresses::V4(_, destination) => destination.into(),
            Addresses::V6(_, destination) => destination.into(),
        }
    }

    /// TOS or traffic class: DSCP in the upper six bits, ECN in the lower two.
    pub fn class(mut self, class: u8) -> Self {
        self.ip.class = class;
        self
    }

    /// What [`Packet::class`] set.
    pub fn traffic_class(&self) -> u8 {
        self.ip.class
    }

    /// TTL or hop limit.
    pub fn hop_limit(mut self, hops: u8) -> Self {
        self.ip.hop_limit = hops;
        self
    }

    /// Version that the IP header tells.
    pub fn version(mut self, version: u8) -> Self {
        self.ip.version = Some(version);
        self
    }

    /// Length that the IP header tells: total length (IPv4) or payload length (IPv6).
    pub fn ip_length(mut self, bytes: u16) -> Self {
        self.ip.length = Some(bytes);
        self
    }

    /// IPv4 identification.
    pub fn id(mut self, id: u16) -> Self {
        self.ip.id = id;
        self
    }

    /// Sets IPv4's DF.
    pub fn dont_fragment(mut self) -> Self {
        self.ip.fragment |= 0x4000;
        self
    }

    /// Makes it a fragment, `offset` in units of eight bytes: by the IPv4 header, or by one more IPv6 extension header.
    pub fn fragment(mut self, offset: u16, more: bool) -> Self {
        if self.ip.is_v4() {
            self.ip.fragment |= offset | if more { 0x2000 } else { 0 };
            return self;
        }
        let [high, low] = (offset << 3 | u16::from(more)).to_be_bytes();
        self.ip.extensions.push((44, vec![0, 0, high, low, 0, 0, 0x12, 0x34]));
        self
    }

    /// IPv4 options: a multiple of four bytes.
    pub fn options(mut self, options: &[u8]) -> Self {
        self.ip.options = options.to_vec();
        self
    }

    /// Header length that the IPv4 header tells, in words of four bytes.
    pub fn header_words(mut self, words: u8) -> Self {
        self.ip.header_words = Some(words);
        self
    }

    /// IPv6 flow label.
    pub fn label(mut self, label: u32) -> Self {
        self.ip.label = label;
        self
    }

    /// One IPv6 extension header more, behind those that are there, with `body` after type and length: 6 bytes, or 8
    /// more, and so on.
    pub fn extension(mut self, kind: u8, body: &[u8]) -> Self {
        let units = (body.len() - 6) / 8;
        self.ip.extensions.push((kind, [&[0, units as u8], body].concat()));
        self
    }
}
