//! `xdp-lb explain`: where one connection goes, and why.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use super::socket::SocketArgs;
use crate::api::Question;
use crate::control::{CandidateExplanation, Explanation};

/// Tells which slot and backend a connection has, and why.
///
/// The agent is asked, and answers from the tables as they are now and from the flows recorded in the kernel.
///
/// Exit codes: 0 explained, 1 no agent answers or there is no such VIP, 2 wrong arguments or configuration.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct ExplainArgs {
    /// A VIP's name, or its ADDRESS:PORT, with /tcp or /udp where both are there
    #[arg(value_name = "VIP")]
    vip: String,

    /// The client's address and port
    #[arg(value_name = "SRC:PORT", value_parser = client)]
    client: SocketAddr,

    /// Print the answer as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    socket: SocketArgs,
}

const EXAMPLES: &str = "\
Examples:
  xdp-lb explain web 198.51.100.7:40000
  xdp-lb explain 203.0.113.53:53/udp 198.51.100.7:40000
  xdp-lb explain '[2001:db8::10]:443' '[2001:db8:1::7]:40000' --json";

fn client(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "expected an address and a port, as 198.51.100.7:40000 or [2001:db8::7]:40000")
}

pub(super) fn run(args: ExplainArgs) -> ExitCode {
    let question = Question::Explain { vip: args.vip, client: args.client };
    let explanation: Explanation = match args.socket.ask(&question) {
        Ok(explanation) => explanation,
        Err(code) => return code,
    };
    let text = if args.json {
        serde_json::to_string_pretty(&explanation).unwrap_or_default() + "\n"
    } else {
        sentences(args.client, &explanation)
    };
    // Nobody is left to tell when the reader has gone away.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn sentences(client: SocketAddr, explanation: &Explanation) -> String {
    let Explanation { vip, slot, hash, current, base, tracked, recorded, choice, why } = explanation;
    let name = |backend: &Option<String>| backend.clone().unwrap_or_else(|| "no backend".to_owned());
    let mut text = format!("{client} to {vip}: {why}\n");
    let _ = writeln!(text, "  The flow hash {hash:#018x} leads to slot {slot}.");
    let _ = if current == base {
        writeln!(text, "  The slot leads to {}.", name(current))
    } else {
        writeln!(
            text,
            "  The slot has moved: new connections go to {}, older ones that are not recorded stay with {}.",
            name(current),
            name(base)
        )
    };
    let _ = match (tracked, recorded) {
        (_, Some(recorded)) => writeln!(text, "  This connection is recorded as one of {recorded}."),
        (true, None) => {
            writeln!(text, "  Recorded connections are looked up in this slot; this one is not recorded.")
        }
        (false, None) => writeln!(text, "  This connection is not recorded: it follows the slot."),
    };
    for candidate in choice.iter().flat_map(|choice| [&choice.first, &choice.second]).flatten() {
        let CandidateExplanation { backend, standing, per_flow, in_flight, load } = candidate;
        let _ = writeln!(
            text,
            "  The load of {backend} is {load}: {standing}, and {per_flow} for each of about {in_flight} connections in \
             flight."
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ChoiceExplanation;

    #[test]
    fn explanations_read_as_sentences() {
        let stable = Explanation {
            vip: "web".into(),
            slot: 7,
            hash: 0xabc,
            current: Some("web-1".into()),
            base: Some("web-1".into()),
            tracked: false,
            recorded: None,
            choice: None,
            why: "it goes to web-1.".into(),
        };
        let moved = Explanation {
            base: Some("web-2".into()),
            tracked: true,
            recorded: Some("web-2".into()),
            ..stable.clone()
        };
        let empty = Explanation { current: None, base: None, ..stable.clone() };
        let candidate = |backend: &str, in_flight| CandidateExplanation {
            backend: backend.into(),
            standing: 100,
            per_flow: 10,
            in_flight,
            load: 100 + u64::from(in_flight) * 10,
        };
        let choosing = Explanation {
            choice: Some(Box::new(ChoiceExplanation {
                second_slot: 9,
                first: Some(candidate("web-1", 30)),
                second: Some(candidate("web-3", 2)),
                margin: 250,
                takes_second: true,
            })),
            ..stable.clone()
        };
        for (explanation, words) in [
            (
                &stable,
                "\n  The slot leads to web-1.\n  This connection is not recorded: it follows the slot.\n",
            ),
            (&stable, "198.51.100.7:40000 to web: it goes to web-1.\n"),
            (&stable, "  The flow hash 0x0000000000000abc leads to slot 7.\n"),
            (&moved, "new connections go to web-1, older ones that are not recorded stay with web-2.\n"),
            (&moved, "  This connection is recorded as one of web-2.\n"),
            (&empty, "  The slot leads to no backend.\n"),
            (
                &choosing,
                "  The load of web-1 is 400: 100, and 10 for each of about 30 connections in flight.\n  The load of web-3 \
                 is 120: ",
            ),
        ] {
            let text = sentences("198.51.100.7:40000".parse().unwrap(), explanation);
            assert!(text.contains(words), "{words:?} missing in {text}");
        }
    }
}
