//! The task that joins [`Core`] and [`Kernel`]: hears, looks up, asks, tells.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::Request;
use super::core::{Action, Core};
use super::kernel::{Heard, Kernel};
use crate::control::Event;

/// How long a burst of events is collected before it is acted on.
const COLLECT: Duration = Duration::from_millis(20);

/// How often the whole tables are read again, whatever events said: some changes of routing (next-hop objects, policy
/// of other modules) have no event that is heard here.
const RESYNC: Duration = Duration::from_secs(60);

/// Between two attempts to open the netlink sockets.
const REOPEN: Duration = Duration::from_secs(1);

/// Runs until the watcher's handle or the receiver of events is gone.
pub(super) async fn run(mut requests: mpsc::UnboundedReceiver<Request>, events: mpsc::Sender<Event>) {
    let mut core = Core::default();
    loop {
        match session(&mut core, &mut requests, &events).await {
            Ok(()) => return,
            Err(reason) => {
                tracing::warn!("next hops: {reason}; what is known stays in use, trying again in {REOPEN:?}");
                sleep(REOPEN).await;
            }
        }
    }
}

/// One pair of sockets, until they fail (`Err`) or nobody wants to know any more (`Ok`).
async fn session(
    core: &mut Core,
    requests: &mut mpsc::UnboundedReceiver<Request>,
    events: &mpsc::Sender<Event>,
) -> Result<(), String> {
    let mut kernel = Kernel::open().map_err(|e| format!("cannot open a netlink socket: {e}"))?;
    let mut resync = Instant::now();
    loop {
        if resync <= Instant::now() {
            core.replace_tables(kernel.tables().await?);
            resync = Instant::now() + RESYNC;
        }
        for address in core.lookups() {
            let route = kernel.route(address).await?;
            core.routed(address, route);
        }
        for action in core.settle(Instant::now().into_std()) {
            match action {
                Action::Tell(address, hop) => {
                    if events.send(Event::NextHop { address, hop }).await.is_err() {
                        return Ok(());
                    }
                }
                Action::Ask(neighbour) => {
                    if let Err(reason) = kernel.ask(neighbour).await {
                        tracing::debug!("next hops: {reason}");
                    }
                }
            }
        }

        let mut wake = core.next_deadline().map_or(resync, |due| resync.min(due.into()));
        loop {
            tokio::select! {
                request = requests.recv() => match request {
                    Some(Request::Watch(address)) => core.watch(address),
                    Some(Request::Unwatch(address)) => core.unwatch(address),
                    None => return Ok(()),
                },
                heard = kernel.hear() => match heard {
                    Some(Heard::Change(change)) => core.apply(change),
                    Some(Heard::Missed) => resync = Instant::now(),
                    None => return Err("the netlink socket failed".to_owned()),
                },
                () = sleep_until(wake) => break,
            }
            if core.has_changes() || resync <= Instant::now() {
                wake = wake.min(Instant::now() + COLLECT);
            }
        }
    }
}
