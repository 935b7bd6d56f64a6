//! Requests over ten servers in virtual time: one is slow, one fails fast.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;

const SERVERS: usize = 10;
const SLOW: usize = 3;
const FAILING: usize = 6;

/// Requests that each server got, by second.
type Counts = Vec<[u32; SERVERS]>;

/// A request each half millisecond, so many seconds long.
fn run(pools: &Pools, seconds: u64, fails: impl Fn(usize, u64) -> bool) -> Counts {
    let pool = pools.get(0);
    let mut counts = vec![[0; SERVERS]; seconds as usize];
    let mut under_way = BinaryHeap::new();
    let mut picks = Vec::new();
    for tick in 0..seconds * 2000 {
        let now = tick * 500;
        while under_way.peek().is_some_and(|Reverse((end, _))| *end <= now) {
            let Some(Reverse((end, pick))) = under_way.pop() else { break };
            let (mut picked, sent, verdict): (Picked, u64, Verdict) = Option::take(&mut picks[pick]).unwrap();
            let latency = Duration::from_micros(end - sent);
            let outcome = Outcome { latency, verdict, report: None, in_flight: None };
            picked.answered(&outcome, start() + Duration::from_micros(end));
        }
        let picked = pool.pick(&[], start() + Duration::from_micros(now)).unwrap();
        let server = picked.server().id.0 as usize;
        counts[(now / 1_000_000) as usize][server] += 1;
        let (takes, verdict) = match server {
            _ if fails(server, now / 1_000_000) => (1_000, Verdict::Failure),
            SLOW => (50_000, Verdict::Success),
            // Not all alike.
            _ => (9_000 + tick % 7 * 300, Verdict::Success),
        };
        under_way.push(Reverse((now + takes, picks.len())));
        picks.push(Some((picked, now, verdict)));
    }
    counts
}

fn ten(seed: u64) -> Pools {
    let servers: Vec<_> = (0..SERVERS as u8).map(server).collect();
    Pools::build_seeded(&[fixtures::pool("web", &servers)], None, &mut || seed, start()).unwrap()
}

fn share(counts: &[[u32; SERVERS]], server: usize) -> f64 {
    let all: u32 = counts.iter().flatten().sum();
    f64::from(counts.iter().map(|second| second[server]).sum::<u32>()) / f64::from(all)
}

#[test]
fn a_slow_server_loses_its_share_and_a_failing_one_is_ejected() {
    for seed in 0..5 {
        let pools = ten(seed);
        let counts = run(&pools, 10, |server, second| server == FAILING && second >= 2);
        let (before, after) = (&counts[1..2], &counts[3..]);
        assert!((0.05..0.2).contains(&share(before, FAILING)), "seed {seed}: {counts:?}");
        for counts in [before, after] {
            assert!(share(counts, SLOW) < 0.04, "seed {seed}: {counts:?}");
            assert!(share(counts, SLOW) > 0.0, "seed {seed}: it is not starved: {counts:?}");
        }
        assert!(share(after, FAILING) < 0.001, "seed {seed}: {counts:?}");
        let now = start() + Duration::from_secs(10);
        let failing = row(pools.get(0), "web-6", now);
        assert_eq!(failing.score.state, "ejected", "seed {seed}");
        for fast in (0..SERVERS).filter(|server| ![SLOW, FAILING].contains(server)) {
            assert!((0.08..0.16).contains(&share(after, fast)), "seed {seed}, {fast}: {counts:?}");
        }
    }
}

#[test]
fn a_server_that_works_again_comes_back() {
    let pools = ten(1);
    let counts = run(&pools, 30, |server, second| server == FAILING && (2..4).contains(&second));
    assert!(share(&counts[4..6], FAILING) < 0.001, "{counts:?}");
    assert!(share(&counts[25..], FAILING) > 0.05, "{counts:?}");
}

#[test]
fn equal_seeds_spread_alike() {
    let counts = |seed| run(&ten(seed), 2, |_, _| false);
    assert_eq!(counts(1), counts(1));
    assert_ne!(counts(1), counts(2));
}
