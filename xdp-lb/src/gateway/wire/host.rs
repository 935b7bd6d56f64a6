//! Host and port as in Host, `:authority` and absolute targets (RFC 3986 section 3.2).

use std::net::Ipv6Addr;

use super::class::{HOST, is};

/// Longest name that DNS can hold, with the dot at its end.
const LONGEST: usize = 254;

const NO_ADDRESS: &str = "what stands in brackets is no IPv6 address";

/// An authority that is valid, without user information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) struct Authority<'a> {
    /// Name or address, the latter with brackets if of IPv6; without a dot at its end.
    pub(in crate::gateway) host: &'a str,
    /// Port, if named.
    pub(in crate::gateway) port: Option<u16>,
}

/// Reads one, or tells what is wrong. An empty port, which RFC 3986 allows, is refused: nobody sends it, and not all
/// servers take it for none.
pub(in crate::gateway) fn authority(bytes: &[u8]) -> Result<Authority<'_>, &'static str> {
    if bytes.first() == Some(&b'[') {
        return bracketed(bytes);
    }
    // Begun as behind a dot: a label has to come first.
    let (mut before, mut empty_label) = (b'.', false);
    let mut length = 0;
    for &byte in bytes {
        if !is(byte, HOST) {
            break;
        }
        empty_label |= byte == b'.' && before == b'.';
        before = byte;
        length += 1;
    }
    let (host, after) = bytes.split_at(length);
    let port =
        port(after).ok_or("a host holds a character that may not be in one, or a port that is none")?;
    if host.is_empty() {
        return Err("the host is empty");
    }
    if empty_label {
        return Err("the host has an empty label");
    }
    if host.len() > LONGEST {
        return Err("the host is longer than a name can be");
    }
    let host = std::str::from_utf8(host.strip_suffix(b".").unwrap_or(host)).map_err(|_| NO_ADDRESS)?;
    Ok(Authority { host, port })
}

fn bracketed(bytes: &[u8]) -> Result<Authority<'_>, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| NO_ADDRESS)?;
    let (address, after) = text[1..].split_once(']').ok_or(NO_ADDRESS)?;
    address.parse::<Ipv6Addr>().map_err(|_| NO_ADDRESS)?;
    let port = port(after.as_bytes()).ok_or("what follows an address is no port")?;
    Ok(Authority { host: &text[..address.len() + 2], port })
}

/// What follows a host: nothing, or a colon and a number.
fn port(after: &[u8]) -> Option<Option<u16>> {
    let Some((colon, digits)) = after.split_first() else { return Some(None) };
    if *colon != b':' || !(1..=5).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    u16::try_from(number).ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_rfc_3986_has_them_and_no_wider() {
        for (text, expected) in [
            ("a", Some(("a", None))),
            ("a.example:80", Some(("a.example", Some(80)))),
            ("a_b.example.", Some(("a_b.example", None))),
            ("a.example.:1", Some(("a.example", Some(1)))),
            ("192.0.2.1:65535", Some(("192.0.2.1", Some(65535)))),
            ("[2001:db8::1]", Some(("[2001:db8::1]", None))),
            ("[2001:db8::1]:443", Some(("[2001:db8::1]", Some(443)))),
            ("", None),
            (".", None),
            (".a", None),
            ("a..b", None),
            ("a:", None),
            ("a:65536", None),
            ("a:000080", None),
            ("a:+80", None),
            ("a:8o", None),
            ("a:80:80", None),
            (":80", None),
            ("user@a", None),
            ("a/b", None),
            ("a b", None),
            ("a,b", None),
            ("a%41", None),
            ("ä", None),
            ("[::1", None),
            ("[::1]a", None),
            ("[::1]:", None),
            ("[::1%25eth0]", None),
            ("[v1.a]", None),
            ("2001:db8::1", None),
        ] {
            let read = authority(text.as_bytes()).ok().map(|read| (read.host, read.port));
            assert_eq!(read, expected, "{text:?}");
        }
    }
}
