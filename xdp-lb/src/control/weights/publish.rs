//! When weights that have changed go into the table, and how many of them: slots that move cost lookups until they
//! settle, so that they move seldom and few at a time.
//!
//! A weight is published when it has been off by `hysteresis` steps for two ticks, at most every `publish_interval`,
//! the largest error first, as far as `publish_limit` and `minute_limit` allow. They are counted on the slots that
//! really move: the table is built, compared with the one in force, and where it moves too many, fewer weights are
//! taken, and a part of the last one's step. In a small table even the least step may move too many, since slots hang
//! together: then some of them move, and the others follow. What is on its way is finished, however little is left.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Evidence;
use super::grid::Multiplier;
use crate::config::Weights;

/// Ticks for which a weight has to be off.
const TICKS: u8 = 2;

/// Steps off from which on one tick is enough: nothing that large is noise.
const FAR_OFF: f64 = 3.0;

const MINUTE: Duration = Duration::from_secs(60);

/// Tables built to find one that moves few enough slots.
const MOST_TRIES: u32 = 6;

/// When a VIP's weights were published, and what that moved.
#[derive(Clone, Debug, Default)]
pub(in crate::control) struct Publisher {
    /// Nothing is published before.
    quiet_until: Option<Instant>,
    last: Option<Instant>,
    /// Slots moved within the last minute.
    moved: VecDeque<(Instant, u32)>,
    /// Whether slots are left that did not move with the last.
    unfinished: bool,
}

impl Publisher {
    /// Nothing is published before `until`.
    pub(in crate::control) fn quiet_until(&mut self, until: Option<Instant>) {
        self.quiet_until = until;
    }

    /// What an earlier agent moved within the last minute.
    pub(in crate::control) fn remember(&mut self, at: Instant, slots: u32) {
        self.moved.push_back((at, slots));
        self.last = self.last.max(Some(at));
    }

    pub(in crate::control) fn moved(&self) -> impl Iterator<Item = (Instant, u32)> {
        self.moved.iter().copied()
    }

    /// How many slots may move now; `None` if it is not the time.
    pub(in crate::control) fn allowance(
        &mut self,
        weights: &Weights,
        table_size: u32,
        now: Instant,
    ) -> Option<u32> {
        let waits = self.quiet_until.is_some_and(|until| now < until)
            || self.last.is_some_and(|last| now.saturating_duration_since(last) < weights.publish_interval);
        if waits {
            return None;
        }
        while self.moved.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= MINUTE) {
            self.moved.pop_front();
        }
        let share = |ratio: f64| ((f64::from(table_size) * ratio) as u32).max(1);
        let spent: u32 = self.moved.iter().map(|(_, slots)| slots).sum();
        let left = share(weights.minute_limit.get()).saturating_sub(spent);
        Some(left.min(share(weights.publish_limit.get()))).filter(|slots| *slots > 0)
    }

    /// Whether slots are left that should have moved with what was published last.
    pub(in crate::control) fn is_unfinished(&self) -> bool {
        self.unfinished
    }

    /// Weights were published, for which so many slots moved, of so many that differ.
    pub(in crate::control) fn publish(&mut self, slots: u32, of: u32, now: Instant) {
        self.last = Some(now);
        self.unfinished = slots < of;
        if slots > 0 {
            self.moved.push_back((now, slots));
        }
    }
}

/// Notes that a tick found a backend to be worth `worth` times its configured weight. What is to be published of it,
/// and how far that is away in steps, if it has been so for long enough.
pub(in crate::control) fn wish(
    evidence: &mut Evidence,
    worth: f64,
    weights: &Weights,
) -> Option<(Multiplier, f64)> {
    let steps = weights.steps_per_doubling;
    let published = evidence.published?;
    let error = published.steps_to(worth, steps);
    let goal = Multiplier::on_grid(worth, steps);
    if error < weights.hysteresis.get() && published.is_on_grid(steps) || goal == published {
        evidence.off_for = 0;
        return None;
    }
    evidence.off_for = evidence.off_for.saturating_add(1);
    (evidence.off_for >= TICKS || error >= FAR_OFF).then_some((goal, error))
}

/// A backend in the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::control) struct Entry {
    /// What its weight is made of besides the multiplier.
    pub(in crate::control) configured: f64,
    pub(in crate::control) published: Multiplier,
    /// What is to be published, and how far away that is.
    pub(in crate::control) wish: Option<(Multiplier, f64)>,
}

/// The multipliers that may be published, with the slots that they move and what `build` made of them. `build` tells
/// how many slots a set of multipliers moves. Only where no step is small enough those are more than `allowed`. `None` if
/// there is nothing to publish.
pub(in crate::control) fn fit<T>(
    entries: &[Entry],
    allowed: u32,
    table_size: u32,
    mut build: impl FnMut(&[Multiplier]) -> (u32, T),
) -> Option<(Vec<Multiplier>, u32, T)> {
    let mut order: Vec<usize> = (0..entries.len()).filter(|&index| entries[index].wish.is_some()).collect();
    let error = |index: usize| entries[index].wish.map_or(0.0, |(_, error)| error);
    order.sort_by(|&a, &b| error(b).total_cmp(&error(a)));
    let published: Vec<Multiplier> = entries.iter().map(|entry| entry.published).collect();
    let mut room = f64::from(allowed) / f64::from(table_size);
    let mut least: Option<(Vec<Multiplier>, u32, T)> = None;
    for _ in 0..MOST_TRIES {
        let taken = longest(entries, &order, room);
        let multipliers = apply(entries, &order, taken);
        if multipliers == published {
            break;
        }
        let (moved, built) = build(&multipliers);
        // Tables move a little more than the weights do: by so much less is tried again.
        room = estimate(entries, &multipliers).min(room) * f64::from(allowed) / f64::from(moved.max(1)) * 0.9;
        if moved <= allowed {
            return Some((multipliers, moved, built));
        }
        if least.as_ref().is_none_or(|(_, least, _)| moved < *least) {
            least = Some((multipliers, moved, built));
        }
    }
    least
}

/// How many wishes may be fulfilled, the last in part, so that shares change by no more than `room`.
fn longest(entries: &[Entry], order: &[usize], room: f64) -> f64 {
    let all = order.len() as f64;
    let fits = |taken: f64| estimate(entries, &apply(entries, order, taken)) <= room;
    if fits(all) {
        return all;
    }
    let (mut least, mut most) = (0.0, all);
    for _ in 0..24 {
        let middle = f64::midpoint(least, most);
        if fits(middle) { least = middle } else { most = middle }
    }
    least
}

/// The multipliers once so many wishes are fulfilled.
fn apply(entries: &[Entry], order: &[usize], taken: f64) -> Vec<Multiplier> {
    let mut multipliers: Vec<Multiplier> = entries.iter().map(|entry| entry.published).collect();
    for (position, &index) in order.iter().enumerate() {
        let part = (taken - position as f64).clamp(0.0, 1.0);
        let Entry { published, wish, .. } = entries[index];
        if let Some((goal, _)) = wish {
            multipliers[index] = published.toward(goal, part);
        }
    }
    multipliers
}

/// The part of the table that has to move: half of what shares change by.
fn estimate(entries: &[Entry], multipliers: &[Multiplier]) -> f64 {
    let sum = |of: &dyn Fn(usize) -> f64| (0..entries.len()).map(of).sum::<f64>();
    let before = |index: usize| entries[index].configured * entries[index].published.get();
    let after = |index: usize| entries[index].configured * multipliers[index].get();
    let (all_before, all_after) = (sum(&before), sum(&after));
    if all_before <= 0.0 || all_after <= 0.0 {
        return 0.0;
    }
    sum(&|index| (after(index) / all_after - before(index) / all_before).abs()) / 2.0
}
