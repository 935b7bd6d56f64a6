//! What is told to the balancer of a try, and when.
//!
//! An answer whose head is good is a success only once it is whole, or has come well for a while: a server that breaks
//! off each of its answers would look like a good one. The balancer counts one verdict for each try.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::trip::now;
use super::{Entry, Picked, ServerInfo};
use crate::control::Report;
use crate::control::score::{Outcome, Verdict};

/// How long an answer that has not ended has to come for its server to have succeeded.
const WELL: Duration = Duration::from_secs(1);

/// What ends with an answer.
pub(super) struct Guards {
    _entry: Entry,
    picked: Picked,
    /// What is still to be told.
    good: Option<Good>,
}

struct Good {
    latency: Duration,
    report: Option<Report>,
    since: Instant,
}

impl Guards {
    /// For an answer whose head came after this time; `report` is what came with it.
    pub(super) fn new(
        entry: Entry,
        picked: Picked,
        is_failure: bool,
        latency: Duration,
        report: Option<Report>,
    ) -> Self {
        let good = (!is_failure).then(|| Good { latency, report, since: now() });
        Self { _entry: entry, picked, good }
    }

    /// Whose answer it is.
    pub(super) fn server(&self) -> &Arc<ServerInfo> {
        self.picked.server()
    }

    /// The server says more at the answer's end.
    pub(super) fn report(&mut self, report: Option<Report>) {
        if let Some(good) = &mut self.good
            && report.is_some()
        {
            good.report = report;
        }
    }

    /// More came.
    pub(super) fn came(&mut self) {
        if self.good.as_ref().is_some_and(|good| now().saturating_duration_since(good.since) >= WELL) {
            self.succeed();
        }
    }

    /// The answer is as it should be.
    pub(super) fn succeed(&mut self) {
        if let Some(good) = self.good.take() {
            tell(&mut self.picked, Verdict::Success, good.latency, good.report.as_ref());
        }
    }

    /// It ended early, or says at its end that it failed.
    pub(super) fn fail(&mut self) {
        if let Some(good) = self.good.take() {
            tell(&mut self.picked, Verdict::Failure, good.latency, good.report.as_ref());
        }
    }
}

impl Drop for Guards {
    fn drop(&mut self) {
        // Who does not want the rest has nothing to say against it.
        self.succeed();
    }
}

/// Tells the balancer.
pub(super) fn tell(picked: &mut Picked, verdict: Verdict, latency: Duration, report: Option<&Report>) {
    #[cfg(test)]
    TOLD.with_borrow_mut(|told| told.push(verdict));
    picked.answered(&Outcome { latency, verdict, report, in_flight: None }, now());
}

#[cfg(test)]
std::thread_local! {
    static TOLD: std::cell::RefCell<Vec<Verdict>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// What was told on this thread, which is that of one test, since this was last asked.
#[cfg(test)]
pub(super) fn told() -> Vec<Verdict> {
    TOLD.take()
}
