//! Finds the agent's control socket for the commands that ask it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::de::DeserializeOwned;

use crate::api::Question;
use crate::api::client::{self, AskError};
use crate::config::Config;

const DEFAULT_CONFIG: &str = "/etc/xdp-lb/lb.toml";
const DEFAULT_SOCKET: &str = "/run/xdp-lb/control.sock";

/// Where the agent is.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SocketArgs {
    /// The agent's configuration, which names its control socket [default: /etc/xdp-lb/lb.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The agent's control socket itself; the configuration is not read then
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    socket: Option<PathBuf>,
}

impl SocketArgs {
    /// Asks the agent. What went wrong is printed, and the exit code says of which kind it was.
    pub(super) fn ask<T: DeserializeOwned>(&self, question: &Question) -> Result<T, ExitCode> {
        let socket = self.path()?;
        client::ask(&socket, question).map_err(|error| {
            match error {
                AskError::NotRunning { .. } => eprintln!(
                    "xdp-lb: no agent answers at {}: start it with `xdp-lb run --config {}`",
                    socket.display(),
                    self.config.as_deref().unwrap_or(Path::new(DEFAULT_CONFIG)).display()
                ),
                error => eprintln!("xdp-lb: {error}"),
            }
            ExitCode::FAILURE
        })
    }

    /// A configuration that was named has to be valid. The default one may be missing, unreadable to whoever asks, or
    /// in the middle of an edit.
    fn path(&self) -> Result<PathBuf, ExitCode> {
        if let Some(socket) = &self.socket {
            return Ok(socket.clone());
        }
        let file = self.config.as_deref().unwrap_or(Path::new(DEFAULT_CONFIG));
        match Config::load(file) {
            Ok(config) => Ok(config.agent.control_socket),
            Err(_) if self.config.is_none() => Ok(PathBuf::from(DEFAULT_SOCKET)),
            Err(error) => {
                eprintln!("{error}");
                Err(ExitCode::from(2))
            }
        }
    }
}
