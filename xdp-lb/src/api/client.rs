//! The asking end of the control socket, for the command line.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::Question;

/// Longer than the agent's own limit, so that its words arrive.
const PATIENCE: Duration = Duration::from_secs(8);

/// Bytes of an answer: 32767 backends with long names need less.
const LONGEST_ANSWER: u64 = 256 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error("no agent answers at {}: start one with `xdp-lb run --config FILE`", socket.display())]
    NotRunning {
        /// Where it was looked for.
        socket: PathBuf,
    },
    /// The socket cannot be used.
    #[error("cannot ask the agent at {}: {reason}", socket.display())]
    Io {
        /// Where it was asked.
        socket: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// The agent's own words.
    #[error("{0}")]
    Refused(String),
    /// It speaks another version.
    #[error("the agent's answer makes no sense ({0}): it may be of another version than this command")]
    Nonsense(String),
}

/// Asks the agent at `socket` and waits for its answer.
pub fn ask<T: DeserializeOwned>(socket: &Path, question: &Question) -> Result<T, AskError> {
    let line = exchange(socket, question).map_err(|reason| match reason.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            AskError::NotRunning { socket: socket.to_owned() }
        }
        _ => AskError::Io { socket: socket.to_owned(), reason },
    })?;
    let nonsense = |e: serde_json::Error| AskError::Nonsense(e.to_string());
    let answer: serde_json::Value = serde_json::from_str(&line).map_err(nonsense)?;
    match answer.get("error").and_then(serde_json::Value::as_str) {
        Some(error) => Err(AskError::Refused(error.to_owned())),
        None => serde_json::from_value(answer).map_err(nonsense),
    }
}

fn exchange(socket: &Path, question: &Question) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut text = serde_json::to_vec(question)?;
    text.push(b'\n');
    stream.write_all(&text)?;
    let mut line = String::new();
    BufReader::new(stream).take(LONGEST_ANSWER).read_line(&mut line)?;
    Ok(line)
}
