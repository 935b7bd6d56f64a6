//! The watched addresses: what to look up, whom to ask, what to tell, and when. Pure: `now` is an argument.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::message::Change;
use super::tables::{NeighbourKey, Resolution, Route, Tables};
use crate::control::NextHop;

/// How long a neighbour that was never asked, or whose entry vanished, may take before the loss is told. The kernel
/// gives up after three seconds and then says so itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two requests for a neighbour that does not answer: doubles from the first to the second.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// How often a stale neighbour is confirmed.
const REFRESH: Duration = Duration::from_secs(30);

/// Changed prefixes remembered one by one between two rounds of look-ups; more means every address.
const MOST_PREFIXES: usize = 64;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Make the kernel ask for a neighbour's MAC address.
    Ask(NeighbourKey),
    /// The way to an address has changed.
    Tell(IpAddr, Result<NextHop, String>),
}

#[derive(Debug, Default)]
pub(super) struct Core {
    tables: Tables,
    watched: BTreeMap<IpAddr, Watched>,
    changed_prefixes: Vec<(IpAddr, u8)>,
    changed_neighbours: HashSet<NeighbourKey>,
    everything_changed: bool,
}

#[derive(Debug, Default)]
struct Watched {
    /// The kernel's answer; `None` before the first.
    route: Option<Result<Route, String>>,
    /// Interface of the last good route: tells why a route is gone.
    last_interface: Option<u32>,
    lookup: bool,
    settle: bool,
    told: Option<Result<NextHop, String>>,
    asking: Option<Asking>,
    due: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Asking {
    since: Instant,
    next: Instant,
    pause: Duration,
}

impl Core {
    pub(super) fn watch(&mut self, address: IpAddr) {
        let watched = self.watched.entry(address).or_default();
        watched.lookup = true;
        watched.told = None;
    }

    pub(super) fn unwatch(&mut self, address: IpAddr) {
        self.watched.remove(&address);
    }

    /// Takes whole new tables; every address is looked up again.
    pub(super) fn replace_tables(&mut self, tables: Tables) {
        self.tables = tables;
        self.everything_changed = true;
    }

    /// Takes one change. What follows from it is found by [`Core::lookups`] and [`Core::settle`], so that a burst of
    /// changes costs one pass.
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Link(index, link) => {
                let before = match link.clone() {
                    Some(link) => self.tables.links.insert(index, link),
                    None => {
                        self.tables.neighbours.retain(|key, _| key.0 != index);
                        self.tables.links.remove(&index)
                    }
                };
                // IPv4 routes vanish with their interface without an event of their own.
                self.everything_changed |= before != link;
            }
            Change::Neighbour(key, neighbour) => {
                let before = match neighbour {
                    Some(neighbour) => self.tables.neighbours.insert(key, neighbour),
                    None => self.tables.neighbours.remove(&key),
                };
                if before != neighbour {
                    self.changed_neighbours.insert(key);
                }
            }
            Change::Route(prefix, length) => {
                if self.changed_prefixes.len() < MOST_PREFIXES {
                    self.changed_prefixes.push((prefix, length));
                } else {
                    self.everything_changed = true;
                }
            }
            Change::Rules => self.everything_changed = true,
        }
    }

    /// Whether a change waits for a pass.
    pub(super) fn has_changes(&self) -> bool {
        self.everything_changed
            || !self.changed_prefixes.is_empty()
            || !self.changed_neighbours.is_empty()
            || self.watched.values().any(|watched| watched.lookup || watched.settle)
    }

    /// The addresses whose route has to be looked up; each is to be answered by [`Core::routed`].
    pub(super) fn lookups(&mut self) -> Vec<IpAddr> {
        let everything = std::mem::take(&mut self.everything_changed);
        let prefixes = std::mem::take(&mut self.changed_prefixes);
        let mut addresses = Vec::new();
        for (&address, watched) in &mut self.watched {
            let touched = prefixes.iter().any(|&(prefix, length)| contains(prefix, length, address));
            if std::mem::take(&mut watched.lookup) || everything || touched {
                addresses.push(address);
            }
        }
        addresses
    }

    /// The kernel's answer to a look-up.
    pub(super) fn routed(&mut self, address: IpAddr, route: Result<Route, String>) {
        if let Some(watched) = self.watched.get_mut(&address) {
            if let Ok(route) = &route {
                watched.last_interface = Some(route.interface);
            }
            watched.route = Some(route);
            watched.settle = true;
        }
    }

    /// What follows from all changes so far and from the time.
    pub(super) fn settle(&mut self, now: Instant) -> Vec<Action> {
        let changed = std::mem::take(&mut self.changed_neighbours);
        let mut actions = Vec::new();
        for (&address, watched) in &mut self.watched {
            let neighbour = match &watched.route {
                Some(Ok(route)) => Some(route.neighbour(address)),
                _ => None,
            };
            let touched = neighbour.is_some_and(|key| changed.contains(&key));
            let due = watched.due.is_some_and(|due| due <= now);
            if std::mem::take(&mut watched.settle) || touched || due {
                watched.settle(address, &self.tables, now, &mut actions);
            }
        }
        actions
    }

    /// When [`Core::settle`] has something to do by itself.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.watched.values().filter_map(|watched| watched.due).min()
    }
}

impl Watched {
    fn settle(&mut self, address: IpAddr, tables: &Tables, now: Instant, actions: &mut Vec<Action>) {
        let resolution = match &self.route {
            None => return,
            Some(Ok(route)) => tables.resolve(address, route),
            Some(Err(reason)) => {
                let link = self.last_interface.and_then(|index| tables.links.get(&index));
                let down = link.and_then(super::tables::Link::obstacle);
                Resolution::Unreachable(down.unwrap_or_else(|| reason.clone()))
            }
        };
        match resolution {
            Resolution::Found { hop, neighbour, stale } => {
                self.asking = None;
                let due = self.due.is_some_and(|due| due <= now);
                if stale && due {
                    actions.push(Action::Ask(neighbour));
                }
                self.due = match self.due {
                    Some(due) if stale && due > now => Some(due),
                    _ => stale.then(|| now + REFRESH),
                };
                self.tell(address, Ok(hop), actions);
            }
            Resolution::NeighbourUnknown { neighbour, failed, reason } => {
                let asking = self.asking.get_or_insert(Asking { since: now, next: now, pause: RETRY.0 });
                if asking.next <= now {
                    actions.push(Action::Ask(neighbour));
                    asking.next = now + asking.pause;
                    asking.pause = (asking.pause * 2).min(RETRY.1);
                }
                self.due = Some(asking.next);
                if failed || now >= asking.since + PATIENCE {
                    self.tell(address, Err(reason), actions);
                }
            }
            Resolution::Unreachable(reason) => {
                self.asking = None;
                self.due = None;
                self.tell(address, Err(reason), actions);
            }
        }
    }

    fn tell(&mut self, address: IpAddr, hop: Result<NextHop, String>, actions: &mut Vec<Action>) {
        if self.told.as_ref() != Some(&hop) {
            self.told = Some(hop.clone());
            actions.push(Action::Tell(address, hop));
        }
    }
}

/// Whether `address` is in `prefix/length`.
fn contains(prefix: IpAddr, length: u8, address: IpAddr) -> bool {
    ipnet::IpNet::new(prefix, length).is_ok_and(|net| net.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::super::tables::{Link, LinkState, Neighbour, RouteKind};
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn eth0(state: LinkState) -> Change {
        let link = Link { name: "eth0".into(), mac: Some([2, 0, 0, 0, 0, 1]), mtu: 1500, state };
        Change::Link(2, Some(link))
    }

    fn direct() -> Result<Route, String> {
        Ok(Route { interface: 2, gateway: None, kind: RouteKind::Unicast, mtu: None })
    }

    fn neighbour(neighbour: Neighbour) -> Change {
        Change::Neighbour((2, ip("10.0.0.9")), Some(neighbour))
    }

    fn usable(mac: [u8; 6]) -> Neighbour {
        Neighbour::Usable { mac, stale: false }
    }

    fn told(mac: [u8; 6]) -> Action {
        let source_mac = [2, 0, 0, 0, 0, 1];
        let hop = NextHop { egress: 2, source_mac, destination_mac: mac, mtu: 1500, via_gateway: false };
        Action::Tell(ip("10.0.0.9"), Ok(hop))
    }

    fn lost(reason: &str) -> Action {
        Action::Tell(ip("10.0.0.9"), Err(reason.into()))
    }

    /// A core that watches 10.0.0.9, on eth0, with its route looked up.
    fn core() -> (Core, Instant) {
        let mut core = Core::default();
        core.apply(eth0(LinkState::Up));
        core.watch(ip("10.0.0.9"));
        assert!(core.has_changes());
        assert_eq!(core.lookups(), [ip("10.0.0.9")]);
        core.routed(ip("10.0.0.9"), direct());
        (core, tokio::time::Instant::now().into_std())
    }

    const ASK: fn() -> Action = || Action::Ask((2, "10.0.0.9".parse().unwrap()));
    const SECOND: Duration = Duration::from_secs(1);
    const NO_ANSWER: &str = "no answer to ARP for 10.0.0.9 on eth0";

    #[test]
    fn a_known_neighbour_is_told_once() {
        let (mut core, now) = core();
        core.apply(neighbour(usable(MAC)));
        assert_eq!(core.settle(now), [told(MAC)]);
        core.apply(neighbour(usable(MAC)));
        assert!(!core.has_changes());
        assert_eq!(core.settle(now), []);
        core.apply(neighbour(usable([2; 6])));
        assert_eq!(core.settle(now), [told([2; 6])]);
    }

    #[test]
    fn an_unknown_neighbour_is_asked_again_and_again() {
        let (mut core, began) = core();
        assert_eq!(core.settle(began), [ASK()]);
        let mut asked = vec![];
        let mut said = vec![];
        while let Some(now) = core.next_deadline().filter(|&next| next < began + 130 * SECOND) {
            for action in core.settle(now) {
                match action {
                    Action::Ask(_) => asked.push((now - began).as_secs()),
                    tell => said.push((tell, (now - began).as_secs())),
                }
            }
        }
        assert_eq!(asked, [1, 3, 7, 15, 31, 61, 91, 121]);
        assert_eq!(said, [(lost(NO_ANSWER), 7)]);
    }

    #[test]
    fn a_failed_neighbour_is_told_at_once() {
        let (mut core, now) = core();
        core.apply(neighbour(Neighbour::Failed));
        assert_eq!(core.settle(now), [ASK(), lost(NO_ANSWER)]);
        core.apply(neighbour(usable(MAC)));
        assert_eq!(core.settle(now), [told(MAC)]);
    }

    #[test]
    fn a_vanished_entry_is_asked_for_before_the_loss_is_told() {
        let (mut core, now) = core();
        core.apply(neighbour(usable(MAC)));
        core.settle(now);
        core.apply(Change::Neighbour((2, ip("10.0.0.9")), None));
        assert_eq!(core.settle(now), [ASK()]);
        core.apply(neighbour(Neighbour::Asking));
        assert_eq!(core.settle(now), []);
        core.apply(neighbour(usable(MAC)));
        assert_eq!(core.settle(now), [], "nothing has changed in the end");
    }

    #[test]
    fn a_stale_entry_is_confirmed_now_and_then() {
        let (mut core, now) = core();
        core.apply(neighbour(Neighbour::Usable { mac: MAC, stale: true }));
        assert_eq!(core.settle(now), [told(MAC)]);
        assert_eq!(core.next_deadline(), Some(now + REFRESH));
        assert_eq!(core.settle(now + REFRESH), [ASK()]);
        core.apply(neighbour(usable(MAC)));
        assert_eq!(core.settle(now + REFRESH), []);
        assert_eq!(core.next_deadline(), None);
    }

    #[test]
    fn an_interface_that_goes_down_is_the_reason_even_when_its_route_went_with_it() {
        let (mut core, now) = core();
        core.apply(neighbour(usable(MAC)));
        core.settle(now);
        core.apply(eth0(LinkState::Down));
        assert_eq!(core.lookups(), [ip("10.0.0.9")]);
        core.routed(ip("10.0.0.9"), Err("no route to 10.0.0.9".into()));
        assert_eq!(core.settle(now), [lost("interface eth0 is down")]);
        core.apply(eth0(LinkState::Up));
        assert_eq!(core.lookups(), [ip("10.0.0.9")]);
        core.routed(ip("10.0.0.9"), Err("no route to 10.0.0.9".into()));
        assert_eq!(core.settle(now), [lost("no route to 10.0.0.9")]);
    }

    #[test]
    fn only_addresses_in_a_changed_prefix_are_looked_up() {
        let (mut core, now) = core();
        core.watch(ip("fd00::1"));
        assert_eq!(core.lookups(), [ip("fd00::1")]);
        core.settle(now);
        for (prefix, length, looked_up) in [
            ("10.0.0.0", 8, Some("10.0.0.9")),
            ("10.1.0.0", 16, None),
            ("::", 0, Some("fd00::1")),
            ("0.0.0.0", 0, Some("10.0.0.9")),
        ] {
            core.apply(Change::Route(ip(prefix), length));
            assert_eq!(
                core.lookups(),
                looked_up.map(ip).into_iter().collect::<Vec<_>>(),
                "{prefix}/{length}"
            );
        }
        for _ in 0..=MOST_PREFIXES {
            core.apply(Change::Route(ip("192.0.2.0"), 24));
        }
        assert_eq!(core.lookups().len(), 2, "a burst of route changes is not followed one by one");
    }

    #[test]
    fn nothing_is_told_of_an_address_that_is_not_watched() {
        let (mut core, now) = core();
        core.unwatch(ip("10.0.0.9"));
        core.routed(ip("10.0.0.9"), direct());
        core.apply(neighbour(usable(MAC)));
        assert_eq!(core.settle(now), []);
    }
}
