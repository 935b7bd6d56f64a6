//! What is wrong with a request, small enough to travel within an I/O error.

use std::error::Error;
use std::fmt;
use std::io;

use crate::gateway::{Reason, Refusal};

/// A request that breaks the rules. A body's failing read carries it through hyper, see
/// [`BodyError`](crate::gateway::BodyError).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it is, for programs.
    pub reason: Reason,
    /// What is wrong, for the request's sender.
    pub detail: &'static str,
}

impl Fault {
    /// For this reason, told in these words.
    pub const fn new(reason: Reason, detail: &'static str) -> Self {
        Self { reason, detail }
    }

    /// The one that an error carries, or what caused it.
    pub fn within(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(fault) = error.downcast_ref::<Self>() {
                return Some(*fault);
            }
            // An I/O error names the source of what it wraps as its own, and so skips what it wraps.
            let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            if let Some(fault) = wrapped.and_then(Self::inside) {
                return Some(fault);
            }
            next = error.source();
        }
        None
    }

    fn inside(wrapped: &(dyn Error + Send + Sync + 'static)) -> Option<Self> {
        wrapped.downcast_ref::<Self>().copied().or_else(|| {
            let nested = wrapped.downcast_ref::<io::Error>()?;
            Self::within(nested)
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail)
    }
}

impl Error for Fault {}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Self::new(io::ErrorKind::InvalidData, fault)
    }
}

impl From<Fault> for Refusal {
    /// What follows on the connection cannot be told: it is closed.
    fn from(fault: Fault) -> Self {
        Self::new(fault.reason, fault.detail).closing()
    }
}
