//! What the operator of this host wants: one word in a file.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;

use crate::control::AdminState;

/// Bytes of the file that are looked at.
const MOST_BYTES: u64 = 64;

/// Keeps to the last word understood.
#[derive(Debug)]
pub(super) struct Operator {
    path: PathBuf,
    state: AdminState,
    problem: String,
}

impl Operator {
    /// Looks at `path`, where there is one.
    pub(super) fn new(path: Option<PathBuf>) -> Option<Self> {
        path.map(|path| Self { path, state: AdminState::Ready, problem: String::new() })
    }

    /// What is wanted now. Without the file, or with an empty one, the host is ready. What cannot be read or understood
    /// is logged once and changes nothing.
    pub(super) fn state(&mut self) -> AdminState {
        let word = match read(&self.path) {
            Ok(text) => parse(&text),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(AdminState::Ready),
            Err(error) => Err(error.to_string()),
        };
        match word {
            Ok(state) => {
                if state != self.state {
                    tracing::info!("{}: {}", self.path.display(), name(state));
                }
                self.state = state;
                self.problem.clear();
            }
            Err(problem) if problem != self.problem => {
                let stays = name(self.state);
                tracing::warn!("{}: {problem}; it stays {stays}", self.path.display());
                self.problem = problem;
            }
            Err(_) => {}
        }
        self.state
    }
}

fn read(path: &std::path::Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn parse(text: &str) -> Result<AdminState, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "" | "ready" => Ok(AdminState::Ready),
        "drain" => Ok(AdminState::Drain),
        "maint" => Ok(AdminState::Maint),
        other => Err(format!("{other:?} is none of ready, drain, maint")),
    }
}

fn name(state: AdminState) -> &'static str {
    match state {
        AdminState::Ready => "ready",
        AdminState::Drain => "drain",
        AdminState::Maint => "maint",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_understood_holds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let mut operator = Operator::new(Some(path.clone())).unwrap();
        let mut with = |text: Option<&str>| {
            match text {
                Some(text) => std::fs::write(&path, text).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            operator.state()
        };
        for (text, expected) in [
            (Some("drain\n"), AdminState::Drain),
            (Some("dran\n"), AdminState::Drain),
            (Some(" MAINT "), AdminState::Maint),
            (Some(""), AdminState::Ready),
            (Some("drain"), AdminState::Drain),
            (None, AdminState::Ready),
        ] {
            assert_eq!(with(text), expected, "{text:?}");
        }
    }
}
