//! Checks every length and checksum of a frame, tunnels included, by the definitions: no incremental updates, no
//! tricks with byte order.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The Internet checksum (RFC 1071) of `bytes`, as a number: 0xffff for nothing but zeros. A message that contains its
/// own checksum gives 0.
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u64 = bytes
        .chunks(2)
        .map(|pair| u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// What a TCP or UDP checksum covers beside the segment, over IPv4.
pub fn pseudo_v4(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, length: usize) -> Vec<u8> {
    let [high, low] = (length as u16).to_be_bytes();
    [&source.octets()[..], &destination.octets(), &[0, protocol, high, low]].concat()
}

/// The same over IPv6, for ICMPv6 as well.
pub fn pseudo_v6(source: Ipv6Addr, destination: Ipv6Addr, protocol: u8, length: usize) -> Vec<u8> {
    let length = (length as u32).to_be_bytes();
    [&source.octets()[..], &destination.octets(), &length, &[0, 0, 0, protocol]].concat()
}

/// Checks a frame; the error says what is wrong.
pub fn frame(bytes: &[u8]) -> Result<(), String> {
    let mut at = 12;
    while matches!(word(bytes, at)?, 0x8100 | 0x88a8) {
        at += 4;
    }
    match word(bytes, at)? {
        0x0800 => ipv4(&bytes[at + 2..]),
        0x86dd => ipv6(&bytes[at + 2..]),
        other => Err(format!("ethertype {other:#06x}")),
    }
}

fn ipv4(bytes: &[u8]) -> Result<(), String> {
    let header_len = usize::from(byte(bytes, 0)? & 15) * 4;
    let total = usize::from(word(bytes, 2)?);
    if byte(bytes, 0)? >> 4 != 4 || header_len < 20 {
        return Err("IPv4 version or header length".into());
    }
    let packet = bytes.get(..total).ok_or(format!("IPv4 total length {total} of {}", bytes.len()))?;
    let header = packet.get(..header_len).ok_or("IPv4 header length over total length")?;
    if checksum(header) != 0 {
        return Err("IPv4 header checksum".into());
    }
    if word(header, 6)? & 0x3fff != 0 {
        return Ok(());
    }
    let address = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&header[at..at + 4]).unwrap_or_default());
    let payload = &packet[header_len..];
    let pseudo = pseudo_v4(address(12), address(16), header[9], payload.len());
    transport(header[9], payload, &pseudo, true)
}

fn ipv6(bytes: &[u8]) -> Result<(), String> {
    let length = usize::from(word(bytes, 4)?);
    if byte(bytes, 0)? >> 4 != 6 {
        return Err("IPv6 version".into());
    }
    let whole = bytes.get(..40 + length).ok_or(format!("IPv6 length {length} of {}", bytes.len()))?;
    let (header, mut payload) = whole.split_at(40);
    let mut next = header[6];
    while matches!(next, 0 | 43 | 44 | 60) {
        if next == 44 && word(payload, 2)? & 0xfff9 != 0 {
            return Ok(());
        }
        let length = if next == 44 { 8 } else { 8 + 8 * usize::from(byte(payload, 1)?) };
        next = byte(payload, 0)?;
        payload = payload.get(length..).ok_or("IPv6 extension header over the packet's end")?;
    }
    let address = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&header[at..at + 16]).unwrap_or([0; 16]));
    let pseudo = pseudo_v6(address(8), address(24), next, payload.len());
    transport(next, payload, &pseudo, false)
}

fn transport(protocol: u8, bytes: &[u8], pseudo: &[u8], is_v4: bool) -> Result<(), String> {
    let covered = [pseudo, bytes].concat();
    let (name, valid) = match protocol {
        4 => return ipv4(bytes).map_err(|error| format!("inner {error}")),
        41 => return ipv6(bytes).map_err(|error| format!("inner {error}")),
        6 => ("TCP", bytes.len() >= 20 && checksum(&covered) == 0),
        17 => {
            let absent = is_v4 && word(bytes, 6)? == 0;
            ("UDP", usize::from(word(bytes, 4)?) == bytes.len() && (absent || checksum(&covered) == 0))
        }
        1 => ("ICMP", bytes.len() >= 8 && checksum(bytes) == 0),
        58 => ("ICMPv6", bytes.len() >= 8 && checksum(&covered) == 0),
        _ => return Ok(()),
    };
    if valid { Ok(()) } else { Err(format!("{name} length or checksum")) }
}

fn byte(bytes: &[u8], at: usize) -> Result<u8, String> {
    bytes.get(at).copied().ok_or(format!("ends before byte {at}"))
}

fn word(bytes: &[u8], at: usize) -> Result<u16, String> {
    Ok(u16::from(byte(bytes, at)?) << 8 | u16::from(byte(bytes, at + 1)?))
}
