//! P: who has not shown yet that it serves gets the smallest share.
//!
//! A success is a check that passes, a report that counts, or packets of clients that go on after their SYN, which they
//! do only if somebody answers. A backend that is there from its VIP's beginning is not on probation: nobody else is
//! better known.

use super::grid::LEAST;

/// Whether a backend has shown that it serves since it appeared, or appeared again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control) struct Probation {
    proven: bool,
}

impl Probation {
    /// On probation.
    pub(in crate::control) const BEGUN: Self = Self { proven: false };
    /// No longer, or never.
    pub(in crate::control) const PROVEN: Self = Self { proven: true };

    pub(in crate::control) fn is_proven(self) -> bool {
        self.proven
    }

    /// It has served.
    pub(in crate::control) fn succeed(&mut self) {
        self.proven = true;
    }

    pub(in crate::control) fn factor(self) -> f64 {
        if self.proven { 1.0 } else { LEAST }
    }

    pub(in crate::control) fn words(self) -> String {
        if self.proven { "proven".into() } else { "on probation: no success seen yet".into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_with_the_first_success() {
        let mut probation = Probation::BEGUN;
        assert_eq!(
            (probation.factor(), probation.words().as_str()),
            (LEAST, "on probation: no success seen yet")
        );
        probation.succeed();
        assert_eq!((probation.factor(), probation), (1.0, Probation::PROVEN));
    }
}
