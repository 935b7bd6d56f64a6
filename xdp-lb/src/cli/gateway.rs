//! `xdp-lb gateway`: serve requests.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use super::log;
use crate::config::gateway::GatewayConfig;
use crate::gateway::{self, ProcessError};

/// Serves HTTP: verifies each request, changes it, and passes it to the freest server of its microservice.
///
/// Needs no privilege and no kernel program: it stands behind xdp-lb's VIPs or alone. The configuration is checked whole,
/// and all files that it names are read, before anything is listened to.
///
/// Signals: SIGHUP reads the configuration again (a wrong one is reported and the old one stays; no request fails);
/// SIGTERM and SIGINT let requests in flight end, for gateway.drain at most. A second gateway with the same
/// configuration takes the listening sockets over where gateway.handover_socket is set, and the first one ends: that is
/// how to restart without a refused connection. The log goes to standard error, the access log to log.path.
///
/// Exit codes: 0 stopped by a signal or succeeded, 1 cannot serve, 2 the configuration is wrong.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct GatewayArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "/etc/xdp-lb/gateway.toml")]
    config: PathBuf,
}

#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error("cannot start the asynchronous runtime: {0}")]
    Runtime(io::Error),
    #[error(transparent)]
    Process(#[from] ProcessError),
}

pub(super) fn run(args: GatewayArgs) -> ExitCode {
    let config = match GatewayConfig::load(&args.config) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    log::start();
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::Runtime)
        .and_then(|runtime| Ok(runtime.block_on(gateway::run(args.config, config))?));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xdp-lb: {error}");
            ExitCode::FAILURE
        }
    }
}
