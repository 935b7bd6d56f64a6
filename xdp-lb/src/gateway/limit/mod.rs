//! How often: limits of rate by GCRA, the generic cell rate algorithm (ITU-T I.371), which governor has too.
//!
//! **All or none.** A request is charged to all of its limits or to none: each is asked first, and only when all would
//! allow it is it charged. Two requests at the same moment may both be told that there is room for one; the charge itself
//! is checked again, so no limit is ever exceeded, and only then may a request that is refused have been charged elsewhere.
//!
//! **Two phases.** Limits by route, address and header need not know who asks: they come before credentials are looked at,
//! and so protect passwords from being tried. Those by API key and claim come after.
//!
//! **Bounded.** A key is a number of 64 bits, whatever its text was, and no more than `max_keys` are kept. Keys that would be
//! allowed their whole burst are forgotten first, which changes nothing. Where there is no room even so, new keys are
//! counted together as one: a flood of invented keys gets what one client gets, and leaves the counts of others alone.

mod answer;
mod cell;
mod key;
mod store;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;

use self::cell::{Cell, Verdict};
use self::key::Keys;
use self::store::Store;
use crate::config::gateway::{RateLimit, Verifier};
use crate::gateway::{Exchange, Reason, Refusal};

pub use answer::RateAnswer;
pub use key::Phase;

/// All limits of rate of a configuration, with their counts.
pub struct RateLimits {
    limits: Vec<Limit>,
    keys: Keys,
    /// What times are counted from, as long as the process runs.
    epoch: Instant,
}

struct Limit {
    config: RateLimit,
    cell: Cell,
    /// Kept over a reload.
    store: Arc<Store>,
    policy: http::HeaderValue,
}

impl RateLimits {
    /// Limits over these routes, by their names in the configuration's order. `before` are the limits in use: counts are
    /// taken over by name, where the key is the same.
    pub fn build<'a>(
        limits: &[RateLimit],
        routes: impl IntoIterator<Item = &'a str>,
        verifiers: &[Verifier],
        before: Option<&Self>,
        now: Instant,
    ) -> Self {
        let keys = Keys::new(routes, verifiers, before.map(|before| &before.keys));
        let build = |config: &RateLimit| {
            let old =
                before.and_then(|before| before.limits.iter().find(|old| old.config.name == config.name));
            let old = old.filter(|old| old.config.key == config.key);
            Limit {
                config: config.clone(),
                cell: Cell::new(config.requests, config.period, config.burst),
                store: old.map_or_else(|| Arc::new(Store::new(config.max_keys)), |old| old.store.clone()),
                policy: answer::policy(config),
            }
        };
        let epoch = before.map_or(now, |before| before.epoch);
        Self { limits: limits.iter().map(build).collect(), keys, epoch }
    }

    /// Whether these limits, as far as they are of this phase, allow a request of the route with this index, and what is
    /// told of the tightest of them on the answer; nothing where none is of this phase.
    pub fn check(
        &self,
        limits: &[usize],
        phase: Phase,
        route: usize,
        exchange: &Exchange,
        headers: &HeaderMap,
        now: Instant,
    ) -> Result<Option<RateAnswer>, Refusal> {
        let mut of_phase = limits
            .iter()
            .filter_map(|&index| self.limits.get(index))
            .filter(|limit| Phase::of(&limit.config.key) == phase);
        let Some(first) = of_phase.next() else { return Ok(None) };
        let now = u64::try_from(now.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX);
        let hash = |limit: &Limit| self.keys.hash(&limit.config.key, route, exchange, headers);
        if of_phase.clone().next().is_none() {
            return first.verdict(hash(first), now, true).map(Some);
        }
        // As many as most routes have; further ones are hashed twice.
        let mut hashes = [0; 4];
        let of_phase = std::iter::once(first).chain(of_phase).enumerate();
        for (index, limit) in of_phase.clone() {
            let hash = hash(limit);
            if let Some(kept) = hashes.get_mut(index) {
                *kept = hash;
            }
            limit.verdict(hash, now, false)?;
        }
        let mut tightest: Option<RateAnswer> = None;
        for (index, limit) in of_phase {
            let answer =
                limit.verdict(hashes.get(index).copied().unwrap_or_else(|| hash(limit)), now, true)?;
            tightest = Some(answer.or_tighter(tightest));
        }
        Ok(tightest)
    }
}

impl Limit {
    fn verdict(&self, key: u64, now: u64, charge: bool) -> Result<RateAnswer, Refusal> {
        let verdict =
            self.store.with(key, now, self.config.max_keys, |tat| self.cell.decide(tat, now, charge));
        let Verdict { remaining, wait, whole } = verdict;
        let answer = |remaining, reset| RateAnswer {
            policy: self.policy.clone(),
            limit: self.config.burst.max(1),
            remaining,
            reset: seconds(reset),
        };
        match wait {
            // Who has none left wants to know when there is one, others when all are back.
            None => Ok(answer(remaining, if remaining == 0 { self.cell.until_one(whole) } else { whole })),
            Some(wait) => {
                let refusal =
                    Refusal::new(Reason::RateLimited, "there were too many requests; try again later")
                        .because(format!("limit {}", self.config.name))
                        .retry_after(Duration::from_nanos(wait));
                Err(answer(0, wait).on_refusal(refusal))
            }
        }
    }
}

/// Seconds, rounded up: at the time told it is so.
fn seconds(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000_000)
}

impl fmt::Debug for RateLimits {
    /// Names alone: keys may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.limits.iter().map(|limit| &limit.config.name)).finish()
    }
}
