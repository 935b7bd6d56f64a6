//! What an IP packet carries: TCP, UDP, ICMP, or bytes of another protocol.

use super::Packet;
use super::ip::Ip;
use super::verify::checksum;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Tcp { ports: [u16; 2], flags: u8, header_words: u8 },
    Udp { ports: [u16; 2], length: Option<u16> },
    Icmp { kind: u8, code: u8, rest: [u8; 4] },
    Other { protocol: u8 },
}

impl Content {
    pub(super) fn protocol(&self, ip: &Ip) -> u8 {
        match self {
            Self::Tcp { .. } => 6,
            Self::Udp { .. } => 17,
            Self::Icmp { .. } if ip.is_v4() => 1,
            Self::Icmp { .. } => 58,
            Self::Other { protocol } => *protocol,
        }
    }

    /// Header and payload, checksum included.
    pub(super) fn bytes(&self, ip: &Ip, payload: &[u8]) -> Vec<u8> {
        let (mut bytes, checksum_at) = match *self {
            Self::Tcp { ports: [source, destination], flags, header_words } => {
                let [a, b] = source.to_be_bytes();
                let [c, d] = destination.to_be_bytes();
                let ports_and_numbers = [a, b, c, d, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88];
                ([&ports_and_numbers[..], &[header_words << 4, flags, 0xfa, 0xf0, 0, 0, 0, 0]].concat(), 16)
            }
            Self::Udp { ports: [source, destination], length } => {
                let length = length.unwrap_or(8 + payload.len() as u16);
                ([source, destination, length, 0].map(u16::to_be_bytes).concat(), 6)
            }
            Self::Icmp { kind, code, rest: [a, b, c, d] } => (vec![kind, code, 0, 0, a, b, c, d], 2),
            Self::Other { .. } => return payload.to_vec(),
        };
        bytes.extend(payload);
        let pseudo = match self {
            Self::Icmp { .. } if ip.is_v4() => Vec::new(),
            _ => ip.pseudo_header(self.protocol(ip), bytes.len()),
        };
        let mut sum = checksum(&[&pseudo[..], &bytes].concat());
        if sum == 0 && matches!(self, Self::Udp { .. }) {
            // RFC 768: zero would say that there is none.
            sum = 0xffff;
        }
        bytes[checksum_at..checksum_at + 2].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    pub(super) fn reverse(&mut self) {
        if let Self::Tcp { ports, .. } | Self::Udp { ports, .. } = self {
            ports.reverse();
        }
    }
}

impl Packet {
    /// TCP flags.
    pub fn flags(mut self, value: u8) -> Self {
        if let Content::Tcp { flags, .. } = &mut self.content {
            *flags = value;
        }
        self
    }

    /// Length of the TCP header that its data offset tells, in words of four bytes.
    pub fn tcp_header_words(mut self, words: u8) -> Self {
        if let Content::Tcp { header_words, .. } = &mut self.content {
            *header_words = words;
        }
        self
    }

    /// Length that the UDP header tells.
    pub fn udp_length(mut self, bytes: u16) -> Self {
        if let Content::Udp { length, .. } = &mut self.content {
            *length = Some(bytes);
        }
        self
    }

    /// Type of an ICMP message.
    pub fn icmp_kind(mut self, value: u8) -> Self {
        if let Content::Icmp { kind, .. } = &mut self.content {
            *kind = value;
        }
        self
    }
}
