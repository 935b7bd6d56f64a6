//! What is decided under a pool's lock: which server a request goes to, what is known of each, and whether there may be
//! a retry. Pure: `now` is an argument.

use std::sync::Arc;
use std::time::Instant;

use super::ServerInfo;
use super::budget::Budget;
use super::health::{Standing, is_checked, panics};
use super::members::{Change, Known, Member, Membership};
use crate::config::gateway::{Balance, PoolConfig};
use crate::control::score::{self, Outcome, Pick, ServerId, ServerStatus, Settings};

/// The servers of a pool, and what is known of them.
#[derive(Debug)]
pub(super) struct Balancer {
    score: score::Pool,
    membership: Membership,
    budget: Budget,
    /// How a new server stands.
    newcomer: Standing,
    /// Whether health is ignored.
    panics: bool,
    /// The latest time told: that of two threads may be told in the wrong order.
    latest: Instant,
}

/// A copy of what is known, to be put into words outside of the lock.
#[derive(Debug)]
pub(super) struct Snapshot {
    score: score::Pool,
    servers: Vec<Known>,
    leaving: Vec<Arc<ServerInfo>>,
    pub(super) panics: bool,
    pub(super) budget_left: u64,
    now: Instant,
}

impl Balancer {
    pub(super) fn new(config: &PoolConfig, seed: u64, now: Instant) -> Self {
        Self {
            score: score::Pool::new(settings(&config.balance), seed),
            membership: Membership::default(),
            budget: Budget::new(&config.retry, now),
            newcomer: Standing::of_newcomer(config.health.as_ref()),
            panics: false,
            latest: now,
        }
    }

    /// Goes by this configuration from now on; what is known stays.
    pub(super) fn reconfigure(&mut self, config: &PoolConfig, now: Instant) {
        let now = self.at(now);
        self.score.set_settings(settings(&config.balance));
        self.budget.limit(&config.retry);
        self.newcomer = Standing::of_newcomer(config.health.as_ref());
        if !is_checked(config.health.as_ref()) {
            for known in self.membership.servers_mut() {
                known.standing = Standing::unchecked();
            }
        }
        self.tell_health(now);
    }

    /// Makes these the servers.
    pub(super) fn set_members(&mut self, members: &[Member], now: Instant) -> Change {
        let now = self.at(now);
        let change = self.membership.update(members, &self.newcomer);
        if change.is_some() {
            let servers = self.membership.servers();
            let weights: Vec<_> = servers.iter().map(|known| (known.info.id, known.weight)).collect();
            self.score.set_servers(&weights, now);
            let known: Vec<_> = self.score.status(now).into_iter().map(|status| status.server).collect();
            self.membership.forget(|id| known.contains(&id.0));
            self.tell_health(now);
        }
        change
    }

    /// The servers, as they were last set.
    pub(super) fn members(&self) -> Vec<Member> {
        let member = |known: &Known| Member {
            name: Arc::clone(&known.info.name),
            address: known.info.address,
            weight: known.weight,
        };
        self.membership.servers().iter().map(member).collect()
    }

    pub(super) fn servers(&self) -> &[Known] {
        self.membership.servers()
    }

    /// How a server stands by its checks; returns whether panic began or ended by this.
    pub(super) fn stand(&mut self, id: ServerId, standing: Standing, now: Instant) -> Option<bool> {
        let now = self.at(now);
        let known = self.membership.get_mut(id)?;
        let moved = known.standing.is_up != standing.is_up;
        known.standing = standing;
        let before = self.panics;
        if moved {
            self.tell_health(now);
        }
        (self.panics != before).then_some(self.panics)
    }

    /// The server for a request that none of `tried` served.
    pub(super) fn pick(&mut self, tried: &[ServerId], now: Instant) -> Option<(Arc<ServerInfo>, Pick)> {
        let now = self.at(now);
        if tried.is_empty() {
            self.budget.request(now);
        }
        let pick = self.score.pick(tried, now)?;
        match self.membership.get(pick.server()) {
            Some(known) => Some((Arc::clone(&known.info), pick)),
            // The two agree on who is a server: this is here so that nothing stays in flight whatever happens.
            None => {
                self.score.finished(pick, now);
                None
            }
        }
    }

    pub(super) fn answered(&mut self, pick: &mut Pick, outcome: &Outcome<'_>, now: Instant) {
        let now = self.at(now);
        self.score.answered(pick, outcome, now);
    }

    /// A request is over; `now` matters only if it was never answered.
    pub(super) fn finished(&mut self, pick: Pick, now: Option<Instant>) {
        let now = now.map_or(self.latest, |now| self.at(now));
        self.score.finished(pick, now);
    }

    /// [`pick`](Self::pick) for a retry, if there may be one. It counts only where there is a server for it.
    pub(super) fn pick_again(&mut self, tried: &[ServerId], now: Instant) -> Option<(Arc<ServerInfo>, Pick)> {
        let now = self.at(now);
        if self.budget.left(now) == 0 {
            return None;
        }
        let picked = self.pick(tried, now)?;
        self.budget.take(now);
        Some(picked)
    }

    pub(super) fn snapshot(&mut self, now: Instant) -> Snapshot {
        let now = self.at(now);
        Snapshot {
            score: self.score.clone(),
            servers: self.membership.servers().to_vec(),
            leaving: self.membership.leaving().to_vec(),
            panics: self.panics,
            budget_left: self.budget.left(now),
            now,
        }
    }

    /// Tells the policy who is up.
    fn tell_health(&mut self, now: Instant) {
        let takes_any = |known: &&Known| known.weight > 0.0;
        let servers = self.membership.servers();
        let all = servers.iter().filter(takes_any).count();
        let up = servers.iter().filter(takes_any).filter(|known| known.standing.is_up).count();
        self.panics = panics(up, all);
        for known in servers {
            self.score.health(known.info.id, known.standing.is_up || self.panics, now);
        }
    }

    fn at(&mut self, now: Instant) -> Instant {
        self.latest = self.latest.max(now);
        self.latest
    }
}

impl Snapshot {
    /// Each server, those that left and have requests to finish too, with what its checks found of it.
    pub(super) fn servers(&self) -> impl Iterator<Item = (&ServerInfo, &str, ServerStatus)> {
        self.score.status(self.now).into_iter().filter_map(|status| {
            let id = ServerId(status.server);
            let known = self.servers.iter().find(|known| known.info.id == id);
            let known = known.map(|known| (&*known.info, &*known.standing.words));
            let left = || self.leaving.iter().find(|info| info.id == id).map(|info| (&**info, ""));
            let (info, words) = known.or_else(left)?;
            Some((info, words, status))
        })
    }
}

/// The policy's constants, as far as they are configured.
fn settings(balance: &Balance) -> Settings {
    Settings {
        choices: u32::from(balance.choices.max(1)),
        warmup_window: balance.warmup,
        eject_after: balance.eject_after,
        eject_least: balance.eject_least,
        eject_most: balance.eject_most.max(balance.eject_least),
        ..Settings::default()
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::control::health::Condition;
    use crate::gateway::upstream::fixtures::{self, start};

    fn standing(is_up: bool) -> Standing {
        let condition = if is_up { Condition::Up } else { Condition::Down };
        Standing { condition, is_up, words: Cow::Borrowed("as the test says") }
    }

    fn member(last: u8, weight: f64) -> Member {
        Member {
            name: last.to_string().into(),
            address: std::net::SocketAddr::from(([10, 0, 0, last], 80)),
            weight,
        }
    }

    fn balancer(weights: &[f64]) -> Balancer {
        let mut balancer = Balancer::new(&fixtures::pool("web", &[]), 3, start());
        let members: Vec<_> = (0..).zip(weights).map(|(last, weight)| member(last, *weight)).collect();
        balancer.set_members(&members, start());
        balancer
    }

    fn picked(balancer: &mut Balancer) -> Vec<u32> {
        let mut seen: Vec<_> = (0..200)
            .filter_map(|_| {
                let (info, pick) = balancer.pick(&[], start())?;
                balancer.finished(pick, Some(start()));
                Some(info.id.0)
            })
            .collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    }

    #[test]
    fn panic_begins_and_ends_with_half_of_the_servers() {
        let mut balancer = balancer(&[1.0; 4]);
        let down = |balancer: &mut Balancer, id| balancer.stand(ServerId(id), standing(false), start());
        assert_eq!(down(&mut balancer, 0), None);
        assert_eq!(down(&mut balancer, 1), None);
        assert_eq!(picked(&mut balancer), [2, 3], "half are up");
        assert_eq!(down(&mut balancer, 2), Some(true));
        assert_eq!(picked(&mut balancer), [0, 1, 2, 3], "all are taken as up");
        assert!(balancer.snapshot(start()).panics);
        assert_eq!(down(&mut balancer, 2), None, "no news");
        assert_eq!(balancer.stand(ServerId(1), standing(true), start()), Some(false));
        assert_eq!(picked(&mut balancer), [1, 3]);
        assert_eq!(balancer.stand(ServerId(9), standing(false), start()), None, "no such server");
    }

    #[test]
    fn servers_that_take_nothing_do_not_count_for_panic() {
        let mut balancer = balancer(&[1.0, 1.0, 0.0, 0.0]);
        balancer.stand(ServerId(2), standing(false), start());
        balancer.stand(ServerId(3), standing(false), start());
        assert_eq!(balancer.stand(ServerId(0), standing(false), start()), None);
        assert_eq!(picked(&mut balancer), [1]);
        assert_eq!(balancer.stand(ServerId(1), standing(false), start()), Some(true));
        assert_eq!(picked(&mut balancer), [0, 1]);
    }

    #[test]
    fn new_servers_end_a_panic() {
        let mut balancer = balancer(&[1.0, 1.0]);
        balancer.stand(ServerId(0), standing(false), start());
        balancer.stand(ServerId(1), standing(false), start());
        assert!(balancer.panics);
        balancer.set_members(&[member(0, 1.0), member(1, 1.0), member(2, 1.0), member(3, 1.0)], start());
        assert!(!balancer.panics);
        assert_eq!(picked(&mut balancer), [2, 3]);
    }

    #[test]
    fn the_constants_are_those_configured() {
        let mut balance = fixtures::pool("web", &[]).balance;
        balance.choices = 0;
        balance.eject_most = balance.eject_least / 2;
        let settings = settings(&balance);
        assert_eq!((settings.choices, settings.eject_after), (1, 5));
        assert_eq!(settings.eject_most, balance.eject_least, "the longest is not shorter than the first");
        assert!(settings.error_floor > 0.0 && settings.warmup_floor > 0.0);
    }
}
