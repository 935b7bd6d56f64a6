//! Weights that move: what is published, when, and how many slots that moves.

use super::*;
use crate::config::{Percent, UtilizationKind, Warmup};

/// Nineteen servers that do not age and one beside them, in a table large enough for small shares.
const SIZE: u32 = 4099;

pub(super) fn reporting() -> UtilizationKind {
    UtilizationKind::AgentCheck { port: 9707, send: String::new(), percent: Percent::Idle }
}

/// A VIP whose servers report, checked or not.
pub(super) fn live(health: crate::config::Health, count: u8) -> Vip {
    let mut vip = vip(health, (1..=count).map(|last| backend(last, 100)).collect());
    vip.utilization.kind = reporting();
    vip
}

pub(super) fn large(vips: Vec<Vip>) -> Config {
    let mut config = config(vips);
    config.agent.max_backends = 64;
    config.agent.table_size = TableSize::new(SIZE).expect("a prime");
    config
}

pub(super) fn report(last: u8, utilization: f64, rate: f64) -> Event {
    let report = Report { utilization: Some(utilization), rate: Some(rate), ..Report::default() };
    Event::Reported { backend: id(last.into()), address: address(last), report: Ok(report) }
}

pub(super) fn second(control: &mut Control, second: u64) -> Vec<Command> {
    control.handle(Event::Counted(Counters::default()), at(second))
}

/// All servers report, the first being busier than the others.
fn reports(control: &mut Control, count: u8, first: f64, at_second: u64) {
    let events = (1..=count).map(|last| report(last, if last == 1 { first } else { 0.5 }, 100.0));
    control.handle_all(events.collect::<Vec<_>>(), at(at_second));
}

fn effective(control: &Control, index: usize) -> f64 {
    status(control).backends[index].effective_weight
}

#[test]
fn a_slow_server_gets_less_in_small_steps() {
    let mut careful = live(unchecked(), 20);
    careful.weights.publish_interval = Duration::from_secs(5);
    careful.weights.publish_limit = Ratio::thousandths(20);
    let (mut control, _) = Control::new(large(vec![careful]), None, None, 1, at(0));
    let mut published = Vec::new();
    for now in 1..=120 {
        reports(&mut control, 20, 0.8, now);
        let moved = slots(&second(&mut control, now)).iter().filter(|(_, slot)| slot.is_moved()).count();
        if moved > 0 {
            published.push((now, moved));
        }
    }
    assert!(!published.is_empty());
    for pair in published.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= 5, "{published:?}");
    }
    let most = SIZE as usize / 50;
    assert!(published.iter().all(|(_, moved)| *moved <= most), "{published:?}, at most {most}");
    // 100 a second at 0.8 beside 100 at 0.5: five eighths, on a grid of sixths of a double.
    let expected = 100.0 * (2f64).powf(-4.0 / 6.0);
    assert!((effective(&control, 0) - expected).abs() < 0.1, "{}", effective(&control, 0));
    let factors = status_at(&control, 120).backends.remove(0).factors;
    assert_eq!(factors[1].reason, "utilization 0.80, capacity 0.62 × what its weight says");
    let names: Vec<&str> = factors.iter().map(|factor| factor.name.as_str()).collect();
    assert_eq!(names, ["health", "utilization", "probation", "age"]);
}

fn status_at(control: &Control, second: u64) -> VipStatus {
    control.status(at(second)).vips.remove(0)
}

#[test]
fn a_returning_server_warms_up() {
    let mut warming = vip(health(), (1..=20).map(|last| backend(last, 100)).collect());
    warming.warmup = Warmup::DEFAULT;
    let (mut control, _) = Control::new(large(vec![warming]), None, None, 1, at(0));
    run_checks(&mut control, None, at(0), 200);
    let full = status(&control).backends[1].share;
    assert!((full - 0.05).abs() < 0.001, "a fleet that is there from the beginning is not held back: {full}");
    run_checks(&mut control, Some(2), at(200), 210);
    let back = run_checks(&mut control, None, at(210), 220);
    assert!(names(&back).contains(&"up".into()));
    assert!((effective(&control, 1) - 9.92).abs() < 0.01, "{}", effective(&control, 1));
    let mut weights = Vec::new();
    for now in 221..=320 {
        run_checks(&mut control, None, at(now - 1), now);
        second(&mut control, now);
        weights.push(effective(&control, 1));
        if now == 255 {
            let age = &status_at(&control, now).backends[1].factors[3];
            assert!(
                age.reason.starts_with("warming up: ") && age.reason.ends_with(" s of 90"),
                "{}",
                age.reason
            );
        }
    }
    assert!(weights.is_sorted(), "{weights:?}");
    assert!(weights[30] > 25.0 && weights[30] < 50.0, "{weights:?}");
    assert_eq!(weights.last(), Some(&100.0));
}

#[test]
fn who_comes_unchecked_is_on_probation_until_clients_go_on() {
    let (mut control, _) = start_with(vec![backend(1, 100), backend(2, 100)]);
    reload(&mut control, vec![backend(1, 100), backend(2, 100), backend(3, 100)], 10);
    let state = &status(&control).backends[2];
    assert_eq!(
        (state.effective_weight, state.factors[2].reason.as_str()),
        (1.0, "on probation: no success seen yet")
    );
    let counted = |control: &mut Control, packets, new_flows, now| {
        let mut backends = vec![Traffic::default(); 4];
        backends[3] = Traffic { packets, new_flows, ..Traffic::default() };
        control.handle(Event::Counted(Counters { backends, ..Counters::default() }), at(now))
    };
    for now in 11..20 {
        counted(&mut control, now, now, now);
    }
    assert_eq!(status(&control).backends[2].effective_weight, 1.0, "SYNs alone show nothing");
    counted(&mut control, 100, 20, 20);
    assert_eq!(status(&control).backends[2].factors[2].reason, "proven");
    for now in 21..400 {
        counted(&mut control, 100, 20, now);
    }
    assert_eq!(status(&control).backends[2].effective_weight, 100.0);
}

#[test]
fn a_server_that_answers_nobody_is_derated_by_its_traffic() {
    let (mut control, _) = Control::new(
        large(vec![vip(unchecked(), (1..=4).map(|last| backend(last, 100)).collect())]),
        None,
        None,
        1,
        at(0),
    );
    for now in 1..=60 {
        let mut backends = vec![Traffic { packets: 80 * now, new_flows: 10 * now, ..Traffic::default() }; 5];
        backends[2].packets = 10 * now;
        control.handle(Event::Counted(Counters { backends, ..Counters::default() }), at(now));
    }
    let factors: Vec<f64> = status_at(&control, 60).backends.iter().map(|b| b.factors[0].value).collect();
    assert_eq!(factors, [1.0, 0.05, 1.0, 1.0]);
    assert!(status_at(&control, 60).backends[1].factors[0].reason.starts_with("derated: "));
    assert!(effective(&control, 1) < 100.0);
}

#[test]
fn what_the_operator_changes_does_not_wait() {
    let (mut control, _) = Control::new(large(vec![live(unchecked(), 4)]), None, None, 1, at(0));
    for now in 1..=60 {
        reports(&mut control, 4, 0.75, now);
        second(&mut control, now);
    }
    let before = effective(&control, 0);
    let mut other = live(unchecked(), 4);
    other.backends[0].weight = Weight::from(1000);
    let commands = control.handle(Event::Configured(Box::new(large(vec![other]))), at(60));
    assert!(slots(&commands).len() > SIZE as usize / 4, "far more than a publish may move");
    assert!((effective(&control, 0) - 10.0 * before).abs() < 1e-6, "what was published holds");
}

/// A tick with nothing to publish is cheap: far below what a second allows, also unoptimised.
#[test]
fn a_quiet_tick_of_a_thousand_backends_orders_nothing() {
    let many = (0..1000u16).map(|index| {
        let octets = index.to_be_bytes();
        Backend {
            address: IpAddr::from([10, 1, octets[0], octets[1]]),
            name: format!("b{index}"),
            ..backend(1, 100)
        }
    });
    let mut config = large(vec![vip(unchecked(), many.collect())]);
    config.agent.max_backends = 2000;
    let (mut control, _) = Control::new(config, None, None, 1, at(0));
    for now in 1..20 {
        assert_eq!(second(&mut control, now), []);
    }
}

#[test]
fn a_server_that_was_away_from_the_beginning_warms_up_when_it_comes() {
    let mut warming = vip(health(), (1..=4).map(|last| backend(last, 100)).collect());
    warming.warmup = Warmup::DEFAULT;
    let (mut control, _) = Control::new(large(vec![warming]), None, None, 1, at(0));
    run_checks(&mut control, Some(2), at(0), 200);
    assert_eq!(effective(&control, 0), 100.0);
    run_checks(&mut control, None, at(200), 210);
    assert!((effective(&control, 1) - 9.92).abs() < 0.01, "{}", effective(&control, 1));
}

/// A table takes milliseconds to make: where all VIPs want one at once, checks and downs do not wait for all.
#[test]
fn vips_take_turns_where_all_have_weights_to_publish() {
    const VIPS: u8 = 48;
    let vips = (1..=VIPS).map(|last| {
        let mut vip = live(unchecked(), 3);
        vip.name = format!("vip-{last}");
        vip.address = IpAddr::from([203, 0, 113, last]);
        vip
    });
    let mut config = config(vips.collect());
    (config.agent.max_vips, config.agent.max_backends) = (64, 256);
    let (mut control, _) = Control::new(config, None, None, 1, at(0));
    let mut published = std::collections::BTreeMap::new();
    for now in 1..=30 {
        let reports = (1..=u16::from(VIPS) * 3).map(|index| {
            let last = ((index - 1) % 3 + 1) as u8;
            let report = Report { weight: Some(if last == 1 { 0.5 } else { 1.0 }), ..Report::default() };
            Event::Reported { backend: id(index), address: address(last), report: Ok(report) }
        });
        control.handle_all(reports.collect::<Vec<_>>(), at(now));
        let commands = second(&mut control, now);
        let written: Vec<VipId> = commands
            .iter()
            .filter_map(|command| match command {
                Command::WriteSlots { vip, changes } if changes.iter().any(|(_, slot)| slot.is_moved()) => {
                    Some(*vip)
                }
                _ => None,
            })
            .collect();
        assert!(written.len() <= 32, "{} tables in second {now}", written.len());
        for vip in written {
            published.entry(vip).or_insert(now);
        }
    }
    assert_eq!(published.len(), usize::from(VIPS));
    assert!(published.values().all(|second| *second <= 12), "{published:?}");
    assert!(control.status(at(30)).vips.iter().all(|vip| vip.backends[0].effective_weight == 50.0));
}
