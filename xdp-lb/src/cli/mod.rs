//! Command line: parses arguments, calls the library, prints. Decides nothing.

pub mod check;
mod decap;
mod explain;
mod gateway;
mod hash;
mod log;
mod report;
mod run;
mod socket;
mod status;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A load balancer in XDP: the kernel forwards, an agent keeps its tables.
///
/// Packets to a VIP are forwarded by an XDP program, in the driver, before the kernel's network stack. The agent attaches
/// that program, checks the backends' health, follows the way to each of them, and writes the tables the program reads.
/// When the agent is killed, the kernel goes on forwarding, and the next agent takes over without a lost packet.
#[derive(Debug, Parser)]
#[command(name = "xdp-lb", version, after_long_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  xdp-lb check --config /etc/xdp-lb/lb.toml        is the file right?
  xdp-lb run --config /etc/xdp-lb/lb.toml          attach and serve; Ctrl-C detaches
  kill -HUP $(pidof xdp-lb)                        read the file again; no connection is lost
  xdp-lb status --watch                            who is up, who gets how much
  xdp-lb explain web 198.51.100.7:40000            where does this connection go, and why?
  xdp-lb decap --config /etc/xdp-lb/decap.toml     on a backend: end the tunnels
  xdp-lb report                                    on a backend: say how busy it is
  xdp-lb gateway --config /etc/xdp-lb/gateway.toml serve HTTP requests
  xdp-lb hash-secret billing < key                 a line for the gateway's file of API keys

Exit codes:
  0  done
  1  it did not work: no agent answers, the interface is missing, a permission is missing
  2  the configuration or the arguments are wrong; nothing was touched";

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Check(check::CheckArgs),
    Status(status::StatusArgs),
    Explain(explain::ExplainArgs),
    Decap(decap::DecapArgs),
    Gateway(gateway::GatewayArgs),
    Report(report::ReportArgs),
    HashSecret(hash::HashArgs),
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::run(&args),
        Command::Status(args) => status::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Decap(args) => decap::run(args),
        Command::Gateway(args) => gateway::run(args),
        Command::Report(args) => report::run(args),
        Command::HashSecret(args) => hash::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_teaches() {
        let help = Cli::command().render_long_help().to_string();
        for word in [
            "run",
            "check",
            "status",
            "explain",
            "decap",
            "report",
            "gateway",
            "hash-secret",
            "Exit codes",
            "kill -HUP",
        ] {
            assert!(help.contains(word), "{word} missing in {help}");
        }
        for command in Cli::command().get_subcommands().filter(|command| command.get_name() != "help") {
            let name = command.get_name();
            assert!(command.clone().render_long_help().to_string().len() > 200, "{name} teaches little");
        }
    }
}
