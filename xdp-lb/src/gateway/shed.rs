//! Whether the gateway takes a request at all: it refuses some before it collapses under all of them. Requests for its
//! own health and status are not asked about here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::{Reason, Refusal};
use crate::config::gateway::Gateway;

/// The requests in flight over all routes, and how many may be.
#[derive(Debug, Default)]
pub struct Shedder {
    /// 0: no limit.
    max_in_flight: AtomicU32,
    /// In nanoseconds; 0: no limit.
    max_lag: AtomicU64,
    in_flight: AtomicU32,
}

impl Shedder {
    /// Limits as configured.
    pub fn new(gateway: &Gateway) -> Self {
        let shedder = Self::default();
        shedder.limit(gateway.max_in_flight, gateway.max_lag);
        shedder
    }

    /// Goes by these limits from now on; 0 and zero for none.
    pub fn limit(&self, max_in_flight: u32, max_lag: Duration) {
        self.max_in_flight.store(max_in_flight, Ordering::Relaxed);
        self.max_lag.store(nanoseconds(max_lag), Ordering::Relaxed);
    }

    /// A request comes in on the event loop that `lag` is measured of. `draw` gives a number from 0 to below 1; it is
    /// asked only if chance decides.
    ///
    /// # Errors
    /// [`Reason::Overloaded`], with the time after which another try makes sense.
    pub fn admit(self: &Arc<Self>, lag: &Lag, draw: impl FnOnce() -> f64) -> Result<InFlight, Refusal> {
        let max_lag = self.max_lag.load(Ordering::Relaxed);
        if max_lag > 0 {
            let lag = lag.average();
            let chance = refused(lag, Duration::from_nanos(max_lag));
            if chance > 0.0 && draw() < chance {
                let cause = format!("the event loop runs {lag:.1?} late");
                return Err(refusal(cause, Duration::from_secs_f64(1.0 + 4.0 * chance)));
            }
        }
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let request = InFlight { shedder: Arc::clone(self) };
        let most = self.max_in_flight.load(Ordering::Relaxed);
        if most > 0 && before >= most {
            return Err(refusal(format!("{before} requests in flight"), Duration::from_secs(1)));
        }
        Ok(request)
    }

    /// Requests in flight.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }
}

fn refusal(cause: String, retry_after: Duration) -> Refusal {
    Refusal::new(Reason::Overloaded, "the gateway has too much to do; try again later")
        .because(cause)
        .retry_after(retry_after)
}

/// The share of requests that is refused at this lag: none up to the most allowed, all from three times that on.
fn refused(lag: Duration, max_lag: Duration) -> f64 {
    let (lag, most) = (lag.as_secs_f64(), max_lag.as_secs_f64());
    ((lag - most) / (2.0 * most)).clamp(0.0, 1.0)
}

/// A request in flight, until dropped.
#[derive(Debug)]
#[must_use = "the request is no longer counted when this is dropped"]
pub struct InFlight {
    shedder: Arc<Shedder>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.shedder.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How late one event loop runs, averaged over about a second.
#[derive(Debug, Default)]
pub struct Lag(AtomicU64);

impl Lag {
    /// The average.
    pub fn average(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    /// Measures the event loop that this runs on, until dropped.
    pub async fn measure(&self) {
        let mut last = tokio::time::Instant::now();
        loop {
            let planned = last + INTERVAL;
            tokio::time::sleep_until(planned).await;
            let now = tokio::time::Instant::now();
            let late = now.saturating_duration_since(planned);
            self.0.store(nanoseconds(averaged(self.average(), late, now - last)), Ordering::Relaxed);
            last = now;
        }
    }
}

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(50);

/// The average after `late` was seen over the time `elapsed`: what is older than a second has faded to a third.
fn averaged(average: Duration, late: Duration, elapsed: Duration) -> Duration {
    let fresh = 1.0 - (-elapsed.as_secs_f64()).exp();
    let (average, late) = (average.as_secs_f64(), late.as_secs_f64());
    Duration::from_secs_f64((average + (late - average) * fresh).max(0.0))
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use http::header::RETRY_AFTER;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn shedder(max_in_flight: u32, max_lag: Duration) -> Arc<Shedder> {
        let shedder = Shedder::default();
        shedder.limit(max_in_flight, max_lag);
        Arc::new(shedder)
    }

    fn late(by: Duration) -> Lag {
        Lag(AtomicU64::new(nanoseconds(by)))
    }

    fn never() -> f64 {
        panic!("chance decides nothing here")
    }

    #[test]
    fn no_more_are_in_flight_than_allowed() {
        let shedder = shedder(2, Duration::ZERO);
        let lag = late(MS * 1000);
        let first = shedder.admit(&lag, never).unwrap();
        let _second = shedder.admit(&lag, never).unwrap();
        let refused = shedder.admit(&lag, never).unwrap_err();
        assert_eq!(refused.reason, Reason::Overloaded);
        assert_eq!(refused.reason.status(), 503);
        assert_eq!(refused.headers, [(RETRY_AFTER, 1.into())]);
        assert_eq!(shedder.in_flight(), 2, "who is refused does not count");
        drop(first);
        let _third = shedder.admit(&lag, never).unwrap();
        shedder.limit(0, Duration::ZERO);
        let many: Vec<_> = (0..100).map(|_| shedder.admit(&lag, never).unwrap()).collect();
        assert_eq!(shedder.in_flight(), 102);
        drop(many);
        assert_eq!(shedder.in_flight(), 2);
    }

    #[test]
    fn the_later_the_loop_the_more_are_refused() {
        for (lag, chance) in
            [(0, 0.0), (99, 0.0), (100, 0.0), (150, 0.25), (200, 0.5), (300, 1.0), (10_000, 1.0)]
        {
            assert!((refused(MS * lag, MS * 100) - chance).abs() < 1e-9, "{lag} ms");
            let shedder = shedder(0, MS * 100);
            for draw in [0.0, 0.1, 0.3, 0.6, 0.999] {
                let admitted = shedder.admit(&late(MS * lag), || draw);
                assert_eq!(admitted.is_err(), draw < chance, "{lag} ms, {draw}");
            }
            assert_eq!(shedder.in_flight(), 0);
        }
        let refusal = shedder(0, MS * 100).admit(&late(MS * 250), || 0.0).unwrap_err();
        assert_eq!(refusal.headers, [(RETRY_AFTER, 4.into())]);
        assert!(refusal.cause.unwrap().contains("250.0ms"));
    }

    #[test]
    fn the_average_is_over_about_a_second() {
        let mut average = Duration::ZERO;
        for _ in 0..20 {
            average = averaged(average, MS * 100, INTERVAL);
        }
        assert!((MS * 62..MS * 65).contains(&average), "{average:?} after a second");
        for _ in 0..100 {
            average = averaged(average, Duration::ZERO, INTERVAL);
        }
        assert!(average < MS, "{average:?} five seconds later");
        // A long standstill is seen once, and weighs as what it is.
        assert!(averaged(Duration::ZERO, MS * 1950, MS * 2000) > MS * 1600);
    }

    #[tokio::test]
    async fn a_loop_that_is_held_up_is_measured() {
        let lag = Lag::default();
        tokio::select! {
            () = lag.measure() => {}
            () = async {
                tokio::time::sleep(INTERVAL * 3).await;
                assert!(lag.average() < MS * 200);
                std::thread::sleep(MS * 1000);
                while lag.average() < MS * 300 {
                    tokio::time::sleep(MS).await;
                }
            } => {}
            () = tokio::time::sleep(Duration::from_secs(10)) => panic!("{lag:?}"),
        }
    }
}
