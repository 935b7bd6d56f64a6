//! Waiting for a condition with a deadline, never for a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::clock;

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(20);

static CANCELLED: AtomicBool = AtomicBool::new(false);

/// Ends every wait of this process, present and future, with an error: somebody wants to leave.
pub fn cancel() {
    CANCELLED.store(true, Ordering::Relaxed);
}

/// Whether [`cancel`] was called.
pub fn is_cancelled() -> bool {
    CANCELLED.load(Ordering::Relaxed)
}

/// Calls `condition` until it gives a value; after `within` an error that names `what` was awaited.
pub fn wait_until<T>(within: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = clock::now() + within;
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if is_cancelled() {
            bail!("stopped waiting until {what}");
        }
        if clock::now() >= deadline {
            bail!("waited {within:?} in vain until {what}");
        }
        thread::sleep(PAUSE);
    }
}

/// As [`wait_until`] for a condition that says why it does not hold yet; the last reason ends the error.
pub fn wait_until_ok<T>(within: Duration, what: &str, mut condition: impl FnMut() -> Result<T>) -> Result<T> {
    let mut last = None;
    wait_until(within, what, || condition().map_err(|error| last = Some(error)).ok()).map_err(|waited| {
        match last {
            Some(error) => waited.context(format!("last seen: {error:#}")),
            None => waited,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_what_was_awaited_and_what_was_seen() {
        let error = wait_until(Duration::ZERO, "the sun is up", || None::<()>).unwrap_err();
        assert_eq!(error.to_string(), "waited 0ns in vain until the sun is up");
        let error = wait_until_ok(Duration::ZERO, "the sun is up", || -> Result<()> { bail!("it is dark") })
            .unwrap_err();
        assert_eq!(format!("{error:#}"), "last seen: it is dark: waited 0ns in vain until the sun is up");
    }

    #[test]
    fn the_value_comes_back_as_soon_as_there_is_one() {
        let mut calls = 0;
        let value = wait_until(Duration::from_secs(10), "three calls were made", || {
            calls += 1;
            (calls == 3).then_some(calls)
        });
        assert_eq!(value.unwrap(), 3);
    }
}
