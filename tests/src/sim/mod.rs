//! Balancing policies in virtual time: servers, clients and balancers of a small data centre, event by event.
//!
//! Decides how the simulated world behaves and what is measured of it. Never decides where a request goes: that is the
//! policies', the peers' written from their published definitions and xdp-lb's own from the crates that ship. Two runs
//! with the same settings, scenario, policy and seed end alike in every figure; two policies with the same seed meet the
//! same requests at the same times.

mod engine;
mod histogram;
mod measure;
pub mod policy;
pub mod regret;
mod rng;
mod scenario;
mod server;
mod settings;
mod time;

pub use engine::run;
pub use histogram::Histogram;
pub use measure::Measured;
pub use rng::Rng;
pub use scenario::{SCENARIOS, Scenario};
pub use settings::{Checks, Service, Settings};
pub use time::{MILLISECOND, SECOND, Time, as_seconds, seconds};
