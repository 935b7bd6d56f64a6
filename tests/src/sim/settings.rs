//! What all scenarios have in common.

use super::rng::Rng;
use super::time::{MILLISECOND, SECOND, Time};

/// The simulated data centre.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Servers, where the scenario does not add or leave out some.
    pub servers: usize,
    /// Requests that a server works on at the same time.
    pub workers: usize,
    /// Requests that wait for a worker of a server; further ones are refused at once.
    pub queue: usize,
    /// Balancers, each of which sees its part of the requests and of nothing else.
    pub balancers: usize,
    /// Requests that come, as a share of what the servers can do in the scenario's worst hour.
    pub load: f64,
    /// How long a request takes a worker at full speed.
    pub service: Service,
    /// From a balancer to a server, and as long back.
    pub delay: Time,
    /// After so long a client gives up.
    pub timeout: Time,
    /// What a health check finds out.
    pub checks: Checks,
    /// Factor on the length of every scenario.
    pub length: f64,
}

/// A distribution of service times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Service {
    /// Memoryless, as queueing theory likes it.
    Exponential {
        /// In nanoseconds.
        mean: f64,
    },
    /// With a tail heavier than that from `sigma` of about 1 on.
    LogNormal {
        /// In nanoseconds.
        mean: f64,
        /// Deviation of the logarithm.
        sigma: f64,
    },
}

/// What a health check finds out of a server that answers errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checks {
    /// Nothing: the process is there and says that it is well.
    Shallow,
    /// It fails as often as requests do.
    Deep,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            servers: 20,
            workers: 4,
            queue: 64,
            balancers: 4,
            load: 0.7,
            service: Service::LogNormal { mean: 10.0 * MILLISECOND as f64, sigma: 1.0 },
            delay: MILLISECOND / 2,
            timeout: 2 * SECOND,
            checks: Checks::Shallow,
            length: 1.0,
        }
    }
}

impl Settings {
    /// Requests a second that all servers at full speed can do.
    pub fn capacity(&self) -> f64 {
        self.servers as f64 * self.workers as f64 * SECOND as f64 / self.service.mean()
    }
}

impl Service {
    fn mean(self) -> f64 {
        match self {
            Self::Exponential { mean } | Self::LogNormal { mean, .. } => mean,
        }
    }

    /// A service time at full speed, in nanoseconds.
    pub(super) fn draw(self, rng: &mut Rng) -> f64 {
        match self {
            Self::Exponential { mean } => mean * rng.exponential(),
            Self::LogNormal { mean, sigma } => mean * (sigma * rng.normal() - sigma * sigma / 2.0).exp(),
        }
    }
}
