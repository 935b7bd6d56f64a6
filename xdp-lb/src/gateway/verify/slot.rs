use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

/// A value that is replaced as a whole, with a number that no other value ever has.
pub(super) struct Slot<T>(ArcSwapOption<Version<T>>);

/// What is in a slot.
pub(super) struct Version<T> {
    pub(super) number: u64,
    pub(super) value: T,
}

impl<T> Slot<T> {
    pub(super) fn empty() -> Self {
        Self(ArcSwapOption::empty())
    }

    pub(super) fn set(&self, value: T) {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        self.0.store(Some(Arc::new(Version { number, value })));
    }

    pub(super) fn get(&self) -> Option<Arc<Version<T>>> {
        self.0.load_full()
    }

    /// The number of what is in it; 0 while it is empty.
    pub(super) fn number(&self) -> u64 {
        self.0.load().as_ref().map_or(0, |version| version.number)
    }

    /// Looks at the value without taking part in its ownership.
    pub(super) fn with<R>(&self, look: impl FnOnce(Option<&T>) -> R) -> R {
        look(self.0.load().as_ref().map(|version| &version.value))
    }
}
