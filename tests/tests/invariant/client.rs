//! One connection: its frames, and where it has to stay.

use std::net::SocketAddr;

use xdp_lb::datapath::Datapath;
use xdp_lb_tests::packet::{ACK, FIN, Packet, RST, SYN, icmp, tcp, udp};

use crate::Holds;
use crate::balancer::{Balancer, Sent};
use crate::plan::{self, VIPS};

/// What a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Syn,
    /// More of the connection; a datagram with UDP.
    More,
    Fin,
    Rst,
    /// A router on the way reports something about a packet of the server's.
    Error,
}

/// A client's port and what it sends to a VIP.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) vip: usize,
    pub(crate) number: u32,
    pub(crate) hash: u64,
    packet: Packet,
    more: Vec<u8>,
}

impl Client {
    /// The client with this number, which tells its address and port.
    pub(crate) fn new(vip: usize, number: u32, balancer: &Balancer) -> Self {
        let service = &VIPS[vip];
        let mut target = plan::target(service);
        if service.name == "any4" {
            target.set_port(8000 + (number % 3) as u16);
        }
        let (host, port) = (number / 50_000 + 1, 1024 + number % 50_000);
        let source = if target.is_ipv4() {
            format!("198.51.100.{host}:{port}")
        } else {
            format!("[2001:db8:c::{host:x}]:{port}")
        };
        let build = if service.is_udp { udp } else { tcp };
        let packet = build(&source, &target.to_string());
        let client: SocketAddr = source.parse().unwrap();
        let hash = balancer.tables.flow_hash(client, target, if service.is_udp { 17 } else { 6 });
        Self { vip, number, hash, more: packet.frame(), packet }
    }

    /// Sends a packet.
    pub(crate) fn send(&self, kind: Kind, balancer: &mut Balancer) -> Holds<Sent> {
        let flags = |flags| self.packet.clone().flags(flags).frame();
        match kind {
            _ if VIPS[self.vip].is_udp && kind != Kind::Error => balancer.send(self.vip, &self.more),
            Kind::More => balancer.send(self.vip, &self.more),
            Kind::Syn => balancer.send(self.vip, &flags(SYN)),
            Kind::Fin => balancer.send(self.vip, &flags(FIN | ACK)),
            Kind::Rst => balancer.send(self.vip, &flags(RST)),
            Kind::Error => balancer.send(self.vip, &self.error()),
        }
    }

    /// Host unreachable, about a packet from the VIP to the client.
    fn error(&self) -> Vec<u8> {
        let (router, kind, code) =
            if self.packet.is_v4() { ("192.0.2.9", 3, 1) } else { ("2001:db8:9::9", 1, 3) };
        let vip = plan::target(&VIPS[self.vip]).ip().to_string();
        icmp(router, &vip, kind, code, [0; 4]).payload(&self.packet.reversed().quoted(8)).frame()
    }
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The SYN is sent, so many more will be before the answer is there.
    Opening(u8),
    Open,
    /// The client has sent its FIN and still listens.
    HalfClosed,
}

/// A connection that lives.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) state: State,
    /// Where its last packet went.
    pub(crate) server: u8,
    /// Whether it has to stay there.
    pub(crate) is_held: bool,
    /// When it sent last.
    pub(crate) sent: u64,
}
