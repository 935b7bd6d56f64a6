//! However servers behave: slots move within the budgets of a publish and of a minute.

use proptest::prelude::*;

use super::live::{large, live, report};
use super::*;

const SERVERS: u8 = 8;

/// What happens in a second.
#[derive(Clone, Debug)]
enum Second {
    /// This server is from now on as busy as that, and takes so many requests.
    Load(u8, f64, f64),
    /// It falls silent, or reports again.
    Silent(u8, bool),
    /// It asks for this part of its weight.
    Asks(u8, f64),
    /// Its clients get no answer, or do again.
    Unanswered(u8, bool),
    Nothing(u8),
}

fn seconds() -> impl Strategy<Value = Second> {
    let server = 1..=SERVERS;
    prop_oneof![
        4 => (server.clone(), 0.0..1.0f64, 0.0..5000.0f64).prop_map(|(s, u, r)| Second::Load(s, u, r)),
        1 => (server.clone(), any::<bool>()).prop_map(|(s, on)| Second::Silent(s, on)),
        1 => (server.clone(), 0.01..9.0f64).prop_map(|(s, w)| Second::Asks(s, w)),
        1 => (server, any::<bool>()).prop_map(|(s, on)| Second::Unanswered(s, on)),
        4 => (1u8..60).prop_map(Second::Nothing),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn slots_move_within_their_budgets(
        history in prop::collection::vec(seconds(), 1..40),
        size in prop::sample::select(vec![251, 1009, 4099]),
    ) {
        let mut config = large(vec![live(unchecked(), SERVERS)]);
        config.agent.table_size = TableSize::new(size).expect("a prime");
        let weights = &mut config.vips[0].weights;
        weights.publish_interval = Duration::from_secs(5);
        weights.publish_limit = Ratio::thousandths(20);
        weights.minute_limit = Ratio::thousandths(100);
        let (mut control, _) = Control::new(config, None, None, 1, at(0));
        let (mut loads, mut silent, mut asks) = ([(0.5, 100.0); 9], [false; 9], [None; 9]);
        let (mut unanswered, mut flows) = ([false; 9], 0u64);
        let mut counts = [0u64; 9];
        let mut published: Vec<(u64, u32)> = Vec::new();
        let mut now = 0;
        for happening in history {
            let mut wait = 1;
            match happening {
                Second::Load(server, utilization, rate) => loads[usize::from(server)] = (utilization, rate),
                Second::Silent(server, on) => silent[usize::from(server)] = on,
                Second::Asks(server, weight) => asks[usize::from(server)] = Some(weight),
                Second::Unanswered(server, on) => unanswered[usize::from(server)] = on,
                Second::Nothing(seconds) => wait = u64::from(seconds),
            }
            for _ in 0..wait {
                now += 1;
                flows += 10;
                for server in (1..=SERVERS).filter(|server| !silent[usize::from(*server)]) {
                    let (utilization, rate) = loads[usize::from(server)];
                    let mut event = report(server, utilization, rate);
                    if let Event::Reported { report: Ok(report), .. } = &mut event {
                        report.weight = asks[usize::from(server)];
                    }
                    prop_assert_eq!(control.handle(event, at(now)), []);
                }
                let mut backends = vec![Traffic::default(); 9];
                for (server, traffic) in backends.iter_mut().enumerate().skip(1) {
                    counts[server] += if unanswered[server] { 10 } else { 80 };
                    *traffic = Traffic { packets: counts[server], new_flows: flows, ..Traffic::default() };
                }
                let before: Vec<_> = currents(&control, size);
                control.handle(Event::Counted(Counters { backends, ..Counters::default() }), at(now));
                let after = currents(&control, size);
                let moved = before.iter().zip(&after).filter(|(a, b)| a != b).count() as u32;
                if moved > 0 {
                    published.push((now, moved));
                }
            }
        }
        let share = |part: u32| (size * part / 100).max(1);
        for (index, (now, moved)) in published.iter().enumerate() {
            prop_assert!(*moved <= share(2), "{moved} at {now} of {size}: {published:?}");
            prop_assert!(index == 0 || now - published[index - 1].0 >= 5, "{published:?}");
            let minute: u32 = published[..=index].iter().filter(|(at, _)| now - at < 60).map(|(_, n)| n).sum();
            prop_assert!(minute <= share(10), "{minute} in the minute before {now}: {published:?}");
        }
        for backend in status(&control).backends {
            prop_assert!((1.0..=400.0).contains(&backend.effective_weight), "{backend:?}");
        }
    }
}

/// Where new connections go, slot by slot.
fn currents(control: &Control, size: u32) -> Vec<Option<BackendId>> {
    (0..size).map(|slot| control.vips[&VIP].table.slot(slot).current()).collect()
}
