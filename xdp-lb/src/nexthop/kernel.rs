//! Requests to the kernel over netlink, and its events. Two sockets: one that only hears events can overflow without
//! losing an answer.

use std::future::ready;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::neighbour::{NeighbourFlags, NeighbourState};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::sys::AsyncSocket;
use rtnetlink::{Error, Handle, MulticastGroup};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::message::{self, Change};
use super::tables::{NeighbourKey, Route, Tables};

/// The kernel answers at once or never.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// Bytes of events that may wait.
const EVENT_BUFFER: usize = 4 << 20;

const GROUPS: [MulticastGroup; 6] = [
    MulticastGroup::Link,
    MulticastGroup::Neigh,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Rule,
];

/// What the kernel said unasked.
pub(super) enum Heard {
    Change(Change),
    /// There was more than the socket could hold (ENOBUFS): the tables have to be read anew.
    Missed,
}

/// Open netlink sockets, closed when dropped.
pub(super) struct Kernel {
    handle: Handle,
    events: BoxStream<'static, Heard>,
    drivers: [JoinHandle<()>; 2],
}

impl Kernel {
    /// Opens the sockets in the network namespace of this thread. Events are heard from now on.
    pub(super) fn open() -> io::Result<Self> {
        let (mut listener, _, heard) = rtnetlink::new_multicast_connection(&GROUPS)?;
        // More room is only a courtesy: overflow is handled.
        let _ = listener.socket_mut().socket_mut().set_rx_buf_sz(EVENT_BUFFER);
        let (requests, handle, _) = rtnetlink::new_connection()?;
        let events = heard
            .filter_map(|(message, _)| {
                ready(match message.payload {
                    NetlinkPayload::Overrun(_) => Some(Heard::Missed),
                    NetlinkPayload::InnerMessage(inner) => message::change(&inner).map(Heard::Change),
                    _ => None,
                })
            })
            .boxed();
        Ok(Self { handle, events, drivers: [tokio::spawn(listener), tokio::spawn(requests)] })
    }

    /// The next event; `None` once the socket has failed.
    pub(super) async fn hear(&mut self) -> Option<Heard> {
        self.events.next().await
    }

    /// All links and neighbours.
    pub(super) async fn tables(&mut self) -> Result<Tables, String> {
        answer("the interfaces and neighbours", async {
            let mut links = self.handle.link().get().execute();
            let mut tables = Tables::default();
            while let Some(message) = links.try_next().await? {
                tables.links.extend(message::link(&message));
            }
            for family in [AddressFamily::Inet, AddressFamily::Inet6] {
                let mut neighbours = self.handle.neighbours().get().set_address_family(family).execute();
                while let Some(message) = neighbours.try_next().await? {
                    tables.neighbours.extend(message::neighbour(&message));
                }
            }
            Ok(tables)
        })
        .await?
        .map_err(|e| format!("cannot read the interfaces and neighbours: {}", words(&e)))
    }

    /// The kernel's routing decision for `address`: the inner `Err` when there is no way. The outer `Err`: the kernel
    /// cannot be asked.
    pub(super) async fn route(&mut self, address: IpAddr) -> Result<Result<Route, String>, String> {
        let mut question = RouteMessage::default();
        (question.header.address_family, question.header.destination_prefix_length) = match address {
            IpAddr::V4(_) => (AddressFamily::Inet, 32),
            IpAddr::V6(_) => (AddressFamily::Inet6, 128),
        };
        question.attributes.push(RouteAttribute::Destination(RouteAddress::from(address)));
        let found = answer("a route", async {
            let mut routes = std::pin::pin!(self.handle.route().get(question).execute());
            routes.try_next().await
        })
        .await?;
        match found {
            Ok(message) => {
                let route = message.as_ref().and_then(message::route);
                Ok(route.ok_or_else(|| format!("no route to {address}")))
            }
            Err(Error::NetlinkError(e)) => Ok(Err(match -e.raw_code() {
                libc::ENETUNREACH | libc::EHOSTUNREACH => format!("no route to {address}"),
                libc::EACCES => format!("the route to {address} is of type prohibit"),
                libc::EINVAL => format!("the route to {address} is of type blackhole"),
                _ => format!("no route to {address}: {}", e.to_io()),
            })),
            Err(e) => Err(format!("cannot look up the route to {address}: {}", words(&e))),
        }
    }

    /// Makes the kernel ask for the neighbour's MAC address, as if a packet were to be sent. What it learns comes as an
    /// event.
    pub(super) async fn ask(&mut self, (interface, address): NeighbourKey) -> Result<(), String> {
        let use_it = self.handle.neighbours().add(interface, address).replace();
        let request = use_it.state(NeighbourState::None).flags(NeighbourFlags::Use).execute();
        answer("a neighbour", request)
            .await?
            .map_err(|e| format!("cannot ask for the MAC address of {address}: {}", words(&e)))
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        for driver in &self.drivers {
            driver.abort();
        }
    }
}

async fn answer<T>(
    what: &str,
    request: impl Future<Output = Result<T, Error>>,
) -> Result<Result<T, Error>, String> {
    timeout(ANSWER_TIME, request)
        .await
        .map_err(|_| format!("the kernel did not answer a netlink request for {what}"))
}

fn words(error: &Error) -> String {
    match error {
        Error::NetlinkError(e) => e.to_io().to_string(),
        other => other.to_string(),
    }
}
