//! What is wrong with a document.

use std::fmt;
use std::path::PathBuf;

/// Documents that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}", lines(problems))]
pub struct BuildError {
    /// Each thing that is wrong.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The document's name.
    pub document: String,
    /// Its file.
    pub path: PathBuf,
    /// Where in it, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What is there.
    pub value: String,
    /// What is wrong with that, and what it has to be.
    pub mend: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { document, path, pointer, value, mend } = self;
        write!(f, "openapi `{document}` ({}) at #{pointer}: ", path.display())?;
        if value.is_empty() { f.write_str(mend) } else { write!(f, "`{value}`: {mend}") }
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// Problems of one document, as they are found.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<(String, String, String)>);

impl Problems {
    /// Notes one: pointer, value, and what it has to be.
    pub(super) fn push(&mut self, pointer: &str, value: impl ToString, mend: impl Into<String>) {
        let mut value = value.to_string();
        if value.len() > 120 {
            let cut = (0..=120).rev().find(|&at| value.is_char_boundary(at)).unwrap_or(0);
            value.truncate(cut);
            value.push('…');
        }
        let problem = (pointer.to_owned(), value, mend.into());
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }
}
