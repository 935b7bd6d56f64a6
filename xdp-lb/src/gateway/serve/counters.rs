use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What happened to connections, over all workers. Each worker adds; nothing is decided by these.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) accepted: Counter,
    pub(super) parked: Counter,
    pub(super) handshakes_failed: Counter,
    pub(super) proxy_errors: Counter,
    pub(super) resets: Counter,
    pub(super) reset_floods: Counter,
    pub(super) stalled: Counter,
    pub(super) slow_heads: Counter,
    pub(super) accept_errors: Counter,
}

/// A number that is only counted.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

/// What happened to connections up to one moment, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted so far.
    pub accepted: u64,
    /// Connections open now, upgraded ones and those in the middle of their handshake included.
    pub open: u64,
    /// Those of them that are parked.
    pub parked: u64,
    /// TLS handshakes that failed or took too long.
    pub handshakes_failed: u64,
    /// Connections that did not begin with a valid PROXY header where one has to be.
    pub proxy_errors: u64,
    /// Streams that clients reset.
    pub resets: u64,
    /// Connections closed for too many of these, for heads of HTTP/2 in too many pieces, or for frames that carry nothing.
    pub reset_floods: u64,
    /// Answers and connections cut as their client took nothing.
    pub stalled: u64,
    /// Connections closed as something of HTTP/2 had begun to come and did not go on.
    pub slow_heads: u64,
    /// Times that a connection could not be accepted, for want of file descriptors or memory.
    pub accept_errors: u64,
}

impl Counter {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(super) fn remove(&self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Counters {
    pub(super) fn read(&self, open: u32) -> Counts {
        let read = |counter: &Counter| counter.0.load(Relaxed);
        Counts {
            accepted: read(&self.accepted),
            open: open.into(),
            parked: read(&self.parked),
            handshakes_failed: read(&self.handshakes_failed),
            proxy_errors: read(&self.proxy_errors),
            resets: read(&self.resets),
            reset_floods: read(&self.reset_floods),
            stalled: read(&self.stalled),
            slow_heads: read(&self.slow_heads),
            accept_errors: read(&self.accept_errors),
        }
    }
}
