//! What goes wrong, and when.

use super::settings::Settings;
use super::time::{SECOND, Time, as_seconds, seconds};

/// Every scenario, in the order of the table.
pub const SCENARIOS: [Scenario; 11] = [
    Scenario::new("homogeneous", "twenty equal servers", Kind::Homogeneous, 180.0),
    Scenario::new("half-slow", "half the servers 2.5 × slower from 20 s on", Kind::HalfSlow, 240.0),
    Scenario::new("antagonist", "2 servers 6 × slower, others every 10 s", Kind::Antagonist, 180.0),
    Scenario::new("black-hole", "1 server answers errors in 1 ms from 20 s on", Kind::BlackHole, 180.0),
    Scenario::new("half-errors", "1 server fails every second request from 20 s on", Kind::HalfErrors, 180.0),
    Scenario::new("cold-join", "4 servers join at 60 s, 6 × slow, warming up in 15 s", Kind::ColdJoin, 180.0),
    Scenario::new("cold-fleet", "all restart at 20 s, 6 × slow, warming up in 15 s", Kind::ColdFleet, 180.0),
    Scenario::new("overload", "1.2 × what they can do, from 60 s to 90 s", Kind::Overload, 180.0),
    Scenario::new("low-traffic", "5 requests a second, 2 servers 6 × slower", Kind::LowTraffic, 1200.0),
    Scenario::new("lost-reports", "as half-slow; reports stop half-way", Kind::LostReports, 240.0),
    Scenario::new("restart", "as half-slow; balancers restart half-way", Kind::Restart, 240.0),
];

/// Before the measured window, so that what a start costs is not measured.
const WARM: f64 = 30.0;
/// From the window's begin to that of the disturbance.
const ONSET: f64 = 20.0;
/// From the window's begin until servers join, or the overload begins.
const MIDDLE: f64 = 60.0;
/// How long the overload lasts.
const OVERLOAD: f64 = 30.0;
/// Servers that join cold.
const JOINING: usize = 4;
/// How much slower a cold or disturbed server is.
const SLOW: f64 = 6.0;
/// By which a cold server becomes warm.
const WARMING: f64 = 15.0;
/// How much slower the slow half is.
const HALF_SLOW: f64 = 2.5;
/// How long a server that was always there has been.
const OLD: f64 = 3600.0;

/// A run's course.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Short.
    pub name: &'static str,
    /// In words.
    pub about: &'static str,
    kind: Kind,
    /// Seconds.
    window: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Homogeneous,
    HalfSlow,
    Antagonist,
    BlackHole,
    HalfErrors,
    ColdJoin,
    ColdFleet,
    Overload,
    LowTraffic,
    LostReports,
    Restart,
}

/// How a server is at some time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct State {
    /// What service times are multiplied by.
    pub(super) slowness: f64,
    /// Share of the requests that fail.
    pub(super) errors: f64,
    /// How long a failure takes; as long as a success where `None`.
    pub(super) error_time: Option<Time>,
}

impl Scenario {
    const fn new(name: &'static str, about: &'static str, kind: Kind, window: f64) -> Self {
        Self { name, about, kind, window }
    }

    /// The scenario of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }

    /// When the measured window begins.
    pub(super) fn begin(&self) -> Time {
        seconds(WARM)
    }

    /// When it ends.
    pub(super) fn end(&self, settings: &Settings) -> Time {
        seconds(WARM + self.window * settings.length)
    }

    /// When `server` takes part, and when it is told to have started, in seconds before or after the run's begin.
    pub(super) fn joins(&self, server: usize, settings: &Settings) -> Time {
        if self.kind == Kind::ColdJoin && server >= settings.servers.saturating_sub(JOINING) {
            seconds(WARM + MIDDLE)
        } else {
            0
        }
    }

    /// How long ago the server's process started.
    pub(super) fn age(&self, server: usize, settings: &Settings, now: Time) -> f64 {
        match self.kind {
            Kind::ColdJoin if self.joins(server, settings) > 0 => {
                as_seconds(now.saturating_sub(self.joins(server, settings)))
            }
            Kind::ColdFleet if now >= seconds(WARM + ONSET) => as_seconds(now) - WARM - ONSET,
            _ => OLD + as_seconds(now),
        }
    }

    /// When every balancer starts anew.
    pub(super) fn restart(&self, settings: &Settings) -> Option<Time> {
        (self.kind == Kind::Restart).then(|| self.half_way(settings))
    }

    /// Whether servers report.
    pub(super) fn has_reports(&self, settings: &Settings, now: Time) -> bool {
        self.kind != Kind::LostReports || now < self.half_way(settings)
    }

    fn half_way(&self, settings: &Settings) -> Time {
        self.begin().midpoint(self.end(settings))
    }

    /// Requests a second.
    pub(super) fn rate(&self, settings: &Settings, now: Time) -> f64 {
        let n = settings.servers as f64;
        let full = settings.capacity() * settings.load;
        match self.kind {
            Kind::LowTraffic => 5.0,
            Kind::HalfSlow | Kind::LostReports | Kind::Restart => full * (0.5 + 0.5 / HALF_SLOW),
            Kind::Antagonist => full * (n - 2.0 + 2.0 / SLOW) / n,
            Kind::BlackHole | Kind::HalfErrors => full * (n - 1.0) / n,
            Kind::ColdJoin => full * (n - JOINING as f64) / n,
            Kind::ColdFleet => settings.capacity() * 0.5,
            Kind::Overload if (MIDDLE..MIDDLE + OVERLOAD).contains(&(as_seconds(now) - WARM)) => {
                settings.capacity() * 1.2
            }
            Kind::Homogeneous | Kind::Overload => full,
        }
    }

    /// How `server` is at `now`.
    pub(super) fn state(&self, server: usize, settings: &Settings, now: Time) -> State {
        let since_onset = as_seconds(now) - WARM - ONSET;
        let healthy = State { slowness: 1.0, errors: 0.0, error_time: None };
        let slower = |slowness| State { slowness, ..healthy };
        match self.kind {
            Kind::ColdJoin | Kind::ColdFleet => {
                slower(1.0 + (SLOW - 1.0) * (-self.age(server, settings, now) / WARMING).exp())
            }
            Kind::LowTraffic if server < 2 => slower(SLOW),
            _ if since_onset < 0.0 => healthy,
            // Every second one, so that no order of servers is favoured.
            Kind::HalfSlow | Kind::LostReports | Kind::Restart if server.is_multiple_of(2) => {
                slower(HALF_SLOW)
            }
            Kind::Antagonist => {
                // 7 has no divisor in common with 20: all servers have their turn.
                let first = (since_onset / 10.0) as usize * 7 % settings.servers;
                let second = (first + settings.servers / 2) % settings.servers;
                if server == first || server == second { slower(SLOW) } else { healthy }
            }
            Kind::BlackHole if server == 0 => {
                State { slowness: 1.0, errors: 1.0, error_time: Some(SECOND / 1000) }
            }
            Kind::HalfErrors if server == 0 => State { slowness: 1.0, errors: 0.5, error_time: None },
            _ => healthy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow_servers(name: &str, second: f64) -> Vec<usize> {
        let (scenario, settings) = (Scenario::named(name).unwrap(), Settings::default());
        let is_slow = |server: &usize| scenario.state(*server, &settings, seconds(second)).slowness > 1.5;
        (0..settings.servers).filter(is_slow).collect()
    }

    #[test]
    fn disturbances_begin_within_the_window() {
        assert!(slow_servers("half-slow", 49.9).is_empty());
        assert_eq!(slow_servers("half-slow", 50.1).len(), 10);
        assert_eq!(slow_servers("antagonist", 51.0), [0, 10]);
        assert_eq!(slow_servers("antagonist", 61.0), [7, 17]);
        assert_eq!(slow_servers("cold-fleet", 51.0).len(), 20);
        assert_eq!(slow_servers("cold-join", 91.0).len(), 4);
        assert_eq!(slow_servers("low-traffic", 1.0), [0, 1]);
        assert!(slow_servers("cold-join", 91.0 + 60.0).is_empty());
    }

    #[test]
    fn the_load_is_a_share_of_what_the_disturbed_servers_can_do() {
        let settings = Settings::default();
        for (name, second, expected) in [
            ("homogeneous", 100.0, 0.7),
            ("half-slow", 100.0, 0.49),
            ("overload", 100.0, 1.2),
            ("overload", 121.0, 0.7),
        ] {
            let rate = Scenario::named(name).unwrap().rate(&settings, seconds(second));
            assert!((rate / settings.capacity() - expected).abs() < 1e-9, "{name}: {rate}");
        }
    }
}
