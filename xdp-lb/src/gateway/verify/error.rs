use std::fmt;
use std::path::PathBuf;

use http::HeaderName;

/// Why verifiers cannot be built. What runs goes on as it is.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A file cannot be used.
    #[error("verifier \"{verifier}\": {error}")]
    File {
        /// The verifier's name.
        verifier: String,
        /// Which file, where in it, and why.
        error: FileError,
    },
    /// A header of `pass` is one that verifiers read.
    #[error(
        "verifier \"{verifier}\": pass: a client's own header {header} is removed on every route, but verifier \
         \"{reader}\" reads its credentials from it; pass the identity on in another header"
    )]
    PassIsRead {
        /// The verifier that passes it on.
        verifier: String,
        /// The header.
        header: HeaderName,
        /// The verifier that reads it.
        reader: String,
    },
    /// A header has a meaning of its own in HTTP.
    #[error("verifier \"{verifier}\": {key}: header {header} is HTTP's own; take another, as x-user")]
    HttpsOwn {
        /// The verifier's name.
        verifier: String,
        /// The key of the configuration.
        key: &'static str,
        /// The header.
        header: HeaderName,
    },
    /// The address of keys or of the service that decides is none.
    #[error("verifier \"{verifier}\": {key} = \"{value}\": {allowed}")]
    Address {
        /// The verifier's name.
        verifier: String,
        /// The key of the configuration.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes for the keys of caches; is /dev/urandom there?")]
    NoRandomness,
}

/// What is wrong with a file. Tells where, never what it holds.
#[derive(Debug, PartialEq, Eq)]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1, where one is at fault.
    pub line: Option<usize>,
    /// What is wrong and how to mend it.
    pub what: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for FileError {}

/// What is wrong with a file's contents.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) line: Option<usize>,
    pub(super) what: String,
}

impl Mistake {
    pub(super) fn at(line: usize, what: impl Into<String>) -> Self {
        Self { line: Some(line), what: what.into() }
    }

    pub(super) fn whole(what: impl Into<String>) -> Self {
        Self { line: None, what: what.into() }
    }
}
