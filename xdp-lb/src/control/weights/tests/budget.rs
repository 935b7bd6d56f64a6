//! What is published, and how many slots that moves.

use std::net::IpAddr;

use super::super::grid::Multiplier;
use super::super::publish::{Entry, Publisher, fit, wish};
use super::*;
use crate::config::Ratio;
use crate::control::slots::{Candidate, Race};
use xdp_lb_common::ids::BackendId;

const SLOTS: u32 = 1009;

fn table(entries: &[Entry], multipliers: &[Multiplier]) -> Vec<Option<BackendId>> {
    let candidate = |(index, (entry, multiplier)): (usize, (&Entry, &Multiplier))| Candidate {
        id: BackendId::new(index as u16 + 1).expect("from 1"),
        address: IpAddr::from([10, 0, 0, index as u8 + 1]),
        weight: entry.configured * multiplier.get(),
    };
    let candidates: Vec<Candidate> = entries.iter().zip(multipliers).enumerate().map(candidate).collect();
    let configured: Vec<(IpAddr, f64)> = candidates
        .iter()
        .zip(entries)
        .map(|(candidate, entry)| (candidate.address, entry.configured))
        .collect();
    Race::new(&configured, SLOTS).fill(&candidates)
}

fn moved(a: &[Option<BackendId>], b: &[Option<BackendId>]) -> u32 {
    a.iter().zip(b).filter(|(a, b)| a != b).count() as u32
}

/// Of servers with equal configured weights.
fn shares(multipliers: &[Multiplier]) -> Vec<f64> {
    let sum: f64 = multipliers.iter().map(|multiplier| multiplier.get()).sum();
    multipliers.iter().map(|multiplier| multiplier.get() / sum).collect()
}

fn entries(wishes: &[(f64, f64)]) -> Vec<Entry> {
    let entry = |&(published, goal): &(f64, f64)| {
        let published = Multiplier::on_grid(published, 6);
        let goal = Multiplier::on_grid(goal, 6);
        let error = published.steps_to(goal.get(), 6);
        Entry { configured: 100.0, published, wish: (goal != published).then_some((goal, error)) }
    };
    wishes.iter().map(entry).collect()
}

#[test]
fn as_much_is_published_as_may_move() {
    let still = (1.0, 1.0);
    // Description, published and wanted, slots that may move, which are published in full.
    let rows = [
        ("one in full", vec![(1.0, 0.5), still, still, still], 200, vec![true]),
        ("a part of one", vec![(1.0, 0.25), still, still, still], 20, vec![false]),
        (
            "the largest first",
            vec![(1.0, 0.9), (1.0, 0.25), (1.0, 2.0), still],
            200,
            vec![false, true, false],
        ),
        ("all of it moves nothing", vec![(1.0, 0.5); 4], 1, vec![true; 4]),
    ];
    for (what, wishes, allowed, in_full) in rows {
        let entries = entries(&wishes);
        let before: Vec<Multiplier> = entries.iter().map(|entry| entry.published).collect();
        let old = shares(&before);
        let (multipliers, slots, ()) = fit(&entries, allowed, SLOTS, |multipliers| {
            let changed: f64 = old.iter().zip(shares(multipliers)).map(|(a, b)| (a - b).abs()).sum();
            ((changed / 2.0 * f64::from(SLOTS)) as u32, ())
        })
        .unwrap_or_else(|| panic!("{what}: nothing is published"));
        assert!(slots <= allowed, "{what}: {slots} of {allowed}");
        for (index, expected) in in_full.into_iter().enumerate() {
            let goal = entries[index].wish.map(|(goal, _)| goal);
            assert_eq!(goal == Some(multipliers[index]), expected, "{what}: {index}");
            assert!(expected || multipliers[index] != goal.unwrap_or(Multiplier::ONE), "{what}: {index}");
        }
    }
}

#[test]
fn a_weight_is_published_once_it_has_been_off_for_two_ticks() {
    // Description, published, worth at each tick, which tick publishes.
    let rows = [
        ("not off", 1.0, vec![1.0; 5], None),
        ("half a step", 1.0, vec![1.06; 5], None),
        ("a step", 1.0, vec![1.122; 5], Some(1)),
        ("three quarters", 1.0, vec![1.0, 1.095, 1.095], Some(2)),
        ("for one tick at a time", 1.0, vec![1.2, 1.0, 1.2, 1.0], None),
        ("on its way, near the end", 1.06, vec![1.06; 3], Some(1)),
    ];
    for (what, published, worths, expected) in rows {
        let mut evidence = Evidence { published: Some(Multiplier::nearest(published)), ..founding() };
        let published =
            worths.iter().position(|worth| wish(&mut evidence, *worth, &Weights::DEFAULT).is_some());
        assert_eq!(published, expected, "{what}");
    }
}

#[test]
fn budgets_are_those_of_a_publish_and_of_a_minute() {
    let mut publisher = Publisher::default();
    publisher.quiet_until(Some(at(10)));
    let weights = &Weights {
        publish_interval: Duration::from_secs(5),
        publish_limit: Ratio::thousandths(20),
        minute_limit: Ratio::thousandths(100),
        ..Weights::DEFAULT
    };
    // Second, how many of 1000 slots may move, how many then do.
    let rows = [
        (9, None, 0),
        (10, Some(20), 20),
        (14, None, 0),
        (15, Some(20), 20),
        (20, Some(20), 20),
        (25, Some(20), 15),
        (30, Some(20), 20),
        (35, Some(5), 5),
        (40, None, 0),
        (69, None, 0),
        (70, Some(20), 20),
        (75, Some(20), 0),
    ];
    for (second, allowed, moves) in rows {
        assert_eq!(publisher.allowance(weights, 1000, at(second)), allowed, "at {second}");
        if moves > 0 {
            publisher.publish(moves, moves, at(second));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is wanted: no publish moves more than may move, unless no step is small enough, and all comes to be as
    /// wanted in the end.
    #[test]
    fn publishing_keeps_within_what_may_move(
        wishes in prop::collection::vec((0.01..4.0f64, 0.01..4.0f64), 2..12),
        allowed in 40u32..200,
    ) {
        let mut entries = entries(&wishes);
        let goals: Vec<Multiplier> = entries.iter().map(|e| e.wish.map_or(e.published, |(goal, _)| goal)).collect();
        for _ in 0..400 {
            let before: Vec<Multiplier> = entries.iter().map(|entry| entry.published).collect();
            let old = table(&entries, &before);
            let fitted = fit(&entries, allowed, SLOTS, |multipliers| {
                (moved(&old, &table(&entries, multipliers)), ())
            });
            let Some((multipliers, slots, ())) = fitted else { break };
            prop_assert!(slots <= allowed || slots <= SLOTS / 10, "{slots} of {allowed}");
            for ((entry, multiplier), goal) in entries.iter_mut().zip(multipliers).zip(&goals) {
                entry.published = multiplier;
                let error = multiplier.steps_to(goal.get(), 6);
                entry.wish = (*goal != multiplier).then_some((*goal, error));
            }
        }
        let reached: Vec<Multiplier> = entries.iter().map(|entry| entry.published).collect();
        prop_assert_eq!(reached, goals);
    }
}
