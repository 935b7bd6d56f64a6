use std::time::Duration;

/// The rule of one limit. A key's whole state is one number, its theoretical arrival time: when its burst is whole again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    /// Nanoseconds that a request takes off the time.
    interval: u64,
    /// Nanoseconds that the arrival time may be ahead and one more request is still allowed.
    tolerance: u64,
}

/// What a limit says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Requests that are allowed at once after this one.
    pub(super) remaining: u32,
    /// Nanoseconds until this one would be allowed, if it is not.
    pub(super) wait: Option<u64>,
    /// Nanoseconds until the burst is whole.
    pub(super) whole: u64,
}

impl Cell {
    pub(super) fn new(requests: u32, period: Duration, burst: u32) -> Self {
        let period = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        let interval = (period / u64::from(requests.max(1))).max(1);
        Self { interval, tolerance: interval.saturating_mul(u64::from(burst.max(1) - 1)) }
    }

    /// Nanoseconds until one request is allowed, when the burst is whole in so many.
    pub(super) fn until_one(&self, whole: u64) -> u64 {
        whole.saturating_sub(self.tolerance)
    }

    /// Decides, and moves the arrival time if the request is allowed and charged.
    pub(super) fn decide(&self, arrival: &mut u64, now: u64, charge: bool) -> Verdict {
        // Never further ahead than this limit could have brought it: it may have had other numbers before a reload.
        let whole = now.saturating_add(self.tolerance).saturating_add(self.interval);
        let ahead = (*arrival).clamp(now, whole) - now;
        if ahead > self.tolerance {
            return Verdict { remaining: 0, wait: Some(ahead - self.tolerance), whole: ahead };
        }
        let after = ahead.saturating_add(self.interval);
        if charge {
            *arrival = now.saturating_add(after);
        }
        let room = self.tolerance.saturating_add(self.interval).saturating_sub(after);
        let remaining = u32::try_from(room / self.interval).unwrap_or(u32::MAX);
        Verdict { remaining, wait: None, whole: after }
    }
}
