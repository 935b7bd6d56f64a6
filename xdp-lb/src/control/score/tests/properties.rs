//! What holds under any history.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Set(Vec<(u32, u8)>),
    Health(u32, bool),
    Pick(Vec<u32>),
    Answer(usize, u8, Option<u32>),
    Finish(usize),
    Pass(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0..8u32;
    prop_oneof![
        1 => prop::collection::vec((id.clone(), 0..3u8), 0..8).prop_map(Step::Set),
        1 => (id.clone(), any::<bool>()).prop_map(|(id, up)| Step::Health(id, up)),
        6 => prop::collection::vec(id, 0..4).prop_map(Step::Pick),
        6 => (0..64usize, 0..3u8, prop::option::of(0..50u32)).prop_map(|(at, v, q)| Step::Answer(at, v, q)),
        5 => (0..64usize).prop_map(Step::Finish),
        2 => (0..20_000u32).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// A pick is a server that is known, has a weight and was not tried; there is one whenever there is such a server,
    /// and one that is up before one that is down. What is in flight is what was picked and not given back.
    #[test]
    fn picks_are_right_and_what_is_in_flight_adds_up(seed: u64, steps in prop::collection::vec(step(), 1..200)) {
        let mut bench = Bench::new(0, Settings::default());
        bench.pool = Pool::new(Settings::default(), seed);
        let mut flying: Vec<Pick> = Vec::new();
        for step in steps {
            let now = bench.now;
            match step {
                Step::Set(servers) => {
                    let servers: Vec<_> =
                        servers.into_iter().map(|(id, weight)| (ServerId(id), f64::from(weight))).collect();
                    bench.pool.set_servers(&servers, now);
                }
                Step::Health(id, up) => bench.pool.health(ServerId(id), up, now),
                Step::Pick(tried) => {
                    let tried: Vec<_> = tried.into_iter().map(ServerId).collect();
                    let able: Vec<_> = bench
                        .pool
                        .status(now)
                        .into_iter()
                        .filter(|status| status.weight > 0.0 && status.state != "removed")
                        .filter(|status| !tried.contains(&ServerId(status.server)))
                        .collect();
                    let any_up = able.iter().any(|status| status.state != "down");
                    match bench.pool.pick(&tried, now) {
                        Some(pick) => {
                            let picked = able.iter().find(|status| ServerId(status.server) == pick.server());
                            prop_assert!(picked.is_some(), "{pick:?} of {able:?}");
                            prop_assert!(!any_up || picked.is_some_and(|status| status.state != "down"));
                            flying.push(pick);
                        }
                        None => prop_assert!(able.is_empty(), "none of {able:?}"),
                    }
                }
                Step::Answer(at, verdict, in_flight) if !flying.is_empty() => {
                    let at = at % flying.len();
                    let verdict = [Verdict::Success, Verdict::Failure, Verdict::Abandoned][usize::from(verdict)];
                    let outcome = Outcome { verdict, in_flight, ..success(at as u64) };
                    bench.pool.answered(&mut flying[at], &outcome, now);
                }
                Step::Finish(at) if !flying.is_empty() => {
                    let pick = flying.swap_remove(at % flying.len());
                    bench.pool.finished(pick, now);
                }
                Step::Answer(..) | Step::Finish(_) => {}
                Step::Pass(milliseconds) => bench.pass(f64::from(milliseconds) / 1e3),
            }
            let status = bench.pool.status(bench.now);
            for status in &status {
                let expected = flying.iter().filter(|pick| pick.server() == ServerId(status.server)).count();
                prop_assert_eq!(status.in_flight as usize, expected, "{:?}", status);
                prop_assert!(status.score.is_finite(), "{:?}", status);
            }
            let shown: u32 = status.iter().map(|status| status.in_flight).sum();
            prop_assert_eq!(shown as usize, flying.len());
        }
    }

    #[test]
    fn equal_seeds_and_histories_pick_the_same(seed: u64) {
        let picks = || {
            let mut bench = Bench::new(9, Settings::default());
            bench.pool = Pool::new(Settings::default(), seed);
            bench.set(&[1.0; 9]);
            bench.serve(200, None)
        };
        prop_assert_eq!(picks(), picks());
    }
}
