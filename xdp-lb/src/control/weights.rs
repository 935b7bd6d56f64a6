//! What a backend is worth: its configured weight times one factor for each thing that is known of it.

use super::backends::Backend;

/// The factors of a backend's weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Factors {
    /// As configured.
    pub(super) configured: f64,
    /// 1 while it may take new connections, 0 while it drains or is removed.
    pub(super) admission: f64,
    /// 1 while it is usable, else 0.
    pub(super) health: f64,
}

impl Factors {
    pub(super) fn of(backend: &Backend) -> Self {
        let if_so = |condition: bool| if condition { 1.0 } else { 0.0 };
        Self {
            configured: f64::from(backend.weight.get()),
            admission: if_so(!backend.drain && !backend.removed),
            health: if_so(backend.is_usable()),
        }
    }

    /// The weight that the table is made with.
    pub(super) fn product(self) -> f64 {
        self.configured * self.admission * self.health
    }
}
