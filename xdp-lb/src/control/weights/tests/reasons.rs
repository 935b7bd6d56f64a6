//! Reasons in words.

use super::*;

#[test]
fn factors_say_why() {
    let words = |fleet: &[Evidence], second| {
        let factors = assess_all(fleet, second)[0];
        [factors.health_why.words(), factors.utilization_why.words(), factors.age_why.words()]
    };
    let plain = || reporting(0.5, 100.0, 60);
    let joined = Evidence::new(false, at(20));
    let unknown = "there from the beginning: taken as warm";
    let capacity = "utilization 0.50, capacity 1.00 × what its weight says";
    // Description, the fleet, second, words.
    let rows = [
        ("nothing known", vec![founding()], 60, ["no failures", "no report yet", unknown]),
        (
            "most are silent",
            vec![plain(), plain()],
            90,
            ["no failures", "no report for 30 s: fading", "warm"],
        ),
        ("all alike", vec![plain(), plain()], 60, ["no failures", capacity, unknown]),
        (
            "nearly full",
            vec![reporting(0.91, 182.0, 60), plain(), plain()],
            60,
            ["no failures", "utilization 0.91: brake 0.61, capacity 1.00 × what its weight says", unknown],
        ),
        (
            "stale",
            vec![reporting(0.5, 50.0, 48), plain(), plain()],
            60,
            ["no failures", "no report for 12 s: fading", unknown],
        ),
        (
            "failing",
            vec![failing(3.0, 5.0), founding(), founding()],
            60,
            ["derated: 3 of 5 checks failed", "no report yet", unknown],
        ),
        ("young", vec![joined, founding()], 65, ["no failures", "no report yet", "warming up: 45 s of 90"]),
    ];
    for (what, fleet, second, expected) in rows {
        assert_eq!(words(&fleet, second), expected, "{what}");
    }
}
