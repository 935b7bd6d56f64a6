//! Who answered how many requests: in the last second, since a moment, and in all.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use xdp_lb_tests::load::Answer;

/// What "now" means in the table.
const WINDOW: Duration = Duration::from_secs(1);

/// Counts of answers.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    recent: VecDeque<Answer>,
    /// By server, since the beginning.
    pub(crate) totals: BTreeMap<String, u64>,
    /// Failed, since the beginning.
    pub(crate) failed: u64,
    since: Since,
}

/// Counts since the last [`Tally::mark`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Since {
    /// By server.
    pub(crate) answers: BTreeMap<String, u64>,
    /// When the failed ones began, in the order in which they ended.
    pub(crate) failures: Vec<Instant>,
}

impl Tally {
    /// Takes in new answers.
    pub(crate) fn add(&mut self, answers: Vec<Answer>, now: Instant) {
        for answer in answers {
            match &answer.outcome {
                Ok(name) => {
                    *self.totals.entry(name.clone()).or_default() += 1;
                    *self.since.answers.entry(name.clone()).or_default() += 1;
                }
                Err(_) => {
                    self.failed += 1;
                    self.since.failures.push(answer.began);
                }
            }
            self.recent.push_back(answer);
        }
        while self.recent.front().is_some_and(|answer| now.duration_since(answer.ended) > WINDOW) {
            self.recent.pop_front();
        }
    }

    /// Gives what was counted since the last mark, and starts counting anew.
    pub(crate) fn mark(&mut self) -> Since {
        std::mem::take(&mut self.since)
    }

    /// Starts counting answers anew. Failures go on being counted: none may get lost between two marks.
    pub(crate) fn forget_answers(&mut self) {
        self.since.answers.clear();
    }

    /// Answers of `name` in the last second.
    pub(crate) fn recent(&self, name: &str) -> usize {
        self.recent.iter().filter(|answer| answer.outcome.as_deref() == Ok(name)).count()
    }

    /// Answers of all in the last second.
    pub(crate) fn recent_answers(&self) -> usize {
        self.recent.iter().filter(|answer| answer.outcome.is_ok()).count()
    }

    /// Failures of the last second.
    pub(crate) fn recent_failures(&self) -> usize {
        self.recent.len() - self.recent_answers()
    }
}

impl Since {
    /// All answers.
    pub(crate) fn all(&self) -> u64 {
        self.answers.values().sum()
    }

    /// The part of the answers that `name` gave, 0 to 1.
    pub(crate) fn share(&self, name: &str) -> f64 {
        self.answers.get(name).copied().unwrap_or(0) as f64 / self.all().max(1) as f64
    }

    /// From the first failure to the last.
    pub(crate) fn failing(&self) -> Duration {
        let (first, last) = (self.failures.iter().min(), self.failures.iter().max());
        first.zip(last).map_or(Duration::ZERO, |(first, last)| last.duration_since(*first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_count_in_the_window_since_the_mark_and_in_all() {
        let begin = xdp_lb_tests::clock::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let answer = |ms, outcome: Result<&str, &str>| Answer {
            began: at(ms),
            ended: at(ms + 1),
            outcome: outcome.map(str::to_owned).map_err(str::to_owned),
        };
        let mut tally = Tally::default();
        tally.add(vec![answer(0, Ok("a")), answer(10, Err("x")), answer(500, Err("x"))], at(600));
        assert_eq!((tally.recent("a"), tally.recent_failures()), (1, 2));
        let since = tally.mark();
        assert_eq!((since.all(), since.failures.len()), (1, 2));
        assert_eq!(since.failing(), Duration::from_millis(490));
        tally.add(vec![answer(1400, Ok("a")), answer(1400, Ok("b"))], at(1500));
        assert_eq!(
            (tally.recent("a"), tally.recent_failures(), tally.totals["a"], tally.failed),
            (1, 1, 2, 2)
        );
        assert!((tally.mark().share("b") - 0.5).abs() < 1e-9);
        tally.add(vec![answer(1500, Ok("a")), answer(1500, Err("x"))], at(1600));
        tally.forget_answers();
        let since = tally.mark();
        assert_eq!((since.all(), since.failures.len()), (0, 1));
    }
}
