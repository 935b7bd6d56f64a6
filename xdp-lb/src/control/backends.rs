//! All backends of all VIPs: their ids, their checks and when those are due.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use xdp_lb_common::ids::{BackendId, VipId};

use super::damping::Damping;
use super::health::{Check, Condition};
use super::hops::Way;
use super::ids::Ids;
use super::message::{AdminState, BackendRecord, NextHop};
use super::meter::Meter;
use super::reports::Reports;
use super::weights::grid::Multiplier;
use super::weights::probation::Probation;
use super::weights::{Evidence, Member, Part};
use crate::config::{Forward, HealthKind, Utilization, Weight};

/// Why a backend gets nothing, in words.
pub(super) const BEHIND_GATEWAY: &str =
    "not on the same segment: reached through a gateway; use forward = \"ipip\"";

/// One backend of one VIP. Its identity is the VIP's key and its own address; all else may change.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) vip: VipId,
    pub(super) name: String,
    pub(super) address: IpAddr,
    pub(super) weight: Weight,
    pub(super) drain: bool,
    /// No longer configured, still finishing connections.
    pub(super) removed: bool,
    pub(super) check: Check,
    /// Whether it counts as up.
    pub(super) damping: Damping,
    pub(super) reports: Reports,
    pub(super) evidence: Evidence,
    /// More than half of its VIP's backends are down: it is tried all the same.
    pub(super) suspended: bool,
    /// It asks for no new connections, as do all of its VIP's that could take them: it gets them all the same.
    pub(super) needed: bool,
    pub(super) way: Way,
    /// Its VIP rewrites MAC addresses, and the neighbour on the way is not the backend but a gateway: that would send
    /// the packets back here. Stays so while the way is lost.
    pub(super) behind_gateway: bool,
    /// What the kernel was told last.
    pub(super) written: Option<BackendRecord>,
    /// It is to be told again in any case.
    pub(super) rewrite: bool,
    /// Since when the kernel knows it as down.
    pub(super) down_since: Option<Instant>,
    /// Whether a flow may be recorded to it.
    pub(super) may_have_flows: bool,
    /// Since when no slot names it; `None` while one does.
    pub(super) unnamed_since: Option<Instant>,
    /// It takes no new connections and the old ones have finished.
    pub(super) drained: bool,
    /// Live recorded flows at the last sweep.
    pub(super) flows: u64,
    pub(super) meter: Meter,
}

impl Backend {
    /// Whether packets may go to it.
    pub(super) fn is_usable(&self) -> bool {
        (self.damping.is_up() || self.suspended) && !self.is_out_of_reach()
    }

    /// Whether something keeps packets from it that is no matter of measuring.
    fn is_out_of_reach(&self) -> bool {
        self.behind_gateway || self.reports.words.is_maint()
    }

    /// Whether both its checks and its own words say that it works.
    pub(super) fn passes(&self) -> bool {
        self.check.is_up() && self.reports.words.failure.is_none()
    }

    /// Its part in the table.
    pub(super) fn part(&self) -> Part {
        if self.is_leaving() || self.is_out_of_reach() {
            Part::None
        } else if self.damping.is_up() {
            Part::Takes
        } else if self.check.condition() == Condition::Checking || self.is_rising() {
            Part::None
        } else {
            Part::Down
        }
    }

    /// Whether it is down only because it has not passed often enough: an earlier agent, or a failure that is over, left
    /// it so. Who is tried all the same is not judged by that.
    fn is_rising(&self) -> bool {
        self.check.condition() == Condition::Down && !self.check.has_failed_last() && !self.suspended
    }

    /// As the weights see it.
    pub(super) fn member(&self) -> Member<'_> {
        let configured = f64::from(self.weight.get());
        Member { configured, part: self.part(), evidence: &self.evidence }
    }

    /// The weight that the table is made with.
    pub(super) fn table_weight(&self) -> f64 {
        if self.is_leaving() || !self.is_usable() {
            return 0.0;
        }
        let multiplier = self.evidence.published.filter(|_| !self.suspended);
        f64::from(self.weight.get()) * multiplier.map_or(1.0, Multiplier::get)
    }

    /// It returns from having been down: what was known of it is over.
    pub(super) fn come_back(&mut self, now: Instant) {
        let Evidence { outcomes, probation, age, published, .. } = &mut self.evidence;
        outcomes.clear();
        *published = None;
        let fresh = self.reports.asked.as_ref().map(|spec| spec.stale_after).unwrap_or_default();
        age.return_at(fresh, now);
        let reported = self.reports.last().is_some_and(|last| now.saturating_duration_since(last) <= fresh);
        *probation = if self.check.spec().kind != HealthKind::None || reported {
            Probation::PROVEN
        } else {
            Probation::BEGUN
        };
    }

    /// Takes what is known of the way to its address. Why it is none, if that is news; `Some(None)`: it is one again.
    pub(super) fn take_way(&mut self, forward: Forward, way: Way) -> Option<Option<String>> {
        self.behind_gateway = match &way {
            _ if forward != Forward::L2 => false,
            Some(Ok(hop)) => hop.via_gateway,
            Some(Err(_)) => self.behind_gateway,
            None => false,
        };
        let way = match way {
            Some(Ok(_)) if self.behind_gateway => Some(Err(BEHIND_GATEWAY.into())),
            way => way,
        };
        let problem = |way: &Way| way.as_ref().and_then(|way| way.as_ref().err().cloned());
        let (before, after) = (problem(&self.way), problem(&way));
        self.way = way;
        (before != after).then_some(after)
    }

    /// How full it says that it is, unless that was too long ago.
    pub(super) fn utilization(&self, spec: &Utilization, now: Instant) -> Option<f64> {
        let is_fresh =
            self.evidence.capacity.reported.is_some() && self.evidence.capacity.stale(spec, now).is_none();
        self.reports.utilization().filter(|_| is_fresh)
    }

    /// The way there, where there is one.
    pub(super) fn next_hop(&self) -> Option<NextHop> {
        self.way.as_ref()?.as_ref().ok().copied()
    }

    /// Whether it is to take no new connections, by the operator's wish or its own.
    pub(super) fn is_leaving(&self) -> bool {
        self.is_sent_away() || self.reports.words.asks_for_none && !self.needed
    }

    /// Whether it is to take none by an operator's wish.
    fn is_sent_away(&self) -> bool {
        let by_its_agent = self.reports.words.admin == Some(AdminState::Drain);
        self.removed || self.drain || self.weight.get() == 0 || by_its_agent
    }

    /// Whether it takes no new connections for the only reason that it asks for none.
    pub(super) fn declines(&self) -> bool {
        let could = !self.is_sent_away() && !self.is_out_of_reach() && self.damping.is_up();
        could && self.reports.words.asks_for_none
    }
}

/// The backends by id.
#[derive(Debug)]
pub(super) struct Backends {
    map: BTreeMap<BackendId, Backend>,
    ids: Ids,
    /// Cleared while a check was under way: the id may name another only when that check's answer is in.
    resting: BTreeSet<BackendId>,
    due: BTreeSet<(Instant, BackendId)>,
}

impl Backends {
    /// Room for `room` backends, of which those `used` are [inserted](Self::insert) soon.
    pub(super) fn new(room: u32, used: &BTreeSet<u16>) -> Self {
        let ids = Ids::new(1..room.saturating_add(1), used);
        Self { map: BTreeMap::new(), ids, resting: BTreeSet::new(), due: BTreeSet::new() }
    }

    /// An id for a new backend; `None` when all are in use.
    pub(super) fn take_id(&mut self) -> Option<BackendId> {
        self.ids.take().and_then(BackendId::new)
    }

    pub(super) fn insert(&mut self, id: BackendId, backend: Backend) {
        self.due.extend(backend.check.due().map(|due| (due, id)));
        self.map.insert(id, backend);
    }

    /// Forgets a backend that the kernel has forgotten. Its id becomes free.
    pub(super) fn remove(&mut self, id: BackendId) {
        let Some(backend) = self.map.remove(&id) else { return };
        if let Some(due) = backend.check.due() {
            self.due.remove(&(due, id));
        }
        if backend.check.is_outstanding() {
            self.resting.insert(id);
        } else {
            self.ids.give(id.raw());
        }
    }

    /// An id that was never inserted becomes free.
    pub(super) fn free(&mut self, id: BackendId) {
        self.ids.give(id.raw());
    }

    /// The answer to a check of a backend that is gone came in. Whether its id became free.
    pub(super) fn end_rest(&mut self, id: BackendId) -> bool {
        let ended = self.resting.remove(&id);
        if ended {
            self.ids.give(id.raw());
        }
        ended
    }

    pub(super) fn get(&self, id: BackendId) -> Option<&Backend> {
        self.map.get(&id)
    }

    /// For everything but the checks, which [`Backends::with_check`] changes.
    pub(super) fn get_mut(&mut self, id: BackendId) -> Option<&mut Backend> {
        self.map.get_mut(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (BackendId, &Backend)> {
        self.map.iter().map(|(id, backend)| (*id, backend))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (BackendId, &mut Backend)> {
        self.map.iter_mut().map(|(id, backend)| (*id, backend))
    }

    /// Does something to a backend's checks and keeps the schedule in step.
    pub(super) fn with_check<T>(&mut self, id: BackendId, change: impl FnOnce(&mut Check) -> T) -> Option<T> {
        let check = &mut self.map.get_mut(&id)?.check;
        let before = check.due();
        let result = change(check);
        let after = check.due();
        if before != after {
            if let Some(before) = before {
                self.due.remove(&(before, id));
            }
            self.due.extend(after.map(|after| (after, id)));
        }
        Some(result)
    }

    /// A backend whose check is due.
    pub(super) fn next_due(&self, now: Instant) -> Option<BackendId> {
        self.due.first().filter(|(due, _)| *due <= now).map(|(_, id)| *id)
    }

    /// When the next check is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }
}
