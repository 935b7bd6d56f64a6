//! Every second, with the counters: what they show of the backends, what those are worth now, and what of that is
//! published. Beside it the turns of a backend between up and down, and what follows for the others.

use std::collections::BTreeMap;
use std::time::Instant;

use xdp_lb_common::ids::{BackendId, VipId};

use super::backends::Backend;
use super::damping::Turn;
use super::weights::grid::Multiplier;
use super::weights::health::{Sample, Source};
use super::weights::passive::{self, Seen};
use super::weights::publish::{self, Entry};
use super::weights::{Factors, Member, Part, assess, failopen};
use super::{Command, Control};
use crate::config::{HealthKind, Protocol};

/// Tables made in one tick, of all VIPs together, but for the last one's: each takes milliseconds in which nothing else
/// is done. Those whose turn it is not wait for the next.
const MOST_TABLES: u32 = 32;

impl Control {
    /// What a second's counters show, and what follows.
    pub(super) fn tick(&mut self, now: Instant, out: &mut Vec<Command>) {
        let mut ids: Vec<VipId> = self.vips.keys().copied().collect();
        let first = ids.partition_point(|id| *id < self.publishes_first);
        ids.rotate_left(first);
        let (mut room, mut waiting) = (MOST_TABLES, None);
        for id in ids {
            let members = self.members_of(id);
            self.look_at(id, &members, now, out);
            if room == 0 {
                waiting.get_or_insert(id);
            }
            let made = self.publish(id, &members, room > 0, now, out);
            room = room.saturating_sub(made);
        }
        self.publishes_first = waiting.unwrap_or(VipId::new(0));
    }

    fn members_of(&self, id: VipId) -> Vec<BackendId> {
        self.vips.get(&id).map(|vip| vip.members.values().copied().collect()).unwrap_or_default()
    }

    /// Notes what traffic, or its absence, says of a VIP's backends, and who has passed for long enough.
    fn look_at(&mut self, id: VipId, members: &[BackendId], now: Instant, out: &mut Vec<Command>) {
        let Some(vip) = self.vips.get(&id) else { return };
        let is_tcp = vip.config.protocol == Protocol::Tcp;
        let window = vip.config.weights.failure_window;
        let mut seen = Vec::with_capacity(if is_tcp { members.len() } else { 0 });
        let mut returning = Vec::new();
        for &member in members {
            let Some(backend) = self.backends.get_mut(member) else { continue };
            backend.reports.notice_silence(now);
            if !backend.damping.is_up() && backend.passes() {
                returning.push(member);
            }
            if !is_tcp {
                continue;
            }
            let takes = backend.part() == Part::Takes;
            if takes && !backend.evidence.probation.is_proven() {
                let (since, ..) = backend.evidence.age.parts();
                if backend.meter.seen(Some(since)).shows_success() {
                    backend.evidence.probation.succeed();
                }
            }
            seen.push(if takes { backend.meter.seen(None) } else { Seen::default() });
        }
        for (&member, failed) in members.iter().zip(passive::failures(&seen)) {
            let Some((failures, count)) = failed else { continue };
            let Some(backend) = self.backends.get_mut(member) else { continue };
            let sample = Sample { at: now, source: Source::Traffic, failures, count };
            backend.evidence.outcomes.add(sample, window);
        }
        for member in returning {
            self.turn(member, None, now, out);
        }
    }

    /// Notes how a check of a backend ended.
    pub(super) fn note_outcome(&mut self, id: BackendId, outcome: &Result<(), String>, now: Instant) {
        let Some(backend) = self.backends.get_mut(id) else { return };
        let Some(vip) = self.vips.get(&backend.vip) else { return };
        if !backend.check.is_awaited() || !backend.check.is_up() {
            return;
        }
        let failures = if outcome.is_ok() { 0.0 } else { 1.0 };
        let sample = Sample { at: now, source: Source::Check, failures, count: 1.0 };
        backend.evidence.outcomes.add(sample, vip.config.weights.failure_window);
        if outcome.is_ok() {
            backend.evidence.probation.succeed();
        }
    }

    /// What is known of a backend may have changed whether it counts as up. `down` says why it would be down.
    pub(super) fn turn(&mut self, id: BackendId, down: Option<String>, now: Instant, out: &mut Vec<Command>) {
        let Some(backend) = self.backends.get_mut(id) else { return };
        let passes = backend.passes();
        if down.is_some() {
            backend.evidence.age.is_down();
        }
        match backend.damping.step(passes, backend.suspended, now) {
            Some(Turn::Up { again }) => {
                if !again {
                    backend.evidence.age.begin_at(now);
                    if backend.check.spec().kind != HealthKind::None {
                        backend.evidence.probation.succeed();
                    }
                } else if !backend.suspended {
                    // Who was tried all the time has not been away.
                    backend.come_back(now);
                }
                self.announce_backend(id, "up".into(), false, out);
            }
            Some(Turn::Down { damped }) => {
                self.announce_backend(id, down.unwrap_or_else(|| "down".into()), true, out);
                if let Some(hold) = damped {
                    let hold = hold.as_secs();
                    let what = format!(
                        "flapping: went down three times within 5 minutes; has to pass for {hold} s before it counts as \
                         up, and for twice as long each time it goes down again"
                    );
                    self.announce_backend(id, what, true, out);
                }
            }
            None => {
                let Some(down) = down else { return };
                self.announce_backend(id, down, true, out);
            }
        }
        self.touch(id);
    }

    /// Decides whether so many of a VIP's backends are down that all are tried: then it is rather the measure that is
    /// wrong, and who is really down would get what is lost in any case.
    pub(super) fn elect(&mut self, id: VipId, out: &mut Vec<Command>) {
        let members = self.members_of(id);
        self.need(id, &members, out);
        let parts: Vec<Part> =
            members.iter().filter_map(|member| self.backends.get(*member)).map(Backend::part).collect();
        let count = |part: Part| parts.iter().filter(|other| **other == part).count();
        let (down, of) = (count(Part::Down), count(Part::Down) + count(Part::Takes));
        let suspended = failopen::suspends(down, of);
        let Some(vip) = self.vips.get_mut(&id) else { return };
        let is_news = std::mem::replace(&mut vip.suspended, suspended) != suspended;
        if !suspended && !is_news {
            return;
        }
        for (member, part) in members.into_iter().zip(parts) {
            let Some(backend) = self.backends.get_mut(member) else { continue };
            let tried = suspended && part != Part::None;
            if std::mem::replace(&mut backend.suspended, tried) != tried {
                self.due.entries.insert(member);
            }
        }
        if is_news {
            let what = if suspended {
                format!("{down} of {of} backends are down: more than half, so all are tried")
            } else {
                "no more than half of the backends are down: those get nothing".into()
            };
            self.announce_vip(id, what, suspended, out);
        }
    }

    /// Decides whether those that ask for no new connections get them: where nobody else could take any. What they ask
    /// for is a measure of theirs, and no reason to serve nobody, or to serve by those that are down.
    fn need(&mut self, id: VipId, members: &[BackendId], out: &mut Vec<Command>) {
        let of = |member: &BackendId| self.backends.get(*member);
        let declining: Vec<bool> = members.iter().map(|m| of(m).is_some_and(Backend::declines)).collect();
        let others = members.iter().zip(&declining).filter(|(_, declines)| !**declines);
        let others = others.filter_map(|(member, _)| of(member)).any(|b| b.part() == Part::Takes);
        let needs_all = !others && declining.contains(&true);
        let Some(vip) = self.vips.get_mut(&id) else { return };
        let is_news = std::mem::replace(&mut vip.needs_all, needs_all) != needs_all;
        for (&member, declines) in members.iter().zip(declining) {
            let Some(backend) = self.backends.get_mut(member) else { continue };
            let needed = needs_all && declines;
            if std::mem::replace(&mut backend.needed, needed) != needed {
                backend.drained &= backend.is_leaving();
                self.due.entries.insert(member);
            }
        }
        if is_news {
            let what = if needs_all {
                "all that could take new connections ask for none: they get them all the same"
            } else {
                "who asks for no new connections gets none again"
            };
            self.announce_vip(id, what.into(), needs_all, out);
        }
    }

    /// Gives those that have come into the table, or come back, what they are worth at once; who has left it has no
    /// published weight.
    pub(super) fn weigh(&mut self, id: VipId, now: Instant) {
        let Some(vip) = self.vips.get(&id) else { return };
        let is_udp = vip.config.protocol == Protocol::Udp;
        let steps = vip.config.weights.steps_per_doubling;
        let members = self.members_of(id);
        let mut comers = false;
        for member in &members {
            let Some(backend) = self.backends.get_mut(*member) else { continue };
            if is_udp {
                // Nothing that passes by could show that it serves.
                backend.evidence.probation.succeed();
            }
            let takes = backend.part() == Part::Takes;
            if !takes {
                backend.evidence.published = None;
                backend.evidence.off_for = 0;
            }
            comers |= takes && backend.evidence.published.is_none();
        }
        if !comers {
            return;
        }
        let worth: Vec<f64> = self.assess(id, &members, now).iter().map(Factors::product).collect();
        for (member, worth) in members.iter().zip(worth) {
            let Some(backend) = self.backends.get_mut(*member) else { continue };
            if backend.part() == Part::Takes && backend.evidence.published.is_none() {
                backend.evidence.published = Some(Multiplier::on_grid(worth, steps));
            }
        }
    }

    /// What the members of a VIP are worth now.
    pub(super) fn assess(&self, id: VipId, members: &[BackendId], now: Instant) -> Vec<Factors> {
        let Some(vip) = self.vips.get(&id) else { return Vec::new() };
        let members: Vec<Member<'_>> =
            members.iter().filter_map(|member| Some(self.backends.get(*member)?.member())).collect();
        assess(&members, vip.rules(), now)
    }

    /// Publishes weights that have been off for long enough, as far as slots may move, if there is `room` for that. How
    /// many tables were made.
    fn publish(
        &mut self,
        id: VipId,
        members: &[BackendId],
        room: bool,
        now: Instant,
        out: &mut Vec<Command>,
    ) -> u32 {
        // A table that is about to be made anew for harder reasons is made first.
        if self.due.tables.contains(&id) || self.due.held.contains_key(&id) {
            return 0;
        }
        let factors = self.assess(id, members, now);
        let Some(vip) = self.vips.get_mut(&id).filter(|vip| !vip.suspended) else { return 0 };
        let weights = vip.config.weights;
        let mut entries = Vec::with_capacity(members.len());
        let mut whose = Vec::with_capacity(members.len());
        for (&member, factors) in members.iter().zip(factors) {
            let Some(backend) = self.backends.get_mut(member) else { continue };
            let Some(published) = backend.evidence.published.filter(|_| backend.part() == Part::Takes) else {
                continue;
            };
            let wish = publish::wish(&mut backend.evidence, factors.product(), &weights);
            entries.push(Entry { configured: f64::from(backend.weight.get()), published, wish });
            whose.push(member);
        }
        let unfinished = vip.publisher.is_unfinished();
        if !room || !unfinished && entries.iter().all(|entry| entry.wish.is_none()) {
            return 0;
        }
        let size = vip.table.len();
        let Some(allowed) = vip.publisher.allowance(&weights, size, now) else { return 0 };
        let mut made = 0;
        let mut build = |multipliers: &[Multiplier]| {
            made += 1;
            let of: BTreeMap<BackendId, &Multiplier> = whose.iter().copied().zip(multipliers).collect();
            let weight = |id: BackendId, backend: &Backend| {
                of.get(&id).map_or(0.0, |multiplier| f64::from(backend.weight.get()) * multiplier.get())
            };
            let desired = vip.table_of(&self.backends, weight);
            (vip.table.would_move(&desired), desired)
        };
        let fitted = if unfinished {
            let published: Vec<Multiplier> = entries.iter().map(|entry| entry.published).collect();
            let (moved, desired) = build(&published);
            Some((published, moved, desired))
        } else {
            publish::fit(&entries, allowed, size, &mut build)
        };
        let Some((multipliers, differing, desired)) = fitted else { return made };
        for (member, multiplier) in whose.iter().zip(multipliers) {
            if let Some(backend) = self.backends.get_mut(*member) {
                backend.evidence.published = Some(multiplier);
            }
        }
        vip.publisher.publish(differing.min(allowed), differing, now);
        let desired = vip.table.at_most(desired, allowed);
        let changes = vip.take_table(&desired, &self.backends, now);
        self.write_slots(id, changes, now, out);
        made
    }
}
