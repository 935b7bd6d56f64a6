//! A socket that echoes go through: the kernel's own for pings where that is allowed, else a raw one.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::super::words;

/// Room for answers that come while the loop is busy: some thousands, with the kernel's own cost of each.
const BUFFER: usize = 4 << 20;

/// An open socket. tokio has no type for it; that for datagrams makes the same system calls.
#[derive(Debug)]
pub(super) struct Opened {
    pub socket: tokio::net::UdpSocket,
    /// The id of its echoes.
    pub id: u16,
    /// Whether what is received begins with the IPv4 header.
    pub has_header: bool,
}

/// Opens one for IPv4 or IPv6. `id` is that of a raw socket's echoes; the other kind is given its own by the kernel,
/// and given the answers to its own echoes only.
pub(super) fn open(is_ipv4: bool, id: u16) -> Result<Opened, String> {
    let opened = match datagram(is_ipv4) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => raw(is_ipv4, id),
        other => other,
    };
    opened.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => "cannot ping: give the agent CAP_NET_RAW, or allow its group in \
                                            net.ipv4.ping_group_range"
            .to_owned(),
        _ => format!("cannot ping: {}", words::io(&error)),
    })
}

fn datagram(is_ipv4: bool) -> io::Result<Opened> {
    let (socket, any) = new(is_ipv4, Type::DGRAM)?;
    socket.bind(&any.into())?;
    let socket = registered(socket)?;
    // Where a UDP socket has its port, this one has its id.
    let id = socket.local_addr()?.port();
    Ok(Opened { socket, id, has_header: false })
}

fn raw(is_ipv4: bool, id: u16) -> io::Result<Opened> {
    let (socket, _) = new(is_ipv4, Type::RAW)?;
    // Without it, every ICMP message that reaches this machine would wake the agent up.
    socket.attach_filter(&only_replies_to(id, is_ipv4))?;
    Ok(Opened { socket: registered(socket)?, id, has_header: is_ipv4 })
}

fn new(is_ipv4: bool, kind: Type) -> io::Result<(Socket, SocketAddr)> {
    let (domain, protocol, any) = match is_ipv4 {
        true => (Domain::IPV4, Protocol::ICMPV4, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
        false => (Domain::IPV6, Protocol::ICMPV6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))),
    };
    Ok((Socket::new(domain, kind.nonblocking().cloexec(), Some(protocol))?, any))
}

fn registered(socket: Socket) -> io::Result<tokio::net::UdpSocket> {
    if rustix::net::sockopt::set_socket_recv_buffer_size_force(socket.as_fd(), BUFFER).is_err() {
        // Without CAP_NET_ADMIN the kernel gives what net.core.rmem_max allows.
        socket.set_recv_buffer_size(BUFFER)?;
    }
    tokio::net::UdpSocket::from_std(UdpSocket::from(OwnedFd::from(socket)))
}

/// A classic BPF program that takes echo replies with this id: of IPv4 it sees the packet from its header on, of IPv6
/// from behind it.
fn only_replies_to(id: u16, is_ipv4: bool) -> Vec<SockFilter> {
    const HEADER_LENGTH_TO_X: u16 = 0xb1; // BPF_LDX | BPF_B | BPF_MSH
    const BYTE_AT_X: u16 = 0x50; // BPF_LD | BPF_B | BPF_IND
    const HALF_AT_X: u16 = 0x48; // BPF_LD | BPF_H | BPF_IND
    const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const LET_X_BE: u16 = 0x01; // BPF_LDX | BPF_IMM
    let (begin, reply) = if is_ipv4 { (HEADER_LENGTH_TO_X, 0) } else { (LET_X_BE, 129) };
    vec![
        SockFilter::new(begin, 0, 0, 0),
        SockFilter::new(BYTE_AT_X, 0, 0, 0),
        SockFilter::new(JUMP_EQUAL, 0, 3, reply),
        SockFilter::new(HALF_AT_X, 0, 0, 4),
        SockFilter::new(JUMP_EQUAL, 0, 1, u32::from(id)),
        SockFilter::new(RETURN, 0, 0, u32::from(u16::MAX)),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}
