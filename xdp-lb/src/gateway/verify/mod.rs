//! Who asks, and whether they may: addresses, tokens, keys, passwords, certificates, and a service that is asked.
//!
//! Decides; passes nothing on and answers nothing. In this order, so that what is cheap comes first: the client's address
//! ([`Access::allow`] and `deny`), one of the route's verifiers, the claims that the route demands, and last the service
//! that decides.
//!
//! **One of several verifiers.** They are tried in the route's order, each that finds credentials of its kind in the
//! request. The first that knows them decides who asks. Credentials that one verifier refuses may be another's (two issuers
//! of tokens use one header), so a refusal counts only when no verifier knows the client. Nothing is gained by trying:
//! who has valid credentials could have sent these alone.
//!
//! **Nothing secret** leaves this module: tokens, keys and passwords are in no log line, no error and no `Debug` output.
//!
//! [`Access::allow`]: crate::config::gateway::Access::allow

mod address;
mod api_key;
mod ask;
mod basic;
mod certificate;
mod claims;
mod credentials;
mod error;
mod external;
mod file;
mod gate;
mod jwt;
mod known;
mod slot;

#[cfg(test)]
pub(super) mod tests;

pub use ask::{Answering, Ask};
pub use basic::hash_password;
pub use claims::claim;
pub use error::{BuildError, FileError};
pub use gate::Gate;

pub use api_key::hash_key;
