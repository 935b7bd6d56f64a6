//! The choice itself: draw, filter, compare.

use super::server::{Admission, Filter};
use super::{Pool, ServerId, Why};

impl Pool {
    /// Position of the server for a request that none of `tried` served, and why that.
    pub(super) fn choose(&mut self, tried: &[ServerId], now: f64) -> Option<(usize, Why)> {
        // A request that failed before is no guinea pig.
        let explores = tried.is_empty() && self.rng.unit() < self.settings.explore;
        let Some((mut best, why)) = self.draw(tried, None, explores, now) else {
            return self.scan(tried, now);
        };
        if why != Why::Better {
            return Some((best, why));
        }
        let mut score = self.servers[best].score(&self.survey, now, &self.settings);
        let mut why = Why::Only;
        for _ in 1..self.settings.choices {
            let Some((other, other_why)) = self.draw(tried, Some(best), explores, now) else { break };
            if other_why != Why::Better {
                return Some((other, other_why));
            }
            let challenge = self.servers[other].score(&self.survey, now, &self.settings);
            why = Why::Better;
            if challenge.beats(&score) {
                (best, score) = (other, challenge);
            }
        }
        Some((best, why))
    }

    /// A server other than `but` that takes a request, and why; [`Why::Better`] if it has yet to be compared.
    fn draw(
        &mut self,
        tried: &[ServerId],
        but: Option<usize>,
        explores: bool,
        now: f64,
    ) -> Option<(usize, Why)> {
        for _ in 0..=self.settings.redraws {
            let position = self.alias.draw(&mut self.rng)?;
            let server = &self.servers[position];
            if but == Some(position) || !server.is_in_service() || tried.contains(&server.id) {
                continue;
            }
            let stale = explores && server.is_stale(now, &self.settings);
            match server.admission(now, &self.settings) {
                Admission::Free if stale => return Some((position, Why::Explored)),
                Admission::Free => return Some((position, Why::Better)),
                Admission::Probe if tried.is_empty() => return Some((position, Why::Probed)),
                Admission::Proof if tried.is_empty() => return Some((position, Why::Proved)),
                Admission::Held(Filter::Errors | Filter::Utilization) if stale => {
                    return Some((position, Why::Explored));
                }
                _ if !self.survey.filters => return Some((position, Why::Better)),
                _ => {}
            }
        }
        None
    }

    /// Where drawing found nobody: the first server that takes a request, from a random one on; else one that is held
    /// back; else one that is down.
    fn scan(&mut self, tried: &[ServerId], now: f64) -> Option<(usize, Why)> {
        let count = self.servers.len();
        let start = if count > 0 { self.rng.next() as usize % count } else { 0 };
        let (mut held, mut down) = (None, None);
        for position in (start..count).chain(0..start) {
            let server = &self.servers[position];
            if !server.is_candidate() || tried.contains(&server.id) {
                continue;
            }
            if !server.up {
                down = down.or(Some((position, Why::Desperate)));
            } else if server.admission(now, &self.settings) == Admission::Free {
                return Some((position, Why::Only));
            } else {
                held = held.or(Some((position, Why::Only)));
            }
        }
        held.or(down)
    }
}
