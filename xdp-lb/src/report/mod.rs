//! `xdp-lb report`: a backend's side of utilization. Measures the host and tells it to whoever asks, in HAProxy's
//! agent-check, in ORCA over HTTP and in ORCA over gRPC. Never touches what it measures, needs no privilege, and serves
//! a bounded number of clients: a crowd from one place keeps nobody else out.

mod age;
mod cpu;
mod grpc;
mod http;
mod line;
mod listener;
mod operator;
mod sampler;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::sync::watch;
use tokio::task::JoinSet;

use listener::Listener;
pub use sampler::MeasureError;
use sampler::{Sample, Sampler};

/// What is measured, and where it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where agent-check is answered.
    pub agent_check: Option<SocketAddr>,
    /// Where ORCA is answered over HTTP.
    pub orca_http: Option<SocketAddr>,
    /// Where ORCA is answered over gRPC.
    pub orca_grpc: Option<SocketAddr>,
    /// What utilization is made of.
    pub by: By,
    /// The folder of a control group, whose time is measured in place of the host's.
    pub cgroup: Option<PathBuf>,
    /// Whose age is told.
    pub server: Server,
    /// Where the operator's word is looked for.
    pub state_file: Option<PathBuf>,
}

/// What utilization is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Time that the processors worked, over the last one and a half seconds.
    Cpu,
    /// Processes that run or want to, a minute's average, for each processor.
    Load,
    /// The larger of both.
    Max,
}

/// Which process is the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// None in particular: the host is as old as its last start.
    Host,
    /// The one whose number is in this file.
    PidFile(PathBuf),
    /// The oldest of this name.
    Name(String),
}

/// Why nothing is reported.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// An address is not to be had.
    #[error(
        "cannot listen at {flag} {address}: {reason}; give it another address and port, or switch it off by {flag} off"
    )]
    Listen {
        /// The argument that names it.
        flag: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        reason: io::Error,
    },
    /// There is nothing to report.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// Everything is switched off.
    #[error("there is nothing to do: every one of --agent-check, --orca-http and --orca-grpc is off")]
    Nothing,
}

/// A reporter that has its addresses, and has measured once.
#[derive(Debug)]
pub struct Reporter {
    sampler: Sampler,
    agent_check: Option<Listener>,
    orca_http: Option<Listener>,
    orca_grpc: Option<Listener>,
}

impl Reporter {
    /// Takes the addresses and looks at what is to be measured. To be called on a tokio runtime.
    pub async fn open(settings: Settings) -> Result<Self, ReportError> {
        let sampler = Sampler::new(settings.by, settings.cgroup, settings.server, settings.state_file)?;
        let reporter = Self {
            sampler,
            agent_check: Listener::open("--agent-check", settings.agent_check).await?,
            orca_http: Listener::open("--orca-http", settings.orca_http).await?,
            orca_grpc: Listener::open("--orca-grpc", settings.orca_grpc).await?,
        };
        if reporter.addresses().is_empty() {
            return Err(ReportError::Nothing);
        }
        Ok(reporter)
    }

    /// What is answered where; ports are never 0.
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        [("agent-check", &self.agent_check), ("orca-http", &self.orca_http), ("orca-grpc", &self.orca_grpc)]
            .into_iter()
            .filter_map(|(name, listener)| Some((name, listener.as_ref()?.address())))
            .collect()
    }

    /// Measures and answers, for as long as it is polled.
    pub async fn run(self) {
        let (sender, samples) = watch::channel(Sample::default());
        let mut servers = JoinSet::new();
        // The first answer is a measured one: clients wait in the backlog for as long.
        let sampler = self.sampler.start(sender).await;
        if let Some(listener) = self.agent_check {
            servers.spawn(listener.serve(samples.clone(), line::answer));
        }
        if let Some(listener) = self.orca_http {
            servers.spawn(listener.serve(samples.clone(), http::answer));
        }
        if let Some(listener) = self.orca_grpc {
            servers.spawn(listener.serve(samples, grpc::answer));
        }
        sampler.run().await;
    }
}

#[cfg(test)]
mod tests;
