//! Command line: parses arguments, calls the library, prints. Decides nothing.

pub mod check;

use std::process::ExitCode;

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
