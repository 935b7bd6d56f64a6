//! The agent of xdp-lb: reads the configuration, checks backends, moves weights and owns the kernel's maps.
//!
//! Data flows one way, see README.md: file → [`config`] → [`control`] → commands → [`datapath`] → BPF maps.

pub mod agent;
pub mod api;
pub mod cli;
pub mod config;
pub mod control;
pub mod datapath;
pub mod gateway;
pub mod nexthop;
mod notify;
pub mod probe;
mod regular;
pub mod report;
pub mod utilization;
