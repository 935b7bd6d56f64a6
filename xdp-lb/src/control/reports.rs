//! What servers say of themselves: which reports count, what they say beside figures, and what did not count and why.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use xdp_lb_common::ids::BackendId;

use super::weights::grid::MOST;
use super::weights::health::{Sample, Source};
use super::{AdminState, Command, Control, NoReport, NoReportKind, RefusedStatus, Report, ReportsStatus};
use crate::config::{Utilization, UtilizationKind};

/// Most letters kept of what a server says.
const LONGEST_WORDS: usize = 200;

/// Most requests that one report stands for: sums of them stay numbers, whatever a server says.
const MOST_REQUESTS: f64 = 1e6;

/// For so long it is not told again that a server was started again.
const TOLD_AGAIN: Duration = Duration::from_secs(300);

/// The reports of one backend.
#[derive(Clone, Debug, Default)]
pub(super) struct Reports {
    /// How it is asked, while it is.
    pub(super) asked: Option<Utilization>,
    pub(super) words: Words,
    last: Option<Instant>,
    utilization: Option<f64>,
    accepted: u64,
    refused: BTreeMap<NoReportKind, u64>,
    /// How often reports ceased to come.
    ceased: u64,
    has_ceased: bool,
    problem: String,
    /// When it was told that the server was started again.
    told: Option<Instant>,
}

/// What a server said last that is not a figure. It holds until it says otherwise: that it cannot be asked changes
/// nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) admin: Option<AdminState>,
    /// Why it does not work.
    pub(super) failure: Option<String>,
    /// It asks for 0 % of its weight.
    pub(super) asks_for_none: bool,
}

impl Words {
    /// Whether it is to take no new connections.
    pub(super) fn drains(&self) -> bool {
        self.admin == Some(AdminState::Drain) || self.asks_for_none
    }

    /// Whether it is out of service by its operator's will.
    pub(super) fn is_maint(&self) -> bool {
        self.admin == Some(AdminState::Maint)
    }

    fn take(&mut self, report: &Report) {
        self.admin = report.admin.or(self.admin);
        match &report.operational {
            Some(Ok(())) => self.failure = None,
            Some(Err(reason)) => self.failure = Some(reason.chars().take(LONGEST_WORDS).collect()),
            None => {}
        }
        if let Some(weight) = report.weight {
            self.asks_for_none = weight <= 0.0;
        }
    }
}

impl Reports {
    fn refuse(&mut self, refused: NoReport) {
        *self.refused.entry(refused.kind).or_default() += 1;
        self.problem = refused.detail.chars().take(LONGEST_WORDS).collect();
    }

    fn accept(&mut self, report: &Report, now: Instant) {
        self.accepted += 1;
        self.problem.clear();
        self.has_ceased = false;
        self.last = Some(now);
        self.utilization = report.utilization.or(self.utilization);
        self.words.take(report);
    }

    /// Whether it is to be told that the server was started again: not of each time, where it is again and again.
    fn tells_of_restart(&mut self, now: Instant) -> bool {
        let told = self.told.is_some_and(|told| now.saturating_duration_since(told) < TOLD_AGAIN);
        if !told {
            self.told = Some(now);
        }
        !told
    }

    /// What an earlier agent was told.
    pub(super) fn remember(&mut self, words: Words, last: Option<Instant>, utilization: Option<f64>) {
        (self.words, self.last, self.utilization) = (words, last, utilization);
    }

    /// When the last report came that counts.
    pub(super) fn last(&self) -> Option<Instant> {
        self.last
    }

    /// As last reported.
    pub(super) fn utilization(&self) -> Option<f64> {
        self.utilization
    }

    /// Counts once that reports have ceased to come.
    pub(super) fn notice_silence(&mut self, now: Instant) {
        let Some((spec, last)) = self.asked.as_ref().zip(self.last) else { return };
        if !self.has_ceased && now.saturating_duration_since(last) > spec.stale_after {
            self.has_ceased = true;
            self.ceased += 1;
        }
    }

    /// As `status` shows them, where the server is asked for any.
    pub(super) fn status(&self, now: Instant) -> Option<ReportsStatus> {
        let asked = self.asked.as_ref()?;
        let refused = self.refused.iter().map(|(kind, reports)| (kind.name(), *reports));
        let stale = (self.ceased > 0).then_some(("stale", self.ceased));
        let refused = refused.chain(stale);
        Some(ReportsStatus {
            source: asked.kind.name().into(),
            utilization: self.utilization,
            age_seconds: self.last.map(|last| now.saturating_duration_since(last).as_secs_f64()),
            accepted: self.accepted,
            refused: refused
                .map(|(reason, reports)| RefusedStatus { reason: reason.into(), reports })
                .collect(),
            problem: self.problem.clone(),
        })
    }
}

impl Control {
    /// A backend reported, or failed to.
    pub(super) fn reported(
        &mut self,
        id: BackendId,
        address: IpAddr,
        report: Result<Report, NoReport>,
        now: Instant,
        out: &mut Vec<Command>,
    ) {
        let Some(backend) = self.backends.get_mut(id) else { return };
        let Some(spec) = backend.reports.asked.clone().filter(|_| backend.address == address) else { return };
        let report = match report.and_then(checked) {
            Ok(report) => report,
            Err(refused) => return backend.reports.refuse(refused),
        };
        let before = backend.reports.words.clone();
        if let Some((failures, count)) = requests_since(&report, backend.reports.last, &spec, now) {
            let sample = Sample { at: now, source: Source::Report, failures, count };
            let window = self.vips.get(&backend.vip).map(|vip| vip.config.weights.failure_window);
            backend.evidence.outcomes.add(sample, window.unwrap_or_default());
        }
        backend.reports.accept(&report, now);
        let seen = backend.meter.new_flow_rate();
        backend.evidence.capacity.report(&report, seen, &spec, now);
        backend.evidence.probation.succeed();
        let restarted = report.age.and_then(|age| Some((backend.evidence.age.report(age, now)?, age)));
        if let Some((before, age)) = restarted.filter(|_| backend.reports.tells_of_restart(now)) {
            let what =
                format!("started again: it was {} s old, and is {} s", before.as_secs(), age.as_secs());
            self.announce_backend(id, what, false, out);
        }
        self.heed(id, &before, now, out);
    }

    /// Does what a server's words ask for, where they are news.
    fn heed(&mut self, id: BackendId, before: &Words, now: Instant, out: &mut Vec<Command>) {
        let Some(backend) = self.backends.get_mut(id) else { return };
        let words = backend.reports.words.clone();
        if words == *before {
            return;
        }
        let drains = (words.drains(), before.drains());
        if drains.0 && !drains.1 {
            backend.drained = false;
        }
        backend.drained &= backend.is_leaving();
        let (maint, was_maint) = (words.is_maint(), before.is_maint());
        if was_maint && !maint {
            backend.come_back(now);
        }
        match drains {
            (true, false) => {
                let what = "draining: its agent asks for no new connections, old ones finish";
                self.announce_backend(id, what.into(), false, out);
            }
            (false, true) => {
                self.announce_backend(id, "its agent takes new connections again".into(), false, out);
            }
            _ => {}
        }
        match (maint, was_maint) {
            (true, false) => self.announce_backend(id, "down: its agent says maintenance".into(), true, out),
            (false, true) => {
                self.announce_backend(id, "its agent says that maintenance is over".into(), false, out);
            }
            _ => {}
        }
        // Its reason may change with every report.
        let down = words.failure.as_ref().filter(|_| before.failure.is_none());
        let down = down.map(|reason| format!("down: its agent says: {reason}"));
        self.turn(id, down, now, out);
        self.touch(id);
    }

    /// Asks a backend for reports as its VIP is configured now, or no longer.
    pub(super) fn ask_for_reports(&mut self, id: BackendId, out: &mut Vec<Command>) {
        let Some(backend) = self.backends.get_mut(id) else { return };
        let Some(vip) = self.vips.get(&backend.vip) else { return };
        let wanted = Some(&vip.config.utilization).filter(|spec| spec.kind != UtilizationKind::None);
        if backend.reports.asked.as_ref() == wanted {
            return;
        }
        let kind = |spec: Option<&Utilization>| spec.map(|spec| spec.kind.clone());
        let asked = backend.reports.asked.take();
        if asked.is_some() && kind(asked.as_ref()) != kind(wanted) {
            // Who is asked otherwise, or no longer, would hold to its last word for ever.
            backend.reports = Reports::default();
            backend.evidence.capacity = Default::default();
        }
        backend.reports.asked = wanted.cloned();
        out.push(match wanted {
            Some(spec) => {
                Command::WatchReports { backend: id, address: backend.address, utilization: spec.clone() }
            }
            None => Command::UnwatchReports(id),
        });
    }
}

/// Failures and requests since the last report, where a server tells both rates.
fn requests_since(
    report: &Report,
    last: Option<Instant>,
    spec: &Utilization,
    now: Instant,
) -> Option<(f64, f64)> {
    let (rate, errors) = (report.rate?, report.errors?);
    let failing = if rate > 0.0 { (errors / rate).min(1.0) } else { 0.0 };
    // A server that was silent for long says nothing of all that time.
    let since = last.map_or(spec.interval, |last| now.saturating_duration_since(last));
    let seconds = since.min(2 * spec.interval).as_secs_f64();
    let count = (rate * seconds).min(MOST_REQUESTS);
    Some((failing * count, count))
}

/// A report whose numbers are such. Who made it has checked; a weight is bounded here all the same.
fn checked(report: Report) -> Result<Report, NoReport> {
    let numbers = [
        ("utilization", report.utilization, 1.0),
        ("rate", report.rate, f64::MAX),
        ("errors", report.errors, f64::MAX),
        ("weight", report.weight, f64::MAX),
    ];
    for (name, value, most) in numbers {
        let Some(value) = value else { continue };
        let kind = match value {
            value if value.is_nan() => NoReportKind::NotANumber,
            value if value.is_infinite() => NoReportKind::Infinite,
            value if value < 0.0 => NoReportKind::Negative,
            value if value > most => NoReportKind::AboveOne,
            _ => continue,
        };
        return Err(NoReport { kind, detail: format!("{name} = {value}: not a value that counts") });
    }
    Ok(Report { weight: report.weight.map(|weight| weight.min(MOST)), ..report })
}
