//! Builds the programs of `xdp-lb-ebpf`, from a shell and from build scripts alike. Never installs a toolchain.

mod build;
mod environment;
mod toolchain;

pub use build::{build, build_into};
pub use environment::clean;
pub use toolchain::{Missing, NoToolchain, Survey, Toolchain, Way, detect, survey};
