//! How many requests a server has in flight: those sent from here, and those of others by its last report.

/// One server's requests in flight. Times are in seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    own: u32,
    /// Those of others, and when they were reported.
    others: Option<(f64, f64)>,
}

impl Queue {
    pub(super) fn own(&self) -> u32 {
        self.own
    }

    pub(super) fn sent(&mut self) {
        self.own = self.own.saturating_add(1);
    }

    pub(super) fn finished(&mut self) {
        self.own = self.own.saturating_sub(1);
    }

    /// The server says that it has `in_flight` beside the one that it answers, which still counts as one of ours.
    pub(super) fn reported(&mut self, in_flight: u32, now: f64) {
        let own = self.own.saturating_sub(1);
        self.others = Some((f64::from(in_flight.saturating_sub(own)), now));
    }

    /// Requests in flight, where servers have typically `typical` of others: a report fades towards that, so that
    /// servers that report seldom or never look neither better nor worse than the rest.
    pub(super) fn length(&self, now: f64, typical: f64, fade: f64) -> f64 {
        let others = match self.others {
            Some((others, at)) => {
                let fresh = freshness(at, now, fade);
                others * fresh + typical * (1.0 - fresh)
            }
            None => typical,
        };
        f64::from(self.own) + others
    }

    /// Requests of others as reported, and how far that counts, 0 to 1.
    pub(super) fn others(&self, now: f64, fade: f64) -> (f64, f64) {
        self.others.map_or((0.0, 0.0), |(others, at)| (others, freshness(at, now, fade)))
    }
}

/// How far a report of `at` counts, 0 to 1: not at all once it is `fade` old.
fn freshness(at: f64, now: f64, fade: f64) -> f64 {
    (1.0 - (now - at) / fade.max(f64::EPSILON)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Own requests, what the server reports while it answers one of them, seconds since, typical of others, length.
    #[test]
    fn reports_of_others_add_to_what_was_sent_from_here_and_fade() {
        for (own, reported, after, typical, expected) in [
            (1, None, 0.0, 0.0, 1.0),
            (1, Some(0), 0.0, 0.0, 1.0),
            (3, Some(2), 0.0, 0.0, 3.0),
            (3, Some(7), 0.0, 0.0, 8.0),
            (3, Some(7), 0.25, 0.0, 5.5),
            (3, Some(7), 0.25, 3.0, 7.0),
            (3, Some(7), 0.5, 0.0, 3.0),
            (3, Some(7), 9.0, 2.0, 5.0),
            (3, Some(0), 0.0, 2.0, 3.0),
            (3, None, 9.0, 2.0, 5.0),
        ] {
            let mut queue = Queue::default();
            (0..own).for_each(|_| queue.sent());
            if let Some(in_flight) = reported {
                queue.reported(in_flight, 1.0);
            }
            let length = queue.length(1.0 + after, typical, 0.5);
            assert!((length - expected).abs() < 1e-9, "{own} {reported:?} {after}: {length}, not {expected}");
        }
    }

    #[test]
    fn nothing_in_flight_stays_nothing() {
        let mut queue = Queue::default();
        queue.finished();
        queue.sent();
        assert_eq!(queue.own(), 1);
        queue.finished();
        queue.finished();
        assert_eq!(queue.own(), 0);
    }
}
