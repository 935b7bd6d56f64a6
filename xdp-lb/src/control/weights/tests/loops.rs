//! Closed loops: servers of a known capacity get what their weights say, and report what that makes of them.

use super::*;

/// What shares come to after ten minutes. A server's utilization is its rate over its capacity, and `own` that is
/// always there.
fn settle(capacities: &[f64], configured: &[f64], total: f64, own: f64) -> Vec<f64> {
    let mut fleet = vec![founding(); capacities.len()];
    let mut shares = vec![1.0 / capacities.len() as f64; capacities.len()];
    for second in 0..600 {
        for ((evidence, capacity), share) in fleet.iter_mut().zip(capacities).zip(&shares) {
            let rate = (total * share).min(*capacity);
            let utilization = (own + rate / capacity).min(1.0);
            evidence.capacity.report(&report(utilization, rate), None, &Utilization::DEFAULT, at(second));
        }
        if second % 5 == 4 {
            let member =
                |(evidence, configured): (_, &f64)| Member { configured: *configured, ..takes(evidence) };
            let members: Vec<Member<'_>> = fleet.iter().zip(configured).map(member).collect();
            let factors = assess(&members, RULES, at(second));
            let weights: Vec<f64> =
                factors.iter().zip(configured).map(|(factors, weight)| factors.product() * weight).collect();
            let sum: f64 = weights.iter().sum();
            shares = weights.iter().map(|weight| weight / sum).collect();
        }
    }
    shares
}

/// Were the configured weight not taken out of the capacity, the second row would end at 1 : 0.16.
#[test]
fn shares_come_to_be_in_proportion_to_capacity_whatever_is_configured() {
    // Description, capacities, configured weights, total rate, utilization that is always there.
    type Row = (&'static str, &'static [f64], &'static [f64], f64, f64);
    let rows: [Row; 6] = [
        ("equal weights", &[1000.0, 400.0], &[100.0, 100.0], 700.0, 0.0),
        ("right weights", &[1000.0, 400.0], &[100.0, 40.0], 700.0, 0.0),
        ("wrong weights", &[1000.0, 400.0], &[100.0, 120.0], 700.0, 0.0),
        ("many", &[1000.0, 1000.0, 1000.0, 400.0, 400.0, 400.0], &[7.0; 6], 2100.0, 0.0),
        ("little to do", &[1000.0, 400.0], &[100.0, 100.0], 140.0, 0.0),
        ("busy with other things as well", &[1000.0, 400.0], &[100.0, 100.0], 700.0, 0.1),
    ];
    for (what, capacities, configured, total, own) in rows {
        let sum: f64 = capacities.iter().sum();
        for (share, capacity) in settle(capacities, configured, total, own).iter().zip(capacities) {
            let expected = capacity / sum;
            assert!((share - expected).abs() < 0.02 * expected, "{what}: {share}, expected {expected}");
        }
    }
}
