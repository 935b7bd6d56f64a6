//! The simulator itself: repeatable, and right where queueing theory knows the answer.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use xdp_lb_tests::sim::policy::{ROWS, Row};
use xdp_lb_tests::sim::{MILLISECOND, SCENARIOS, Scenario, Service, Settings, run};

/// Requests that take so much longer that there are few of them, and a part of the time.
fn small(milliseconds: u64, length: f64) -> Settings {
    let service = Service::LogNormal { mean: (milliseconds * MILLISECOND) as f64, sigma: 1.0 };
    Settings { service, length, ..Settings::default() }
}

#[test]
fn equal_seeds_give_equal_runs() {
    let scenario = Scenario::named("antagonist").unwrap();
    let settings = small(200, 0.3);
    for row in &ROWS {
        let once = run(&settings, scenario, row, 7).unwrap();
        assert_eq!(once, run(&settings, scenario, row, 7).unwrap(), "{}", row.name);
        assert_ne!(once, run(&settings, scenario, row, 8).unwrap(), "{}", row.name);
    }
}

#[test]
fn all_policies_meet_the_same_requests() {
    for scenario in &SCENARIOS {
        let settings = small(200, 0.1);
        let requests = |row: &Row| run(&settings, scenario, row, 3).unwrap().requests();
        let first = requests(&ROWS[0]);
        assert!(first > 0, "{}", scenario.name);
        for row in &ROWS {
            assert_eq!(requests(row), first, "{} in {}", row.name, scenario.name);
        }
    }
}

/// Share of the requests that have to wait in M/M/c at `load` a worker (A. K. Erlang, 1917).
fn erlang_c(workers: u32, load: f64) -> f64 {
    let offered = load * f64::from(workers);
    // Erlang B by its recursion, and C from it.
    let blocked = (1..=workers).fold(1.0, |b, c| offered * b / (f64::from(c) + offered * b));
    blocked / (1.0 - load * (1.0 - blocked))
}

/// One server with four workers and room for all: the waits of M/M/4, whose distribution is known.
#[test]
fn waits_are_those_of_queueing_theory() {
    let mean = 10.0 * MILLISECOND as f64;
    for load in [0.5, 0.7, 0.8] {
        let settings = Settings {
            servers: 1,
            workers: 4,
            queue: 100_000,
            balancers: 1,
            load,
            service: Service::Exponential { mean },
            delay: 0,
            length: 4.0,
            ..Settings::default()
        };
        let row = Row::named("round-robin").unwrap();
        let measured = run(&settings, Scenario::named("homogeneous").unwrap(), row, 1).unwrap();
        // P(T > t) = e^-μt (1 + C (1 - e^-(c - a - 1)μt) / (c - a - 1)), where a = load × c.
        let (c, spare) = (erlang_c(4, load), 4.0 - 4.0 * load - 1.0);
        let beyond = |t: f64| (-t).exp() * (1.0 + c * (1.0 - (-spare * t).exp()) / spare);
        for share in [0.5, 0.9, 0.99] {
            let latency = measured.latencies.quantile_ms(share) / 10.0;
            let got = 1.0 - beyond(latency);
            assert!((got - share).abs() < 0.2 * (1.0 - share), "load {load}: {share} came out as {got}");
        }
    }
}

#[test]
fn what_the_scenarios_are_known_for_comes_out() {
    let run = |scenario: &str, policy: &str| {
        run(&small(50, 0.4), Scenario::named(scenario).unwrap(), Row::named(policy).unwrap(), 1).unwrap()
    };
    let errors = |policy| run("black-hole", policy).error_share();
    let fair = errors("round-robin");
    assert!(errors("least-conn") > 1.3 * fair, "who fails fast attracts who counts requests in flight");
    assert!(errors("p2c-eject") < 0.1 * fair, "ejection ends it");
    assert!((run("homogeneous", "round-robin").largest_share() - 0.05).abs() < 0.001);
    let p99 = |policy| run("half-slow", policy).latencies.quantile_ms(0.99);
    assert!(p99("least-conn") < p99("round-robin") / 2.0, "a fixed share overloads the slow half");
}
