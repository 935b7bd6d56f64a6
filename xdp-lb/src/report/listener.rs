//! Takes clients, a bounded number at once.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::ReportError;
use super::sampler::Sample;

/// Clients served at once; more wait to be accepted. Balancers are few.
const MOST_CLIENTS: usize = 64;

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
        let room = Arc::new(Semaphore::new(MOST_CLIENTS));
        let mut clients = JoinSet::new();
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            while clients.try_join_next().is_some() {}
            match self.listener.accept().await {
                Ok((client, _)) => {
                    let samples = samples.clone();
                    clients.spawn(async move {
                        answer(client, samples).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!("cannot accept a client at {}: {error}", self.address);
                    sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}
