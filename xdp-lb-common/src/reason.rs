//! Why a packet went where it went. Every path through the program ends in one of these, and each is counted.

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Sent to a backend.
    Forward,
    /// Left to the host, untouched.
    Pass,
    /// Answered in place.
    Reply,
    /// Discarded.
    Drop,
}

impl Outcome {
    /// "forward", "pass", "reply" or "drop".
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Pass => "pass",
            Self::Reply => "reply",
            Self::Drop => "drop",
        }
    }
}

macro_rules! reasons {
    ($($reason:ident = $name:literal, $outcome:ident, $description:literal;)*) => {
        /// Why a packet went where it went. The number is its place in the counters.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $(#[doc = $description] $reason,)*
        }

        impl Reason {
            /// All of them, in the order of their counters.
            pub const ALL: &'static [Self] = &[$(Self::$reason,)*];

            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// Room for counters: any byte is an index, which saves the program a check that the verifier wants and
            /// the compiler removes.
            pub const ROOM: usize = 256;

            /// Short name, as metrics and `status` show it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$reason => $name,)* }
            }

            /// What becomes of such a packet.
            #[inline(always)]
            pub const fn outcome(self) -> Outcome {
                match self { $(Self::$reason => Outcome::$outcome,)* }
            }

            /// In words.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$reason => $description,)* }
            }
        }
    };
}

reasons! {
    Forwarded = "forwarded", Forward, "sent to a backend";
    ForwardedByRoute = "forwarded_by_route", Forward, "sent to a backend whose next hop the kernel's routing table knew and the agent did not yet";
    ForwardedIcmpError = "forwarded_icmp_error", Forward, "ICMP error about a connection, sent to the connection's backend";
    NotIp = "not_ip", Pass, "neither IPv4 nor IPv6 (ARP and others)";
    NotVip = "not_vip", Pass, "destination is no VIP: no VIP has this address, port and protocol";
    VipOtherService = "vip_other_service", Pass, "a VIP's address, but neither TCP, UDP nor ICMP";
    IcmpOther = "icmp_other", Pass, "ICMP to a VIP's address that is neither echo nor an error (neighbour discovery and others)";
    TruncatedEthernet = "truncated_ethernet", Pass, "frame ends within the Ethernet header or its VLAN tags: whose it is cannot be told";
    TooManyVlanTags = "too_many_vlan_tags", Pass, "more than two VLAN tags: what follows is not looked at";
    TruncatedIpv4 = "truncated_ipv4", Pass, "frame ends within the IPv4 header: whose it is cannot be told";
    TruncatedIpv6 = "truncated_ipv6", Pass, "frame ends within the IPv6 header: whose it is cannot be told";
    EchoReply = "echo_reply", Reply, "ICMP echo to a VIP's address, answered";
    FragNeeded = "frag_needed", Reply, "too big for the way to the backend, answered with ICMP fragmentation needed";
    PacketTooBig = "packet_too_big", Reply, "too big for the way to the backend, answered with ICMPv6 packet too big";
    BadIpv4Header = "bad_ipv4_header", Drop, "to a VIP's address, but the IPv4 header has a wrong version, header length or total length, or tells more than the frame has";
    BadIpv6Header = "bad_ipv6_header", Drop, "to a VIP's address, but the IPv6 header has a wrong version, or tells a payload of more than the frame has or of no length (jumbogram)";
    BadExtensionHeader = "bad_extension_header", Drop, "to a VIP's address, but IPv6 extension headers end too early, are too many, or route the packet on";
    Fragment = "fragment", Drop, "IP fragment to a VIP's address: it cannot be told which connection it belongs to";
    TruncatedTransport = "truncated_transport", Drop, "to a VIP's address, but the packet ends within the TCP, UDP or ICMP header";
    BadTcpHeader = "bad_tcp_header", Drop, "to a VIP's address, but the TCP header tells a wrong length or flags that exclude each other";
    BadUdpLength = "bad_udp_length", Drop, "to a VIP's address, but the UDP length does not fit the packet";
    BadIcmpError = "bad_icmp_error", Drop, "ICMP error to a VIP's address that quotes no packet of a VIP";
    NoBackend = "no_backend", Drop, "the VIP has no backend that is up";
    BackendDown = "backend_down", Drop, "the backend went down this instant";
    NoNextHop = "no_next_hop", Drop, "neither the agent nor the kernel's routing table knows the way to the backend";
    NoHeadroom = "no_headroom", Drop, "the driver leaves no room for the tunnel header";
    TooBig = "too_big", Drop, "too big for the way to the backend, and fragmenting is allowed, the frame was merged by GRO or LRO, or the answer is over its limit";
    NoTable = "no_table", Drop, "a table the agent has not filled yet";
    DecapTerminated = "decap_terminated", Pass, "tunnel header taken off, inner packet left to the host";
    DecapNotTunnel = "decap_not_tunnel", Pass, "no tunnel packet to one of the configured addresses";
    DecapForeignSource = "decap_foreign_source", Pass, "tunnel packet from a source that is not accepted, left to the host";
    DecapFragment = "decap_fragment", Pass, "fragment of a tunnel packet, left to the host";
    DecapBadInner = "decap_bad_inner", Drop, "tunnel packet whose inner packet is truncated or of another IP version than told";
    DecapCongestion = "decap_congestion", Drop, "tunnel packet marked as congested around a packet that cannot carry the mark (RFC 6040 section 4.2)";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_positions_and_names_are_unique() {
        for (position, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, position);
            assert_eq!(Reason::ALL.iter().filter(|r| r.name() == reason.name()).count(), 1);
        }
    }
}
