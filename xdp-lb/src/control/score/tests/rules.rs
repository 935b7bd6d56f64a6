//! One rule, one test.

use super::*;

/// Nobody explores, nobody warms up: one rule at a time.
fn quiet() -> Settings {
    Settings { explore: 0.0, warmup_window: Duration::ZERO, ..Settings::default() }
}

#[test]
fn equal_servers_share_evenly_and_weights_are_shares() {
    let mut bench = Bench::new(4, Settings { choices: 1, ..quiet() });
    for weights in [[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 1.0, 4.0], [3.0, 0.0, 1.0, f64::NAN]] {
        bench.set(&weights);
        let served = bench.serve(20_000, None);
        let total: f64 = weights.iter().filter(|weight| weight.is_finite()).sum();
        for (weight, served) in weights.iter().zip(served) {
            let expected = if weight.is_finite() { weight / total } else { 0.0 };
            let share = f64::from(served) / 20_000.0;
            assert!((share - expected).abs() < 0.02, "{weights:?}: {weight} got {share}");
        }
    }
}

#[test]
fn the_shorter_queue_and_the_smaller_latency_win() {
    let mut bench = Bench::new(2, Settings { choices: 2, redraws: 60, ..quiet() });
    let busy: Vec<_> = (0..5).map(|_| bench.sent_to(0)).collect();
    assert_eq!(bench.serve(100, None), [0, 100]);
    busy.into_iter().for_each(|pick| bench.pool.finished(pick, bench.now));
    for _ in 0..50 {
        let pick = bench.sent_to(1);
        bench.pool.done(pick, &success(60), bench.now);
    }
    bench.pass(1.0);
    assert_eq!(bench.serve(100, None), [100, 0]);
}

#[test]
fn a_hot_server_loses_against_a_cold_one_whatever_its_score() {
    let score = |hot, score, queue_per_weight| server::Score {
        queue_per_weight,
        latency: 1.0,
        errors: 1.0,
        warmth: 1.0,
        brake: 1.0,
        score,
        hot,
    };
    for (this, that, expected) in [
        (score(false, 1.0, 5.0), score(false, 2.0, 1.0), true),
        (score(false, 9.0, 1.0), score(true, 1.0, 9.0), true),
        (score(true, 1.0, 9.0), score(false, 9.0, 1.0), false),
        (score(true, 9.0, 6.0), score(true, 1.0, 7.0), true),
    ] {
        assert_eq!(this.beats(&that), expected, "{this:?} {that:?}");
    }
}

#[test]
fn reports_of_others_count_in_the_queue() {
    let mut bench = Bench::new(2, Settings { redraws: 60, ..quiet() });
    for (server, in_flight) in [(0, 9), (1, 1)] {
        let pick = bench.sent_to(server);
        bench.pool.done(pick, &Outcome { in_flight: Some(in_flight), ..success(10) }, bench.now);
    }
    let pick = bench.pool.pick(&[], bench.now).unwrap();
    assert_eq!(pick.server(), ServerId(1));
    bench.pool.finished(pick, bench.now);
}

#[test]
fn filters_hold_back_and_say_so() {
    let report = Report { utilization: Some(0.99), ..Report::default() };
    let used = Outcome { report: Some(&report), ..success(10) };
    let settings = Settings { utilization_filter: 0.95, ..quiet() };
    let errors: fn(&mut Bench, &Outcome<'_>) = |bench, _| {
        for _ in 0..10 {
            bench.fail(0, 4);
            bench.proved(0);
        }
    };
    let utilization: fn(&mut Bench, &Outcome<'_>) = |bench, used| {
        let pick = bench.sent_to(0);
        bench.pool.done(pick, used, bench.now);
    };
    let ejection: fn(&mut Bench, &Outcome<'_>) = |bench, _| bench.fail(0, 5);
    let down: fn(&mut Bench, &Outcome<'_>) = |bench, _| bench.pool.health(ServerId(0), false, bench.now);
    for (state, words, cause) in [
        ("held back", "error rate", errors),
        ("held back", "utilization 0.99", utilization),
        ("ejected", "ejected 1 times, for", ejection),
        ("down", "health", down),
    ] {
        let mut bench = Bench::new(4, settings.clone());
        cause(&mut bench, &used);
        bench.pass(0.2);
        let status = &bench.pool.status(bench.now)[0];
        assert!(status.state == state && status.reason.contains(words), "{words}: {status:?}");
        assert_eq!(bench.serve(1000, None)[0], 0, "{words}");
        let last_resort = bench.sent_to(0);
        assert_eq!(last_resort.server(), ServerId(0), "{words}: the only one left is used");
    }
}

#[test]
fn filters_that_hold_back_too_much_are_ignored() {
    for (ejected, ignored) in [(1, false), (3, false), (4, true), (10, true)] {
        let mut bench = Bench::new(10, Settings { eject_off: 1.0, ..quiet() });
        (0..ejected).for_each(|server| bench.fail(server, 5));
        bench.pass(0.2);
        let served: u32 = bench.serve(3000, None)[..ejected as usize].iter().sum();
        assert_eq!(served > 0, ignored, "{ejected} of 10 ejected got {served} of 3000");
    }
}

#[test]
fn one_server_may_be_held_back_if_another_is_left() {
    for (servers, ejected, ignored) in
        [(1, 1, true), (2, 1, false), (2, 2, true), (3, 1, false), (3, 2, true)]
    {
        let mut bench = Bench::new(servers, Settings { eject_off: 1.0, ..quiet() });
        (0..ejected).for_each(|server| bench.fail(server, 5));
        bench.pass(0.2);
        let served: u32 = bench.serve(300, None)[..ejected as usize].iter().sum();
        assert_eq!(served > 0, ignored, "{ejected} of {servers} ejected got {served} of 300");
    }
}

#[test]
fn one_of_two_that_fails_is_ejected() {
    let mut bench = Bench::new(2, quiet());
    // In between its rate of errors is looked at, which is half of the pool's.
    for _ in 0..2 {
        bench.fail(0, 4);
        bench.pass(0.2);
    }
    assert_eq!(bench.pool.status(bench.now)[0].state, "ejected");
    bench.pass(0.2);
    assert_eq!(bench.serve(100, None), [0, 100]);
    // Where both fail, the cause is elsewhere.
    let mut bench = Bench::new(2, quiet());
    for server in [0, 1, 0, 1] {
        bench.fail(server, 4);
        bench.pass(0.2);
    }
    assert_ne!(bench.pool.status(bench.now)[1].state, "ejected");
}

#[test]
fn down_servers_get_nothing_while_any_is_up() {
    let mut bench = Bench::new(3, quiet());
    (0..2).for_each(|server| bench.pool.health(ServerId(server), false, bench.now));
    assert_eq!(bench.serve(100, None), [0, 0, 100]);
    bench.pool.health(ServerId(2), false, bench.now);
    assert!(bench.serve(300, Some(Why::Desperate)).iter().all(|&served| served > 0));
    bench.pool.health(ServerId(1), true, bench.now);
    assert_eq!(bench.serve(100, None), [0, 100, 0]);
}

#[test]
fn one_probe_brings_an_ejected_server_back() {
    let mut bench = Bench::new(10, quiet());
    bench.fail(3, 5);
    bench.pass(4.4);
    assert_eq!(bench.serve(500, None)[3], 0, "still ejected");
    bench.pass(1.2);
    let mut probes = Vec::new();
    for _ in 0..500 {
        let pick = bench.pool.pick(&[], bench.now).unwrap();
        if pick.server() == ServerId(3) {
            probes.push(pick);
        } else {
            bench.pool.done(pick, &success(10), bench.now);
        }
    }
    assert_eq!(probes.len(), 1, "one request decides");
    let probe = probes.remove(0);
    assert_eq!(probe.why(), Why::Probed);
    bench.pool.done(probe, &success(10), bench.now);
    assert_ne!(bench.pool.status(bench.now)[3].state, "ejected");
    bench.pass(60.0);
    assert!(bench.serve(5000, None)[3] > 100, "its errors are forgotten");
}

#[test]
fn an_abandoned_probe_is_followed_by_another() {
    let mut bench = Bench::new(10, quiet());
    bench.fail(3, 5);
    bench.pass(5.6);
    let probe = std::iter::from_fn(|| bench.pool.pick(&[], bench.now)).find(|pick| pick.why() == Why::Probed);
    bench.pool.finished(probe.unwrap(), bench.now);
    bench.pass(0.2);
    assert_eq!(bench.serve(500, Some(Why::Probed))[3], 1);
}

#[test]
fn a_new_server_takes_one_request_until_it_has_shown_that_it_works() {
    let mut bench = Bench::new(9, quiet());
    bench.set(&[1.0; 10]);
    let mut first = Vec::new();
    for _ in 0..500 {
        let pick = bench.pool.pick(&[], bench.now).unwrap();
        if pick.server() == ServerId(9) {
            first.push(pick);
        } else {
            bench.pool.done(pick, &success(10), bench.now);
        }
    }
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].why(), Why::Proved);
    assert_eq!(bench.pool.status(bench.now)[9].state, "probation");
    bench.pool.done(first.remove(0), &success(10), bench.now);
    assert!(bench.serve(1000, Some(Why::Better))[9] > 0);
}

#[test]
fn failures_do_not_make_a_server_look_fast() {
    let mut bench = Bench::new(2, Settings { eject_after: 0, ..quiet() });
    bench.fail(0, 30);
    let status = &bench.pool.status(bench.now)[0];
    assert_eq!(status.latency_seconds, Some(0.010));
    assert_eq!(status.factors[1].value, 1.0, "{status:?}");
}

#[test]
fn only_servers_that_were_silent_are_explored_and_they_get_their_share() {
    let settings = Settings { explore: 0.1, choices: 2, ..quiet() };
    let mut bench = Bench::new(10, settings);
    assert_eq!(bench.serve(5000, Some(Why::Explored)).iter().sum::<u32>(), 0, "all were heard of just now");
    let mut explored = 0;
    for _ in 0..5000 {
        bench.pass(2.0);
        explored += bench.serve(1, Some(Why::Explored)).iter().sum::<u32>();
    }
    assert!((400..=600).contains(&explored), "{explored} of 5000 at a share of 0.1");
}

#[test]
fn retries_are_neither_probes_nor_explorers_and_go_elsewhere() {
    let mut bench = Bench::new(10, Settings { explore: 1.0, ..Settings::default() });
    bench.fail(3, 5);
    bench.pass(6.0);
    for _ in 0..500 {
        let pick = bench.pool.pick(&[ServerId(1), ServerId(2)], bench.now).unwrap();
        assert!(![1, 2, 3].contains(&pick.server().0), "{pick:?}");
        assert!(matches!(pick.why(), Why::Better | Why::Only), "{pick:?}");
        bench.pool.done(pick, &success(10), bench.now);
    }
}

#[test]
fn the_redraws_are_as_many_as_set() {
    for (redraws, expected) in [(0, Why::Only), (60, Why::Better)] {
        let mut bench = Bench::new(3, Settings { redraws, choices: 2, ..quiet() });
        bench.set(&[1e6, 1.0, 1e6]);
        bench.pool.health(ServerId(2), false, bench.now);
        // The second is drawn one time in a million, and never as other than the first.
        let pick = bench.pool.pick(&[ServerId(0)], bench.now).unwrap();
        assert_eq!((pick.server(), pick.why()), (ServerId(1), Why::Only), "found without being drawn");
        bench.pool.finished(pick, bench.now);
        bench.set(&[1.0, 1.0, 1.0]);
        let served = bench.serve(200, Some(expected)).iter().sum::<u32>();
        assert!(served > 60, "{redraws} redraws: {served} of 200 picks for {expected:?}");
    }
}

#[test]
fn young_servers_are_drawn_less_and_a_fleet_of_young_ones_is_not_starved() {
    let mut bench = Bench::new(4, Settings { explore: 0.0, ..Settings::default() });
    let shares: Vec<f64> = bench.pool.status(bench.now).iter().map(|status| status.share).collect();
    assert_eq!(shares, [0.25; 4], "all are young");
    bench.pass(90.0);
    bench.set(&[1.0; 5]);
    for (after, share, words) in [
        (0.0, 0.1 / 4.1, "0 s of 90"),
        (45.0, 4.0 / 9.0 / (4.0 + 4.0 / 9.0), "45 s of 90"),
        (45.0, 0.2, "warm"),
    ] {
        bench.pass(after);
        let status = &bench.pool.status(bench.now)[4];
        assert!((status.share - share).abs() < 1e-9, "{words}: {status:?}");
        assert!(status.factors[3].reason.contains(words), "{words}: {status:?}");
    }
    let report = Report { age: Some(Duration::from_secs(30)), ..Report::default() };
    let pick = bench.sent_to(4);
    bench.pool.done(pick, &Outcome { report: Some(&report), ..success(10) }, bench.now);
    assert!(bench.pool.status(bench.now)[4].factors[3].reason.contains("30 s of 90"), "its own word counts");
}

#[test]
fn what_is_known_of_servers_that_stay_is_kept_and_of_others_forgotten() {
    let mut bench = Bench::new(3, quiet());
    let pick = bench.sent_to(2);
    bench.fail(1, 5);
    bench.set(&[1.0, 1.0]);
    assert_eq!(bench.pool.status(bench.now)[1].state, "ejected");
    assert_eq!(bench.pool.status(bench.now)[2].state, "removed", "its request is under way");
    bench.pass(1.0);
    bench.set(&[1.0, 1.0, 1.0]);
    let status = &bench.pool.status(bench.now)[2];
    assert_eq!((status.state.as_str(), status.in_flight), ("probation", 1), "back, as a new one: {status:?}");
    bench.pool.finished(pick, bench.now);
    assert_eq!(bench.pool.status(bench.now)[2].in_flight, 0);
}

#[test]
fn a_long_body_stays_in_flight_but_is_not_waited_for() {
    let mut bench = Bench::new(2, quiet());
    let mut pick = bench.sent_to(0);
    bench.pool.answered(&mut pick, &success(10), bench.now);
    bench.pass(1.0);
    let status = &bench.pool.status(bench.now)[0];
    assert_eq!((status.in_flight, status.factors[1].value), (1, 1.0));
    bench.pool.finished(pick, bench.now);
    assert_eq!(bench.pool.status(bench.now)[0].in_flight, 0);
}
