//! Which server a request goes to: the best of a few drawn by weight. Decides; sends nothing and reads no clock.
//!
//! Of each server it knows the weight, the requests in flight (those sent from here exactly, those of others by the
//! server's reports), the latency of successes, the rate of errors, the utilization it reports and its age. See
//! [`Settings`] for the rules' constants.
//!
//! A failure never counts as a short latency, or a server that fails fast would attract all traffic.

mod alias;
mod choose;
mod eject;
mod errors;
mod latency;
mod queue;
mod server;
mod settings;
mod status;
mod survey;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use self::alias::Alias;
use self::server::Server;
use self::survey::Survey;
use super::message::Report;
use super::rng::Rng;

pub use settings::Settings;
pub use status::ServerStatus;

/// Name of a server, given by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u32);

/// A request on its way to a server. It is in flight until given back to [`Pool::finished`] or [`Pool::done`].
#[derive(Debug, PartialEq)]
#[must_use = "a pick that is not given back stays in flight for ever"]
pub struct Pick {
    server: ServerId,
    why: Why,
    /// Seconds since the pool was made.
    sent: f64,
    answered: bool,
}

impl Pick {
    /// Where it goes.
    pub fn server(&self) -> ServerId {
        self.server
    }

    /// Why there.
    pub fn why(&self) -> Why {
        self.why
    }
}

/// Why a server was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// It was the best of those drawn.
    Better,
    /// None other was to be had.
    Only,
    /// Nothing was heard of it lately.
    Explored,
    /// To see whether it may come back from its ejection.
    Probed,
    /// To see whether it works: nothing is known yet.
    Proved,
    /// All that are left are down.
    Desperate,
}

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// Until the answer began; matters for successes only.
    pub latency: Duration,
    /// Whether it was good.
    pub verdict: Verdict,
    /// What the server says of itself beside the answer.
    pub report: Option<&'a Report>,
    /// Requests that the server says it has in flight, this one not counted.
    pub in_flight: Option<u32>,
}

/// Whether a request succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server did what it should.
    Success,
    /// It did not: no connection, a time-out, a status that means failure.
    Failure,
    /// Nobody waited for it: says nothing about the server.
    Abandoned,
}

/// The servers that requests may go to. Each balancer has its own; `now` never goes back.
#[derive(Clone, Debug)]
pub struct Pool {
    settings: Settings,
    rng: Rng,
    /// When it was made.
    epoch: Option<Instant>,
    /// Sorted by id.
    servers: Vec<Server>,
    alias: Alias,
    survey: Survey,
    /// Whether weights, members or their being up changed since the alias table was built.
    redraw: bool,
    /// By position, the warmth that the alias table was built with.
    warmth: Vec<f64>,
    scratch: Vec<f64>,
}

impl Pool {
    /// An empty pool. Pools with equal seeds and equal histories pick the same.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            rng: Rng::new(seed),
            epoch: None,
            servers: Vec::new(),
            alias: Alias::default(),
            survey: Survey::default(),
            redraw: true,
            warmth: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Decides by these constants from now on. What is known is kept, and ejections under way last as long as they would.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
        self.changed();
    }

    /// Makes these the servers, each with its weight: its capacity in any unit. Weights of 0 (or that are no numbers)
    /// take nothing. What is known of those that stay is kept.
    pub fn set_servers(&mut self, servers: &[(ServerId, f64)], now: Instant) {
        let now = self.seconds(now);
        let mut stays: Vec<_> = servers.iter().map(|server| server.0).collect();
        stays.sort_unstable();
        for server in &mut self.servers {
            if stays.binary_search(&server.id).is_err() {
                server.member = false;
                server.weight = 0.0;
            }
        }
        for &(id, weight) in servers {
            let position = self.position(id).unwrap_or_else(|position| {
                self.servers.insert(position, Server::new(id, now));
                position
            });
            let server = &mut self.servers[position];
            if !server.member {
                // Gone and back before its last request was finished.
                server.restart(now);
            }
            server.weight = if weight.is_finite() { weight.max(0.0) } else { 0.0 };
        }
        self.servers.retain(|server| server.member || server.queue.own() > 0);
        self.changed();
    }

    /// Tells that a server is up or down, as health checks find it. One that comes up is taken to have been restarted.
    /// New servers are up.
    pub fn health(&mut self, id: ServerId, up: bool, now: Instant) {
        let now = self.seconds(now);
        let Ok(position) = self.position(id) else { return };
        let server = &mut self.servers[position];
        if server.up == up {
            return;
        }
        if up {
            server.restart(now);
        }
        server.up = up;
        self.changed();
    }

    /// The server for a request that was not served by any of `tried`; none of those is picked again. `None` only if
    /// no other has a weight. The request counts as sent.
    pub fn pick(&mut self, tried: &[ServerId], now: Instant) -> Option<Pick> {
        let now = self.seconds(now);
        self.look(now);
        self.survey.picks += 1;
        let (position, why) = self.choose(tried, now)?;
        let server = &mut self.servers[position];
        server.sent(why == Why::Probed, now);
        Some(Pick { server: server.id, why, sent: now, answered: false })
    }

    /// The answer has begun, or will not come. The request stays in flight, as the body may take long.
    pub fn answered(&mut self, pick: &mut Pick, outcome: &Outcome<'_>, now: Instant) {
        let now = self.seconds(now);
        if std::mem::replace(&mut pick.answered, true) {
            return;
        }
        let Ok(position) = self.position(pick.server) else { return };
        let ejects = self.survey.ejects;
        let server = &mut self.servers[position];
        let was_out = server.ejection.is_out();
        server.answered(pick, outcome, now, ejects, &self.settings, &mut self.rng);
        if server.ejection.is_out() != was_out {
            self.survey.at = None;
        }
    }

    /// The request is over: no longer in flight. Without an answer before, it was abandoned.
    pub fn finished(&mut self, mut pick: Pick, now: Instant) {
        if !pick.answered {
            let (latency, verdict) = (Duration::ZERO, Verdict::Abandoned);
            self.answered(&mut pick, &Outcome { latency, verdict, report: None, in_flight: None }, now);
        }
        if let Ok(position) = self.position(pick.server) {
            self.servers[position].queue.finished();
        }
    }

    /// [`answered`](Self::answered) and [`finished`](Self::finished) at once.
    pub fn done(&mut self, mut pick: Pick, outcome: &Outcome<'_>, now: Instant) {
        self.answered(&mut pick, outcome, now);
        self.finished(pick, now);
    }

    /// Looks at the pool as a whole, if it is time to.
    fn look(&mut self, now: f64) {
        let fresh = self.survey.at.is_some_and(|at| {
            now - at < self.settings.survey_interval.as_secs_f64() && self.survey.picks < self.servers.len()
        });
        if fresh {
            return;
        }
        self.survey.make(&mut self.servers, &mut self.scratch, now, &self.settings);
        let warmest = self.survey.warmest;
        self.scratch.clear();
        self.scratch.extend(self.servers.iter().map(|server| server.warmth / warmest));
        if self.redraw || self.scratch != self.warmth {
            std::mem::swap(&mut self.scratch, &mut self.warmth);
            self.redraw = false;
            self.alias.rebuild(
                self.servers.iter().zip(&self.warmth).map(|(server, warmth)| {
                    if server.is_in_service() { server.weight * warmth } else { 0.0 }
                }),
            );
        }
    }

    fn changed(&mut self) {
        self.redraw = true;
        self.survey.at = None;
    }

    fn position(&self, id: ServerId) -> Result<usize, usize> {
        // Ids are often numbers without gaps.
        if let Some(first) = self.servers.first() {
            let guess = id.0.wrapping_sub(first.id.0) as usize;
            if self.servers.get(guess).is_some_and(|server| server.id == id) {
                return Ok(guess);
            }
        }
        self.servers.binary_search_by_key(&id, |server| server.id)
    }

    /// Seconds since the first time told.
    fn seconds(&mut self, now: Instant) -> f64 {
        now.saturating_duration_since(*self.epoch.get_or_insert(now)).as_secs_f64()
    }
}
