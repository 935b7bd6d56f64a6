//! Takes clients, a bounded number at once.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::ReportError;
use super::sampler::Sample;

/// Clients served at once: two balancers' streams for a hundred services, and as many again. Past that, whoever has most
/// of them loses its oldest for each that comes: a crowd from one place keeps nobody else out.
const MOST_CLIENTS: usize = 256;

#[derive(Debug)]
pub(super) struct Listener {
    address: SocketAddr,
    listener: TcpListener,
}

impl Listener {
    /// Listens at `address`, where there is one; `flag` is how a user names it.
    pub(super) async fn open(
        flag: &'static str,
        address: Option<SocketAddr>,
    ) -> Result<Option<Self>, ReportError> {
        let Some(address) = address else { return Ok(None) };
        let failed = |reason: io::Error| ReportError::Listen { flag, address, reason };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Some(Self { address, listener }))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives every client to `answer`, with the samples. Clients are let go when this is dropped.
    pub(super) async fn serve<A: Future<Output = ()> + Send + 'static>(
        self,
        samples: watch::Receiver<Sample>,
        answer: fn(TcpStream, watch::Receiver<Sample>) -> A,
    ) {
        let (mut tasks, mut clients) = (JoinSet::new(), Clients::default());
        loop {
            match self.listener.accept().await {
                Ok((client, from)) => {
                    while tasks.try_join_next().is_some() {}
                    let place = place(from.ip());
                    clients.make_room(place);
                    clients.0.push((place, tasks.spawn(answer(client, samples.clone()))));
                }
                Err(error) => {
                    tracing::warn!("cannot accept a client at {}: {error}", self.address);
                    sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

/// Those that are served, the oldest first.
#[derive(Default)]
struct Clients(Vec<(IpAddr, AbortHandle)>);

impl Clients {
    /// Lets one go where there is no room for another from `newcomer`.
    fn make_room(&mut self, newcomer: IpAddr) {
        self.0.retain(|(_, task)| !task.is_finished());
        if self.0.len() < MOST_CLIENTS {
            return;
        }
        let mut counts = HashMap::from([(newcomer, 1)]);
        self.0.iter().for_each(|(place, _)| *counts.entry(*place).or_insert(0) += 1);
        let most = counts.values().copied().max();
        if let Some(index) = self.0.iter().position(|(place, _)| counts.get(place).copied() == most) {
            self.0.remove(index).1.abort();
        }
    }
}

/// Where a client is: its address, of IPv6 the network, in which a host takes as many as it likes.
fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}
