//! Real connections through the real balancer, with a narrator. Makes namespaces, breaks things in them, tells what
//! that did, and removes everything again; ends with 0 only if everything it claims was seen to happen.

mod gateway;
mod interrupt;
mod screen;
mod show;
mod story;
mod tally;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use xdp_lb_tests::{agent, root, wait};

use crate::screen::Screen;
use crate::story::Pace;

/// Watch a load balancer in XDP at work: real web servers, real connections, and what happens when things break.
#[derive(Debug, Parser)]
#[command(name = "demo")]
struct Arguments {
    /// What is shown: the balancer in the kernel, or the gateway
    #[arg(value_enum, default_value_t = Part::Balancer)]
    part: Part,

    /// Tell the story in a third of the time.
    #[arg(long)]
    fast: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Balancer,
    Gateway,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut screen = Screen::new();
    let pace = if arguments.fast { Pace::FAST } else { Pace::NORMAL };
    let outcome = ready().and_then(|()| match arguments.part {
        Part::Balancer => story::tell(&mut screen, &pace),
        Part::Gateway => gateway::tell(&mut screen, arguments.fast),
    });
    screen.leave_table();
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(_) if screen.is_closed() => ExitCode::FAILURE,
        Err(_) if wait::is_cancelled() => {
            screen.error("interrupted; everything the demo made is removed");
            ExitCode::from(130)
        }
        Err(error) => {
            screen.error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether the demo can be given here at all.
fn ready() -> Result<()> {
    if !root::is_root() {
        bail!("the demo makes network namespaces and loads a program into the kernel: run it with `sudo`");
    }
    let missing = root::missing_programs();
    if !missing.is_empty() {
        bail!("{}", missing.join("\n"));
    }
    agent::binary()?;
    interrupt::watch()
}
