use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// What goes on on one connection: told by its requests, answers and bytes, read by who drives it.
///
/// All of them run on the connection's worker, with rare exceptions: nothing here has to be ordered.
pub(super) struct Activity {
    born: Instant,
    requests: AtomicU32,
    /// Requests whose answer has not wholly left.
    open: AtomicU32,
    /// Bodies of requests that somebody may still read.
    uploads: AtomicU32,
    /// Answers that nobody wanted to the end.
    cut: AtomicU32,
    /// Since when the client takes nothing, in milliseconds after `born` plus one; 0: it does.
    blocked: AtomicU64,
    read_waits: AtomicBool,
    ended: AtomicBool,
    unread: AtomicBool,
    upgraded: AtomicBool,
    /// Frames of HTTP/2 that carried nothing and nobody paid for.
    idle_frames: AtomicU32,
    /// Odd: something of HTTP/2 has begun to come and has not ended. Another number is another thing.
    partial: AtomicU32,
}

/// A request and its answer, until the latter has left.
pub(super) struct InFlight {
    activity: Arc<Activity>,
    finished: bool,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Arc<Self> {
        Arc::new(Self {
            born: now,
            requests: AtomicU32::new(0),
            open: AtomicU32::new(0),
            uploads: AtomicU32::new(0),
            cut: AtomicU32::new(0),
            blocked: AtomicU64::new(0),
            read_waits: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            upgraded: AtomicBool::new(false),
            idle_frames: AtomicU32::new(0),
            partial: AtomicU32::new(0),
        })
    }

    /// A request begins.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.requests.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
        self.unread.store(false, Relaxed);
        InFlight { activity: self.clone(), finished: false }
    }

    /// Requests so far.
    pub(super) fn requests(&self) -> u32 {
        self.requests.load(Relaxed)
    }

    /// Whether neither a request nor an answer is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.open.load(Relaxed) == 0 && self.uploads.load(Relaxed) == 0
    }

    /// Whether it is idle, all that was written has left, and all that came was taken.
    pub(super) fn is_at_rest(&self) -> bool {
        self.is_idle() && self.blocked.load(Relaxed) == 0 && self.read_waits.load(Relaxed)
    }

    /// Answers cut so far.
    pub(super) fn cut(&self) -> u32 {
        self.cut.load(Relaxed)
    }

    /// Begins a new count of answers cut, and gives the one that ends.
    pub(super) fn restart_cut(&self) -> u32 {
        self.cut.swap(0, Relaxed)
    }

    /// The client takes nothing at the moment, or does again.
    pub(super) fn set_blocked(&self, blocked: bool) {
        let before = self.blocked.load(Relaxed);
        if blocked && before == 0 {
            let since = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
            self.blocked.store(since + 1, Relaxed);
        } else if !blocked && before != 0 {
            self.blocked.store(0, Relaxed);
        }
    }

    /// Whether the client has taken nothing for so long.
    pub(super) fn is_stalled(&self, now: Instant, most: Duration) -> bool {
        let blocked = self.blocked.load(Relaxed);
        blocked != 0 && now.saturating_duration_since(self.born + Duration::from_millis(blocked - 1)) >= most
    }

    /// The last read found nothing.
    pub(super) fn set_read_waits(&self, waits: bool) {
        self.read_waits.store(waits, Relaxed);
    }

    /// The client sends no more.
    pub(super) fn set_ended(&self) {
        self.ended.store(true, Relaxed);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    /// Whether somebody may still read a request's body.
    pub(super) fn is_uploading(&self) -> bool {
        self.uploads.load(Relaxed) != 0
    }

    pub(super) fn begin_upload(&self) {
        self.uploads.fetch_add(1, Relaxed);
    }

    /// Nobody reads the body any more; `unread` if some of it is left.
    pub(super) fn end_upload(&self, unread: bool) {
        self.uploads.fetch_sub(1, Relaxed);
        if unread {
            self.unread.store(true, Relaxed);
        }
    }

    /// Whether some of the last request's body was left.
    pub(super) fn has_unread(&self) -> bool {
        self.unread.load(Relaxed)
    }

    /// Frames that carried nothing, since these were last counted anew.
    pub(super) fn idle_frames(&self) -> u32 {
        self.idle_frames.load(Relaxed)
    }

    /// Such frames came, and others that pay for so many of them; all of them now.
    pub(super) fn add_idle_frames(&self, idle: u32, paid: u32) -> u32 {
        let count = self.idle_frames.load(Relaxed).saturating_add(idle).saturating_sub(paid);
        self.idle_frames.store(count, Relaxed);
        count
    }

    pub(super) fn restart_idle_frames(&self) {
        self.idle_frames.store(0, Relaxed);
    }

    /// Something has begun to come and has not ended; `ended`: what had before, has.
    pub(super) fn set_partial(&self, partial: bool, ended: bool) {
        let count = self.partial.load(Relaxed);
        let was = count % 2 == 1;
        if was != partial {
            self.partial.store(count.wrapping_add(1), Relaxed);
        } else if was && ended {
            self.partial.store(count.wrapping_add(2), Relaxed);
        }
    }

    /// What has begun to come and not ended, if the client is who is waited for.
    pub(super) fn partial(&self) -> Option<u32> {
        let count = self.partial.load(Relaxed);
        (count % 2 == 1 && self.read_waits.load(Relaxed)).then_some(count)
    }

    /// It speaks HTTP no more.
    pub(super) fn set_upgraded(&self) {
        self.upgraded.store(true, Relaxed);
    }

    pub(super) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Relaxed)
    }
}

impl InFlight {
    /// The answer is whole, or was given up on this side.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.activity.open.fetch_sub(1, Relaxed);
        if !self.finished {
            self.activity.cut.fetch_add(1, Relaxed);
        }
    }
}
