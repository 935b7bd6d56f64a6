//! `gateway.toml`: read, checked as a whole, and built into a [`GatewayConfig`] here and nowhere else.
//!
//! Each table has a reader, which reports what is wrong and gives `None` for it. Names come first, so that they can be
//! looked up wherever they are used; what is wrong between routes comes last. Files that the configuration names are not
//! opened here, but for the authorities of health checks.

mod access;
mod conflict;
mod file;
mod limit;
mod listener;
mod model;
mod names;
mod notes;
mod observe;
mod pool;
mod process;
mod route;
mod rules;
mod template;
mod verifier;

pub use model::*;

pub(super) use file::{FILE, whole};

#[cfg(test)]
pub(super) use file::schemas;
