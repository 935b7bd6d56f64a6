//! What the repository's one door, `cargo xtask`, shares with build scripts and tests: finding a toolchain for eBPF,
//! building the programs with it, and the rules of the source tree. Never installs anything; that is `main.rs`.

pub mod ebpf;
pub mod machine;
pub mod tidy;

use std::path::{Path, PathBuf};

/// The commands of `cargo xtask`, each of which README.md explains.
pub const COMMANDS: [&str; 8] = ["setup", "build-ebpf", "demo", "test", "fuzz", "bench", "simulate", "tidy"];

/// Root of the workspace, for programs that cargo runs.
pub fn workspace_root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let package = package.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    package.parent().map_or_else(|| package.clone(), Path::to_path_buf)
}

/// Cargo's target directory of the workspace at `root`.
pub fn target_dir(root: &Path) -> PathBuf {
    // An absolute path replaces `root`; a relative one is taken from there, whatever a build script's folder is.
    root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}
