use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// First bytes of version 2.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and protocol, length.
const FIXED: usize = 16;

/// Most bytes that may follow: the addresses, and what proxies add for their own use.
const MOST: usize = 4096;

/// The two ends as the header tells them; none if the proxy speaks for itself.
pub(super) type Told = Option<(SocketAddr, SocketAddr)>;

/// Why a connection's first bytes are no header of version 2.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    #[error("it ended within the PROXY header: {0}")]
    Io(#[from] io::Error),
    #[error("it does not begin with a PROXY header of version 2")]
    NoHeader,
    #[error("the PROXY header has version and command {0:#04x}, where 0x20 (LOCAL) or 0x21 (PROXY) is known")]
    Command(u8),
    #[error("the PROXY header is for {0:#04x}, where 0x11 (TCP over IPv4) or 0x21 (TCP over IPv6) is served")]
    Family(u8),
    #[error("the PROXY header is {0} bytes long, which its addresses do not fit in or is over {MOST}")]
    Length(usize),
}

/// Reads the header, and not a byte more.
///
/// The PROXY protocol, versions 1 & 2, section 2.2. What follows the addresses (TLVs) is skipped.
pub(super) async fn read(socket: &mut (impl AsyncRead + Unpin)) -> Result<Told, HeaderError> {
    let mut fixed = [0; FIXED];
    let mut filled = 0;
    // Whoever speaks something else is told from the first bytes on: it may never send so many.
    while filled < FIXED {
        let count = socket.read(&mut fixed[filled..]).await?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        filled += count;
        let compared = filled.min(SIGNATURE.len());
        if fixed[..compared] != SIGNATURE[..compared] {
            return Err(HeaderError::NoHeader);
        }
    }
    let [.., command, family, high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MOST {
        return Err(HeaderError::Length(length));
    }
    let mut rest = vec![0; length];
    socket.read_exact(&mut rest).await?;
    match command {
        // The proxy's own connection, as for a health check: whatever addresses there are mean nothing.
        0x20 => Ok(None),
        0x21 => addresses(family, &rest).map(Some),
        other => Err(HeaderError::Command(other)),
    }
}

fn addresses(family: u8, rest: &[u8]) -> Result<(SocketAddr, SocketAddr), HeaderError> {
    let too_short = || HeaderError::Length(rest.len());
    let (source, destination, ports): (IpAddr, IpAddr, &[u8]) = match family {
        0x11 => {
            let (source, rest) = rest.split_first_chunk::<4>().ok_or_else(too_short)?;
            let (destination, rest) = rest.split_first_chunk::<4>().ok_or_else(too_short)?;
            (Ipv4Addr::from(*source).into(), Ipv4Addr::from(*destination).into(), rest)
        }
        0x21 => {
            let (source, rest) = rest.split_first_chunk::<16>().ok_or_else(too_short)?;
            let (destination, rest) = rest.split_first_chunk::<16>().ok_or_else(too_short)?;
            (Ipv6Addr::from(*source).into(), Ipv6Addr::from(*destination).into(), rest)
        }
        other => return Err(HeaderError::Family(other)),
    };
    let [a, b, c, d] = *ports.first_chunk::<4>().ok_or_else(too_short)?;
    let remote = SocketAddr::new(source.to_canonical(), u16::from_be_bytes([a, b]));
    let local = SocketAddr::new(destination.to_canonical(), u16::from_be_bytes([c, d]));
    Ok((remote, local))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(command: u8, family: u8, length: u16, rest: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    /// What was told, or the error's text; and what was left unread.
    async fn read_all(bytes: &[u8]) -> (Result<Told, String>, Vec<u8>) {
        let mut rest = bytes;
        let told = read(&mut rest).await.map_err(|error| error.to_string());
        (told, rest.to_vec())
    }

    #[tokio::test]
    async fn headers_that_are_valid() {
        let v4 = [192, 0, 2, 1, 198, 51, 100, 7, 0x30, 0x39, 0x01, 0xbb];
        let ends4 = Some(("192.0.2.1:12345".parse().unwrap(), "198.51.100.7:443".parse().unwrap()));
        let mut v6 = Vec::new();
        v6.extend("2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        v6.extend("2001:db8::2".parse::<Ipv6Addr>().unwrap().octets());
        v6.extend([0, 80, 0x1f, 0x90]);
        let ends6 = Some(("[2001:db8::1]:80".parse().unwrap(), "[2001:db8::2]:8080".parse().unwrap()));
        let mut mapped = Vec::new();
        mapped.extend("::ffff:192.0.2.1".parse::<Ipv6Addr>().unwrap().octets());
        mapped.extend("::ffff:198.51.100.7".parse::<Ipv6Addr>().unwrap().octets());
        mapped.extend([0x30, 0x39, 0x01, 0xbb]);
        let with_tlv = [&v4[..], &[0x04, 0, 3, 1, 2, 3]].concat();
        for (what, command, family, rest, told) in [
            ("IPv4", 0x21, 0x11, &v4[..], ends4),
            ("IPv6", 0x21, 0x21, &v6[..], ends6),
            ("IPv4 within IPv6", 0x21, 0x21, &mapped[..], ends4),
            ("with a TLV", 0x21, 0x11, &with_tlv[..], ends4),
            ("LOCAL", 0x20, 0x00, &[][..], None),
            ("LOCAL with addresses", 0x20, 0x11, &v4[..], None),
        ] {
            let length = u16::try_from(rest.len()).unwrap();
            let mut bytes = header(command, family, length, rest);
            bytes.extend(b"GET /");
            let (result, left) = read_all(&bytes).await;
            assert_eq!(result, Ok(told), "{what}");
            assert_eq!(left, b"GET /", "{what}: what follows is not touched");
        }
    }

    #[tokio::test]
    async fn all_else_is_refused() {
        for (what, bytes, error) in [
            ("nothing", vec![], "ended within"),
            ("plain HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec(), "does not begin"),
            ("plain HTTP, little of it", b"G".to_vec(), "does not begin"),
            ("version 1", b"PROXY TCP4 192.0.2.1 198.51.100.7 1 2\r\n".to_vec(), "does not begin"),
            ("half a signature", SIGNATURE[..7].to_vec(), "ended within"),
            ("version 3", header(0x31, 0x11, 12, &[0; 12]), "0x31"),
            ("a command that is unknown", header(0x22, 0x11, 12, &[0; 12]), "0x22"),
            ("UDP", header(0x21, 0x12, 12, &[0; 12]), "0x12"),
            ("a unix socket", header(0x21, 0x31, 216, &[0; 216]), "0x31"),
            ("no family", header(0x21, 0x00, 0, &[]), "0x00"),
            ("too short for IPv4", header(0x21, 0x11, 11, &[0; 11]), "11 bytes"),
            ("too short for IPv6", header(0x21, 0x21, 35, &[0; 35]), "35 bytes"),
            ("too long", header(0x21, 0x11, 4097, &[0; 4097]), "4097 bytes"),
            ("longer than what comes", header(0x21, 0x11, 12, &[0; 4]), "ended within"),
        ] {
            let result = read_all(&bytes).await.0;
            assert!(result.as_ref().is_err_and(|text| text.contains(error)), "{what}: {result:?}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(command: u8, family: u8, length in 0u16..64, rest: Vec<u8>) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let _ = read_all(&header(command, family, length, &rest)).await;
                let _ = read_all(&rest).await;
            });
        }
    }
}
