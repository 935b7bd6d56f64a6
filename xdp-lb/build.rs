//! Builds the eBPF programs and puts the objects where the crate embeds them from: `$OUT_DIR/NAME.o`.

use std::path::PathBuf;
use std::process::ExitCode;

/// What the objects are made of, below the workspace root; a change of any of them runs this script again.
const INPUTS: [&str; 4] = ["xdp-lb-ebpf", "xdp-lb-common", "Cargo.toml", "Cargo.lock"];

fn main() -> ExitCode {
    let root = xtask::workspace_root();
    for input in INPUTS {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    println!("cargo::rerun-if-env-changed=XDP_LB_EBPF_TOOLCHAIN");
    let folder = std::env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    let Err(error) = xtask::ebpf::build_into(&root, &folder) else { return ExitCode::SUCCESS };
    match error.downcast_ref::<xtask::ebpf::NoToolchain>() {
        Some(missing) => println!("cargo::error={missing}"),
        None => eprintln!("{error:#}"),
    }
    ExitCode::FAILURE
}
