//! `xdp-lb run`: attach and serve.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::log;
use crate::agent::{Agent, Edges, OpenError, Order};
use crate::config::Config;
use crate::datapath::{AttachError, InterfaceChange, Kernel, ways};

/// Attaches the XDP program and serves until it is told to stop.
///
/// The configuration is checked whole before anything is touched. Where an earlier agent was killed, its program, tables
/// and recorded flows are taken over, without a lost packet. Where the machine or an interface is not fit, or another
/// program is on it, the message says what mends it, and nothing is touched either.
///
/// Signals: SIGHUP reads the configuration again (a wrong one is reported and the old one stays); SIGTERM and SIGINT
/// detach and end. The log goes to standard error; RUST_LOG=debug says more. Under systemd use Type=notify-reload
/// (before systemd 253 Type=notify).
///
/// Exit codes: 0 stopped by a signal, 1 cannot attach or serve, 2 the configuration is wrong.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct RunArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "/etc/xdp-lb/lb.toml")]
    config: PathBuf,

    /// Leave the program attached at the end: the kernel goes on forwarding with the tables as they are, without health
    /// checks, until the next agent takes over
    #[arg(long)]
    leave_attached: bool,
}

pub(super) fn run(args: RunArgs) -> ExitCode {
    let config = match Config::load(&args.config) {
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
        .map_err(RunError::Runtime)
        .and_then(|runtime| runtime.block_on(serve(args, config)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xdp-lb: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Why the agent did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("cannot start the asynchronous runtime: {0}")]
    Runtime(io::Error),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Attach(AttachError),
    #[error("cannot detach: {0}")]
    Detach(AttachError),
}

async fn serve(args: RunArgs, config: Config) -> Result<(), RunError> {
    let orders = orders().map_err(RunError::Runtime)?;
    let edges = Edges::open(&config).await?;
    let checks = !ways::checked_by_data_path(&config).is_empty();
    let (kernel, adopted) = Kernel::attach(&config.agent, checks).map_err(RunError::Attach)?;
    if adopted.is_some() {
        tracing::info!("took over what an earlier agent left in the kernel");
    }
    kernel.attachments().iter().for_each(InterfaceChange::log);
    let seed = RandomState::new().build_hasher().finish();
    let agent = Agent::new(args.config, config, kernel, adopted, edges, seed);
    let (kernel, edges) = agent.run(orders).await;
    let detached = kernel.detach(args.leave_attached).map_err(RunError::Detach);
    // The next agent may come only now.
    drop(edges);
    detached?;
    tracing::info!(
        "{}",
        if args.leave_attached { "ended; the kernel goes on forwarding" } else { "detached and ended" }
    );
    Ok(())
}

/// What the signals order, from now on: one that comes while the program is being attached is not lost.
fn orders() -> io::Result<mpsc::Receiver<Order>> {
    let (sender, orders) = mpsc::channel(8);
    for (kind, order) in [
        (SignalKind::hangup(), Order::Reload),
        (SignalKind::terminate(), Order::Stop),
        (SignalKind::interrupt(), Order::Stop),
    ] {
        let mut signals = signal(kind)?;
        let sender = sender.clone();
        tokio::spawn(
            async move { while signals.recv().await.is_some() && sender.send(order).await.is_ok() {} },
        );
    }
    Ok(orders)
}
