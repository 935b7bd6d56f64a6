//! What is changed of a request on its way to the server, of its answer on the way back, and what the gateway answers
//! itself. Decides nothing of where a request goes or whether it may.
//!
//! Texts with places for what a client sent are filled in so that its values stay values: they begin no header line, no
//! JSON, no segment of a path and no other host.

pub mod cors;
mod escape;
pub mod forwarded;
mod header_names;
mod headers;
mod query_edits;
mod redirect;
mod request_edits;
pub mod request_id;
mod respond;
mod response_edits;
mod template;
#[cfg(test)]
pub(in crate::gateway) mod testing;
pub mod trace_context;

pub(in crate::gateway) mod query;

pub use escape::Escape;
pub use redirect::Redirect;
pub use request_edits::RequestEdits;
pub use respond::Respond;
pub use response_edits::ResponseEdits;
pub use template::{Compiled, Context, render};

/// Why changes cannot be made as they are configured.
#[derive(Debug, thiserror::Error)]
#[error("route `{route}`: {thing} is {value:?}, which {mend}")]
pub struct BuildError {
    /// The route's name.
    pub route: String,
    /// What of the route.
    pub thing: String,
    /// Its value.
    pub value: String,
    /// What is wrong and what would be right.
    pub mend: &'static str,
}
