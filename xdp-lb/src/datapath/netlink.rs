//! One question to the kernel's routing tables, answered at once.

use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{Socket, SocketAddr};

/// What the kernel answers to `question`, in the network namespace of this thread; an error where it knows no answer.
pub(super) fn ask(question: RouteNetlinkMessage) -> std::io::Result<RouteNetlinkMessage> {
    let mut request = NetlinkMessage::new(NetlinkHeader::default(), question.into());
    request.header.flags = NLM_F_REQUEST;
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&bytes, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let answer =
        NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer).map_err(std::io::Error::other)?;
    match answer.payload {
        NetlinkPayload::InnerMessage(message) => Ok(message),
        NetlinkPayload::Error(error) => Err(error.to_io()),
        other => Err(std::io::Error::other(format!("no answer, but {other:?}"))),
    }
}
