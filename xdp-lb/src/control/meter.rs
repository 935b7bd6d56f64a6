//! Totals and rates from the kernel's counters.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use xdp_lb_common::maps::Traffic;

use super::message::TrafficStatus;
use super::weights::passive::Seen;

/// Counts of so long are kept.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// Over so long the rate of new connections is taken: long enough to be smooth, short enough to be that of the
/// utilization reported with it.
const RATE_WINDOW: Duration = Duration::from_secs(3);

/// The last counts of one VIP or backend.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    /// What the counter showed before this VIP or backend had it.
    baseline: Traffic,
    last: Option<(Instant, Traffic)>,
    before: Option<(Instant, Traffic)>,
    /// Packets and new connections at the counts of the last [`WINDOW`], oldest first.
    recent: VecDeque<(Instant, u64, u64)>,
}

impl Meter {
    /// A meter for a counter that stands at `baseline`, left by an earlier owner of the same id.
    pub(super) fn starting_at(baseline: Traffic) -> Self {
        Self { baseline, ..Self::default() }
    }

    /// A new count. Whether flows went unrecorded since the last.
    pub(super) fn count(&mut self, raw: Traffic, now: Instant) -> bool {
        if raw.packets < self.baseline.packets {
            self.baseline = Traffic::default(); // the kernel's counters began anew
            self.recent.clear();
        }
        let total = minus(raw, self.baseline);
        let known = self.last.map_or(0, |(_, last)| last.unrecorded);
        self.before = self.last;
        self.last = Some((now, total));
        self.recent.push_back((now, total.packets, total.new_flows));
        while self.recent.get(1).is_some_and(|(at, ..)| now.saturating_duration_since(*at) >= WINDOW) {
            self.recent.pop_front();
        }
        total.unrecorded != known
    }

    /// What came by within the last [`WINDOW`], since `since` at most.
    pub(super) fn seen(&self, since: Option<Instant>) -> Seen {
        let mut counts = self.recent.iter().skip_while(|(at, ..)| since.is_some_and(|since| *at < since));
        let Some((first, last)) = counts.next().zip(self.recent.back()) else { return Seen::default() };
        let before = self.before.map_or(0, |(_, before)| before.new_flows);
        Seen {
            packets: last.1.saturating_sub(first.1),
            new_flows: last.2.saturating_sub(first.2),
            just_now: last.2.saturating_sub(before),
        }
    }

    /// New connections a second, lately.
    pub(super) fn new_flow_rate(&self) -> Option<f64> {
        let last = self.recent.back()?;
        let is_old = |(at, ..): &&(Instant, u64, u64)| last.0.saturating_duration_since(*at) >= RATE_WINDOW;
        let first = self.recent.iter().rev().find(is_old).or(self.recent.front())?;
        let seconds = last.0.saturating_duration_since(first.0).as_secs_f64();
        (seconds > 0.0).then(|| last.2.saturating_sub(first.2) as f64 / seconds)
    }

    /// Totals, and rates unless the last count is stale.
    pub(super) fn status(&self, now: Instant) -> TrafficStatus {
        let Some((at, total)) = self.last else { return TrafficStatus::default() };
        let mut status = TrafficStatus {
            packets: total.packets,
            bytes: total.bytes,
            new_flows: total.new_flows,
            closes: total.closes,
            ..TrafficStatus::default()
        };
        if let Some((since, before)) = self.before {
            let seconds = at.saturating_duration_since(since).as_secs_f64();
            let stale = now.saturating_duration_since(at).as_secs_f64() >= 5.0 * seconds;
            let rate = |more: u64| if stale { 0.0 } else { more as f64 / seconds };
            let more = minus(total, before);
            status.packet_rate = rate(more.packets);
            status.byte_rate = rate(more.bytes);
            status.new_flow_rate = rate(more.new_flows);
        }
        status
    }
}

fn minus(a: Traffic, b: Traffic) -> Traffic {
    Traffic {
        packets: a.packets.saturating_sub(b.packets),
        bytes: a.bytes.saturating_sub(b.bytes),
        new_flows: a.new_flows.saturating_sub(b.new_flows),
        closes: a.closes.saturating_sub(b.closes),
        unrecorded: a.unrecorded.saturating_sub(b.unrecorded),
        ..Traffic::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::at;
    use super::*;

    fn traffic(packets: u64, unrecorded: u64) -> Traffic {
        Traffic { packets, bytes: packets * 100, new_flows: packets / 10, unrecorded, ..Traffic::default() }
    }

    #[test]
    fn totals_leave_the_earlier_owner_out_and_rates_cover_the_last_count() {
        let mut meter = Meter::starting_at(traffic(1000, 0));
        assert_eq!(meter.status(at(0)), TrafficStatus::default());
        meter.count(traffic(1100, 0), at(0));
        meter.count(traffic(1500, 0), at(2));
        let status = meter.status(at(3));
        assert_eq!((status.packets, status.bytes, status.new_flows), (500, 50_000, 50));
        assert_eq!((status.packet_rate, status.byte_rate, status.new_flow_rate), (200.0, 20_000.0, 20.0));
        assert_eq!(meter.status(at(20)).packet_rate, 0.0, "stale");
    }

    #[test]
    fn lately_is_a_window() {
        let mut meter = Meter::default();
        assert_eq!((meter.seen(None), meter.new_flow_rate()), (Seen::default(), None));
        for second in 0..=30 {
            meter.count(traffic(second * second * 10, 0), at(second));
        }
        assert_eq!(meter.seen(None), Seen { packets: 5000, new_flows: 500, just_now: 59 });
        assert_eq!(meter.seen(Some(at(28))), Seen { packets: 1160, new_flows: 116, just_now: 59 });
        assert_eq!(meter.new_flow_rate(), Some(57.0));
    }

    #[test]
    fn unrecorded_flows_are_noticed_when_they_grow() {
        let mut meter = Meter::default();
        for (second, unrecorded, grew) in [(0, 3, true), (1, 3, false), (2, 4, true), (3, 4, false)] {
            assert_eq!(meter.count(traffic(1, unrecorded), at(second)), grew, "at {second}");
        }
    }

    #[test]
    fn counters_that_began_anew_are_taken_as_they_are() {
        let mut meter = Meter::starting_at(traffic(1000, 5));
        meter.count(traffic(10, 0), at(0));
        assert_eq!(meter.status(at(0)).packets, 10);
    }
}
