//! `cargo xtask`: the one door to building, trying out, testing and measuring xdp-lb.

mod commands;
mod fuzz;
mod setup;
mod steps;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, tries out, tests and measures xdp-lb.
///
/// Each command first looks whether what it needs is installed and installs what is missing, so that a new machine
/// with rustup or Debian needs nothing but the command itself.
#[derive(Parser)]
#[command(
    bin_name = "cargo xtask",
    after_help = "New here? `cargo xtask demo` shows the load balancer at work in two minutes."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what building and testing need: an eBPF toolchain, and tools for the test bed.
    ///
    /// Two toolchains will do, and the first that is complete is used: Debian's rustc-web with its prebuilt core, or
    /// rustup's nightly with the rust-src component; both with bpf-linker. Set XDP_LB_EBPF_TOOLCHAIN to `rustup` or
    /// `debian` to insist on one. Packages are installed as root, through sudo where you are not.
    Setup {
        /// Only say what is there and what is missing; exit 1 if something is.
        #[arg(long)]
        check: bool,
    },
    /// Build the kernel programs and say where the objects are.
    ///
    /// `cargo build` does the same by itself; this is for looking at the objects, with llvm-objdump for instance.
    BuildEbpf,
    /// Balance real connections between namespaces on this machine, and watch.
    ///
    /// Makes a client, a balancer and three web servers out of network namespaces, takes a server down and brings it
    /// back, and removes all of it at the end. Nothing leaves the machine. Needs root; asks sudo where you are not.
    Demo {
        /// Passed on; `-- --help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Check everything that must hold before a change lands: format, lints, rules, documentation, tests.
    ///
    /// Tests of the kernel program and of namespaces need root. Without it they are skipped, loudly; with CI=true
    /// that is an error. A step that fails names the command that repeats it alone.
    Test {
        /// Leave out the tests that load the kernel program or make namespaces.
        #[arg(long)]
        host_only: bool,
    },
    /// Look for inputs that break what is claimed of any input, with libFuzzer, on one core.
    ///
    /// Starts from the corpus in tests/corpus/gateway/TARGET, which `cargo xtask test` runs as well, and from what
    /// earlier runs found. Ends at the first input that breaks a claim, and says where it is.
    Fuzz {
        /// request, config, contract, token or packet.
        target: String,
        /// How long.
        #[arg(long, default_value_t = 300)]
        seconds: u32,
        /// Passed on to libFuzzer; `-- -help=1` lists them.
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Measure the kernel program: nanoseconds per packet, beside two floors of the same run. Needs root.
    ///
    /// Leave the machine alone meanwhile. The figures depend on the CPU; the multiples of the floors much less.
    Bench {
        /// One JSON object a line instead of the table.
        #[arg(long)]
        json: bool,
        /// Passed on; `-- --help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Compare balancing policies in virtual time: every policy through every scenario, one table. Takes minutes.
    ///
    /// Needs neither root nor a quiet machine: the figures depend on the seeds alone.
    Simulate {
        /// One JSON object a line instead of the tables.
        #[arg(long)]
        json: bool,
        /// Draw the regrets as a picture, too.
        #[arg(long, value_name = "PATH")]
        svg: Option<PathBuf>,
        /// Passed on; `-- --help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Check the rules of the source tree: direction of imports, unsafe, layout, dependencies.
    Tidy,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Setup { check } => setup::run(check),
        Command::BuildEbpf => commands::build_ebpf(),
        Command::Demo { arguments } => commands::demo(arguments),
        Command::Test { host_only } => steps::test(host_only),
        Command::Fuzz { target, seconds, arguments } => fuzz::run(&target, seconds, arguments),
        Command::Bench { json, arguments } => commands::bench(json, arguments),
        Command::Simulate { json, svg, arguments } => commands::simulate(json, svg, arguments),
        Command::Tidy => commands::tidy(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_list_of_commands_is_whole() {
        let command = Arguments::command();
        command.clone().debug_assert();
        let names: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
        assert_eq!(names, xtask::COMMANDS);
    }
}
