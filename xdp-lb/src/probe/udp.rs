//! A datagram and its answer.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::net::RecvFlags;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::{Limit, contains, set_mark, words};

/// The largest datagram.
const LARGEST: usize = 65_535;

/// Sends `request`; `Ok` when the answer contains `expect`, which any answer does where that is empty.
pub(super) async fn ask(
    address: SocketAddr,
    mark: Option<u32>,
    request: &[u8],
    expect: &[u8],
    limit: &Limit,
) -> Result<(), String> {
    let unspecified: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((unspecified, 0)).await.map_err(|e| words::io(&e))?;
    set_mark(&socket, mark)?;
    // Connected, the socket takes nobody else's datagrams, and a closed port is heard of.
    socket.connect(address).await.map_err(|e| words::io(&e))?;
    socket.send(request).await.map_err(|e| words::io(&e))?;
    let answer = limit.hold("no answer", receive(&socket)).await?.map_err(|e| words::io(&e))?;
    match contains(&answer, expect) {
        true => Ok(()),
        false => Err(format!("the answer does not contain {}", shown(expect))),
    }
}

/// The next datagram, or what the network said instead: tokio's own `recv` does not wake up for an error. The buffer is
/// made when there is something for it, as thousands of checks may wait.
async fn receive(socket: &UdpSocket) -> io::Result<Vec<u8>> {
    let read = || {
        let mut answer = vec![0; LARGEST];
        let (length, _) = rustix::net::recv(socket, &mut answer[..], RecvFlags::empty())?;
        answer.truncate(length);
        Ok(answer)
    };
    socket.async_io(Interest::READABLE | Interest::ERROR, read).await
}

/// As the configuration would spell it, cut to what fits into a status line.
fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 32;
    let (shown, more) = (bytes.get(..MOST).unwrap_or(bytes), if bytes.len() > MOST { "…" } else { "" });
    match std::str::from_utf8(shown) {
        Ok(text) if !text.contains(|c: char| c.is_control()) => format!("{text:?}{more}"),
        _ => {
            let digits: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("hex:{digits}{more}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_expected_is_shown_in_a_line() {
        let long = "x".repeat(40);
        for (bytes, words) in [
            (&b"pong"[..], "\"pong\""),
            (b"\x00\x01\xff", "hex:0001ff"),
            (b"a\nb", "hex:610a62"),
            (long.as_bytes(), "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"…"),
        ] {
            assert_eq!(shown(bytes), words);
        }
    }
}
