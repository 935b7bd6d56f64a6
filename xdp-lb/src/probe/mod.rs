//! One health check, once: connects, asks, tells. Never schedules and never judges a backend.

mod http;
pub(crate) mod words;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::config::HealthKind;

/// Checks the server at `address` once. `Err` says in plain words what went wrong; it never takes longer than
/// `timeout`.
pub async fn probe(address: IpAddr, kind: &HealthKind, timeout: Duration) -> Result<(), String> {
    match kind {
        HealthKind::None => Ok(()),
        HealthKind::Tcp { port } => {
            let limit = Limit::starting_now(timeout);
            connect(SocketAddr::new(address, *port), &limit).await.map(drop)
        }
        HealthKind::Icmp | HealthKind::Udp { .. } => Err("this check is not made yet".to_owned()),
        HealthKind::Http { port, path, host, expect, .. } => {
            let limit = Limit::starting_now(timeout);
            let stream = connect(SocketAddr::new(address, *port), &limit).await?;
            http::get(stream, path, host, expect, &limit).await
        }
    }
}

/// When a check has to be over.
struct Limit {
    end: Instant,
    timeout: Duration,
}

impl Limit {
    fn starting_now(timeout: Duration) -> Self {
        Self { end: Instant::now() + timeout, timeout }
    }

    /// Gives `work` until the end; `late` begins the sentence that ends in "within 1s".
    async fn hold<T>(&self, late: &str, work: impl Future<Output = T>) -> Result<T, String> {
        timeout_at(self.end, work).await.map_err(|_| {
            let limit = humantime::format_duration(self.timeout);
            format!("{late} within {limit}")
        })
    }
}

/// Connects, with a zero linger time: whoever closes first keeps the connection in TIME_WAIT for a minute, and
/// thousands of checks would pile up thousands of them on both ends' port ranges. A reset leaves nothing behind.
async fn connect(address: SocketAddr, limit: &Limit) -> Result<TcpStream, String> {
    let stream = limit.hold("no answer", TcpStream::connect(address)).await?.map_err(|e| words::io(&e))?;
    stream.set_zero_linger().map_err(|e| words::io(&e))?;
    Ok(stream)
}

#[cfg(test)]
mod tests;
