//! Measures four times a second, over a window that slides.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::age::Age;
use super::cpu::{self, Reading, Source};
use super::operator::Operator;
use super::{By, Server};
use crate::control::AdminState;

/// Between two measurements.
const PERIOD: Duration = Duration::from_millis(250);

/// Readings kept: the window is one and a half seconds.
const READINGS: usize = 7;

/// Least utilization told in ORCA, whose 0 says that nothing was measured.
pub(super) const LEAST: f64 = 0.001;

/// What is known of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sample {
    /// 0 to 1; nothing while it cannot be measured.
    pub(super) utilization: Option<f64>,
    /// Of the server.
    pub(super) age: Option<Duration>,
    /// What the operator wants, where there is a file to say so.
    pub(super) admin: Option<AdminState>,
}

/// Why the host cannot be measured.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot measure processor time: {0}; --cgroup takes the folder of a control group (version 2), such as /sys/fs/cgroup/system.slice/nginx.service"
)]
pub struct MeasureError(io::Error);

#[derive(Debug)]
pub(super) struct Sampler {
    by: By,
    source: Source,
    age: Age,
    operator: Option<Operator>,
    epoch: Instant,
    readings: VecDeque<(Duration, Reading)>,
    failing: bool,
}

impl Sampler {
    /// Measures once, to see that it can.
    pub(super) fn new(
        by: By,
        cgroup: Option<PathBuf>,
        server: Server,
        state_file: Option<PathBuf>,
    ) -> Result<Self, MeasureError> {
        let mut sampler = Self {
            by,
            source: cgroup.map_or(Source::Host, Source::Cgroup),
            age: Age::of(server),
            operator: Operator::new(state_file),
            epoch: Instant::now(),
            readings: VecDeque::with_capacity(READINGS),
            failing: false,
        };
        sampler.measure().map_err(MeasureError)?;
        Ok(sampler)
    }

    /// Measures a second time, so that there is something to tell.
    pub(super) async fn start(mut self, samples: watch::Sender<Sample>) -> Running {
        tokio::time::sleep(PERIOD).await;
        samples.send_replace(self.sample());
        Running { sampler: self, samples }
    }

    fn sample(&mut self) -> Sample {
        let utilization = match self.measure() {
            Ok(utilization) => {
                self.failing = false;
                utilization
            }
            Err(error) => {
                if !self.failing {
                    tracing::warn!("cannot measure: {error}; no utilization is reported until this is over");
                }
                self.failing = true;
                self.readings.clear();
                None
            }
        };
        let admin = self.operator.as_mut().map(Operator::state);
        Sample { utilization, age: self.age.now(), admin }
    }

    /// Reads once more. Gives nothing while there is nothing to compare with.
    fn measure(&mut self) -> io::Result<Option<f64>> {
        let up = self.epoch.elapsed();
        let reading = self.source.read(up, self.readings.back().copied())?;
        if self.readings.back().is_some_and(|(_, last)| reading.busy < last.busy) {
            self.readings.clear();
        }
        self.readings.push_back((up, reading));
        if self.readings.len() > READINGS {
            self.readings.pop_front();
        }
        let cpu = self.readings.front().and_then(|(_, first)| reading.since(first));
        Ok(match self.by {
            By::Cpu => cpu,
            By::Load => Some(cpu::load()?),
            By::Max => cpu.map(|cpu| cpu::load().map(|load| cpu.max(load))).transpose()?,
        })
    }
}

/// A sampler with somewhere to put its samples.
#[derive(Debug)]
pub(super) struct Running {
    sampler: Sampler,
    samples: watch::Sender<Sample>,
}

impl Running {
    /// Measures for as long as it is polled.
    pub(super) async fn run(mut self) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first is at once.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            self.samples.send_replace(self.sampler.sample());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_made_anew_is_not_idle() {
        let dir = tempfile::tempdir().unwrap();
        let usage = |microseconds: u64| {
            std::fs::write(dir.path().join("cpu.stat"), format!("usage_usec {microseconds}\n")).unwrap();
        };
        usage(900_000_000);
        let group = Some(dir.path().to_owned());
        let mut sampler = Sampler::new(By::Cpu, group, Server::Host, None).unwrap();
        let mut measure = |microseconds| {
            usage(microseconds);
            std::thread::sleep(Duration::from_millis(2));
            sampler.measure().unwrap()
        };
        assert_eq!(measure(901_000_000), Some(1.0));
        assert_eq!(measure(0), None, "it counts from 0 again");
        assert_eq!(measure(1_000_000), Some(1.0));
    }
}
