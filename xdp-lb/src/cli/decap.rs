//! `xdp-lb decap`: the backend's side.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::log;
use crate::config::DecapConfig;
use crate::datapath::{AttachError, InterfaceChange, Terminator};

/// Ends the balancer's tunnels on a backend: takes the outer headers off in XDP.
///
/// Attach it to the interfaces by which tunnel packets come in. The inner packet, addressed to the VIP, is left to the
/// host: give the host the VIP's address on the loopback interface, and see that it does not answer ARP for it.
/// Everything that is no tunnel packet from an accepted source passes untouched.
///
/// Signals: SIGHUP reads addresses and sources again (a wrong file is reported and the old one stays); SIGTERM and SIGINT
/// detach and end.
///
/// Exit codes: 0 stopped by a signal, 1 cannot attach, 2 the configuration is wrong.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DecapArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "/etc/xdp-lb/decap.toml")]
    config: PathBuf,

    /// Leave the program attached at the end: tunnels go on being ended until the next run takes over
    #[arg(long)]
    leave_attached: bool,
}

pub(super) fn run(args: DecapArgs) -> ExitCode {
    let config = match DecapConfig::load(&args.config) {
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
        .map_err(DecapError::Runtime)
        .and_then(|runtime| runtime.block_on(serve(&args, &config)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xdp-lb: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum DecapError {
    #[error("cannot start the asynchronous runtime: {0}")]
    Runtime(io::Error),
    #[error(transparent)]
    Attach(#[from] AttachError),
}

async fn serve(args: &DecapArgs, config: &DecapConfig) -> Result<(), DecapError> {
    let mut hangup = signal(SignalKind::hangup()).map_err(DecapError::Runtime)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(DecapError::Runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DecapError::Runtime)?;
    let mut terminator = Terminator::attach(config)?;
    terminator.attachments().iter().for_each(InterfaceChange::log);
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = second.tick() => terminator.watch_interfaces().iter().for_each(InterfaceChange::log),
            _ = hangup.recv() => reload(args, &mut terminator),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    // Whatever becomes of the figures, the program goes.
    match terminator.reasons() {
        Ok(reasons) => {
            for (reason, packets) in reasons {
                tracing::info!("{packets} packets: {}", reason.description());
            }
        }
        Err(error) => tracing::warn!("what became of packets is not known: {error}"),
    }
    terminator.detach(args.leave_attached)?;
    Ok(())
}

fn reload(args: &DecapArgs, terminator: &mut Terminator) {
    match DecapConfig::load(&args.config) {
        Ok(config) => match terminator.configure(&config) {
            Ok(()) => tracing::info!("read {} again", args.config.display()),
            Err(error) => tracing::error!("the configuration is not in force: {error}"),
        },
        Err(error) => tracing::error!("the old configuration stays in force:\n{error}"),
    }
}
