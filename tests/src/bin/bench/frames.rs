//! The packets that are measured: the smallest there are.

use std::net::IpAddr;

use xdp_lb_common::bench::BenchSettings;

/// What a frame is for and what it does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) vip: &'static str,
    pub(crate) protocol: u8,
    pub(crate) tcp_flags: u8,
}

const ACK: u8 = 0x10;
const SYN: u8 = 0x02;

impl Frame {
    pub(crate) const TCP4: Self = Self { vip: "203.0.113.1", protocol: 6, tcp_flags: ACK };
    pub(crate) const TCP4_SYN: Self = Self { tcp_flags: SYN, ..Self::TCP4 };
    pub(crate) const TCP4_MOVED: Self = Self { vip: "203.0.113.2", ..Self::TCP4 };
    pub(crate) const TCP4_MOVED_SYN: Self = Self { vip: "203.0.113.3", tcp_flags: SYN, ..Self::TCP4 };
    pub(crate) const TCP4_TWO: Self = Self { vip: "203.0.113.4", ..Self::TCP4 };
    pub(crate) const TCP4_TWO_SYN: Self = Self { vip: "203.0.113.5", tcp_flags: SYN, ..Self::TCP4 };
    pub(crate) const UDP4: Self = Self { protocol: 17, ..Self::TCP4 };
    pub(crate) const TCP6: Self = Self { vip: "2001:db8::1", ..Self::TCP4 };
    pub(crate) const OTHER: Self = Self { vip: "198.51.100.1", ..Self::TCP4 };

    pub(crate) fn address(&self) -> IpAddr {
        self.vip.parse().unwrap_or_else(|_| unreachable!("{} is an address", self.vip))
    }

    /// The bytes, from the first client (10.0.0.0 or fd00::), padded to Ethernet's least.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let transport = self.transport();
        let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        match self.address() {
            IpAddr::V4(vip) => {
                let length = 20 + transport.len() as u8;
                bytes.extend([8, 0, 0x45, 0, 0, length, 0, 0, 0x40, 0, 64, self.protocol, 0, 0, 10, 0, 0, 0]);
                bytes.extend(vip.octets());
            }
            IpAddr::V6(vip) => {
                bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, transport.len() as u8, self.protocol, 64]);
                bytes.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                bytes.extend(vip.octets());
            }
        }
        bytes.extend(transport);
        bytes.resize(bytes.len().max(60), 0);
        bytes
    }

    fn transport(&self) -> Vec<u8> {
        let mut header = vec![0x9c, 0x40, 0, 80];
        match self.protocol {
            17 => header.extend([0, 8, 0, 0]),
            _ => header.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, self.tcp_flags, 0xff, 0xff, 0, 0, 0, 0]),
        }
        header
    }

    /// How the wrapper makes it anew.
    pub(crate) fn settings(&self, clients: u32) -> BenchSettings {
        let bytes = self.bytes();
        let mut ethernet = [[0; 8]; 2];
        ethernet[0].copy_from_slice(&bytes[..8]);
        ethernet[1][..6].copy_from_slice(&bytes[8..14]);
        let v4 = self.address().is_ipv4();
        BenchSettings {
            ethernet: ethernet.map(u64::from_ne_bytes),
            length: bytes.len() as u32,
            source: if v4 { 26 } else { 34 },
            first_client: if v4 { 10 << 24 } else { 0 },
            client_mask: clients - 1,
            runs: 0,
            reserved: 0,
        }
    }
}
