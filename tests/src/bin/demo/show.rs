//! Keeps the numbers on the screen true while the story goes on.

use std::thread;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use xdp_lb::control::Status;
use xdp_lb_tests::agent::Agent;
use xdp_lb_tests::load::Load;
use xdp_lb_tests::longlived::LongLived;
use xdp_lb_tests::{clock, scene, wait};

use crate::screen::{Row, Screen};
use crate::tally::{Since, Tally};

/// Between two looks at the agent and two drawings of the table.
const TICK: Duration = Duration::from_millis(200);

/// The numbers and where they come from.
#[derive(Debug)]
pub(crate) struct Show<'s> {
    /// Where to speak.
    pub(crate) screen: &'s mut Screen,
    /// Short connections.
    pub(crate) load: Load,
    /// Long ones.
    pub(crate) open: LongLived,
    /// The counts.
    pub(crate) tally: Tally,
    backends: usize,
    taken: usize,
    all_seen: bool,
}

impl<'s> Show<'s> {
    /// Begins to count.
    pub(crate) fn new(screen: &'s mut Screen, load: Load, open: LongLived, backends: usize) -> Self {
        Self { screen, load, open, tally: Tally::default(), backends, taken: 0, all_seen: true }
    }

    /// Lets `time` pass; what was answered in it, and what failed since the last look.
    pub(crate) fn watch(&mut self, agent: &Agent<'_>, time: Duration) -> Result<Since> {
        self.take();
        self.tally.forget_answers();
        let end = clock::now() + time;
        while clock::now() < end {
            self.tick(agent)?;
        }
        Ok(self.tally.mark())
    }

    /// Lets time pass until the agent says what `condition` wants; what was answered meanwhile, and what
    /// failed since the last look.
    pub(crate) fn until(
        &mut self,
        agent: &Agent<'_>,
        what: &str,
        condition: impl Fn(&Status) -> bool,
    ) -> Result<Since> {
        self.take();
        self.tally.forget_answers();
        let end = clock::now() + Duration::from_secs(15);
        while !self.tick(agent)?.is_some_and(|status| condition(&status)) {
            ensure!(clock::now() < end, "waited in vain until {what}\n{}", agent.tail());
        }
        Ok(self.tally.mark())
    }

    /// Says that something was seen, or that it was not.
    pub(crate) fn claim(&mut self, seen: bool, text: &str) {
        self.all_seen &= seen;
        self.screen.verdict(seen, text);
    }

    /// Whether every claim was seen.
    pub(crate) fn all_seen(&self) -> bool {
        self.all_seen
    }

    fn tick(&mut self, agent: &Agent<'_>) -> Result<Option<Status>> {
        if wait::is_cancelled() {
            bail!("interrupted");
        }
        if self.screen.is_closed() {
            bail!("nobody reads what the demo prints");
        }
        thread::sleep(TICK);
        let status = agent.status().ok();
        self.take();
        let rows: Vec<_> =
            (0..self.backends).map(|index| self.row(&scene::name(index), status.as_ref())).collect();
        let footer = format!(
            "{} requests/s, {} failing now, {} failed in all; {} open connections lost",
            self.tally.recent_answers(),
            self.tally.recent_failures(),
            self.tally.failed,
            self.open.lost()
        );
        self.screen.table(&rows, &footer);
        Ok(status)
    }

    fn take(&mut self) {
        let answers = self.load.answers_since(self.taken);
        self.taken += answers.len();
        self.tally.add(answers, clock::now());
    }

    fn row(&self, name: &str, status: Option<&Status>) -> Row {
        let rate = self.tally.recent(name);
        Row {
            name: name.to_owned(),
            state: status.map(|status| state(status, name).unwrap_or("unknown").to_owned()),
            share: rate as f64 / self.tally.recent_answers().max(1) as f64,
            rate,
            total: self.tally.totals.get(name).copied().unwrap_or(0),
        }
    }
}

/// The state of the backend `name` of the first VIP.
pub(crate) fn state<'s>(status: &'s Status, name: &str) -> Option<&'s str> {
    let backends = &status.vips.first()?.backends;
    backends.iter().find(|backend| backend.name == name).map(|backend| backend.state.as_str())
}
