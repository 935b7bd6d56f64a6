//! Virtual time.

/// Nanoseconds since the run began.
pub type Time = u64;

/// A second.
pub const SECOND: Time = 1_000_000_000;

/// A millisecond.
pub const MILLISECOND: Time = SECOND / 1000;

/// `value` seconds; below zero is zero.
pub fn seconds(value: f64) -> Time {
    (value * SECOND as f64) as Time
}

/// A time in seconds.
pub fn as_seconds(time: Time) -> f64 {
    time as f64 / SECOND as f64
}
