//! From a file to a valid [`Config`], or every error in it at once. Never touches the system.

mod model;

pub use model::{
    Admin, Affinity, Agent, Backend, Config, Forward, Health, HealthKind, Protocol, TableSize, Vip, Weight,
    XdpMode,
};
