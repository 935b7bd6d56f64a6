//! One health check, once: connects, asks, tells. Never schedules and never judges a backend.

pub(crate) mod bounded;
mod http;
mod icmp;
pub(crate) mod tls;
mod udp;
pub(crate) mod words;

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};

use self::icmp::Pinger;
use self::tls::Configs;
use crate::config::HealthKind;

/// Makes health checks, and holds what all of them share: TLS configurations and the sockets for pings. To be used on
/// one tokio runtime.
#[derive(Debug, Default)]
pub struct Prober {
    tls: Configs,
    pinger: Pinger,
}

impl Prober {
    /// Checks the server at `address` once; its packets bear `mark` (`SO_MARK`) where one is given, but for pings,
    /// which always go the direct way. `Err` says in plain words what went wrong; it never takes longer than `timeout`.
    pub async fn probe(
        &self,
        address: IpAddr,
        mark: Option<u32>,
        kind: &HealthKind,
        timeout: Duration,
    ) -> Result<(), String> {
        match kind {
            HealthKind::None => Ok(()),
            HealthKind::Tcp { port } => {
                let limit = Limit::starting_now(timeout);
                connect(SocketAddr::new(address, *port), mark, &limit).await.map(drop)
            }
            HealthKind::Http { port, path, host, expect, body, tls } => {
                let question = http::Question { path, host, expect, body: body.as_deref() };
                // Made once, which may take a moment that is not the server's fault.
                let client = tls.as_ref().map(|tls| self.tls.client(tls)).transpose()?;
                let limit = Limit::starting_now(timeout);
                let stream = connect(SocketAddr::new(address, *port), mark, &limit).await?;
                match client {
                    None => http::get(stream, &question, &limit).await,
                    Some(client) => {
                        http::get(client.handshake(stream, &limit).await?, &question, &limit).await
                    }
                }
            }
            HealthKind::Icmp => self.pinger.ping(address, &Limit::starting_now(timeout)).await,
            HealthKind::Udp { port, request, expect } => {
                let limit = Limit::starting_now(timeout);
                udp::ask(SocketAddr::new(address, *port), mark, request, expect, &limit).await
            }
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
        timeout_at(self.end, work).await.map_err(|_| self.late(late))
    }

    fn late(&self, what: &str) -> String {
        format!("{what} within {}", humantime::format_duration(self.timeout))
    }
}

/// Connects, with a zero linger time: whoever closes first keeps the connection in TIME_WAIT for a minute, and
/// thousands of checks would pile up thousands of them on both ends' port ranges. A reset leaves nothing behind.
async fn connect(address: SocketAddr, mark: Option<u32>, limit: &Limit) -> Result<TcpStream, String> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
    .map_err(|e| words::io(&e))?;
    set_mark(&socket, mark)?;
    let stream = limit.hold("no answer", socket.connect(address)).await?.map_err(|e| words::io(&e))?;
    stream.set_zero_linger().map_err(|e| words::io(&e))?;
    Ok(stream)
}

/// Before anything is sent, so that the first packet bears it too.
fn set_mark(socket: &impl AsFd, mark: Option<u32>) -> Result<(), String> {
    let Some(mark) = mark else { return Ok(()) };
    SockRef::from(socket).set_mark(mark).map_err(|e| match e.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "the check cannot mark its packets: CAP_NET_ADMIN is missing".to_owned()
        }
        _ => format!("the check cannot mark its packets: {}", words::io(&e)),
    })
}

/// Whether `text` stands somewhere in `bytes`.
fn contains(bytes: &[u8], text: &[u8]) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text)
}

#[cfg(test)]
mod tests;
