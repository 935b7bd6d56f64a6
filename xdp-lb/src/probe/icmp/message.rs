//! ICMP echo messages (RFC 792, RFC 4443).

use std::net::IpAddr;

/// Bytes of a message: header and payload.
pub(super) const LENGTH: usize = 24;

/// Begins each payload, so that a packet capture says whose pings these are.
const SIGN: [u8; 8] = *b"xdp-lb: ";

/// One echo, as asked and as answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Echo {
    /// Whose: one for each socket.
    pub id: u16,
    /// Which.
    pub sequence: u16,
    /// What nobody who has not seen the request can know.
    pub token: u64,
}

impl Echo {
    /// The request to `address`, with its checksum for IPv4; the kernel makes that of IPv6.
    pub(super) fn request(self, address: IpAddr) -> [u8; LENGTH] {
        let mut message = [0; LENGTH];
        message[0] = if address.is_ipv4() { 8 } else { 128 };
        message[4..6].copy_from_slice(&self.id.to_be_bytes());
        message[6..8].copy_from_slice(&self.sequence.to_be_bytes());
        message[8..16].copy_from_slice(&SIGN);
        message[16..24].copy_from_slice(&self.token.to_be_bytes());
        if address.is_ipv4() {
            let checksum = checksum(&message);
            message[2..4].copy_from_slice(&checksum.to_be_bytes());
        }
        message
    }

    /// What `message` from `address` answers; `None` where it is no whole echo reply of ours.
    pub(super) fn answered(message: &[u8], address: IpAddr) -> Option<Self> {
        let message: &[u8; LENGTH] = message.try_into().ok()?;
        let reply = if address.is_ipv4() { 0 } else { 129 };
        let whole = address.is_ipv6() || checksum(message) == 0;
        let [kind, code, _, _, id0, id1, sequence0, sequence1, rest @ ..] = message;
        let (sign, token) = rest.split_first_chunk::<8>()?;
        (*kind == reply && *code == 0 && whole && *sign == SIGN).then_some(Self {
            id: u16::from_be_bytes([*id0, *id1]),
            sequence: u16::from_be_bytes([*sequence0, *sequence1]),
            token: u64::from_be_bytes(token.try_into().ok()?),
        })
    }
}

/// RFC 1071; 0 over a message that bears its own.
fn checksum(message: &[u8; LENGTH]) -> u16 {
    let sum: u32 = message.chunks_exact(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: Echo = Echo { id: 0x1234, sequence: 7, token: 0x0102_0304_0506_0708 };
    const V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    /// What a server makes of a request.
    fn reply(request: &[u8; LENGTH]) -> [u8; LENGTH] {
        let mut reply = *request;
        reply[0] = if request[0] == 8 { 0 } else { 129 };
        if request[0] == 8 {
            reply[2..4].fill(0);
            let sum = checksum(&reply);
            reply[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        reply
    }

    #[test]
    fn a_request_has_its_checksum() {
        let request = ECHO.request(V4);
        assert_eq!(request[..8], [8, 0, request[2], request[3], 0x12, 0x34, 0, 7]);
        assert_eq!(checksum(&request), 0);
    }

    #[test]
    fn only_the_right_reply_is_an_answer() {
        type Row = (&'static str, IpAddr, fn(&mut Vec<u8>), Option<Echo>);
        let rows: [Row; 9] = [
            ("a reply", V4, |_| {}, Some(ECHO)),
            ("a reply of IPv6", V6, |_| {}, Some(ECHO)),
            ("a request, as loopback shows it to its sender", V4, |m| m[0] = 8, None),
            ("unreachable", V4, |m| m[0] = 3, None),
            ("a code", V6, |m| m[1] = 1, None),
            ("a broken bit", V4, |m| m[20] ^= 4, None),
            ("another's payload", V6, |m| m[8] = b'y', None),
            ("too short", V4, |m| m.truncate(23), None),
            ("nothing", V4, Vec::clear, None),
        ];
        for (row, address, change, expected) in rows {
            let mut message = reply(&ECHO.request(address)).to_vec();
            change(&mut message);
            assert_eq!(Echo::answered(&message, address), expected, "{row}");
        }
    }
}
