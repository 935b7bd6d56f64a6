//! The one place of the test bed that reads the clock.

use std::time::Instant;

/// The present.
#[expect(clippy::disallowed_methods, reason = "tests and the demo are the edge: they measure real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// The time of day.
#[expect(clippy::disallowed_methods, reason = "tests stand at the edge")]
pub fn wall() -> std::time::SystemTime {
    std::time::SystemTime::now()
}
