//! How often a backend is checked, and how patiently.

use std::time::Duration;

use super::super::model::{CheckVia, Health, HealthKind};
use super::super::rules::{duration, integer, shown};
use super::super::section::Section;

/// When it is asked, and what the answers mean. By default, a backend that answers nothing is down an interval after its
/// first failed check began, or sooner: `fall` timeouts fit into it, and so do `fall` fast intervals.
pub(in crate::config) struct Timing {
    interval: Option<Duration>,
    fast_interval: Option<Duration>,
    timeout: Option<Duration>,
    rise: Option<u32>,
    fall: Option<u32>,
}

impl Timing {
    pub(in crate::config) fn read(section: &Section<'_>) -> Self {
        let interval = section.or("interval", duration(SHORTEST_INTERVAL..=LONGEST_INTERVAL), INTERVAL).value;
        let known = interval.unwrap_or(LONGEST_INTERVAL);
        let fall = section.or("fall", integer(1..=100, ""), 3).value;
        let checks = fall.unwrap_or(1);
        let fast_interval = section.or(
            "fast_interval",
            duration(SHORTEST_FAST_INTERVAL..=LONGEST_INTERVAL),
            whole_milliseconds(known / (checks + 1)).max(SHORTEST_FAST_INTERVAL),
        );
        let timeout = section.or(
            "timeout",
            duration(SHORTEST_TIMEOUT..=LONGEST_TIMEOUT),
            whole_milliseconds(known / checks).clamp(SHORTEST_DEFAULT_TIMEOUT, LONGEST_DEFAULT_TIMEOUT),
        );
        if fast_interval.value.is_some_and(|fast| fast > known) {
            let message = format!("expected at most the interval, which is {}", shown(known));
            section.source().report(&fast_interval.place, message);
        }
        Self {
            interval,
            fast_interval: fast_interval.value,
            timeout: timeout.value,
            rise: section.or("rise", integer(1..=100, ""), 2).value,
            fall,
        }
    }

    pub(in crate::config) fn build(self, kind: HealthKind, via: CheckVia) -> Option<Health> {
        Some(Health {
            kind,
            via,
            interval: self.interval?,
            fast_interval: self.fast_interval?,
            timeout: self.timeout?,
            rise: self.rise?,
            fall: self.fall?,
        })
    }
}

fn whole_milliseconds(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

const INTERVAL: Duration = Duration::from_secs(2);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
const LONGEST_INTERVAL: Duration = Duration::from_secs(3_600);
const SHORTEST_FAST_INTERVAL: Duration = Duration::from_millis(50);
/// A default below this would take a busy server for a dead one, one above it a dead one for a busy one.
const SHORTEST_DEFAULT_TIMEOUT: Duration = Duration::from_millis(100);
const LONGEST_DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(10);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);
