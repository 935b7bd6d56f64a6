//! Asks one server for one report, or for a stream of them. Never schedules and never judges.

pub(crate) mod agent_check;
pub(crate) mod orca_grpc;
pub(crate) mod orca_http;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::refuse::no;
use crate::config::{Utilization, UtilizationKind};
use crate::control::{NoReport, NoReportKind, Report};
use crate::probe::words;

/// Asks the server at `address` once, within `utilization.timeout`. A stream is opened for its first report.
pub(crate) async fn ask(address: IpAddr, utilization: &Utilization) -> Result<Report, NoReport> {
    let limit = Limit::starting_now(utilization.timeout);
    match &utilization.kind {
        UtilizationKind::None => Err(no(NoReportKind::Missing, "no report is asked for")),
        UtilizationKind::AgentCheck { port, send, percent } => {
            agent_check::ask(SocketAddr::new(address, *port), send, *percent, &limit).await
        }
        UtilizationKind::OrcaHttp { port, path, host } => {
            orca_http::ask(SocketAddr::new(address, *port), path, host, &limit).await
        }
        UtilizationKind::OrcaGrpc { port } => {
            let address = SocketAddr::new(address, *port);
            let mut stream = orca_grpc::open(address, utilization.interval, &limit).await?;
            limit.hold("connected, but no report", stream.next()).await??
        }
    }
}

/// When an exchange has to be over.
pub(crate) struct Limit {
    end: Instant,
    timeout: Duration,
}

impl Limit {
    pub(crate) fn starting_now(timeout: Duration) -> Self {
        Self { end: Instant::now() + timeout, timeout }
    }

    /// Gives `work` until the end; `late` begins the sentence that ends in "within 500ms".
    pub(crate) async fn hold<T>(&self, late: &str, work: impl Future<Output = T>) -> Result<T, NoReport> {
        timeout_at(self.end, work).await.map_err(|_| {
            let limit = humantime::format_duration(self.timeout);
            no(NoReportKind::Late, format!("{late} within {limit}"))
        })
    }
}

/// Connects, with a zero linger time: see the health checks, of which there are as many.
async fn connect(address: SocketAddr, limit: &Limit) -> Result<TcpStream, NoReport> {
    let stream =
        limit.hold("no connection", TcpStream::connect(address)).await?.map_err(|e| unreachable(&e))?;
    stream.set_zero_linger().map_err(|e| unreachable(&e))?;
    Ok(stream)
}

fn unreachable(error: &std::io::Error) -> NoReport {
    no(NoReportKind::Unreachable, words::io(error))
}

/// Time since 1970. The clock, read at the edge: a server may tell its age by the time of its start.
fn unix_now() -> Duration {
    let time = clock_gettime(ClockId::Realtime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
