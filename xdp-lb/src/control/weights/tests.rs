//! The factors together: what whole fleets come to.

mod budget;
mod loops;
mod reasons;

use std::time::Duration;

use proptest::prelude::*;

use super::super::fixtures::at;
use super::health::{Sample, Source};
use super::*;
use crate::control::Report;

const RULES: Rules<'static> =
    Rules { utilization: &Utilization::DEFAULT, warmup: &Warmup::DEFAULT, weights: &Weights::DEFAULT };

fn founding() -> Evidence {
    Evidence::new(true, at(0))
}

fn takes(evidence: &Evidence) -> Member<'_> {
    Member { configured: 100.0, part: Part::Takes, evidence }
}

fn assess_all(fleet: &[Evidence], second: u64) -> Vec<Factors> {
    let members: Vec<Member<'_>> = fleet.iter().map(takes).collect();
    assess(&members, RULES, at(second))
}

fn report(utilization: f64, rate: f64) -> Report {
    Report { utilization: Some(utilization), rate: Some(rate), ..Report::default() }
}

/// Reports the same every second up to `until`, from 0 on.
fn reporting(utilization: f64, rate: f64, until: u64) -> Evidence {
    let mut evidence = founding();
    for second in 0..=until {
        evidence.capacity.report(&report(utilization, rate), None, &Utilization::DEFAULT, at(second));
    }
    evidence
}

/// So many of `count` checks failed in second 60.
fn failing(failures: f64, count: f64) -> Evidence {
    let mut evidence = founding();
    let sample = Sample { at: at(60), source: Source::Check, failures, count };
    evidence.outcomes.add(sample, Duration::from_secs(10));
    evidence
}

#[test]
fn utilization_is_compared_braked_and_fades() {
    let plain = || reporting(0.5, 100.0, 60);
    let asks = |weight| {
        let mut evidence = founding();
        let report = Report { weight: Some(weight), ..Report::default() };
        evidence.capacity.report(&report, None, &Utilization::DEFAULT, at(60));
        evidence
    };
    let with_errors = || {
        let mut evidence = founding();
        for second in 0..=60 {
            let report = Report { errors: Some(50.0), ..report(0.5, 100.0) };
            evidence.capacity.report(&report, None, &Utilization::DEFAULT, at(second));
        }
        evidence
    };
    // Description, the fleet, second, U of each.
    let rows = [
        ("nobody reports", vec![founding(); 3], 60, vec![1.0; 3]),
        ("all alike", vec![plain(); 3], 60, vec![1.0; 3]),
        (
            "one is slow and full",
            vec![reporting(1.0, 50.0, 60), plain(), plain()],
            60,
            vec![0.25 * 0.3, 1.0, 1.0],
        ),
        (
            "one is slower by a fifth",
            vec![reporting(0.5, 80.0, 60), plain(), plain()],
            60,
            vec![0.8, 1.0, 1.0],
        ),
        ("one is far slower", vec![reporting(0.5, 5.0, 60), plain(), plain()], 60, vec![0.25, 1.0, 1.0]),
        ("one is far faster", vec![reporting(0.5, 5000.0, 60), plain(), plain()], 60, vec![4.0, 1.0, 1.0]),
        ("one is nearly full", vec![reporting(0.9, 180.0, 60), plain(), plain()], 60, vec![0.65, 1.0, 1.0]),
        ("all are nearly full", vec![reporting(0.95, 190.0, 60); 3], 60, vec![1.0; 3]),
        ("half of the answers are errors", vec![with_errors(), plain(), plain()], 60, vec![0.5, 1.0, 1.0]),
        (
            "idle ones say nothing of their capacity",
            vec![reporting(0.001, 100.0, 60), plain(), plain()],
            60,
            vec![1.0; 3],
        ),
        ("nor do those without requests", vec![reporting(0.5, 0.1, 60), plain(), plain()], 60, vec![1.0; 3]),
        (
            "one does not report",
            vec![founding(), plain(), reporting(0.5, 50.0, 60)],
            60,
            vec![1.0, 4.0 / 3.0, 2.0 / 3.0],
        ),
        ("one asks for half", vec![asks(0.5), plain(), plain()], 60, vec![0.5, 1.0, 1.0]),
        (
            "a report that is due does not fade",
            vec![reporting(0.5, 80.0, 50), plain(), plain()],
            60,
            vec![0.8, 1.0, 1.0],
        ),
        (
            "half faded",
            vec![reporting(0.5, 64.0, 60), reporting(0.5, 100.0, 160), reporting(0.5, 100.0, 160)],
            160,
            vec![0.8, 1.0, 1.0],
        ),
        (
            "faded",
            vec![reporting(0.5, 64.0, 60), reporting(0.5, 100.0, 260), reporting(0.5, 100.0, 260)],
            260,
            vec![1.0; 3],
        ),
        (
            "how full it is, is not known of a silent one",
            vec![reporting(0.95, 190.0, 45), plain(), plain()],
            60,
            vec![1.0; 3],
        ),
        (
            "most are silent: nobody is braked, and capacities are still known",
            vec![reporting(0.5, 64.0, 50), reporting(0.5, 64.0, 50), reporting(0.9, 180.0, 61)],
            61,
            vec![1.0, 1.0, 200.0 / 128.0],
        ),
        (
            "measured for one second only: three fifths",
            vec![reporting(0.5, 100.0, 1), reporting(0.5, 100.0, 1), reporting(0.5, 32.0, 1)],
            1,
            vec![1.0, 1.0, 0.32f64.powf(0.6)],
        ),
    ];
    for (what, fleet, second, expected) in rows {
        for (factors, expected) in assess_all(&fleet, second).iter().zip(expected) {
            let got = factors.utilization;
            assert!((got - expected).abs() < 0.01, "{what}: {got}, expected {expected}");
        }
    }
}

#[test]
fn what_speaks_against_too_many_is_not_believed() {
    let ok = founding;
    // Description, the fleet, H of each.
    let rows = [
        ("one of four", vec![failing(3.0, 5.0), ok(), ok(), ok()], vec![0.384, 1.0, 1.0, 1.0]),
        (
            "two of four: the better one is released",
            vec![failing(3.0, 5.0), failing(5.0, 5.0), ok(), ok()],
            vec![1.0, 0.05, 1.0, 1.0],
        ),
        (
            "three of four: panic",
            vec![failing(3.0, 5.0), failing(5.0, 5.0), failing(5.0, 5.0), ok()],
            vec![1.0; 4],
        ),
    ];
    for (what, fleet, expected) in rows {
        for (factors, expected) in assess_all(&fleet, 60).iter().zip(expected) {
            let got = factors.health;
            assert!((got - expected).abs() < 0.005, "{what}: {got}, expected {expected}");
        }
    }
}

#[test]
fn a_panic_ignores_reports_too_and_keeps_who_is_down() {
    let (slow, failing, ok) = (reporting(0.5, 50.0, 60), failing(5.0, 5.0), reporting(0.5, 100.0, 60));
    let down = Member { part: Part::Down, ..takes(&ok) };
    let members = [takes(&slow), takes(&failing), takes(&ok), takes(&failing), down];
    let factors = assess(&members, RULES, at(60));
    assert_eq!(factors.iter().map(|f| (f.health, f.utilization)).collect::<Vec<_>>()[..4], [(1.0, 1.0); 4]);
    assert_eq!((factors[4].health, factors[4].health_why), (0.0, health::Why::Down));
    let half_down = assess(&[takes(&slow), takes(&ok), down], RULES, at(60));
    assert_eq!((half_down[2].health, half_down[2].health_why), (0.0, health::Why::Down));
    assert!(half_down[0].utilization < 0.7);
}

/// Any number, also those that are none.
fn number() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        Just(None),
        (0.0..1.0f64).prop_map(Some),
        (0.0..1e12f64).prop_map(Some),
        any::<f64>().prop_map(Some),
        prop::sample::select(vec![f64::NAN, f64::INFINITY, -1.0, 0.0, f64::MIN_POSITIVE]).prop_map(Some),
    ]
}

fn any_report() -> impl Strategy<Value = Report> {
    (number(), number(), number(), number(), prop::option::of(any::<u64>())).prop_map(
        |(utilization, rate, errors, weight, age)| Report {
            utilization,
            rate,
            errors,
            weight,
            age: age.map(Duration::from_secs),
            ..Report::default()
        },
    )
}

proptest! {
    /// Whatever a server says, and the others say.
    #[test]
    fn nobody_gets_more_than_four_times_its_weight(
        reports in prop::collection::vec((0usize..5, 0u64..120, any_report()), 0..60),
    ) {
        let mut fleet = vec![founding(); 5];
        let mut reports = reports;
        reports.sort_by_key(|(_, second, _)| *second);
        for (index, second, report) in reports {
            fleet[index].capacity.report(&report, Some(3.0), &Utilization::DEFAULT, at(second));
            if let Some(age) = report.age {
                fleet[index].age.report(age, at(second));
            }
            for factors in assess_all(&fleet, second) {
                let product = factors.product();
                prop_assert!((LEAST..=MOST).contains(&product), "{product} of {factors:?}");
            }
        }
    }
}

/// Some servers report their requests, of the others connections are counted.
#[test]
fn requests_are_not_compared_with_connections() {
    let mut fleet = vec![founding(); 4];
    for second in 0..=60 {
        for (index, evidence) in fleet.iter_mut().enumerate() {
            let rate = (index < 2).then_some(1000.0);
            let report = Report { utilization: Some(0.5), rate, ..Report::default() };
            evidence.capacity.report(&report, Some(100.0), &Utilization::DEFAULT, at(second));
        }
    }
    let factors: Vec<f64> = assess_all(&fleet, 60).iter().map(|factors| factors.utilization).collect();
    assert_eq!(factors, [1.0; 4]);
    // One that leaves its rate out now and then is judged by those that it does not leave out.
    for second in 61..=120 {
        for (index, evidence) in fleet.iter_mut().enumerate() {
            let rate = (index < 3 && (index > 0 || second % 2 == 0)).then_some(1000.0);
            let report = Report { utilization: Some(0.5), rate, ..Report::default() };
            evidence.capacity.report(&report, Some(100.0), &Utilization::DEFAULT, at(second));
        }
    }
    let factors: Vec<f64> = assess_all(&fleet, 120).iter().map(|factors| factors.utilization).collect();
    assert_eq!(factors, [1.0; 4]);
}
