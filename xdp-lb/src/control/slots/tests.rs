use crate::control::rng::mix;

use super::*;

const SIZE: u32 = 65_537;

/// One step of the grid that weights move on.
const STEP: f64 = 1.122_462;

type Table = Vec<Option<BackendId>>;

fn address(index: usize) -> IpAddr {
    IpAddr::from([10, 0, (index / 250) as u8, (index % 250) as u8 + 1])
}

fn candidates(weights: &[f64]) -> Vec<Candidate> {
    let one = |(index, &weight): (usize, &f64)| Candidate {
        id: BackendId::new(index as u16 + 1).unwrap(),
        address: address(index),
        weight,
    };
    weights.iter().enumerate().map(one).collect()
}

fn configured(weights: &[f64]) -> Vec<(IpAddr, f64)> {
    candidates(weights).iter().map(|candidate| (candidate.address, candidate.weight)).collect()
}

/// The table of a race configured with `reference`, at `weights`.
fn table(reference: &[f64], weights: &[f64], size: u32) -> Table {
    Race::new(&configured(reference), size).fill(&candidates(weights))
}

fn held(table: &Table, backends: usize) -> Vec<u32> {
    let mut held = vec![0; backends];
    for id in table.iter().flatten() {
        held[id.index() as usize - 1] += 1;
    }
    held
}

fn with(weights: &[f64], index: usize, weight: f64) -> Vec<f64> {
    let mut weights = weights.to_vec();
    weights[index] = weight;
    weights
}

/// Weights that have drifted up to `steps` steps either way.
fn drifted(backends: usize, steps: i32) -> Vec<f64> {
    let away = |index: u64| (mix(index ^ 0xd1f7) % (2 * steps as u64 + 1)) as i32 - steps;
    (0..backends as u64).map(|index| 100.0 * STEP.powi(away(index))).collect()
}

fn moved(before: &Table, after: &Table) -> f64 {
    before.iter().zip(after).filter(|(before, after)| before != after).count() as f64
}

/// Slots that move, on average, where tables have no history: all but the Jaccard index of the two distributions (Moulton
/// and Jiang). With one weight changed these are the slots that those whose share grows gain.
fn least(before: &[f64], after: &[f64]) -> f64 {
    let padded = |weights: &[f64], index: usize| weights.get(index).copied().unwrap_or(0.0);
    let pairs: Vec<(f64, f64)> = (0..before.len().max(after.len()))
        .map(|index| (padded(before, index), padded(after, index)))
        .collect();
    let stays = |&(x, y): &(f64, f64)| {
        1.0 / pairs.iter().map(|(other_x, other_y)| (other_x / x).max(other_y / y)).sum::<f64>()
    };
    let stay: f64 = pairs.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0).map(stays).sum();
    f64::from(SIZE) * (1.0 - stay)
}

#[test]
fn every_slot_is_taken_and_nobody_has_too_many() {
    let equal = vec![100.0; 256];
    let crowd = vec![1.0; 300];
    let rows: &[(&str, &[f64])] = &[
        ("one", &[1.0]),
        ("two", &[1.0, 1.0]),
        ("three equal", &[1.0; 3]),
        ("three", &[1.0, 2.0, 5.0]),
        ("256", &equal),
        ("more than slots", &crowd),
        ("extremes", &[65535.0, 1.0, 0.0, 300.0]),
        ("tiny ones", &[0.05, 1.7, 0.3, 1e-12]),
        ("outside what a float of 32 bits holds", &[1e300, 1e-300, 1.0]),
        ("not numbers", &[1.0, f64::NAN, f64::INFINITY, -1.0]),
    ];
    for ((what, weights), size) in rows.iter().flat_map(|row| [251, 1009, SIZE].map(|size| (row, size))) {
        let table = table(weights, weights, size);
        assert!(table.iter().all(Option::is_some), "{what}, {size} slots: every slot is taken");
        let sum: f64 = weights.iter().filter(|weight| counts(**weight)).sum();
        for (index, (&weight, held)) in weights.iter().zip(held(&table, weights.len())).enumerate() {
            let share = if counts(weight) { f64::from(size) * weight / sum } else { 0.0 };
            let most = (share * FILL).floor().max(share.ceil()).max(if counts(weight) { 1.0 } else { 0.0 });
            assert!(
                f64::from(held) <= most,
                "{what}, {size} slots: {index} has {held}, its share is {share}"
            );
            let owed = counts(weight) && weights.len() <= size as usize;
            assert!(held > 0 || !owed, "{what}, {size} slots: {index} has a weight and no slot");
        }
    }
}

#[test]
fn configured_weights_are_met_to_within_a_twentieth() {
    let mixed: Vec<f64> = (0..64).map(|index| [50.0, 100.0, 200.0][index % 3]).collect();
    for weights in [vec![100.0; 16], vec![100.0; 64], vec![100.0; 256], mixed] {
        let sum: f64 = weights.iter().sum();
        let held = held(&table(&weights, &weights, SIZE), weights.len());
        for (weight, held) in weights.iter().zip(held) {
            let ratio = f64::from(held) * sum / (f64::from(SIZE) * weight);
            assert!((0.95..=1.03).contains(&ratio), "{} backends: {held} slots, {ratio:.3}", weights.len());
        }
    }
}

/// Without paces and fill, chance alone is in the way: four standard deviations of it.
#[test]
fn slots_are_won_in_proportion_to_speed() {
    let speeds = [1.0, 2.0, 5.0, 0.1, 20.0];
    let walkers = walkers(&speeds);
    let sum: f64 = speeds.iter().sum();
    for (speed, held) in speeds.iter().zip(run(&walkers, SIZE).held) {
        let share = f64::from(SIZE) * speed / sum;
        assert!((f64::from(held) - share).abs() <= 4.0 * share.sqrt(), "{held} slots of {share}");
    }
}

fn walkers(speeds: &[f64]) -> Vec<Walker> {
    let one =
        |(index, &speed): (usize, &f64)| Walker { walk: Walk::new(address(index), SIZE), speed, most: SIZE };
    speeds.iter().enumerate().map(one).collect()
}

#[test]
fn who_gains_speed_takes_slots_and_moves_no_others() {
    for backends in [2, 16, 256] {
        let speeds = drifted(backends, 4);
        let before = run(&walkers(&speeds), SIZE).owners;
        for (index, factor) in [(0, 1.01), (1, STEP), (backends - 1, 4.0), (0, 1.0 / STEP)] {
            let after = run(&walkers(&with(&speeds, index, speeds[index] * factor)), SIZE).owners;
            let strangers = before.iter().zip(&after).filter(|(before, after)| {
                before != after && usize::from(**(if factor > 1.0 { after } else { before })) != index
            });
            assert_eq!(strangers.count(), 0, "{backends} backends, number {index} times {factor}");
        }
    }
}

/// Bounds are what `cargo xtask bench --tables` measures, and a tenth for chance: with 256 backends some 30 slots move at
/// a change of one.
#[test]
fn few_slots_move_beyond_the_unavoidable() {
    type Change = fn(&[f64], usize) -> Vec<f64>;
    let up: Change = |weights, index| with(weights, index, weights[index] * 1.1);
    let down: Change = |weights, index| with(weights, index, weights[index] * 0.9);
    let step: Change = |weights, index| with(weights, index, weights[index] * STEP);
    let gone: Change = |weights, index| with(weights, index, 0.0);
    let drift: Change = |weights, seed| {
        let away = |index: u64| (mix(index ^ mix(seed as u64)) % 3) as i32 - 1;
        weights.iter().zip(0..).map(|(weight, index)| weight * STEP.powi(away(index))).collect()
    };
    // Steps drifted before; the change; the most moved over the least with 16, 64 and 256 backends.
    let rows = [
        ("a tenth more", 0, up, [1.1, 1.1, 1.2]),
        ("a tenth less", 0, down, [1.1, 1.1, 1.2]),
        ("one goes down", 0, gone, [1.1, 1.1, 1.1]),
        ("drifted, one step up", 1, step, [1.1, 1.1, 1.35]),
        ("drifted far, one goes down", 4, gone, [1.1, 1.15, 1.3]),
        ("all drift on", 1, drift, [1.1, 1.1, 1.15]),
    ];
    for (column, backends) in [16, 64, 256].into_iter().enumerate() {
        let race = Race::new(&configured(&vec![100.0; backends]), SIZE);
        for (what, steps, change, most) in &rows {
            let weights = drifted(backends, *steps);
            let before = race.fill(&candidates(&weights));
            let (mut slots, mut unavoidable) = (0.0, 0.0);
            for index in (0..backends).step_by(backends / 8) {
                let changed = change(&weights, index);
                slots += moved(&before, &race.fill(&candidates(&changed)));
                unavoidable += least(&weights, &changed);
            }
            let ratio = slots / unavoidable;
            println!("{backends} backends, {what}: {ratio:.2}");
            assert!(ratio <= most[column], "{backends} backends, {what}: {slots} slots of {unavoidable:.0}");
        }
    }
}

#[test]
fn a_configured_or_removed_backend_moves_little_more_than_its_slots() {
    for (backends, most) in [(16, 1.1), (64, 1.2), (256, 1.7)] {
        let (less, more) = (vec![100.0; backends], vec![100.0; backends + 1]);
        let moved = moved(&table(&less, &less, SIZE), &table(&more, &more, SIZE));
        let ratio = moved / least(&less, &more);
        assert!(ratio <= most, "{backends} backends and one more: {moved} slots, {ratio:.2} of the least");
    }
}

#[test]
fn without_weight_the_table_is_empty() {
    for weights in [&[][..], &[0.0, 0.0], &[f64::NAN]] {
        assert!(table(&[1.0, 1.0], weights, 251).iter().all(Option::is_none));
    }
}

#[test]
fn neither_order_nor_history_matters() {
    let weights = drifted(40, 4);
    let reference = configured(&vec![100.0; 40]);
    let mut all = candidates(&weights);
    let expected = Race::new(&reference, SIZE).fill(&all);
    for seed in 1..5 {
        all.sort_by_key(|candidate| mix(seed ^ u64::from(candidate.id.index())));
        let mut shuffled = reference.clone();
        shuffled.sort_by_key(|(address, _)| mix(seed + walk::key(*address).0));
        let race = Race::new(&shuffled, SIZE);
        race.fill(&candidates(&drifted(37, 2)));
        assert_eq!(race.fill(&all), expected, "order {seed}");
        assert!(race.is_of(&reference, SIZE));
    }
}

#[test]
fn a_race_is_of_its_configuration_alone() {
    let race = Race::new(&configured(&[1.0, 2.0]), 251);
    let rows: [(&[f64], u32, bool); 5] = [
        (&[1.0, 2.0], 251, true),
        (&[1.0, 2.0], 1009, false),
        (&[2.0, 1.0], 251, false),
        (&[1.0], 251, false),
        (&[1.0, 2.0, 0.0], 251, false),
    ];
    for (weights, size, same) in rows {
        assert_eq!(race.is_of(&configured(weights), size), same, "{weights:?}, {size} slots");
    }
}

#[test]
fn tables_do_not_depend_on_the_build() {
    let digest = |table: Table| {
        table.iter().fold(0u64, |digest, id| mix(digest ^ u64::from(id.map_or(0, BackendId::index))))
    };
    // No powers and logarithms: their last bits differ between machines.
    let (equal, uneven) =
        (vec![100.0; 256], (0..256).map(|index| (60 + mix(index) % 100) as f64).collect::<Vec<f64>>());
    let rows = [
        ("few", table(&[1.0, 2.0, 5.0], &[1.0, 2.0, 5.0], 251), 0xe047_10c9_15f2_07c8),
        ("paced", table(&equal, &equal, SIZE), 0xec01_51f5_5e05_d20d),
        ("moved", table(&equal, &uneven, SIZE), 0x9924_b226_c47f_791f),
    ];
    for (what, table, expected) in rows {
        let digest = digest(table);
        assert!(digest == expected, "{what}, {digest:#x}: balancers of different versions must agree");
    }
}
