//! A measure that speaks against too many backends at once is taken for wrong.

use super::Part;
use crate::config::Weights;

/// From which factor on a backend counts as healthy: a failure or two among many is no reason to doubt the measure.
const HEALTHY: f64 = 0.9;

/// What becomes of what was measured of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It holds.
    AsMeasured,
    /// Its failures are not counted.
    Released,
    /// Neither are its failures nor its reports.
    Panic,
}

/// Judges the members of one VIP by their parts and health factors.
pub(super) fn judge(members: &[(Part, f64)], weights: &Weights) -> Vec<Verdict> {
    let taking = members.iter().filter(|(part, _)| *part == Part::Takes).count();
    let down = members.iter().filter(|(part, _)| *part == Part::Down).count();
    let is_derated = |(part, health): &(Part, f64)| *part == Part::Takes && *health < HEALTHY;
    let mut derated: Vec<usize> =
        (0..members.len()).filter(|&index| members.get(index).is_some_and(is_derated)).collect();
    let healthy = taking - derated.len();
    if (healthy as f64) < weights.panic_below.get() * (taking + down) as f64 {
        return vec![Verdict::Panic; members.len()];
    }
    // A third is written as 0.333, and a third of six is two.
    let most = ((taking + down) as f64 * weights.derated_most.get() + 0.1) as usize;
    let mut verdicts = vec![Verdict::AsMeasured; members.len()];
    derated.sort_by(|&a, &b| members[a].1.total_cmp(&members[b].1));
    for &index in derated.iter().skip(most.max(1)) {
        verdicts[index] = Verdict::Released;
    }
    verdicts
}

/// Whether so many backends are hard down that all are tried: more than half.
pub(in crate::control) fn suspends(down: usize, of: usize) -> bool {
    2 * down > of
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_may_be_derated() {
        use Verdict::{AsMeasured, Panic, Released};
        let up = |factor| (Part::Takes, factor);
        let (ok, down) = (up(1.0), (Part::Down, 0.0));
        // Description, members, verdicts.
        let rows = [
            ("none", vec![ok; 3], vec![AsMeasured; 3]),
            ("always one", vec![up(0.1), ok], vec![AsMeasured; 2]),
            ("one of three", vec![up(0.1), ok, ok], vec![AsMeasured; 3]),
            ("two of six", vec![up(0.1), up(0.2), ok, ok, ok, ok], vec![AsMeasured; 6]),
            (
                "three of seven: the least derated is released",
                vec![up(0.2), up(0.5), up(0.1), ok, ok, ok, ok],
                vec![AsMeasured, Released, AsMeasured, AsMeasured, AsMeasured, AsMeasured, AsMeasured],
            ),
            ("more than half", vec![up(0.2), up(0.5), ok], vec![Panic; 3]),
            ("half is enough", vec![up(0.2), ok], vec![AsMeasured; 2]),
            ("those that are down are not healthy", vec![down, down, up(0.1), ok, ok], vec![Panic; 5]),
            ("slightly derated ones are healthy", vec![up(0.95), up(0.95), ok], vec![AsMeasured; 3]),
            ("who takes no part is not counted", vec![(Part::None, 0.1), up(0.1), ok], vec![AsMeasured; 3]),
            ("nobody", vec![], vec![]),
        ];
        for (what, members, expected) in rows {
            assert_eq!(judge(&members, &Weights::DEFAULT), expected, "{what}");
        }
    }

    #[test]
    fn half_may_be_down() {
        for (down, of, expected) in [(0, 0, false), (0, 3, false), (1, 2, false), (2, 3, true), (1, 1, true)]
        {
            assert_eq!(suspends(down, of), expected, "{down} of {of}");
        }
    }
}
