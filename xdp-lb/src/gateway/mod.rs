//! The gateway: takes HTTP requests in, decides on each by its contents, and passes it to the server that is freest.
//!
//! A process of its own, without privileges. It shares with the agent what a server's state is worth
//! ([`crate::control::score`]) and how a file is validated ([`crate::config::gateway`]), and nothing else: it never touches
//! the kernel's tables.
//!
//! ```text
//! socket ─► serve ─► wire (strict bytes) ─► hyper ─► handle ─┬─ route    which route
//!           TLS, PROXY, park, drain                          ├─ verify   who asks, how often
//!                                                            ├─ contract does it keep to the API's description
//!                                                            ├─ transform
//!                                                            └─ upstream which server, tries, connections ─► server
//!                                                               observe  log line, metrics, span
//! ```

mod asker;
mod body;
pub mod collect;
pub mod compress;
pub mod contract;
pub mod enforce;
mod exchange;
mod handle;
pub mod json;
pub mod limit;
mod memory;
pub mod observe;
mod pages;
mod process;
mod refusal;
pub mod route;
pub mod serve;
pub mod shed;
mod site;
pub mod transform;
mod tunnel;
pub mod upstream;
pub mod verify;
mod websocket;
pub mod wire;

pub use body::{Body, BodyError, End, Watcher};
pub use exchange::{ClientCertificate, Exchange, Identity, Peer, RequestId, Scheme, TlsPeer, TraceContext};
pub use process::{ProcessError, run};
pub use refusal::{Reason, Refusal, Violation};
pub use site::{SiteError, check};
pub use tunnel::Tunnel;
