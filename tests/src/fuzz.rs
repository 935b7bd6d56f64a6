//! What is claimed of any bytes that come in: each target takes an input, and panics where a claim does not hold of it.
//!
//! `cargo xtask fuzz TARGET` has libFuzzer look for such inputs; `tests/tests/corpus.rs` runs those that are kept in
//! `tests/corpus/gateway/` with every test run. One that was found goes there, in the folder of its target.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a claim that does not hold stops there")]

mod config;
mod contract;
mod packet;
mod request;
mod scene;
mod token;

/// A target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and the corpus folder's.
    pub name: &'static str,
    check: fn(&[u8]),
}

impl Target {
    /// All there are.
    pub const ALL: [Self; 5] = [
        Self { name: "request", check: request::check },
        Self { name: "config", check: config::check },
        Self { name: "contract", check: contract::check },
        Self { name: "token", check: token::check },
        Self { name: "packet", check: packet::check },
    ];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.name == name)
    }

    /// Tries an input.
    ///
    /// # Panics
    ///
    /// Where a claim does not hold of it.
    pub fn run(self, input: &[u8]) {
        (self.check)(input);
    }
}
