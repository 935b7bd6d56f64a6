//! What a choice costs: `cargo run --release -p xdp-lb --example pick_cost`.

use std::time::{Duration, Instant};

use xdp_lb::control::score::{Outcome, Pool, ServerId, Settings, Verdict};

/// Requests picked, and then answered, in one go: as many per server as are usual.
const PER_SERVER: usize = 2;
const REQUESTS: usize = 2_000_000;

#[expect(clippy::disallowed_methods, reason = "measures time")]
fn main() {
    for choices in [2, 5] {
        for servers in [20, 1000] {
            let mut now = Instant::now();
            let mut pool = Pool::new(Settings { choices, ..Settings::default() }, 1);
            pool.set_servers(
                &(0..servers).map(|id| (ServerId(id), f64::from(1 + id % 3))).collect::<Vec<_>>(),
                now,
            );
            let (mut picking, mut answering) = (Duration::ZERO, Duration::ZERO);
            let batch = servers as usize * PER_SERVER;
            let mut picks = Vec::with_capacity(batch);
            for round in 0..REQUESTS / batch {
                let began = Instant::now();
                for _ in 0..batch {
                    now += Duration::from_micros(50);
                    picks.extend(pool.pick(&[], now));
                }
                let picked = Instant::now();
                for (number, pick) in picks.drain(..).enumerate() {
                    now += Duration::from_micros(50);
                    let spread = (round + number) as u64;
                    let outcome = Outcome {
                        latency: Duration::from_micros(5000 + spread * 7919 % 10_000),
                        verdict: if spread.is_multiple_of(101) { Verdict::Failure } else { Verdict::Success },
                        report: None,
                        in_flight: Some((spread % 8) as u32),
                    };
                    pool.done(pick, &outcome, now);
                }
                picking += picked - began;
                answering += picked.elapsed();
            }
            let each = |time: Duration| time.as_nanos() / REQUESTS as u128;
            println!(
                "best of {choices} of {servers} servers: pick {} ns, done {} ns",
                each(picking),
                each(answering)
            );
        }
    }
}
