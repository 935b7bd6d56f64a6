//! How evenly the checks of many backends of one VIP are spread over time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::time::Duration;

use super::super::fixtures::{self, start};
use super::*;

const BACKENDS: usize = 5_000;
const BUCKET: Duration = Duration::from_millis(100);

/// 5000 backends in virtual time, and when each check of theirs began.
struct Fleet {
    spec: Health,
    rng: Rng,
    checks: Vec<Check>,
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    began: Vec<Duration>,
}

impl Fleet {
    fn new(spec: Health, condition: Condition, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let checks: Vec<_> =
            (0..BACKENDS).map(|_| Check::new(spec.clone(), condition, start(), &mut rng)).collect();
        let mut fleet = Self { spec, rng, checks, due: BinaryHeap::new(), began: Vec::new() };
        fleet.look_when_due();
        fleet
    }

    fn look_when_due(&mut self) {
        let due = self.checks.iter().enumerate().filter_map(|(at, check)| Some(Reverse((check.due()?, at))));
        self.due = due.collect();
    }

    /// Checks, each of which takes `takes` and ends like `outcome`, until `end`.
    fn run(&mut self, end: Duration, takes: Duration, outcome: &Result<(), String>) {
        while let Some(Reverse((due, at))) = self.due.peek().copied() {
            if due >= start() + end {
                return;
            }
            self.due.pop();
            self.began.push(due - start());
            self.checks[at].begin(due);
            self.checks[at].judge(outcome.clone(), due + takes, &mut self.rng);
            self.due.extend(self.checks[at].due().map(|due| Reverse((due, at))));
        }
    }

    /// Checks that began in each tenth of a second of `window`.
    fn counts(&self, window: &Range<Duration>) -> Vec<f64> {
        let bucket = |since: Duration| (since.as_millis() / BUCKET.as_millis()) as usize;
        let mut counts = vec![0.0; bucket(window.end - window.start)];
        for began in self.began.iter().filter(|began| window.contains(*began)) {
            counts[bucket(*began - window.start)] += 1.0;
        }
        counts
    }

    /// The busiest tenth of a second of `window` over the mean of those of `of`.
    fn busiest(&self, window: &Range<Duration>, of: &Range<Duration>) -> f64 {
        let (counts, of) = (self.counts(window), self.counts(of));
        counts.into_iter().fold(0.0, f64::max) / (of.iter().sum::<f64>() / of.len() as f64)
    }
}

#[test]
fn checks_that_were_all_late_part_again() {
    let passed = Ok(());
    let mut fleet = Fleet::new(fixtures::health(), Condition::Up, 7);
    let (interval, quick) = (fleet.spec.interval, Duration::from_millis(1));
    let stopped = interval * 3;
    fleet.run(stopped, quick, &passed);
    // The agent stands still for longer than an interval, and all checks begin at once when it goes on.
    let goes_on = start() + stopped + interval * 2;
    for check in &mut fleet.checks {
        check.begin(goes_on);
        check.judge(passed.clone(), goes_on, &mut fleet.rng);
    }
    fleet.look_when_due();
    let window = stopped + interval * 3..stopped + interval * 7;
    fleet.run(window.end, quick, &passed);
    let busiest = fleet.busiest(&window, &window);
    assert!(busiest <= 2.0, "{busiest:.2} times the mean");
}

fn seconds(count: f64) -> Duration {
    Duration::from_secs_f64(count)
}

#[test]
fn checks_of_many_backends_do_not_bunch() {
    let (passed, failed) = (Ok(()), Err("no answer within 400ms".to_owned()));
    for (interval, fast) in [(2.0, 0.5), (10.0, 2.5), (2.0, 2.0), (5.0, 0.1)] {
        let (interval, fast) = (seconds(interval), seconds(fast));
        for seed in 0..3 {
            let spec = Health { interval, fast_interval: fast, ..fixtures::health() };
            let mut fleet = Fleet::new(spec, Condition::Checking, seed);
            let (quick, timeout) = (Duration::from_millis(1), fleet.spec.timeout);
            let mut at = Duration::ZERO;
            let mut then = |fleet: &mut Fleet, times: u32, takes, outcome: &Result<(), String>| {
                let window = at..at + interval * times;
                fleet.run(window.end, takes, outcome);
                at = window.end;
                window
            };
            let begin = then(&mut fleet, 1, quick, &passed);
            let settle = then(&mut fleet, 4, quick, &passed);
            // Each backend is checked `fall` times in its turn, which makes this the busiest time there can be.
            let fail = then(&mut fleet, 1, timeout, &failed);
            let go_down = then(&mut fleet, 1, timeout, &failed);
            let down = then(&mut fleet, 4, timeout, &failed);
            let recover = then(&mut fleet, 1, quick, &passed);
            let come_up = then(&mut fleet, 1, quick, &passed);
            let up = then(&mut fleet, 4, quick, &passed);
            for (when, window, of) in [
                ("the first checks", &(begin.start..begin.start + fast), &(begin.start..begin.start + fast)),
                ("after the start", &settle, &settle),
                ("while all fail", &fail, &fail),
                ("while the last of them go down", &go_down, &fail),
                ("while all are down", &down, &down),
                ("while all recover", &recover, &recover),
                ("while the last of them come up", &come_up, &recover),
                ("while all are up", &up, &up),
            ] {
                let busiest = fleet.busiest(window, of);
                println!("{interval:?}, {fast:?}, seed {seed}, {when}: {busiest:.2} x mean");
                assert!(
                    busiest <= 2.0,
                    "{interval:?}, {fast:?}, seed {seed}, {when}: {busiest:.2} times the mean"
                );
            }
        }
    }
}
