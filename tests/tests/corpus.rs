//! Every input of the fuzz targets' corpora, those that once broke a claim among them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::fs;
use std::path::{Path, PathBuf};

use xdp_lb_tests::fuzz::Target;

/// What `cargo xtask fuzz` begins with.
fn inputs(target: Target) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/gateway").join(target.name);
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn run(name: &str, least: usize) {
    let target = Target::named(name).unwrap();
    let inputs = inputs(target);
    assert!(inputs.len() >= least, "{} inputs", inputs.len());
    for path in inputs {
        println!("{}", path.display());
        let input = fs::read(&path).unwrap();
        target.run(&input);
        // Cut short, and with something behind it.
        target.run(&input[..input.len() / 2]);
        target.run(&[&input[..], b"\r\n\0"].concat());
    }
}

#[test]
fn requests() {
    run("request", 150);
}

#[test]
fn configurations() {
    run("config", 5);
}

#[test]
fn contracts() {
    run("contract", 5);
}

#[test]
fn tokens() {
    run("token", 5);
}

#[test]
fn packets() {
    run("packet", 5);
}
