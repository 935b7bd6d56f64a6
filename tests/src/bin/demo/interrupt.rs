//! Ctrl-C, a closed terminal, SIGTERM: the demo leaves in order.

use std::thread;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use xdp_lb_tests::wait;

/// Has the signals that would end this process cancel every wait instead, so that all guards are dropped.
pub(crate) fn watch() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("starting to listen for signals")?;
    let entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    drop(entered);
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        });
        wait::cancel();
    });
    Ok(())
}
