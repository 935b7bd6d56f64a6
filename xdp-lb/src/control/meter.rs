//! Totals and rates from the kernel's counters.

use std::time::Instant;

use xdp_lb_common::maps::Traffic;

use super::message::TrafficStatus;

/// The last two counts of one VIP or backend.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter {
    /// What the counter showed before this VIP or backend had it.
    baseline: Traffic,
    last: Option<(Instant, Traffic)>,
    before: Option<(Instant, Traffic)>,
}

impl Meter {
    /// A meter for a counter that stands at `baseline`, left by an earlier owner of the same id.
    pub(super) fn starting_at(baseline: Traffic) -> Self {
        Self { baseline, last: None, before: None }
    }

    /// A new count. Whether flows went unrecorded since the last.
    pub(super) fn count(&mut self, raw: Traffic, now: Instant) -> bool {
        if raw.packets < self.baseline.packets {
            self.baseline = Traffic::default(); // the kernel's counters began anew
        }
        let total = minus(raw, self.baseline);
        let known = self.last.map_or(0, |(_, last)| last.unrecorded);
        self.before = self.last;
        self.last = Some((now, total));
        total.unrecorded != known
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
