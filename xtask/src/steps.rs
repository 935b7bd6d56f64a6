//! `cargo xtask test`: every check in order, each with a headline; the first that fails ends the run.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use xtask::machine::{Machine as _, ThisMachine, is_root};
use xtask::workspace_root;

use crate::commands;
use crate::setup;

/// Tells tests that run as root to make no namespaces and load no program.
const HOST_ONLY: &str = "XDP_LB_HOST_ONLY";

/// One check: a cargo command.
struct Step {
    headline: &'static str,
    variables: Vec<(&'static str, &'static str)>,
    arguments: Vec<&'static str>,
}

/// `cargo xtask test`.
pub(crate) fn test(host_only: bool) -> Result<()> {
    let kernel = kernel_tests(host_only)?;
    match kernel {
        Kernel::Run => setup::everything()?,
        Kernel::Skip(_) => setup::toolchain().map(drop)?,
    }

    let began = now();
    let mut times = Vec::new();
    let has_deny = ThisMachine.find("cargo-deny").is_some();
    for mut step in steps(has_deny, kernel == Kernel::Run && has_integration_tests()) {
        if host_only && step.arguments.first() == Some(&"test") {
            step = step.with(HOST_ONLY, "1");
        }
        println!("\n── {} ──", step.headline);
        let step_began = now();
        let status = step.command().status().context("start cargo")?;
        ensure!(
            status.success(),
            "step `{}` failed ({status}); to repeat it alone: {}",
            step.headline,
            step.line()
        );
        times.push((step.headline, step_began.elapsed()));
    }
    println!("\n── times ──");
    for (headline, time) in times {
        println!("{:>9}  {headline}", seconds(time));
    }
    println!("\nPassed in {}.", seconds(began.elapsed()));
    if !has_deny {
        println!(
            "skipped: licences and sources of dependencies; `cargo install --locked cargo-deny` brings the tool"
        );
    }
    if let Kernel::Skip(reason) = kernel {
        println!("!! SKIPPED: the tests of the kernel programs and of namespaces: {reason}");
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kernel {
    Run,
    Skip(&'static str),
}

fn kernel_tests(host_only: bool) -> Result<Kernel> {
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    kernel_tests_for(host_only, is_root(), ci)
}

fn kernel_tests_for(host_only: bool, root: bool, ci: bool) -> Result<Kernel> {
    match (host_only, root) {
        (true, _) => Ok(Kernel::Skip("--host-only was given")),
        (false, true) => Ok(Kernel::Run),
        (false, false) => {
            ensure!(!ci, "CI=true, and this is not root: in CI the kernel and namespace tests must run");
            Ok(Kernel::Skip("they need root; run `sudo -E env PATH=\"$PATH\" cargo xtask test`"))
        }
    }
}

fn has_integration_tests() -> bool {
    let entries = std::fs::read_dir(workspace_root().join("tests/tests")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| path.extension().is_some_and(|extension| extension == "rs"))
}

/// The checks, cheap ones first.
fn steps(has_deny: bool, kernel: bool) -> Vec<Step> {
    const HOST: [&str; 3] = ["--workspace", "--exclude", "xdp-lb-ebpf"];
    let step = |headline, arguments: &[&[&'static str]]| Step {
        headline,
        variables: Vec::new(),
        arguments: arguments.concat(),
    };

    let mut steps = vec![
        step("format", &[&["fmt", "--all", "--", "--check"]]),
        step("rules of the source tree", &[&["xtask", "tidy"]]),
        step("lints", &[&["clippy"], &HOST, &["--all-targets", "--", "-Dwarnings"]]),
        // On the host, where clippy finds a core to check against; a program without std must not unwind there, and
        // one uses an intrinsic. In a folder of its own, since build scripts look at RUSTC_BOOTSTRAP and run again.
        step(
            "lints of the kernel programs",
            &[&[
                "clippy",
                "--package",
                "xdp-lb-ebpf",
                "--target-dir",
                "target/ebpf-lints",
                "--",
                "-Dwarnings",
            ]],
        )
        .with("CARGO_PROFILE_DEV_PANIC", "abort")
        .with("RUSTC_BOOTSTRAP", "1"),
        step("documentation", &[&["doc"], &HOST, &["--no-deps"]]).with("RUSTDOCFLAGS", "-Dwarnings"),
    ];
    if has_deny {
        steps.push(step(
            "licences and sources of dependencies",
            &[&["deny", "check", "bans", "licenses", "sources"]],
        ));
    }
    steps.push(step("host tests", &[&["test"], &HOST, &["--lib", "--bins"]]));
    steps.push(step("examples in the documentation", &[&["test"], &HOST, &["--doc"]]));
    if kernel {
        // `--bins` also builds the agent, which these tests start; the same selection of packages, so that nothing
        // is compiled twice.
        steps.push(step("the agent, for the tests that start it", &[&["build"], &HOST, &["--bins"]]));
        steps.push(step(
            "tests of the kernel programs and of namespaces",
            &[&["test"], &HOST, &["--test", "*"]],
        ));
    }
    steps
}

impl Step {
    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    fn command(&self) -> Command {
        let mut command = commands::cargo();
        command.args(&self.arguments).envs(self.variables.iter().copied());
        command
    }

    /// What a person would type.
    fn line(&self) -> String {
        let variables: String =
            self.variables.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        let arguments: Vec<_> =
            self.arguments.iter().map(|word| if *word == "*" { "'*'" } else { word }).collect();
        format!("{variables}cargo {}", arguments.join(" "))
    }
}

#[expect(clippy::disallowed_methods, reason = "tells the user how long each step took")]
fn now() -> Instant {
    Instant::now()
}

fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f32();
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.0} min {:02.0} s", (seconds / 60.0).floor(), seconds % 60.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_root_the_kernel_tests_are_skipped_except_in_ci() {
        assert_eq!(kernel_tests_for(false, true, true).ok(), Some(Kernel::Run));
        assert!(
            matches!(kernel_tests_for(false, false, false), Ok(Kernel::Skip(reason)) if reason.contains("root"))
        );
        assert!(kernel_tests_for(false, false, true).is_err());
        assert!(matches!(kernel_tests_for(true, true, true), Ok(Kernel::Skip(_))));
    }

    #[test]
    fn a_step_tells_how_to_repeat_it() {
        let lines: Vec<_> = steps(true, true).iter().map(Step::line).collect();
        assert!(lines.contains(&"cargo xtask tidy".to_owned()));
        assert!(lines.contains(
            &"RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --exclude xdp-lb-ebpf --no-deps".to_owned()
        ));
        assert!(lines.iter().any(|line| line.ends_with("--test '*'")));
    }

    #[test]
    fn times_are_short() {
        assert_eq!(seconds(Duration::from_millis(1_240)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 05 s");
    }
}
