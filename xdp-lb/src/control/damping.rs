//! Whether a backend counts as up, so that one that flaps does not carry its connections back and forth.
//!
//! It counts as down as soon as what is known of it says so, and as up as soon as that is over. One that went down three
//! times within five minutes has to pass for a while first: 10 s, and twice as long each time it goes down again, up to
//! five minutes. Ten minutes after it last went down that is forgotten.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Going down so often within [`WITHIN`] is flapping.
const OFTEN: usize = 3;
const WITHIN: Duration = Duration::from_secs(300);

/// How long a flapping backend has to pass at first, and at most.
const FIRST_HOLD: Duration = Duration::from_secs(10);
const LONGEST_HOLD: Duration = Duration::from_secs(300);

/// After so long without going down it is forgotten.
const QUIET: Duration = Duration::from_secs(600);

/// A backend's ups and downs.
#[derive(Clone, Debug, Default)]
pub(super) struct Damping {
    up: bool,
    /// Whether it has gone down, and not only never come up.
    fell: bool,
    /// When it went down within the last five minutes, and the last time in any case.
    downs: VecDeque<Instant>,
    /// How long it has to pass.
    hold: Duration,
    passing_since: Option<Instant>,
}

/// A change of what a backend counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It counts as up: for the first time, or again.
    Up { again: bool },
    /// It counts as down. It flaps as of now, and has to pass for so long.
    Down { damped: Option<Duration> },
}

/// A flapping backend passes, but not for long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) hold: Duration,
    pub(super) passed: Duration,
}

impl Damping {
    pub(super) fn new(up: bool) -> Self {
        Self { up, ..Self::default() }
    }

    /// Takes over what an earlier agent knew of ups and downs.
    pub(super) fn remember(&mut self, downs: impl Iterator<Item = Instant>, hold: Duration) {
        self.downs = downs.collect();
        self.hold = hold.min(LONGEST_HOLD);
    }

    /// When it went down lately, and how long it has to pass.
    pub(super) fn memory(&self) -> (impl Iterator<Item = Instant> + '_, Duration) {
        (self.downs.iter().copied(), self.hold)
    }

    pub(super) fn is_up(&self) -> bool {
        self.up
    }

    /// It was down before anything was known of it.
    pub(super) fn begin_down(&mut self) {
        (self.up, self.fell) = (false, true);
    }

    /// What is known of it `passes`, or not. One that is tried all the same is not held: it has its connections already.
    pub(super) fn step(&mut self, passes: bool, is_tried: bool, now: Instant) -> Option<Turn> {
        if self.up == passes {
            self.passing_since = None;
            return None;
        }
        let since = |at: &Instant| now.saturating_duration_since(*at);
        if self.downs.back().is_some_and(|last| since(last) >= QUIET) {
            self.downs.clear();
            self.hold = Duration::ZERO;
        }
        if passes {
            let passing_since = *self.passing_since.get_or_insert(now);
            if since(&passing_since) < self.hold && !is_tried {
                return None;
            }
            self.up = true;
            self.passing_since = None;
            return Some(Turn::Up { again: std::mem::take(&mut self.fell) });
        }
        (self.up, self.fell) = (false, true);
        while self.downs.front().is_some_and(|first| since(first) >= WITHIN) {
            self.downs.pop_front();
        }
        self.downs.push_back(now);
        let damped = if !self.hold.is_zero() {
            self.hold = (self.hold * 2).min(LONGEST_HOLD);
            None
        } else if self.downs.len() >= OFTEN {
            self.hold = FIRST_HOLD;
            Some(FIRST_HOLD)
        } else {
            None
        };
        Some(Turn::Down { damped })
    }

    /// For how long it has passed and has to, while it is held.
    pub(super) fn held(&self, now: Instant) -> Option<Held> {
        let passed = now.saturating_duration_since(self.passing_since?);
        Some(Held { hold: self.hold, passed }).filter(|_| !self.hold.is_zero())
    }

    /// How long it has to pass once it is down, if it flaps.
    pub(super) fn flaps(&self, now: Instant) -> Option<Duration> {
        let last = self.downs.back().filter(|last| now.saturating_duration_since(**last) < QUIET);
        last.filter(|_| !self.hold.is_zero()).map(|_| self.hold)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::at;
    use super::*;

    const UP: Option<Turn> = Some(Turn::Up { again: true });
    const DOWN: Option<Turn> = Some(Turn::Down { damped: None });

    #[test]
    fn the_first_time_up_is_no_return() {
        let mut damping = Damping::new(false);
        assert_eq!(damping.step(false, false, at(0)), None);
        assert_eq!(damping.step(true, false, at(1)), Some(Turn::Up { again: false }));
        assert_eq!(damping.step(true, false, at(2)), None);
    }

    #[test]
    fn a_flapping_backend_has_to_pass_for_longer_and_longer() {
        let damped = Some(Turn::Down { damped: Some(FIRST_HOLD) });
        let mut damping = Damping::new(true);
        // Second, whether it passes, what turns.
        let rows = [
            (0, false, DOWN),
            (10, true, UP),
            (100, false, DOWN),
            (110, true, UP),
            (200, false, damped),
            (201, true, None),
            (205, false, None),
            (206, true, None),
            (215, true, None),
            (216, true, UP),
            (220, false, DOWN),
            (221, true, None),
            (240, true, None),
            (241, true, UP),
        ];
        for (second, passes, expected) in rows {
            assert_eq!(damping.step(passes, false, at(second)), expected, "at {second}");
        }
        let mut second = 300;
        for hold in [40, 80, 160, 300, 300] {
            assert_eq!(damping.step(false, false, at(second)), DOWN);
            assert_eq!(damping.step(true, false, at(second + 1)), None);
            let held = Held { hold: Duration::from_secs(hold), passed: Duration::from_secs(5) };
            assert_eq!(damping.held(at(second + 6)), Some(held));
            assert_eq!(damping.step(true, false, at(second + hold)), None);
            assert_eq!(damping.step(true, false, at(second + 1 + hold)), UP);
            second += hold + 2;
        }
        assert_eq!(damping.flaps(at(second)), Some(LONGEST_HOLD));
        assert_eq!(damping.flaps(at(second + 600)), None, "forgotten");
        assert_eq!(damping.step(false, false, at(second + 600)), DOWN);
        assert_eq!(damping.step(true, false, at(second + 601)), UP);
    }

    #[test]
    fn who_is_tried_is_not_held() {
        let mut damping = Damping::new(true);
        damping.remember([at(0), at(1)].into_iter(), FIRST_HOLD);
        assert_eq!(damping.step(false, false, at(10)), DOWN);
        assert_eq!(damping.step(true, false, at(11)), None);
        assert_eq!(damping.step(true, true, at(12)), UP);
    }

    #[test]
    fn going_down_now_and_then_is_not_flapping() {
        let mut damping = Damping::new(true);
        for round in 0..20 {
            assert_eq!(damping.step(false, false, at(round * 160)), DOWN, "{round}");
            assert_eq!(damping.step(true, false, at(round * 160 + 5)), UP);
        }
    }
}
