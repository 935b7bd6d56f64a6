//! The environment that a cargo inside a cargo starts with.

use std::process::Command;

/// Starts of variables by which an outer cargo would change what an inner one builds: those that it sets for build
/// scripts and runs, and those that configure the outer build.
const REMOVED: [&str; 16] = [
    "CARGO_",
    "DEBUG",
    "DEP_",
    "HOST",
    "LINKER",
    "NUM_JOBS",
    "OPT_LEVEL",
    "OUT_DIR",
    "PROFILE",
    "RUSTC",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
    "TARGET",
    "MAKEFLAGS",
    "MFLAGS",
];

/// Starts of variables that say where crates come from and how to speak: these stay.
const KEPT: [&str; 7] = [
    "CARGO_HOME",
    "CARGO_HTTP",
    "CARGO_NET",
    "CARGO_REGISTR",
    "CARGO_SOURCE",
    "CARGO_TERM",
    "CARGO_BUILD_JOBS",
];

/// Takes everything from the command's environment that would leak from an outer cargo into an inner one.
pub fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_removed) {
            command.env_remove(name);
        }
    }
}

fn is_removed(name: &str) -> bool {
    // Words like TARGET and HOST stand for themselves, except as names of cargo's and the compiler's own.
    let removed = REMOVED.iter().any(|start| {
        let open = start.ends_with('_') || start.starts_with("RUST");
        if open { name.starts_with(start) } else { name == *start }
    });
    name == "CARGO" || removed && !KEPT.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::is_removed;

    #[test]
    fn an_outer_cargo_does_not_leak_into_an_inner_one() {
        let gone = [
            "CARGO",
            "CARGO_CFG_TARGET_ARCH",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_FEATURE_USER",
            "CARGO_MANIFEST_DIR",
            "CARGO_PROFILE_RELEASE_PANIC",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_TARGET",
            "CARGO_INCREMENTAL",
            "DEP_Z_ROOT",
            "OUT_DIR",
            "PROFILE",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTC_LINKER",
            "RUSTC_BOOTSTRAP",
            "RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
            "TARGET",
        ];
        let stay = [
            "CARGO_HOME",
            "CARGO_HTTP_PROXY",
            "CARGO_NET_OFFLINE",
            "CARGO_REGISTRIES_CRATES_IO_PROTOCOL",
            "CARGO_TERM_COLOR",
            "HOME",
            "HOSTNAME",
            "PATH",
            "RUSTUP_HOME",
            "RUST_BACKTRACE",
            "TARGETS_OF_SOMEBODY",
        ];
        for name in gone {
            assert!(is_removed(name), "{name} must go");
        }
        for name in stay {
            assert!(!is_removed(name), "{name} must stay");
        }
    }
}
