//! bpf-linker, built against the LLVM of the compiler whose bitcode it reads.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use xtask::machine::{Machine, ThisMachine};
use xtask::workspace_root;

use super::apt;

/// The version that goes with these LLVMs.
const VERSION: &str = "0.13.0";

/// LLVM versions it can be built against.
const LLVMS: [&str; 3] = ["21", "22", "23"];

/// LLVM of Debian's `rustc-web`.
pub(super) const DEBIAN_LLVM: &str = "22";

/// Installs bpf-linker against LLVM `llvm`, unless one is there that starts.
pub(super) fn install(llvm: &str) -> Result<()> {
    let there = ThisMachine
        .find("bpf-linker")
        .is_some_and(|path| ThisMachine.output(&path, &["--version"]).is_some());
    if there {
        return Ok(());
    }
    ensure!(LLVMS.contains(&llvm), "bpf-linker {VERSION} reads LLVM {}, not {llvm}", LLVMS.join(", "));
    let llvm_package = format!("llvm-{llvm}-dev");
    let polly_package = format!("libpolly-{llvm}-dev");
    let needs = [
        // It links to LLVM's C++ library, and so to libstdc++.
        (PathBuf::from("/usr/bin/cc"), "gcc"),
        (PathBuf::from("/usr/bin/c++"), "g++"),
        (prefix(llvm).join("bin/llvm-config"), llvm_package.as_str()),
        (prefix(llvm).join("lib/libPolly.a"), polly_package.as_str()),
        (PathBuf::from("/usr/include/zstd.h"), "libzstd-dev"),
        (PathBuf::from("/usr/include/zlib.h"), "zlib1g-dev"),
        (PathBuf::from("/usr/include/libxml2"), "libxml2-dev"),
    ];
    let packages: Vec<_> =
        needs.iter().filter(|(file, _)| !file.exists()).map(|(_, package)| *package).collect();
    if let Err(error) = apt::install(&packages, "what bpf-linker is built with") {
        return prebuilt(&error);
    }
    println!("setup: building bpf-linker {VERSION} with LLVM {llvm}, which takes a minute or two");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The toolchain is the workspace's, by its folder; the target directory is cargo's own.
    command.current_dir(workspace_root()).env_remove("CARGO_TARGET_DIR").env("LLVM_PREFIX", prefix(llvm));
    let status = command.args(arguments(llvm)).status().context("start cargo")?;
    ensure!(status.success(), "building bpf-linker failed ({status}); to repeat it: {}", command_line(llvm));
    Ok(())
}

/// What a person would type to install it.
pub(super) fn command_line(llvm: &str) -> String {
    format!("LLVM_PREFIX={} cargo {}", prefix(llvm).display(), arguments(llvm).join(" "))
}

fn arguments(llvm: &str) -> Vec<String> {
    let words = ["install", "--locked", "--force", "--no-default-features", "--features"].map(str::to_owned);
    words.into_iter().chain([format!("llvm-{llvm}"), format!("bpf-linker@{VERSION}")]).collect()
}

fn prefix(llvm: &str) -> PathBuf {
    Path::new("/usr/lib").join(format!("llvm-{llvm}"))
}

/// The project's own binary, where the machine has the tool that fetches it.
fn prebuilt(reason: &anyhow::Error) -> Result<()> {
    let Some(binstall) = ThisMachine.find("cargo-binstall") else {
        bail!("{reason:#}; and without cargo-binstall there is no ready-made bpf-linker either");
    };
    println!("setup: fetching bpf-linker {VERSION} ready-made, since there is no LLVM to build it with");
    let status = Command::new(binstall).args(["--no-confirm", &format!("bpf-linker@{VERSION}")]).status()?;
    ensure!(status.success(), "cargo binstall could not install bpf-linker ({status})");
    Ok(())
}

/// LLVM's major version in rustup's nightly, without which bpf-linker could not read its bitcode.
pub(super) fn nightly_llvm(machine: &dyn Machine) -> Result<String> {
    let rustup = machine.find("rustup").context("no rustup")?;
    let answer = machine.output(&rustup, &["run", "nightly", "rustc", "--version", "--verbose"]);
    let answer = answer.context("no nightly toolchain in rustup")?;
    let version = answer.lines().find_map(|line| line.strip_prefix("LLVM version: "));
    let major = version.and_then(|version| version.split('.').next()).map(str::to_owned);
    major.with_context(|| format!("no LLVM version in what nightly's rustc says of itself:\n{answer}"))
}

/// Runs rustup.
pub(super) fn rustup(arguments: &[&str]) -> Result<()> {
    println!("setup: rustup {}", arguments.join(" "));
    let rustup = ThisMachine.find("rustup").context("no rustup")?;
    let status = Command::new(rustup).args(arguments).status().context("start rustup")?;
    ensure!(status.success(), "`rustup {}` failed ({status})", arguments.join(" "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_what_the_documentation_says() {
        assert_eq!(
            command_line("22"),
            "LLVM_PREFIX=/usr/lib/llvm-22 cargo install --locked --force --no-default-features --features llvm-22 \
             bpf-linker@0.13.0"
        );
    }
}
