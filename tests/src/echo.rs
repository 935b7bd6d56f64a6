//! Ping, over a raw socket.

use std::io::{Error, Result};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, recvfrom, sendto, socket_with,
};

use crate::clock;

static SEQUENCE: AtomicU16 = AtomicU16::new(1);

/// Sends one echo request with `payload` bytes to `target`, from the calling thread's namespace, and waits for the
/// reply that comes from `target`, carries the same identifier, number and bytes, and has a right checksum. The time
/// that took.
pub fn ping(target: IpAddr, payload: usize, timeout: Duration) -> Result<Duration> {
    let request = request(target, SEQUENCE.fetch_add(1, Ordering::Relaxed), payload);
    let socket = open(target)?;
    let began = clock::now();
    sendto(&socket, &request, SendFlags::empty(), &SocketAddr::new(target, 0))?;
    let mut buffer = vec![0; 65_536];
    while let Some(left) = timeout.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
        set_socket_timeout(&socket, Timeout::Recv, Some(left))?;
        let (_, length, from) = recvfrom(&socket, &mut buffer[..], RecvFlags::empty())?;
        let from = from.and_then(|from| SocketAddr::try_from(from).ok()).map(|from| from.ip());
        if from == Some(target) && is_reply(target, &request, &buffer[..length]) {
            return Ok(began.elapsed());
        }
    }
    Err(Error::new(std::io::ErrorKind::TimedOut, format!("{target} does not answer echo requests")))
}

fn open(target: IpAddr) -> Result<OwnedFd> {
    let (family, protocol) = match target {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
    };
    Ok(socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, Some(protocol))?)
}

fn request(target: IpAddr, sequence: u16, payload: usize) -> Vec<u8> {
    let kind = if target.is_ipv4() { 8 } else { 128 };
    let identifier = std::process::id() as u16;
    let mut packet = vec![kind, 0, 0, 0];
    packet.extend(identifier.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.extend((0..payload).map(|i| i as u8));
    // For version 6 the kernel fills in the checksum, which covers addresses too, and verifies that of the reply.
    if target.is_ipv4() {
        let sum = checksum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

fn is_reply(target: IpAddr, request: &[u8], received: &[u8]) -> bool {
    let (kind, message) = match target {
        // A raw socket of version 4 gives the IP header too.
        IpAddr::V4(_) => {
            let header = received.first().map_or(0, |first| usize::from(first & 0xf) * 4);
            (0, received.get(header..).unwrap_or_default())
        }
        IpAddr::V6(_) => (129, received),
    };
    let intact = target.is_ipv6() || checksum(message) == 0;
    message.first() == Some(&kind) && message.get(4..) == request.get(4..) && intact
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let sum = words.sum::<u32>();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::Netns;

    #[test]
    fn loopback_answers_in_both_families() {
        crate::require_root!();
        let netns = Netns::new("echo").unwrap();
        for target in ["127.0.0.1", "::1"] {
            let target = target.parse().unwrap();
            for payload in [0, 1, 56, 1400] {
                netns.run_in(|| Ok(ping(target, payload, Duration::from_secs(2))?)).unwrap();
            }
        }
        let nobody = "127.1.1.1".parse::<IpAddr>().unwrap();
        assert!(netns.run_in(|| Ok(is_reply(nobody, &[8, 0, 0, 0, 1, 2], &[]))).is_ok_and(|reply| !reply));
    }

    #[test]
    fn checksums_are_those_of_rfc_1071() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0x220d);
        assert_eq!(checksum(&[0xff]), 0x00ff);
    }
}
