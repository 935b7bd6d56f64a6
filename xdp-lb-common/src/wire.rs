//! Numbers of the protocols, as they lie in memory where they are compared unparsed.

/// Bytes of an Ethernet header.
pub const ETHERNET_LEN: usize = 14;
/// Bytes of a VLAN tag (IEEE 802.1Q).
pub const VLAN_LEN: usize = 4;
/// Bytes of an IPv4 header without options.
pub const IPV4_LEN: usize = 20;
/// Bytes of an IPv6 header without extensions.
pub const IPV6_LEN: usize = 40;

/// Ethertypes in network order.
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800_u16.to_be();
    /// IPv6.
    pub const IPV6: u16 = 0x86dd_u16.to_be();
    /// A VLAN tag follows.
    pub const VLAN: u16 = 0x8100_u16.to_be();
    /// A service VLAN tag follows (IEEE 802.1ad).
    pub const SERVICE_VLAN: u16 = 0x88a8_u16.to_be();

    /// Whether a VLAN tag follows.
    #[inline(always)]
    pub const fn is_vlan(kind: u16) -> bool {
        kind == VLAN || kind == SERVICE_VLAN
    }
}

/// IP protocol numbers.
pub mod ip_protocol {
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// IPv4 in IP (RFC 2003).
    pub const IPV4: u8 = 4;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 in IP (RFC 2473, RFC 4213).
    pub const IPV6: u8 = 41;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
}

/// IPv6 extension headers that are skipped.
pub mod ipv6_extension {
    /// Hop-by-hop options.
    pub const HOP_BY_HOP: u8 = 0;
    /// Routing.
    pub const ROUTING: u8 = 43;
    /// Fragment.
    pub const FRAGMENT: u8 = 44;
    /// Destination options.
    pub const DESTINATION: u8 = 60;

    /// Whether `next` is one of them.
    #[inline(always)]
    pub const fn is_extension(next: u8) -> bool {
        matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION)
    }
}

/// ICMP types (RFC 792).
pub mod icmp {
    /// Answer to an echo request.
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 3;
    /// Its code: fragmentation needed and DF set (RFC 1191).
    pub const FRAG_NEEDED: u8 = 4;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 8;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 11;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 12;

    /// Whether a message of this type quotes the packet it is about.
    #[inline(always)]
    pub const fn is_error(kind: u8) -> bool {
        matches!(kind, UNREACHABLE | TIME_EXCEEDED | PARAMETER_PROBLEM)
    }
}

/// ICMPv6 types (RFC 4443).
pub mod icmpv6 {
    /// Packet too big.
    pub const PACKET_TOO_BIG: u8 = 2;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 128;
    /// Answer to an echo request.
    pub const ECHO_REPLY: u8 = 129;

    /// Whether a message of this type quotes the packet it is about: unreachable, too big, time exceeded,
    /// parameter problem.
    #[inline(always)]
    pub const fn is_error(kind: u8) -> bool {
        matches!(kind, 1..=4)
    }
}

/// TCP flags (RFC 9293 section 3.1).
pub mod tcp_flag {
    /// No more data from the sender.
    pub const FIN: u8 = 1;
    /// Opens a connection.
    pub const SYN: u8 = 1 << 1;
    /// Resets it.
    pub const RST: u8 = 1 << 2;
    /// The acknowledgement is valid.
    pub const ACK: u8 = 1 << 4;

    /// Whether flags are set that no sender means together.
    #[inline(always)]
    pub const fn is_contradiction(flags: u8) -> bool {
        flags & SYN != 0 && flags & (FIN | RST) != 0
    }
}
