//! How many requests a pool takes at once, and how many wait in line for one of those to end.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::config::gateway as config;

/// The requests that are inside, and those that wait, first come, first served.
#[derive(Debug)]
pub(super) struct Breaker {
    /// Most inside; 0: no limit.
    most: AtomicU32,
    max_pending: AtomicU32,
    pending_timeout: AtomicU64,
    inside: AtomicU32,
    /// Requests that left while there was a limit.
    left: AtomicU64,
    /// The line's length, for those who leave and have nobody to let in.
    waiting: AtomicUsize,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    /// Sorted by ticket.
    waiting: VecDeque<(u64, oneshot::Sender<()>)>,
    tickets: u64,
    drain: Drain,
}

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full {
    /// After which there may be.
    pub(super) retry_after: Duration,
    /// Whether it waited in vain, and not was turned away at once.
    pub(super) waited: bool,
}

impl Breaker {
    pub(super) fn new(limits: &config::Breaker) -> Self {
        let breaker = Self {
            most: AtomicU32::new(0),
            max_pending: AtomicU32::new(0),
            pending_timeout: AtomicU64::new(0),
            inside: AtomicU32::new(0),
            left: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            line: Mutex::default(),
        };
        breaker.limit(limits);
        breaker
    }

    /// Goes by these limits from now on. Whoever is inside stays; whoever waits, waits as long as it would have.
    pub(super) fn limit(&self, limits: &config::Breaker) {
        self.most.store(limits.max_in_flight, Ordering::SeqCst);
        self.max_pending.store(limits.max_pending, Ordering::SeqCst);
        let timeout = u64::try_from(limits.pending_timeout.as_nanos()).unwrap_or(u64::MAX);
        self.pending_timeout.store(timeout, Ordering::SeqCst);
        self.let_in();
    }

    /// One request more is inside, at once or after a while; until [`leave`](Self::leave).
    pub(super) async fn enter(&self) -> Result<(), Full> {
        if self.most.load(Ordering::Relaxed) == 0 {
            self.inside.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        let Some((ticket, turn)) = self.queue()? else { return Ok(()) };
        let mut place = Place { breaker: self, ticket: Some(ticket) };
        // Between the look at the room and standing in line, somebody may have left.
        self.let_in();
        let timeout = Duration::from_nanos(self.pending_timeout.load(Ordering::SeqCst));
        let in_time = tokio::time::timeout(timeout, turn).await.is_ok();
        if in_time || place.give_up() {
            place.ticket = None;
            return Ok(());
        }
        Err(Full { retry_after: self.retry_after(&mut self.line()), waited: true })
    }

    /// A request is no longer inside.
    pub(super) fn leave(&self) {
        if self.most.load(Ordering::Relaxed) != 0 {
            self.left.fetch_add(1, Ordering::Relaxed);
        }
        // Whoever stands in line looks at `inside` again after having counted itself: one of the two sees the other.
        self.inside.fetch_sub(1, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.let_in();
        }
    }

    pub(super) fn inside(&self) -> u32 {
        self.inside.load(Ordering::Relaxed)
    }

    pub(super) fn pending(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Enters, or stands in line: `Some` has the place.
    fn queue(&self) -> Result<Option<(u64, oneshot::Receiver<()>)>, Full> {
        let mut line = self.line();
        if line.waiting.is_empty() && self.has_room() {
            self.inside.fetch_add(1, Ordering::SeqCst);
            return Ok(None);
        }
        if line.waiting.len() >= self.max_pending.load(Ordering::SeqCst) as usize {
            return Err(Full { retry_after: self.retry_after(&mut line), waited: false });
        }
        let (call, turn) = oneshot::channel();
        line.tickets += 1;
        let ticket = line.tickets;
        line.waiting.push_back((ticket, call));
        self.waiting.store(line.waiting.len(), Ordering::SeqCst);
        Ok(Some((ticket, turn)))
    }

    /// Lets those in who are first in line, as far as there is room.
    fn let_in(&self) {
        while let Some(call) = self.next() {
            // Who no longer listens has yet to look for its place, and then finds itself inside.
            let _ = call.send(());
        }
    }

    fn next(&self) -> Option<oneshot::Sender<()>> {
        let mut line = self.line();
        if !self.has_room() {
            return None;
        }
        let (_, call) = line.waiting.pop_front()?;
        self.inside.fetch_add(1, Ordering::SeqCst);
        self.waiting.store(line.waiting.len(), Ordering::SeqCst);
        Some(call)
    }

    fn has_room(&self) -> bool {
        let most = self.most.load(Ordering::SeqCst);
        most == 0 || self.inside.load(Ordering::SeqCst) < most
    }

    fn retry_after(&self, line: &mut Line) -> Duration {
        let now = tokio::time::Instant::now().into_std();
        let rate = line.drain.rate(self.left.load(Ordering::Relaxed), now);
        estimate(line.waiting.len(), rate)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in line. Who goes away gives it up, and what it was let into by then.
struct Place<'a> {
    breaker: &'a Breaker,
    ticket: Option<u64>,
}

impl Place<'_> {
    /// Leaves the line; `true` if it was let in before.
    fn give_up(&mut self) -> bool {
        let Some(ticket) = self.ticket.take() else { return false };
        let mut line = self.breaker.line();
        let Ok(position) = line.waiting.binary_search_by_key(&ticket, |place| place.0) else { return true };
        line.waiting.remove(position);
        self.breaker.waiting.store(line.waiting.len(), Ordering::SeqCst);
        false
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.give_up() {
            self.breaker.leave();
        }
    }
}

/// How fast requests leave, looked at when one is turned away.
#[derive(Debug, Default)]
struct Drain {
    /// When it was last measured, and how many had left by then.
    mark: Option<(Instant, u64)>,
    per_second: Option<f64>,
}

impl Drain {
    /// Requests a second that leave, of which `left` have so far; `None` before a second was seen.
    fn rate(&mut self, left: u64, now: Instant) -> Option<f64> {
        let (at, before) = *self.mark.get_or_insert((now, left));
        let elapsed = now.saturating_duration_since(at);
        if elapsed >= Duration::from_secs(1) {
            self.per_second = Some(left.saturating_sub(before) as f64 / elapsed.as_secs_f64());
            self.mark = Some((now, left));
        }
        self.per_second
    }
}

/// How long those who wait, and one more, take to get in.
fn estimate(waiting: usize, rate: Option<f64>) -> Duration {
    let seconds = match rate {
        Some(rate) if rate > 0.0 => (waiting as f64 + 1.0) / rate,
        Some(_) => LONGEST,
        None => SHORTEST,
    };
    Duration::from_secs_f64(seconds.clamp(SHORTEST, LONGEST))
}

/// Seconds that a client is asked to wait, at least and at most.
const SHORTEST: f64 = 1.0;
const LONGEST: f64 = 30.0;

#[cfg(test)]
mod tests;
