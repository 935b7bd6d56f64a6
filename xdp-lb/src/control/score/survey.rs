//! What concerns the pool as a whole: found anew now and then, as it costs a look at every server.

use super::server::Server;
use super::settings::Settings;
use crate::control::curves::{median, quantile};

/// The pool as it was at `at`.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    /// When it was made, in seconds; `None` if it has to be made anew.
    pub(super) at: Option<f64>,
    /// Picks since.
    pub(super) picks: usize,
    /// Median latency in seconds; 0 while unknown.
    pub(super) latency: f64,
    /// Queue per weight above which a server is hot.
    pub(super) hot: f64,
    /// What is added to queues per weight.
    pub(super) offset: f64,
    /// How long reports of requests in flight count, in seconds.
    pub(super) fade: f64,
    /// Requests of others per weight, as far as reports are fresh.
    pub(super) others: f64,
    /// Mean weight of the servers in service: the unit of weights.
    pub(super) weight: f64,
    /// Largest warmth before it is divided by itself.
    pub(super) warmest: f64,
    /// Whether utilization brakes.
    pub(super) brakes: bool,
    /// Whether filters hold anything back.
    pub(super) filters: bool,
    /// Share of the weight that they hold back, or would.
    pub(super) filtered: f64,
    /// Whether servers may be ejected.
    pub(super) ejects: bool,
}

impl Survey {
    /// A look at every server, which refreshes it; `scratch` is only for not allocating.
    pub(super) fn make(
        &mut self,
        servers: &mut [Server],
        scratch: &mut Vec<f64>,
        now: f64,
        settings: &Settings,
    ) {
        servers.iter_mut().for_each(|server| server.refresh(now, settings));
        let servers = &*servers;
        let in_service = || servers.iter().filter(|server| server.is_in_service());
        let count = in_service().count();
        let total: f64 = in_service().map(|server| server.weight).sum();
        self.at = Some(now);
        self.picks = 0;
        self.weight = if count > 0 { total / count as f64 } else { 1.0 };
        self.warmest = in_service().map(|server| server.warmth).reduce(f64::max).unwrap_or(1.0);

        scratch.clear();
        scratch.extend(in_service().filter_map(|server| server.latency.mean()));
        self.latency = median(scratch).unwrap_or(0.0);
        self.fade = (self.latency * settings.queue_fade_latencies).min(settings.queue_fade.as_secs_f64());
        let (mut others, mut fresh) = (0.0, 0.0);
        let (mut used, mut reporting) = (0.0, 0u32);
        for server in in_service() {
            let (queue, freshness) = server.queue.others(now, self.fade);
            others += queue * freshness;
            fresh += freshness * server.weight / self.weight;
            if let Some(utilization) = server.utilization(now, settings) {
                used += utilization;
                reporting += 1;
            }
        }
        self.others = if fresh > 0.0 { others / fresh } else { 0.0 };
        self.brakes = reporting > 0 && used / f64::from(reporting) <= settings.brake_off;

        scratch.clear();
        scratch.extend(in_service().map(|server| server.errors.rate()));
        // Of an even count the better of the two in the middle: of two servers, one that fails is not the pool as a whole.
        scratch.sort_unstable_by(f64::total_cmp);
        let middle = scratch.get(scratch.len().saturating_sub(1) / 2);
        self.ejects = middle.copied().unwrap_or(0.0) <= settings.eject_off;
        scratch.clear();
        scratch.extend(in_service().map(|server| server.queue_per_weight(self, now)));
        let mean = if count > 0 { scratch.iter().sum::<f64>() / count as f64 } else { 0.0 };
        self.offset = settings.queue_offset + settings.queue_offset_means * mean;
        self.hot = if settings.hot_quantile < 1.0 {
            quantile(scratch, settings.hot_quantile).unwrap_or(f64::INFINITY)
        } else {
            f64::INFINITY
        };

        let held = || in_service().filter(|server| server.is_filtered(now, settings));
        let weight: f64 = held().map(|server| server.weight).sum();
        self.filtered = if total > 0.0 { weight / total } else { 0.0 };
        // One may always be held back if another is left: of two or three servers it is more than any such share.
        let one_of_several = count > 1 && held().nth(1).is_none();
        self.filters = one_of_several || self.filtered <= settings.filtered_most;
    }
}
