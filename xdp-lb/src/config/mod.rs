//! From a file to a valid [`Config`], [`DecapConfig`] or [`gateway::GatewayConfig`], or every error in it at once. Never
//! touches the system beyond reading that one file.
//!
//! Text becomes TOML with positions (`source`), is read key by key under rules that say what is allowed (`section`,
//! `rules`, `net`), and is compared as a whole (`cross`); only then are the types of `model` built, and nowhere else.
//!
#![doc = include_str!("reference.md")]

mod agent;
mod cross;
mod decap;
mod error;
pub mod gateway;
mod health;
mod live;
mod load;
mod model;
mod net;
mod notes;
mod rules;
mod section;
mod similar;
mod source;
mod utilization;
mod vip;
mod warmup;
mod weights;

#[cfg(test)]
mod tests;

pub use error::{Errors, LoadError, Problem};
pub use live::{Percent, Ratio, Scheduler, Utilization, UtilizationKind, Warmup, Weights};
pub use load::File;
pub use model::{
    Admin, Affinity, Agent, Backend, CheckTls, CheckVia, Config, DecapConfig, Forward, Health, HealthKind,
    Protocol, TableSize, Vip, Weight, XdpMode,
};
