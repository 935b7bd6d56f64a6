use std::time::Duration;

use hyper::server::conn::http1;

use crate::config::gateway::{Gateway, Limits};

/// How often a connection looks whether something took too long.
const TICK: Duration = Duration::from_secs(1);

/// How long after its first request it looks whether there will be more: one without any is parked. What it holds until
/// then decides on the memory of thousands that come at once.
const FIRST_GLANCE: Duration = Duration::from_millis(10);

/// The same after it woke up: longer than most clients take between two requests, as one that goes on asking is not to
/// begin anew with each.
const GLANCE: Duration = Duration::from_millis(100);

/// Least room for what hyper reads ahead and writes behind, per connection.
const BUFFER: usize = 128 * 1024;

/// Headers up to which hyper's parser needs no memory of its own.
const HEADERS_ON_STACK: usize = 100;

/// What a configuration means for connections. Swapped as a whole on reload; a connection takes it at its begin and
/// when it wakes up.
pub(super) struct Settings {
    pub(super) limits: Limits,
    pub(super) http1: http1::Builder,
    pub(super) tick: Duration,
    pub(super) first_glance: Duration,
    pub(super) glance: Duration,
}

impl Settings {
    pub(super) fn new(gateway: &Gateway) -> Self {
        let limits = gateway.limits.clone();
        let shortest = limits.idle_timeout.min(limits.send_timeout).min(limits.header_timeout) / 2;
        let tick = TICK.min(shortest).max(Duration::from_millis(10));

        // `wire` limits the head and its time before hyper sees any of it.
        let mut http1 = http1::Builder::new();
        http1.header_read_timeout(None);
        http1.max_buf_size(BUFFER.max(limits.header_bytes as usize + BUFFER / 4));
        let headers = limits.headers as usize;
        if headers > HEADERS_ON_STACK {
            http1.max_headers(headers);
        }
        Self { limits, http1, tick, first_glance: tick.min(FIRST_GLANCE), glance: tick.min(GLANCE) }
    }
}
