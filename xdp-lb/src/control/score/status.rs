//! What is known of each server, in numbers and words.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::Pool;
use super::server::{Admission, Filter, Server};
use super::survey::Survey;
use crate::control::message::FactorStatus;

/// One server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// As the caller named it.
    pub server: u32,
    /// "up", "down", "removed", "draining", "ejected", "probation", "held back".
    pub state: String,
    /// Why, in words; empty if there is nothing to say.
    pub reason: String,
    /// As configured.
    pub weight: f64,
    /// Chance of each draw, 0 to 1.
    pub share: f64,
    /// Requests sent from here that are in flight.
    pub in_flight: u32,
    /// Mean latency of successes, in seconds.
    pub latency_seconds: Option<f64>,
    /// The less, the better: the first factor times the others' inverses.
    pub score: f64,
    /// "queue", "latency", "errors", "age", "brake".
    pub factors: Vec<FactorStatus>,
}

impl Pool {
    /// How every server is, sorted by id.
    pub fn status(&self, now: Instant) -> Vec<ServerStatus> {
        let Some(epoch) = self.epoch else { return Vec::new() };
        let now = now.saturating_duration_since(epoch).as_secs_f64();
        let mut survey = self.survey.clone();
        let mut servers = self.servers.clone();
        survey.make(&mut servers, &mut Vec::new(), now, &self.settings);
        let drawn = |server: &Server| {
            if server.is_in_service() { server.weight * server.warmth } else { 0.0 }
        };
        let total: f64 = servers.iter().map(drawn).sum();
        let share = |server| if total > 0.0 { drawn(server) / total } else { 0.0 };
        servers
            .iter()
            .map(|server| {
                let (state, reason) = self.state(server, survey.filters, now);
                let score = server.score(&survey, now, &self.settings);
                ServerStatus {
                    server: server.id.0,
                    state: state.into(),
                    reason,
                    weight: server.weight,
                    share: share(server),
                    in_flight: server.queue.own(),
                    latency_seconds: server.latency.mean(),
                    score: score.score,
                    factors: self.factors(server, &score, &survey, now),
                }
            })
            .collect()
    }

    fn state(&self, server: &Server, filters: bool, now: f64) -> (&'static str, String) {
        let ignored = if filters { "" } else { "; ignored, as too many servers are held back" };
        let (state, reason) = match server.admission(now, &self.settings) {
            _ if !server.member => ("removed", "finishing its last requests".into()),
            _ if server.weight <= 0.0 => ("draining", "weight 0".into()),
            _ if !server.up => ("down", "by its health checks".into()),
            Admission::Free => return ("up", String::new()),
            Admission::Proof => ("probation", "no success yet".into()),
            Admission::Probe => ("ejected", "the next request drawn here decides".into()),
            Admission::Held(Filter::Probation) => ("probation", "its one request is under way".into()),
            Admission::Held(Filter::Errors) => {
                let (rate, limit) = (server.errors.rate(), self.settings.error_filter);
                ("held back", format!("error rate {rate:.2} is above {limit}{ignored}"))
            }
            Admission::Held(Filter::Utilization) => {
                let used = server.utilization(now, &self.settings).unwrap_or_default();
                let limit = self.settings.utilization_filter;
                ("held back", format!("utilization {used:.2} is above {limit}{ignored}"))
            }
            Admission::Held(Filter::Ejected) => {
                let (until, times) = server.ejection.until().unwrap_or_default();
                let left = until - now;
                let reason = if left > 0.0 {
                    format!("ejected {times} times, for {left:.1} s more{ignored}")
                } else {
                    format!("ejected {times} times, its probe is under way{ignored}")
                };
                ("ejected", reason)
            }
        };
        (state, reason)
    }

    fn factors(
        &self,
        server: &Server,
        score: &super::server::Score,
        survey: &Survey,
        now: f64,
    ) -> Vec<FactorStatus> {
        let settings = &self.settings;
        let (own, length) = (server.queue.own(), score.queue_per_weight);
        let hot = if score.hot { ", longer than most" } else { "" };
        let (failures, answers) = server.errors.seen(now, settings);
        let age = now - server.born;
        let window = settings.warmup_window.as_secs_f64();
        [
            (
                "queue",
                length + survey.offset,
                format!("{own} in flight from here, {length:.1} per weight with those of others{hot}"),
            ),
            (
                "latency",
                score.latency,
                format!("of the pool's median, by {:.0} answers", server.latency.answers(now, settings)),
            ),
            ("errors", score.errors, format!("{failures:.0} of {answers:.0} answers")),
            (
                "age",
                score.warmth,
                if age < window { format!("warming up: {age:.0} s of {window:.0}") } else { "warm".into() },
            ),
            (
                "brake",
                score.brake,
                match server.utilization(now, settings) {
                    None => "no report of utilization".into(),
                    Some(used) if survey.brakes => format!("utilization {used:.2}"),
                    Some(used) => format!("utilization {used:.2}, but the whole pool is busy"),
                },
            ),
        ]
        .into_iter()
        .map(|(name, value, reason)| FactorStatus { name: name.into(), value, reason })
        .collect()
    }
}
