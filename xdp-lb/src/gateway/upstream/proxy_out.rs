//! The header of the PROXY protocol, version 2, that a connection to a server may begin with: who the client is.
//! <https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>, section 2.2.

use std::net::{IpAddr, SocketAddr};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// The header: for these ends of the client's connection, or of a connection of the gateway's own.
pub(super) fn header(ends: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let mut header = Vec::with_capacity(52);
    header.extend(SIGNATURE);
    let Some((client, local)) = ends else {
        header.extend([LOCAL, 0, 0, 0]);
        return header;
    };
    header.push(PROXY);
    match (client.ip().to_canonical(), local.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            header.extend([TCP_OVER_IPV4, 0, 12]);
            header.extend(from.octets());
            header.extend(to.octets());
        }
        (from, to) => {
            header.extend([TCP_OVER_IPV6, 0, 36]);
            header.extend(wide(from));
            header.extend(wide(to));
        }
    }
    header.extend(client.port().to_be_bytes());
    header.extend(local.port().to_be_bytes());
    header
}

/// Both ends have to be of one family.
fn wide(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_as_specified() {
        let v4 = b"\x21\x11\x00\x0c\xc0\x00\x02\x01\xcb\x00\x71\x0a\x30\x39\x01\xbb".to_vec();
        let mut v6 = b"\x21\x21\x00\x24".to_vec();
        v6.extend("2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets());
        v6.extend("::ffff:203.0.113.10".parse::<std::net::Ipv6Addr>().unwrap().octets());
        v6.extend([0x30, 0x39, 0x01, 0xbb]);
        for (what, client, local, expected) in [
            ("IPv4", "192.0.2.1:12345", "203.0.113.10:443", &v4),
            ("IPv4 at a socket of both", "[::ffff:192.0.2.1]:12345", "[::ffff:203.0.113.10]:443", &v4),
            ("one of each family", "[2001:db8::1]:12345", "203.0.113.10:443", &v6),
        ] {
            let header = header(Some((client.parse().unwrap(), local.parse().unwrap())));
            assert_eq!(&header[..12], b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a", "{what}");
            assert_eq!(&header[12..], &expected[..], "{what}");
        }
        assert_eq!(&header(None)[12..], b"\x20\x00\x00\x00");
    }
}
