//! `cargo xtask fuzz`: builds the test package's fuzz targets with libFuzzer and runs one.
//!
//! Not with cargo-fuzz: all that would add are these flags, for a nightly compiler and a manifest outside the workspace,
//! whose dependencies would go their own way. Counting coverage needs no nightly; only the sanitizers do, and these look for
//! what safe Rust rules out.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use xtask::workspace_root;

use crate::commands::{TEST_PACKAGE, cargo, run as run_program};
use crate::setup;

/// Profile of the workspace's manifest.
const PROFILE: &str = "fuzz";

/// What counts coverage as libFuzzer reads it, and shows it what is compared with what.
const FLAGS: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

/// Runs `target` for so long, or until it finds something.
pub(crate) fn run(target: &str, seconds: u32, arguments: Vec<OsString>) -> Result<()> {
    let root = workspace_root();
    let corpora = root.join("tests/corpus/gateway");
    let targets = names(&corpora)?;
    ensure!(
        targets.iter().any(|name| name == target),
        "`{target}` is no fuzz target; there are {}",
        targets.join(", ")
    );
    setup::fuzzing()?;

    // With a target of its own, the flags are not those of build scripts, which link no libFuzzer.
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut build = cargo();
    build.args(["build", "--profile", PROFILE, "--target", &host, "--package", TEST_PACKAGE]);
    build.args(["--bin", "fuzz", "--features", "fuzz"]).env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
    run_program(&mut build, "cargo build")?;

    let output = xtask::target_dir(&root);
    let found = output.join("fuzz").join(target);
    fs::create_dir_all(&found).with_context(|| format!("create {}", found.display()))?;
    let mut fuzzer = std::process::Command::new(output.join(host).join(PROFILE).join("fuzz"));
    fuzzer.env("XDP_LB_FUZZ", target).current_dir(&root);
    fuzzer.args([
        format!("-max_total_time={seconds}"),
        "-timeout=10".to_owned(),
        "-print_final_stats=1".to_owned(),
    ]);
    fuzzer.arg(format!("-artifact_prefix={}/fuzz/{target}-", output.display()));
    fuzzer.args(arguments).arg(&found).arg(corpora.join(target));
    run_program(&mut fuzzer, "fuzz").with_context(|| {
        format!(
            "an input breaks a claim: what was printed names its file; mend it, and keep the input in {}",
            corpora.join(target).display()
        )
    })
}

/// Names of the folders in `corpora`, which are those of the targets.
fn names(corpora: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(corpora).with_context(|| format!("read {}", corpora.display()))?;
    let mut names: Vec<_> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_has_a_corpus() {
        let names = names(&workspace_root().join("tests/corpus/gateway")).unwrap();
        assert_eq!(names, ["config", "contract", "packet", "request", "token"]);
    }

    #[test]
    fn another_target_is_refused_by_name() {
        let error = run("requests", 1, Vec::new()).unwrap_err().to_string();
        assert!(error.starts_with("`requests` is no fuzz target; there are config, contract"), "{error}");
    }
}
