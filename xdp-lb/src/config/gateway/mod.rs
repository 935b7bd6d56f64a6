//! `gateway.toml`: read, checked as a whole, and built into a [`GatewayConfig`] here and nowhere else.

mod model;

pub use model::*;
