//! The commands that build something and run it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use xtask::machine::{Machine as _, ThisMachine, is_root};
use xtask::{ebpf, tidy, workspace_root};

use crate::setup;

/// Package of the demo, the bench and the tests of kernel and namespaces.
pub(crate) const TEST_PACKAGE: &str = "xdp-lb-tests";

/// `cargo xtask build-ebpf`.
pub(crate) fn build_ebpf() -> Result<()> {
    setup::toolchain()?;
    println!("{}", ebpf::build(&workspace_root())?.display());
    Ok(())
}

/// `cargo xtask tidy`.
pub(crate) fn tidy() -> Result<()> {
    let findings = tidy::check(&workspace_root()).context("read the source tree")?;
    for finding in &findings {
        println!("{finding}");
    }
    ensure!(findings.is_empty(), "{} places break the rules of the source tree", findings.len());
    Ok(())
}

/// `cargo xtask demo`.
pub(crate) fn demo(arguments: Vec<OsString>) -> Result<()> {
    setup::everything()?;
    run_as_root(&build("demo")?, arguments)
}

/// `cargo xtask bench`.
pub(crate) fn bench(json: bool, mut arguments: Vec<OsString>) -> Result<()> {
    setup::toolchain()?;
    if json {
        arguments.insert(0, "--json".into());
    }
    run_as_root(&build("bench")?, arguments)
}

/// `cargo xtask simulate`.
pub(crate) fn simulate(json: bool, svg: Option<PathBuf>, mut arguments: Vec<OsString>) -> Result<()> {
    // The library that is simulated has the kernel programs in it.
    setup::toolchain()?;
    if let Some(path) = svg {
        arguments.splice(0..0, ["--svg".into(), path.into_os_string()]);
    }
    if json {
        arguments.insert(0, "--json".into());
    }
    run(Command::new(build("simulate")?).args(arguments), "simulate")
}

/// Builds the agent and a program of the test package in release, side by side.
fn build(program: &str) -> Result<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--release", "--package", "xdp-lb", "--package", TEST_PACKAGE]);
    command.args(["--bin", "xdp-lb", "--bin", program]);
    let status = command.status().context("start cargo")?;
    ensure!(status.success(), "building `xdp-lb` and `{program}` failed ({status})");
    Ok(xtask::target_dir(&workspace_root()).join("release").join(program))
}

/// Cargo, in the workspace, as a shell would start it.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace_root());
    // What cargo told this program about its own package would only make build scripts run again.
    for (name, _) in std::env::vars_os() {
        let told = ["CARGO_PKG_", "CARGO_MANIFEST_"];
        if name.to_str().is_some_and(|name| told.iter().any(|start| name.starts_with(start))) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a built program, through sudo where this process is not root.
fn run_as_root(program: &Path, arguments: Vec<OsString>) -> Result<()> {
    let name = program.file_name().unwrap_or_default().display();
    let mut command = if is_root() {
        Command::new(program)
    } else if let Some(sudo) = ThisMachine.find("sudo") {
        eprintln!("`{name}` needs root for namespaces and BPF: asking sudo.");
        let mut path = OsString::from("PATH=");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut command = Command::new(sudo);
        command.arg("env").arg(path).arg(program);
        command
    } else {
        bail!("`{name}` needs root for namespaces and BPF, and there is no sudo: run it as root");
    };
    run(command.args(arguments), &name.to_string())
}

pub(crate) fn run(command: &mut Command, name: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("start `{name}`"))?;
    ensure!(status.success(), "`{name}` ended with {status}");
    Ok(())
}
