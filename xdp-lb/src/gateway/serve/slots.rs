use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use tokio::sync::Notify;

/// How many connections there may be over all workers. Who finds none free waits, and its client with it, in the
/// kernel's queue.
pub(super) struct Slots {
    open: AtomicU32,
    most: AtomicU32,
    freed: Notify,
}

/// The right to one connection.
pub(super) struct Slot(Arc<Slots>);

impl Slots {
    pub(super) fn new(most: u32) -> Arc<Self> {
        Arc::new(Self { open: AtomicU32::new(0), most: AtomicU32::new(most), freed: Notify::new() })
    }

    pub(super) fn open(&self) -> u32 {
        self.open.load(Relaxed)
    }

    /// More are given out at once; fewer take effect as connections end.
    pub(super) fn resize(&self, most: u32) {
        self.most.store(most, Relaxed);
        self.freed.notify_one();
    }

    pub(super) async fn take(self: &Arc<Self>) -> Slot {
        loop {
            if let Some(slot) = self.try_take() {
                // One permit may stand for several slots that became free: who got one wakes the next.
                if self.open() < self.most.load(Relaxed) {
                    self.freed.notify_one();
                }
                return slot;
            }
            self.freed.notified().await;
        }
    }

    /// One above the limit if need be: for connections that would be lost otherwise.
    pub(super) fn force(self: &Arc<Self>) -> Slot {
        self.open.fetch_add(1, Relaxed);
        Slot(self.clone())
    }

    fn try_take(self: &Arc<Self>) -> Option<Slot> {
        let most = self.most.load(Relaxed);
        self.open
            .fetch_update(Relaxed, Relaxed, |open| (open < most).then_some(open + 1))
            .is_ok()
            .then(|| Slot(self.clone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn no_more_than_allowed_and_each_freed_one_is_found() {
        let slots = Slots::new(2);
        let (first, second) = (slots.take().await, slots.take().await);
        assert!(slots.take().now_or_never().is_none());
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let slots = slots.clone();
                tokio::spawn(async move { slots.take().await })
            })
            .collect();
        tokio::task::yield_now().await;
        drop((first, second));
        for waiter in waiting {
            waiter.await.unwrap();
        }
        assert_eq!(slots.open(), 0);
    }

    #[tokio::test]
    async fn a_raised_limit_is_felt_by_those_who_wait() {
        let slots = Slots::new(0);
        let waiting = tokio::spawn({
            let slots = slots.clone();
            async move { (slots.take().await, slots.take().await) }
        });
        tokio::task::yield_now().await;
        slots.resize(2);
        waiting.await.unwrap();
        let forced = (slots.force(), slots.force(), slots.force());
        assert_eq!(slots.open(), 3);
        drop(forced);
        assert_eq!(slots.open(), 0);
    }
}
