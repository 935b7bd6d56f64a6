//! Strictness on the wire: every byte of HTTP/1 passes here before hyper sees it.
//!
//! hyper and httparse are made to get along with much: they take bare line feeds, drop Content-Length without a word
//! where Transfer-Encoding stands before it, take the same Content-Length twice, blanks after a chunk's size, any bytes
//! as its extension. Two servers that each get along in their own way see different requests in the same bytes, and
//! that is how requests are smuggled. So what is here passes on only what can be read in one way, and refuses the rest.
//!
//! [`Inspector`] decides, without I/O and without a clock; [`Inspected`] puts it around a stream; by [`Verdicts`] the
//! server learns which request was refused, and why. What holds for HTTP/2 alike is in [`enforce`](super::enforce).

mod bounds;
mod chunks;
mod class;
mod fault;
mod head;
mod host;
mod inspected;
mod inspector;
mod line;
mod target;
mod trailers;
mod verdicts;
mod whole;

use std::sync::Arc;

pub use bounds::Bounds;
pub use fault::Fault;
pub use inspected::Inspected;
pub use inspector::{Advance, Inspector};
pub use verdicts::Verdicts;
pub use whole::{Verdict, inspect_all, is_split_independent};

pub(super) use class::{PATH, is};
pub(super) use host::{Authority, authority};
pub(super) use trailers::is_forbidden as is_forbidden_trailer;

/// Puts the inspector around a stream of HTTP/1, which has to be at the begin of a request.
pub fn inspect<IO>(io: IO, bounds: impl Into<Bounds>) -> (Inspected<IO>, Arc<Verdicts>) {
    let verdicts = Arc::new(Verdicts::default());
    (Inspected::new(io, bounds.into(), Arc::clone(&verdicts)), verdicts)
}

#[cfg(test)]
mod tests;
