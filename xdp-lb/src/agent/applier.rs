//! Commands on their way to the data path, in order, tried again when one fails.
//!
//! A command that fails stays at the head of the queue, with all later ones behind it, and is tried again every second:
//! a later command may not overtake it, or an old state would overwrite a newer one. After [`MOST_TRIES`] it is given
//! up, so that one command that cannot succeed (a VIP too many for the map) does not stop all others.

use std::collections::VecDeque;

use crate::control::Command;
use crate::datapath::Datapath;

const MOST_TRIES: u32 = 5;

#[derive(Debug)]
pub(super) struct Applier<D> {
    datapath: D,
    waiting: VecDeque<Command>,
    /// Of the command at the head.
    failures: u32,
}

impl<D: Datapath> Applier<D> {
    pub(super) fn new(datapath: D) -> Self {
        Self { datapath, waiting: VecDeque::new(), failures: 0 }
    }

    pub(super) fn datapath(&mut self) -> &mut D {
        &mut self.datapath
    }

    pub(super) fn into_datapath(self) -> D {
        self.datapath
    }

    /// Carries the command out, after all earlier ones.
    pub(super) fn apply(&mut self, command: Command) {
        self.waiting.push_back(command);
        if self.failures == 0 {
            self.proceed();
        }
    }

    /// Tries again what failed, and what waits behind it.
    pub(super) fn retry(&mut self) {
        self.proceed();
    }

    fn proceed(&mut self) {
        while let Some(command) = self.waiting.front() {
            match self.datapath.apply(command) {
                Ok(()) => {
                    if self.failures > 0 {
                        tracing::info!("data path: {} succeeded after all", name(command));
                    }
                }
                Err(e) => {
                    self.failures += 1;
                    let what = name(command);
                    if self.failures < MOST_TRIES {
                        tracing::warn!("data path: {what} failed: {e}; it is tried again in a second");
                        return;
                    }
                    tracing::error!(
                        "data path: {what} failed {MOST_TRIES} times: {e}; it is given up, and the kernel differs from \
                         what `xdp-lb status` shows until the agent is restarted"
                    );
                }
            }
            self.waiting.pop_front();
            self.failures = 0;
        }
    }
}

/// The command in words, without its thousands of slots.
fn name(command: &Command) -> String {
    match command {
        Command::WriteDirectory(vips) => format!("writing the directory of {} VIPs", vips.len()),
        Command::WriteBackend(record) => {
            format!("writing backend {} ({})", record.backend.index(), record.address)
        }
        Command::ClearBackend(backend) => format!("clearing backend {}", backend.index()),
        Command::PurgeFlows(backend) => format!("removing the recorded flows of backend {}", backend.index()),
        Command::WriteSlots { vip, changes } => {
            format!("writing {} slots of VIP {}", changes.len(), vip.index())
        }
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use xdp_lb_common::ids::BackendId;

    use super::*;
    use crate::datapath::fake::Fake;

    fn clear(index: u16) -> Command {
        Command::ClearBackend(BackendId::new(index).unwrap())
    }

    #[test]
    fn nothing_overtakes_a_command_that_failed() {
        let fake = Fake::default();
        let mut applier = Applier::new(fake.clone());
        applier.apply(clear(1));
        fake.fail_next(2);
        applier.apply(clear(2));
        applier.apply(clear(3));
        assert_eq!(fake.applied(), [clear(1)]);
        applier.retry();
        assert_eq!(fake.applied(), [clear(1)]);
        applier.retry();
        applier.apply(clear(4));
        assert_eq!(fake.applied(), [clear(1), clear(2), clear(3), clear(4)]);
    }

    #[test]
    fn a_command_that_cannot_succeed_is_given_up() {
        let fake = Fake::default();
        let mut applier = Applier::new(fake.clone());
        fake.fail_next(MOST_TRIES);
        applier.apply(clear(1));
        applier.apply(clear(2));
        for _ in 1..MOST_TRIES {
            assert_eq!(fake.applied(), []);
            applier.retry();
        }
        assert_eq!(fake.applied(), [clear(2)]);
        applier.apply(clear(3));
        assert_eq!(fake.applied(), [clear(2), clear(3)]);
    }
}
