//! What is known of one server, and what that makes it worth.

use super::eject::{Ejection, Gate};
use super::errors::Errors;
use super::latency::Latency;
use super::queue::Queue;
use super::settings::Settings;
use super::survey::Survey;
use super::{Outcome, Pick, ServerId, Verdict, Why};
use crate::control::curves;
use crate::control::rng::Rng;

/// One server. Times are in seconds.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) id: ServerId,
    /// As configured; 0 takes nothing.
    pub(super) weight: f64,
    /// Whether it is configured, and not only kept until its last request is finished.
    pub(super) member: bool,
    pub(super) up: bool,
    /// When it started, as far as is known.
    pub(super) born: f64,
    /// Whether a request to it has ever succeeded.
    pub(super) proven: bool,
    /// When it last answered.
    pub(super) heard: f64,
    pub(super) queue: Queue,
    pub(super) latency: Latency,
    pub(super) errors: Errors,
    pub(super) ejection: Ejection,
    /// Factor of its age as of the last refreshment, before it is divided by the largest of the pool.
    pub(super) warmth: f64,
    /// As reported, and when.
    utilization: Option<(f64, f64)>,
}

/// Whether a server takes a request now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Free,
    /// One, to come back from an ejection.
    Probe,
    /// One, to show that it works at all.
    Proof,
    Held(Filter),
}

/// Why a server takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    Ejected,
    Probation,
    Errors,
    Utilization,
}

/// A score and what it is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Score {
    pub(super) queue_per_weight: f64,
    pub(super) latency: f64,
    pub(super) errors: f64,
    pub(super) warmth: f64,
    pub(super) brake: f64,
    pub(super) score: f64,
    pub(super) hot: bool,
}

impl Score {
    /// Whether a request is better off here than there: cold before hot; of the cold the better score, of the hot
    /// the shorter queue.
    pub(super) fn beats(&self, other: &Self) -> bool {
        match (self.hot, other.hot) {
            (false, true) => true,
            (true, false) => false,
            (false, false) => self.score < other.score,
            (true, true) => self.queue_per_weight < other.queue_per_weight,
        }
    }
}

impl Server {
    pub(super) fn new(id: ServerId, now: f64) -> Self {
        Self {
            id,
            weight: 0.0,
            member: true,
            up: true,
            born: now,
            proven: false,
            heard: now,
            queue: Queue::default(),
            latency: Latency::default(),
            errors: Errors::default(),
            ejection: Ejection::default(),
            warmth: 1.0,
            utilization: None,
        }
    }

    /// Forgets all but what is in flight: another process answers from now on.
    pub(super) fn restart(&mut self, now: f64) {
        *self = Self {
            weight: self.weight,
            queue: self.queue.clone(),
            latency: self.latency.restarted(),
            ..Self::new(self.id, now)
        };
    }

    /// Whether it may take requests at all.
    pub(super) fn is_candidate(&self) -> bool {
        self.member && self.weight > 0.0
    }

    pub(super) fn is_in_service(&self) -> bool {
        self.is_candidate() && self.up
    }

    pub(super) fn admission(&self, now: f64, settings: &Settings) -> Admission {
        match self.ejection.gate(now) {
            Gate::Shut => Admission::Held(Filter::Ejected),
            Gate::Probe => Admission::Probe,
            Gate::Open if !self.proven => {
                if self.queue.own() > 0 {
                    Admission::Held(Filter::Probation)
                } else {
                    Admission::Proof
                }
            }
            Gate::Open if self.errors.rate() > settings.error_filter => Admission::Held(Filter::Errors),
            Gate::Open
                if self.utilization(now, settings).is_some_and(|used| used > settings.utilization_filter) =>
            {
                Admission::Held(Filter::Utilization)
            }
            Gate::Open => Admission::Free,
        }
    }

    /// Whether it counts as held back.
    pub(super) fn is_filtered(&self, now: f64, settings: &Settings) -> bool {
        self.ejection.is_out() || matches!(self.admission(now, settings), Admission::Held(_))
    }

    /// Whether nothing was heard of it lately and nothing is on its way.
    pub(super) fn is_stale(&self, now: f64, settings: &Settings) -> bool {
        self.queue.own() == 0 && now - self.heard >= settings.explore_after.as_secs_f64()
    }

    pub(super) fn utilization(&self, now: f64, settings: &Settings) -> Option<f64> {
        let (utilization, at) = self.utilization?;
        (now - at < settings.utilization_stale.as_secs_f64()).then_some(utilization)
    }

    /// Lets time pass for what changes slowly.
    pub(super) fn refresh(&mut self, now: f64, settings: &Settings) {
        self.errors.refresh(now, settings);
        self.warmth = curves::warmth(
            now - self.born,
            settings.warmup_window.as_secs_f64(),
            settings.warmup_step.as_secs_f64(),
            settings.warmup_floor,
        );
    }

    pub(super) fn queue_per_weight(&self, survey: &Survey, now: f64) -> f64 {
        let weight = if self.is_in_service() { self.weight / survey.weight } else { 1.0 };
        self.queue.length(now, survey.others * weight, survey.fade) / weight
    }

    pub(super) fn score(&self, survey: &Survey, now: f64, settings: &Settings) -> Score {
        let queue_per_weight = self.queue_per_weight(survey, now);
        let latency = self.latency.ratio(survey.latency, now, settings);
        let errors = curves::derated(self.errors.rate(), settings.error_floor);
        let warmth = self.warmth / survey.warmest;
        let brake = match self.utilization(now, settings) {
            Some(used) if survey.brakes => curves::brake(used, settings.brake_from, settings.brake_floor),
            _ => 1.0,
        };
        let score = latency * (queue_per_weight + survey.offset) / (errors * warmth * brake);
        let hot = queue_per_weight > survey.hot;
        Score { queue_per_weight, latency, errors, warmth, brake, score, hot }
    }

    pub(super) fn sent(&mut self, probe: bool, now: f64) {
        self.queue.sent();
        self.latency.sent(now);
        if probe {
            self.ejection.probe();
        }
    }

    /// A request has its answer; `ejects` tells whether servers may be ejected now.
    pub(super) fn answered(
        &mut self,
        pick: &Pick,
        outcome: &Outcome<'_>,
        now: f64,
        ejects: bool,
        settings: &Settings,
        rng: &mut Rng,
    ) {
        let sent = pick.sent;
        self.latency.answered(sent);
        match outcome.verdict {
            Verdict::Success => {
                self.heard = now;
                self.proven = true;
                self.errors.record(false, now, settings);
                self.latency.record(outcome.latency.as_secs_f64(), now, settings);
                self.ejection.succeeded(sent, now);
            }
            Verdict::Failure => {
                self.heard = now;
                self.errors.record(true, now, settings);
                self.ejection.failed(sent, now, ejects, settings, rng);
            }
            Verdict::Abandoned if pick.why == Why::Probed => self.ejection.unprobe(),
            Verdict::Abandoned => {}
        }
        if let Some(in_flight) = outcome.in_flight {
            self.queue.reported(in_flight, now);
        }
        if let Some(report) = outcome.report {
            if let Some(utilization) = report.utilization {
                self.utilization = Some((utilization, now));
            }
            if let Some(age) = report.age {
                self.born = now - age.as_secs_f64();
            }
        }
    }
}
