//! `xdp-lb status`: VIPs, backends and packets, as a table or as JSON.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use super::socket::SocketArgs;
use super::table::{self, Paint};
use crate::api::Question;
use crate::control::Status;

/// Shows each VIP with its backends, and what became of packets.
///
/// Of each backend: state, configured weight and the one in effect, share of new connections, live recorded flows, rates
/// over the last second, whether the way to it is known, why it is in its state, and what moves its weight. Below that every reason that packets were counted
/// under, with its outcome; then where the program is attached, and in which mode.
///
/// Exit codes: 0 shown, 1 no agent answers, 2 wrong arguments or configuration.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Show it again every second, until Ctrl-C
    #[arg(long)]
    watch: bool,

    #[command(flatten)]
    socket: SocketArgs,
}

const EXAMPLES: &str = "\
Examples:
  xdp-lb status
  xdp-lb status --watch
  xdp-lb status --json | jq '.vips[].backends[] | {name, state, share}'";

/// Moves the cursor home and clears from there on.
const CLEAR: &str = "\x1b[H\x1b[J";

pub(super) fn run(args: StatusArgs) -> ExitCode {
    let terminal = io::stdout().is_terminal();
    let paint = Paint::new(terminal && std::env::var_os("NO_COLOR").is_none());
    loop {
        let status: Status = match args.socket.ask(&Question::Status {}) {
            Ok(status) => status,
            Err(code) => return code,
        };
        let text = match (args.json, args.watch) {
            (true, true) => serde_json::to_string(&status).unwrap_or_default() + "\n",
            (true, false) => serde_json::to_string_pretty(&status).unwrap_or_default() + "\n",
            (false, watch) => {
                let clear = if watch && terminal { CLEAR } else { "" };
                format!("{clear}{}", table::render(&status, paint))
            }
        };
        // Where the reader has gone away, nobody is left to tell.
        let mut stdout = io::stdout().lock();
        if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() || !args.watch {
            return ExitCode::SUCCESS;
        }
        drop(stdout);
        thread::sleep(Duration::from_secs(1));
    }
}
