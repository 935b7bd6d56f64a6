//! A server: a few workers and a queue of limited length.

use std::collections::VecDeque;

use super::policy::Report;
use super::scenario::State;
use super::time::{Time, as_seconds};

/// Answers of which a probe's latency is the median (the paper says "recent").
const REMEMBERED: usize = 15;
/// Requests in flight that are told apart in what is remembered.
const TAGS: usize = 128;
/// Time constant of what is reported.
const SMOOTHING: f64 = 1.0;

/// A request as its server knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) request: u32,
    pub(super) came: Time,
    /// Nanoseconds at full speed.
    pub(super) demand: f64,
    /// From 0 to below 1: it fails at servers that fail more often than this.
    pub(super) luck: f64,
    /// Requests there when it came.
    pub(super) in_flight: u32,
}

/// A job that a worker has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    pub(super) job: Job,
    pub(super) ends: Time,
    pub(super) ok: bool,
}

/// What becomes of a job that comes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Received {
    Begun(Begun),
    Waits,
    Refused,
}

#[derive(Debug)]
pub(super) struct Server {
    workers: usize,
    room: usize,
    busy: usize,
    queue: VecDeque<Job>,
    pub(super) state: State,
    /// Worker time used since the last report was made, in worker-nanoseconds up to `counted`.
    used: u64,
    counted: Time,
    ended: u32,
    failed: u32,
    reported: Time,
    report: Report,
    remembered: Option<Vec<Ring>>,
}

/// The latest answers of one number in flight.
#[derive(Clone, Copy, Debug, Default)]
struct Ring {
    latencies: [Time; REMEMBERED],
    count: usize,
    median: Option<Time>,
}

impl Server {
    /// `remembers`: whether it will be probed for latencies.
    pub(super) fn new(workers: usize, room: usize, state: State, remembers: bool) -> Self {
        Self {
            workers,
            room,
            busy: 0,
            queue: VecDeque::new(),
            state,
            used: 0,
            counted: 0,
            ended: 0,
            failed: 0,
            reported: 0,
            report: Report::default(),
            remembered: remembers.then(|| vec![Ring::default(); TAGS]),
        }
    }

    pub(super) fn in_flight(&self) -> u32 {
        (self.busy + self.queue.len()) as u32
    }

    pub(super) fn receive(&mut self, mut job: Job, now: Time) -> Received {
        job.in_flight = self.in_flight();
        if self.busy < self.workers {
            self.count_use(now);
            self.busy += 1;
            Received::Begun(self.begin(job, now))
        } else if self.queue.len() < self.room {
            self.queue.push_back(job);
            Received::Waits
        } else {
            self.ended += 1;
            self.failed += 1;
            Received::Refused
        }
    }

    /// A worker has ended a job, and begins the next if there is one.
    pub(super) fn end(&mut self, begun: &Begun, now: Time) -> Option<Begun> {
        self.ended += 1;
        if begun.ok {
            if let Some(rings) = &mut self.remembered {
                rings[(begun.job.in_flight as usize).min(TAGS - 1)].add(now - begun.job.came);
            }
        } else {
            self.failed += 1;
        }
        if let Some(next) = self.queue.pop_front() {
            return Some(self.begin(next, now));
        }
        self.count_use(now);
        self.busy -= 1;
        None
    }

    /// The speed is that of the begin, to the end.
    fn begin(&self, job: Job, now: Time) -> Begun {
        let ok = job.luck >= self.state.errors;
        let time = match self.state.error_time {
            Some(time) if !ok => time,
            _ => (job.demand * self.state.slowness) as Time,
        };
        Begun { job, ends: now + time, ok }
    }

    fn count_use(&mut self, now: Time) {
        self.used += self.busy as u64 * (now - self.counted);
        self.counted = now;
    }

    /// Brings what is reported up to date.
    pub(super) fn refresh(&mut self, age: f64, now: Time) {
        self.count_use(now);
        let elapsed = now - self.reported;
        if elapsed == 0 {
            return;
        }
        let time = as_seconds(elapsed);
        let kept = (-time / SMOOTHING).exp();
        let mean = |old: f64, new: f64| old * kept + new * (1.0 - kept);
        let report = &mut self.report;
        let utilization = self.used as f64 / (elapsed * self.workers as u64) as f64;
        report.utilization = mean(report.utilization, utilization).min(1.0);
        report.rate = mean(report.rate, f64::from(self.ended) / time);
        report.errors = mean(report.errors, f64::from(self.failed) / time);
        report.age = age;
        self.reported = now;
        (self.used, self.ended, self.failed) = (0, 0, 0);
    }

    /// What it says of itself.
    pub(super) fn report(&self) -> Report {
        Report { in_flight: self.in_flight(), ..self.report }
    }

    /// What latency it expects: the median of the latest answers to requests that met as many others here, or about
    /// as many. Zero without any.
    pub(super) fn expected_latency(&self) -> Time {
        let Some(rings) = &self.remembered else { return 0 };
        let here = (self.in_flight() as usize).min(TAGS - 1);
        let near = (0..TAGS).flat_map(|far| [here.checked_sub(far), Some(here + far)]).flatten();
        near.filter_map(|tag| rings.get(tag)?.median).next().unwrap_or(0)
    }
}

impl Ring {
    fn add(&mut self, latency: Time) {
        self.latencies[self.count % REMEMBERED] = latency;
        self.count += 1;
        let mut latencies = self.latencies;
        let known = &mut latencies[..self.count.min(REMEMBERED)];
        let middle = known.len() / 2;
        self.median = Some(*known.select_nth_unstable(middle).1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::time::{MILLISECOND, SECOND};

    const HEALTHY: State = State { slowness: 1.0, errors: 0.0, error_time: None };

    fn job(request: u32) -> Job {
        Job { request, came: 0, demand: 10.0 * MILLISECOND as f64, luck: 0.4, in_flight: 0 }
    }

    #[test]
    fn workers_then_queue_then_refusal() {
        let mut server = Server::new(1, 1, HEALTHY, false);
        let Received::Begun(first) = server.receive(job(1), 0) else { panic!("a worker is free") };
        assert_eq!((first.ends, first.ok), (10 * MILLISECOND, true));
        assert!(matches!(server.receive(job(2), 0), Received::Waits));
        assert!(matches!(server.receive(job(3), 0), Received::Refused));
        let second = server.end(&first, first.ends).unwrap();
        assert_eq!((second.job.request, second.ends), (2, 20 * MILLISECOND));
        assert!(server.end(&second, second.ends).is_none());
        assert_eq!(server.in_flight(), 0);
    }

    #[test]
    fn slow_and_failing_servers() {
        let states = [
            (State { slowness: 6.0, ..HEALTHY }, 60, true),
            (State { errors: 0.5, ..HEALTHY }, 10, false),
            (State { errors: 0.3, ..HEALTHY }, 10, true),
            (State { errors: 1.0, error_time: Some(MILLISECOND), ..HEALTHY }, 1, false),
        ];
        for (state, milliseconds, ok) in states {
            let Received::Begun(begun) = Server::new(1, 0, state, false).receive(job(1), 0) else {
                panic!("a worker is free")
            };
            assert_eq!((begun.ends, begun.ok), (milliseconds * MILLISECOND, ok), "{state:?}");
        }
    }

    #[test]
    fn reports_follow_with_a_second() {
        let mut server = Server::new(2, 0, HEALTHY, false);
        assert!(matches!(server.receive(Job { demand: 1e12, ..job(1) }, 0), Received::Begun(_)));
        for tenth in 1..=10 {
            server.refresh(7.0, tenth * SECOND / 10);
        }
        let report = server.report();
        let expected = 0.5 * (1.0 - (-1f64).exp());
        assert!((report.utilization - expected).abs() < 1e-6, "{report:?}");
        assert_eq!(report.in_flight, 1);
    }

    #[test]
    fn probes_tell_the_median_of_like_requests() {
        let mut server = Server::new(1, 9, HEALTHY, true);
        assert_eq!(server.expected_latency(), 0);
        for latency in [30, 10, 20] {
            let begun = Begun { job: Job { came: 100 - latency, ..job(1) }, ends: 100, ok: true };
            server.busy = 1;
            assert!(server.end(&begun, 100).is_none());
        }
        assert_eq!(server.expected_latency(), 20);
    }
}
