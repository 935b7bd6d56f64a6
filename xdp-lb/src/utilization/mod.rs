//! What backends say of themselves: asks them, reads their reports, hands each out as an event. Decides what a report
//! is, never what it is worth.
//!
//! The parsers are pure functions over bytes: whatever comes in, they give a [`Report`](crate::control::Report) whose
//! numbers are within the bounds told there, or one reason in words why there is none. Nothing that a server sends is
//! read beyond [`MOST_BYTES`], waited for beyond the configured time, or trusted to be what it should be.

pub mod agent_check;
pub(crate) mod client;
pub mod orca;
mod refuse;
mod reports;

pub use reports::Reports;

/// Bytes of any report; what is longer is none.
pub const MOST_BYTES: usize = 4096;
