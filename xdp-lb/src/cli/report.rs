//! `xdp-lb report`: a backend says how much of it is in use.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use tokio::signal::unix::{SignalKind, signal};

use super::log;
use crate::report::{By, ReportError, Reporter, Server, Settings};

/// Reports this host's utilization to load balancers: run it on every backend.
///
/// Three protocols are answered, each on a port of its own. Have the balancer ask by any one of them,
/// in its [vip.utilization]:
///
///   kind = "agent-check" with port = 9707 and percent = "idle"
///   kind = "orca-http"   with port = 9708
///   kind = "orca-grpc"   with port = 9709
///
/// The agent-check is HAProxy's: one line, "63%", says how much of the host is idle, never less than
/// 1%. With --state-file it begins with a word by which an operator takes the host out from here, for
/// every balancer that asks by agent-check (ORCA has no word for it):
///
///   echo drain > FILE      no new connections; those that are there end by themselves
///   echo maint > FILE      out of service
///   echo ready > FILE      back; so it is while the file is empty or missing
///
/// Utilization is how much of the processors' time was worked in the last second and a half. In a
/// container that is the whole host's: name the server's control group by --cgroup. Balancers bring
/// young servers in slowly: name the server by --process or --pid-file, or the age that ORCA reports
/// is the time since the host was started.
///
/// Needs no privilege and no configuration file. Everybody who reaches the ports may ask: bind them to
/// the network that the balancers are in. The log goes to standard error; SIGTERM and SIGINT end it.
///
/// Exit codes: 0 stopped by a signal, 1 an address is taken or nothing can be measured, 2 the
/// arguments are wrong.
#[derive(Clone, Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct ReportArgs {
    /// Where HAProxy's agent-check is answered; "off": nowhere. [::]:9707 takes IPv6 as well
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:9707")]
    agent_check: Listen,

    /// Where ORCA is answered over HTTP, in the header endpoint-load-metrics; "off": nowhere
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:9708")]
    orca_http: Listen,

    /// Where ORCA is answered over gRPC (xds.service.orca.v3.OpenRcaService); "off": nowhere
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:9709")]
    orca_grpc: Listen,

    /// What utilization is made of: processor time; the load average of a minute for each processor; the larger of both
    #[arg(long, value_name = "SIGNAL", value_enum, default_value_t = Signal::Cpu)]
    by: Signal,

    /// Folder of a control group (version 2) whose processor time is measured in place of the host's, against what it may
    /// use: the least of its cpu.max, of those of the groups above it, and of its cpuset
    #[arg(long, value_name = "FOLDER")]
    cgroup: Option<PathBuf>,

    /// Name of the server's process, as in /proc/PID/comm: the oldest one's age is reported
    #[arg(long, value_name = "NAME", conflicts_with = "pid_file")]
    process: Option<String>,

    /// File with the number of the server's process, whose age is reported
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,

    /// File with the operator's word: ready, drain or maint. Looked at four times a second; it need not exist yet
    #[arg(long, value_name = "FILE")]
    state_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Signal {
    Cpu,
    Load,
    Max,
}

/// An address, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Listen(Option<SocketAddr>);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let address = text.parse().map_err(|_| {
            "expected an address and a port, such as 10.0.0.11:9707 or [::]:9707, or \"off\"".to_owned()
        });
        address.map(|address| Self(Some(address)))
    }
}

impl From<ReportArgs> for Settings {
    fn from(args: ReportArgs) -> Self {
        let server = match (args.process, args.pid_file) {
            (Some(name), _) => Server::Name(name),
            (None, Some(path)) => Server::PidFile(path),
            (None, None) => Server::Host,
        };
        Self {
            agent_check: args.agent_check.0,
            orca_http: args.orca_http.0,
            orca_grpc: args.orca_grpc.0,
            by: match args.by {
                Signal::Cpu => By::Cpu,
                Signal::Load => By::Load,
                Signal::Max => By::Max,
            },
            cgroup: args.cgroup,
            server,
            state_file: args.state_file,
        }
    }
}

pub(super) fn run(args: ReportArgs) -> ExitCode {
    log::start();
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::Runtime)
        .and_then(|runtime| runtime.block_on(serve(args.into())));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xdp-lb: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error("cannot start the asynchronous runtime: {0}")]
    Runtime(io::Error),
    #[error(transparent)]
    Report(#[from] ReportError),
}

async fn serve(settings: Settings) -> Result<(), CommandError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(CommandError::Runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CommandError::Runtime)?;
    let reporter = Reporter::open(settings).await?;
    for (name, address) in reporter.addresses() {
        tracing::info!("{name} at {address}");
    }
    tokio::select! {
        () = reporter.run() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: ReportArgs,
    }

    fn settings(line: &[&str]) -> Result<Settings, String> {
        let line = ["report"].iter().chain(line);
        Line::try_parse_from(line).map(|line| line.args.into()).map_err(|error| error.to_string())
    }

    #[test]
    fn everything_is_on_unless_switched_off() {
        let usual = settings(&[]).unwrap();
        assert_eq!(usual.agent_check, Some("0.0.0.0:9707".parse().unwrap()));
        assert_eq!(usual.orca_http, Some("0.0.0.0:9708".parse().unwrap()));
        assert_eq!(usual.orca_grpc, Some("0.0.0.0:9709".parse().unwrap()));
        assert_eq!((usual.by, usual.server), (By::Cpu, Server::Host));
        let other = settings(&[
            "--orca-grpc",
            "off",
            "--agent-check",
            "[::1]:7",
            "--by",
            "max",
            "--process",
            "nginx",
        ]);
        let other = other.unwrap();
        assert_eq!(other.orca_grpc, None);
        assert_eq!(other.agent_check, Some("[::1]:7".parse().unwrap()));
        assert_eq!((other.by, other.server), (By::Max, Server::Name("nginx".to_owned())));
    }

    #[test]
    fn wrong_arguments_say_what_is_expected() {
        for (line, words) in [
            (&["--orca-http", "9708"][..], "such as 10.0.0.11:9707"),
            (&["--by", "memory"], "cpu, load, max"),
            (&["--process", "nginx", "--pid-file", "/run/nginx.pid"], "cannot be used with"),
        ] {
            let error = settings(line).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
