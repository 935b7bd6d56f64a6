//! Who gets in, in which order, and who is turned away.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use super::*;
use crate::gateway::upstream::fixtures::start;

fn breaker(max_in_flight: u32, max_pending: u32, pending_timeout: Duration) -> Breaker {
    Breaker::new(&limits(max_in_flight, max_pending, pending_timeout))
}

fn limits(max_in_flight: u32, max_pending: u32, pending_timeout: Duration) -> config::Breaker {
    config::Breaker { max_in_flight, max_pending, pending_timeout }
}

const LONG: Duration = Duration::from_secs(60);

/// What a future comes to when polled once.
async fn now<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn without_a_limit_all_get_in() {
    let breaker = breaker(0, 0, Duration::ZERO);
    for _ in 0..1000 {
        breaker.enter().await.unwrap();
    }
    assert_eq!((breaker.inside(), breaker.pending()), (1000, 0));
    (0..1000).for_each(|_| breaker.leave());
    assert_eq!(breaker.inside(), 0);
}

#[tokio::test]
async fn those_who_wait_get_in_first_come_first_served() {
    let breaker = breaker(1, 2, LONG);
    breaker.enter().await.unwrap();
    let (mut first, mut second) = (pin!(breaker.enter()), pin!(breaker.enter()));
    assert_eq!(now(first.as_mut()).await, None);
    assert_eq!(now(second.as_mut()).await, None);
    assert_eq!((breaker.inside(), breaker.pending()), (1, 2));
    let refused = breaker.enter().await.unwrap_err();
    assert_eq!(refused, Full { retry_after: Duration::from_secs(1), waited: false });
    breaker.leave();
    assert_eq!(now(second.as_mut()).await, None, "it is not its turn");
    assert_eq!(now(first.as_mut()).await, Some(Ok(())));
    breaker.leave();
    assert_eq!(now(second.as_mut()).await, Some(Ok(())));
    breaker.leave();
    assert_eq!((breaker.inside(), breaker.pending()), (0, 0));
}

#[tokio::test]
async fn nobody_overtakes_those_who_wait() {
    let breaker = breaker(1, 5, LONG);
    breaker.enter().await.unwrap();
    let mut first = pin!(breaker.enter());
    assert_eq!(now(first.as_mut()).await, None);
    // The first in line was called, and has not yet moved.
    breaker.leave();
    let mut late = pin!(breaker.enter());
    assert_eq!(now(late.as_mut()).await, None);
    assert_eq!(now(first.as_mut()).await, Some(Ok(())));
    assert_eq!((breaker.inside(), breaker.pending()), (1, 1));
}

#[tokio::test]
async fn who_waits_in_vain_is_turned_away() {
    let breaker = breaker(1, 5, Duration::from_millis(20));
    breaker.enter().await.unwrap();
    let refused = breaker.enter().await.unwrap_err();
    assert_eq!(refused, Full { retry_after: Duration::from_secs(1), waited: true });
    assert_eq!((breaker.inside(), breaker.pending()), (1, 0));
    breaker.leave();
    breaker.enter().await.unwrap();
}

#[tokio::test]
async fn who_goes_away_leaves_no_gap() {
    let breaker = breaker(1, 5, LONG);
    breaker.enter().await.unwrap();
    let mut patient = {
        let mut called = Box::pin(breaker.enter());
        assert_eq!(now(called.as_mut()).await, None);
        let mut waiting = Box::pin(breaker.enter());
        assert_eq!(now(waiting.as_mut()).await, None);
        let mut patient = Box::pin(breaker.enter());
        assert_eq!(now(patient.as_mut()).await, None);
        breaker.leave();
        assert_eq!((breaker.inside(), breaker.pending()), (1, 2));
        patient
    };
    // One went away after it was called, one while it waited.
    assert_eq!((breaker.inside(), breaker.pending()), (1, 0));
    assert_eq!(now(patient.as_mut()).await, Some(Ok(())));
    breaker.leave();
    assert_eq!(breaker.inside(), 0);
}

#[tokio::test]
async fn limits_change_under_those_who_wait() {
    let breaker = breaker(1, 5, LONG);
    breaker.enter().await.unwrap();
    let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(breaker.enter())).collect();
    for place in &mut waiting {
        assert_eq!(now(place.as_mut()).await, None);
    }
    breaker.limit(&limits(3, 0, LONG));
    assert_eq!((breaker.inside(), breaker.pending()), (3, 2), "two more have room");
    assert!(breaker.enter().await.is_err(), "nobody may wait any more");
    breaker.limit(&limits(2, 0, LONG));
    breaker.leave();
    assert_eq!((breaker.inside(), breaker.pending()), (2, 2), "the new limit is reached only now");
    breaker.limit(&limits(0, 0, LONG));
    assert_eq!((breaker.inside(), breaker.pending()), (4, 0), "no limit");
    for place in &mut waiting {
        assert_eq!(now(place.as_mut()).await, Some(Ok(())));
    }
}

#[test]
fn from_many_threads_at_once_there_are_never_too_many_inside() {
    let breaker = Arc::new(breaker(3, 1000, LONG));
    let most = Arc::new(AtomicU32::new(0));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (breaker, most) = (Arc::clone(&breaker), Arc::clone(&most));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                runtime.block_on(async {
                    let one = async || {
                        for _ in 0..500 {
                            breaker.enter().await.unwrap();
                            most.fetch_max(breaker.inside(), Ordering::SeqCst);
                            tokio::task::yield_now().await;
                            breaker.leave();
                        }
                    };
                    tokio::join!(one(), one(), one());
                });
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!((breaker.inside(), breaker.pending()), (0, 0));
    assert!((2..=3).contains(&most.load(Ordering::SeqCst)), "{most:?}");
}

#[test]
fn the_wait_is_told_by_how_fast_requests_leave() {
    for (waiting, rate, seconds) in [
        (0, None, 1.0),
        (0, Some(100.0), 1.0),
        (99, Some(20.0), 5.0),
        (1000, Some(1.0), 30.0),
        (5, Some(0.0), 30.0),
    ] {
        assert_eq!(estimate(waiting, rate).as_secs_f64(), seconds, "{waiting} at {rate:?}");
    }
    let mut drain = Drain::default();
    let at = |seconds: f64| start() + Duration::from_secs_f64(seconds);
    assert_eq!(drain.rate(100, at(0.0)), None);
    assert_eq!(drain.rate(105, at(0.5)), None);
    assert_eq!(drain.rate(120, at(2.0)), Some(10.0));
    assert_eq!(drain.rate(500, at(2.5)), Some(10.0));
    assert_eq!(drain.rate(120, at(4.0)), Some(0.0));
}
