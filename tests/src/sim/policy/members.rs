//! The servers that a policy chooses from, each with the requests it has in flight there.

use std::ops::{Index, IndexMut};

use crate::sim::rng::Rng;

/// Something for each server that there is.
#[derive(Debug)]
pub(super) struct Members<T> {
    all: Vec<T>,
    present: Vec<usize>,
}

impl<T: Default + Clone> Members<T> {
    pub(super) fn new(servers: usize) -> Self {
        Self { all: vec![T::default(); servers], present: Vec::new() }
    }

    pub(super) fn add(&mut self, server: usize) {
        if !self.present.contains(&server) {
            self.present.push(server);
        }
    }

    /// Those that may be chosen, in the order in which they joined.
    pub(super) fn present(&self) -> &[usize] {
        &self.present
    }

    pub(super) fn random(&self, rng: &mut Rng) -> Option<usize> {
        (!self.present.is_empty()).then(|| self.present[rng.below(self.present.len())])
    }

    /// Two different ones; the same twice where there is only one.
    pub(super) fn random_two(&self, rng: &mut Rng) -> Option<(usize, usize)> {
        let (first, second) = rng.two_below(self.present.len());
        Some((*self.present.get(first)?, *self.present.get(second)?))
    }
}

impl<T> Index<usize> for Members<T> {
    type Output = T;

    fn index(&self, server: usize) -> &T {
        &self.all[server]
    }
}

impl<T> IndexMut<usize> for Members<T> {
    fn index_mut(&mut self, server: usize) -> &mut T {
        &mut self.all[server]
    }
}
