//! What stays known when the configuration changes.

use super::*;

/// The first server is ejected.
fn eject(pool: &Arc<Pool>) {
    for _ in 0..5 {
        let mut picked = pool.pick(&[ServerId(1), ServerId(2)], start()).unwrap();
        picked.answered(&outcome(Verdict::Failure, 1), start());
    }
    assert_eq!(row(pool, "web-1", start()).score.state, "ejected");
}

#[test]
fn what_is_known_of_a_server_stays() {
    let before = three();
    eject(before.get(0));
    let inside = before.get(0).pick(&[ServerId(0), ServerId(2)], start()).unwrap();
    // Another pool comes first, so that the index is another; the third server has another address.
    let mut moved = server(3);
    moved.address.set_port(81);
    let web = fixtures::pool("web", &[server(4), moved, server(2), server(1)]);
    let after = pools(&[fixtures::pool("api", &[server(9)]), web], Some(&before));
    assert_eq!(after.by_name("web"), Some(1));
    assert_eq!((after.len(), after.by_name("none")), (2, None));
    assert_eq!(row(before.get(0), "web-3", start()).address.port(), 80, "not in force yet");

    after.take_over(start());
    let pool = after.get(1);
    assert_eq!(row(pool, "web-1", start()).score.state, "ejected");
    assert_eq!(row(pool, "web-2", start()).score.in_flight, 1);
    let ids: Vec<_> = pool.status(start()).servers.iter().map(|s| (s.name.clone(), s.score.server)).collect();
    let expected = [("web-1", 0), ("web-2", 1), ("web-4", 3), ("web-3", 4)];
    assert_eq!(ids, expected.map(|(name, id)| (name.to_owned(), id)));
    drop(inside);
    assert_eq!(row(pool, "web-2", start()).score.in_flight, 0);
}

#[test]
fn a_server_that_left_finishes_its_requests() {
    let before = three();
    let mut inside = before.get(0).pick(&[ServerId(0), ServerId(1)], start()).unwrap();
    let after = pools(&[fixtures::pool("web", &[server(1), server(2)])], Some(&before));
    after.take_over(start());
    let left = row(after.get(0), "web-3", start());
    assert_eq!((left.score.state.as_str(), left.score.in_flight), ("removed", 1));
    for _ in 0..100 {
        assert_ne!(after.get(0).pick(&[], start()).unwrap().server().id, ServerId(2));
    }
    inside.answered(&outcome(Verdict::Success, 1), start());
    drop(inside);
    // It comes back as another: what its process was is not known.
    let again = pools(&[fixtures::pool("web", &[server(1), server(2), server(3)])], Some(&after));
    again.take_over(start());
    let ids: Vec<_> = again.get(0).status(start()).servers.iter().map(|s| s.score.server).collect();
    assert_eq!(ids, [0, 1, 3]);
}

#[test]
fn constants_and_weights_change_at_once() {
    let before = three();
    eject(before.get(0));
    let mut drained = server(2);
    drained.weight = crate::config::Weight::from(0);
    let mut config = fixtures::pool("web", &[server(1), drained, server(3)]);
    config.retry.least = 5;
    config.breaker.max_in_flight = 9;
    let after = pools(&[config], Some(&before));
    after.take_over(start());
    let pool = after.get(0);
    assert_eq!(row(pool, "web-2", start()).score.state, "draining");
    assert_eq!(row(pool, "web-1", start()).score.state, "ejected");
    let later = start() + Duration::from_secs(60);
    assert_eq!(pool.status(later).budget_left, 5);
    assert_eq!(pool.pick(&[ServerId(0), ServerId(2)], start()).map(|picked| picked.server().id), None);
}

#[tokio::test]
async fn limits_change_with_requests_inside() {
    let mut config = fixtures::pool("web", &[server(1)]);
    let before = pools(&[config.clone()], None);
    let first = before.get(0).enter().await.unwrap();
    config.breaker.max_in_flight = 2;
    let after = pools(&[config], Some(&before));
    let _second = before.get(0).enter().await.unwrap();
    after.take_over(start());
    assert!(before.get(0).enter().await.is_err(), "the old one shares the new limit");
    assert!(after.get(0).enter().await.is_err());
    drop(first);
    let _third = after.get(0).enter().await.unwrap();
    assert_eq!(after.get(0).status(start()).in_flight, 2);
}

#[test]
fn what_is_no_longer_in_force_changes_nothing() {
    let before = three();
    let after = pools(&[fixtures::pool("web", &[server(1)])], Some(&before));
    after.take_over(start());
    before.take_over(start());
    before.get(0).set_members(&before.get(0).members());
    let none: &[super::super::members::Member] = &[];
    before.get(0).set_members(none);
    assert_eq!(after.get(0).members().len(), 1);
}

#[test]
fn a_pool_of_another_name_starts_anew() {
    let before = three();
    eject(before.get(0));
    let after = pools(&[fixtures::pool("other", &[server(1)])], Some(&before));
    after.take_over(start());
    assert_eq!(row(after.get(0), "web-1", start()).score.state, "probation");
    assert_eq!(before.get(0).members().len(), 3);
}
