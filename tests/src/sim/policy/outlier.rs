//! Envoy's outlier detection at its defaults: a host is ejected at once after 5 server errors in a row, and every 10 s if
//! its success rate lies 1.9 deviations below the mean; for 30 s the first time, longer each further time, at most 300 s; no
//! more than 10 % of the hosts, but always one. (Envoy documentation, "Outlier detection", and
//! `config.cluster.v3.OutlierDetection`.) A time-out counts as a server error, as Envoy's own 504 does.

use super::members::Members;
use crate::sim::time::{SECOND, Time};

const CONSECUTIVE: u32 = 5;
const INTERVAL: Time = 10 * SECOND;
const BASE: Time = 30 * SECOND;
const LONGEST: Time = 300 * SECOND;
const MOST_PERCENT: usize = 10;
/// Hosts with enough requests that success rates are compared at all.
const LEAST_HOSTS: usize = 5;
/// Requests of an interval from which on a host's success rate counts.
const LEAST_REQUESTS: u32 = 100;
const DEVIATIONS: f64 = 1.9;

#[derive(Debug)]
pub(super) struct Outlier {
    hosts: Members<Host>,
    ejected: usize,
    next: Time,
}

#[derive(Clone, Copy, Debug, Default)]
struct Host {
    in_a_row: u32,
    requests: u32,
    successes: u32,
    ejected_at: Option<Time>,
    times: u64,
}

impl Outlier {
    pub(super) fn new(servers: usize, now: Time) -> Self {
        Self { hosts: Members::new(servers), ejected: 0, next: now + INTERVAL }
    }

    pub(super) fn add(&mut self, server: usize) {
        self.hosts.add(server);
    }

    pub(super) fn is_ejected(&self, server: usize) -> bool {
        self.hosts[server].ejected_at.is_some()
    }

    pub(super) fn is_any_ejected(&self) -> bool {
        self.ejected > 0
    }

    /// A request has ended.
    pub(super) fn observe(&mut self, server: usize, ok: bool, now: Time) {
        let host = &mut self.hosts[server];
        host.requests += 1;
        if ok {
            host.successes += 1;
            host.in_a_row = 0;
            return;
        }
        host.in_a_row += 1;
        if host.in_a_row >= CONSECUTIVE {
            host.in_a_row = 0;
            self.eject(server, now);
        }
    }

    /// To be called often; does something every interval.
    pub(super) fn tick(&mut self, now: Time) {
        if now < self.next {
            return;
        }
        self.next += INTERVAL;
        let present = self.hosts.present().to_vec();
        for &server in &present {
            let host = &mut self.hosts[server];
            match host.ejected_at {
                Some(at) if now >= at + (BASE * host.times).min(LONGEST) => {
                    host.ejected_at = None;
                    self.ejected -= 1;
                }
                Some(_) => {}
                None => host.times = host.times.saturating_sub(1),
            }
        }
        for server in self.below_the_others(&present) {
            self.eject(server, now);
        }
        for server in present {
            (self.hosts[server].requests, self.hosts[server].successes) = (0, 0);
        }
    }

    fn below_the_others(&self, present: &[usize]) -> Vec<usize> {
        let rate = |&server: &usize| {
            let host = self.hosts[server];
            let rate = f64::from(host.successes) / f64::from(host.requests);
            (host.requests >= LEAST_REQUESTS && host.ejected_at.is_none()).then_some((server, rate))
        };
        let rates: Vec<(usize, f64)> = present.iter().filter_map(rate).collect();
        if rates.len() < LEAST_HOSTS {
            return Vec::new();
        }
        let count = rates.len() as f64;
        let mean = rates.iter().map(|(_, rate)| rate).sum::<f64>() / count;
        let variance = rates.iter().map(|(_, rate)| (rate - mean).powi(2)).sum::<f64>() / count;
        let least = mean - DEVIATIONS * variance.sqrt();
        rates.into_iter().filter(|(_, rate)| *rate < least).map(|(server, _)| server).collect()
    }

    fn eject(&mut self, server: usize, now: Time) {
        let hosts = self.hosts.present().len();
        let has_room = self.ejected == 0 || (self.ejected + 1) * 100 <= MOST_PERCENT * hosts;
        let host = &mut self.hosts[server];
        if host.ejected_at.is_none() && has_room {
            host.ejected_at = Some(now);
            host.times += 1;
            self.ejected += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detector(servers: usize) -> Outlier {
        let mut outlier = Outlier::new(servers, 0);
        (0..servers).for_each(|server| outlier.add(server));
        outlier
    }

    #[test]
    fn five_errors_in_a_row_eject() {
        let rows: [(&str, &[bool], bool); 4] = [
            ("four", &[false; 4], false),
            ("five", &[false; 5], true),
            ("broken by a success", &[false, false, false, false, true, false], false),
            ("half", &[false, true, false, true, false, true, false, true, false, true], false),
        ];
        for (description, outcomes, expected) in rows {
            let mut outlier = detector(20);
            outcomes.iter().for_each(|ok| outlier.observe(3, *ok, SECOND));
            assert_eq!(outlier.is_ejected(3), expected, "{description}");
        }
    }

    #[test]
    fn ejections_end_last_longer_each_time_and_are_few() {
        let mut outlier = detector(20);
        let fail =
            |outlier: &mut Outlier, server, at| (0..5).for_each(|_| outlier.observe(server, false, at));
        (0..3).for_each(|server| fail(&mut outlier, server, 0));
        assert_eq!([0, 1, 2].map(|server| outlier.is_ejected(server)), [true, true, false], "10 % of 20");
        outlier.tick(20 * SECOND);
        assert!(outlier.is_ejected(0));
        outlier.tick(30 * SECOND);
        assert!(!outlier.is_any_ejected());
        fail(&mut outlier, 0, 31 * SECOND);
        outlier.tick(80 * SECOND);
        assert!(outlier.is_ejected(0), "60 s the second time");
        outlier.tick(91 * SECOND);
        assert!(!outlier.is_ejected(0));
    }

    #[test]
    fn a_low_success_rate_ejects() {
        let mut outlier = detector(20);
        for server in 0..20 {
            (0..200).for_each(|i| outlier.observe(server, server != 5 || i % 2 == 0, SECOND));
        }
        outlier.tick(10 * SECOND);
        let ejected: Vec<_> = (0..20).filter(|server| outlier.is_ejected(*server)).collect();
        assert_eq!(ejected, [5]);
    }
}
