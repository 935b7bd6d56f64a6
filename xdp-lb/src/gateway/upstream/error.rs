//! Why pools cannot be built.

use std::path::PathBuf;

use super::ConnectorError;

/// A pool that cannot be built as configured.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BuildError {
    /// The file that lists its servers is not there, or not such a list.
    #[error("pool {pool:?}: its list of servers {}: {problem}", path.display())]
    File {
        /// The pool's name.
        pool: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what is allowed.
        problem: String,
    },
    /// The name to look up is none.
    #[error("pool {pool:?}: {name:?} is no name that can be looked up: {problem}")]
    Name {
        /// The pool's name.
        pool: String,
        /// As configured.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Its connections cannot be made as configured.
    #[error(transparent)]
    Connector(#[from] ConnectorError),
}
