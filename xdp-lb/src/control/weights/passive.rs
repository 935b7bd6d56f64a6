//! What the data path's counters say of whether anybody answers behind a backend's address.
//!
//! Answers go directly from the server to the client, so the balancer sees none, and a single SYN without an answer
//! looks like any other. But a client that is answered goes on: its ACK, its request and its FIN come by, while one that
//! is not sends its SYN again. Many new connections with next to no other packets speak against a server, as long as
//! the VIP's other servers show that this is not what all clients do: a flood of SYNs hits all alike, and says nothing.
//! That a server has far fewer other packets than the rest is not enough: theirs may be those of old connections, of
//! which one that has just joined has none.

use super::super::curves::median;

/// What came by of one backend within [`WINDOW`](super::super::meter::WINDOW).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::control) struct Seen {
    pub(in crate::control) packets: u64,
    pub(in crate::control) new_flows: u64,
    /// New connections since the last count.
    pub(in crate::control) just_now: u64,
}

/// Fewer new connections prove nothing.
const LEAST_FLOWS: u64 = 20;

/// Further packets for each new connection: at the median so many for the measure to be sound, and fewer at a suspect.
const SOUND: f64 = 1.0;

/// The part of the median below which a backend is suspect.
const SUSPECT: f64 = 0.25;

/// Most outcomes that one count stands for: beside so many, checks still have a say.
const MOST_OUTCOMES: f64 = 10.0;

impl Seen {
    /// Further packets for each new connection.
    fn answered(&self) -> Option<f64> {
        let more = self.packets.saturating_sub(self.new_flows);
        (self.new_flows >= LEAST_FLOWS).then(|| more as f64 / self.new_flows as f64)
    }

    /// Whether clients go on after their SYN.
    pub(in crate::control) fn shows_success(&self) -> bool {
        self.new_flows > 0 && self.packets >= 2 * self.new_flows
    }
}

/// For each member of a VIP how many of how many connections failed just now; `None` where nothing is known.
pub(in crate::control) fn failures(seen: &[Seen]) -> Vec<Option<(f64, f64)>> {
    let mut answered: Vec<f64> = seen.iter().filter_map(Seen::answered).collect();
    let Some(median) = median(&mut answered).filter(|median| *median >= SOUND) else {
        return vec![None; seen.len()];
    };
    let failing = |seen: &Seen| {
        let answered = seen.answered().filter(|answered| *answered < SOUND)?;
        let part = Some(answered / median).filter(|part| *part < SUSPECT)?;
        let count = (seen.just_now as f64).min(MOST_OUTCOMES);
        (count > 0.0).then_some(((1.0 - part) * count, count))
    };
    seen.iter().map(failing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(new_flows: u64, packets: u64) -> Seen {
        Seen { packets, new_flows, just_now: new_flows / 10 }
    }

    #[test]
    fn a_server_that_answers_nobody_stands_out() {
        let good = seen(100, 700);
        // Description, what came by, failures and outcomes.
        let rows = [
            ("all answer", vec![good; 3], vec![None; 3]),
            ("one does not", vec![seen(100, 100), good, good], vec![Some((10.0, 10.0)), None, None]),
            ("one of two", vec![seen(100, 100), good], vec![Some((10.0, 10.0)), None]),
            ("one answers a few", vec![seen(100, 160), good, good], vec![Some((9.0, 10.0)), None, None]),
            ("one has few connections", vec![seen(19, 19), good, good], vec![None; 3]),
            ("a flood hits all alike", vec![seen(10_000, 10_100); 3], vec![None; 3]),
            ("a flood on top of clients", vec![seen(300, 900); 3], vec![None; 3]),
            ("short connections beside long ones", vec![seen(100, 300), good, good], vec![None; 3]),
            (
                "new beside long connections",
                vec![seen(20, 100), seen(20, 20_000), seen(20, 20_000)],
                vec![None; 3],
            ),
            ("nothing came by", vec![Seen::default(); 2], vec![None; 2]),
            ("alone", vec![seen(100, 100)], vec![None]),
        ];
        for (what, seen, expected) in rows {
            let got = failures(&seen);
            for (got, expected) in got.iter().zip(expected) {
                match (got, expected) {
                    (None, None) => {}
                    (Some((f, n)), Some((failures, count))) => {
                        assert!(
                            (f - failures).abs() < 0.01 && (n - count).abs() < 0.01,
                            "{what}: {f} of {n}"
                        );
                    }
                    (got, expected) => panic!("{what}: {got:?}, expected {expected:?}"),
                }
            }
        }
    }

    #[test]
    fn clients_that_go_on_show_success() {
        for (new_flows, packets, expected) in [(0, 9, false), (1, 1, false), (1, 2, true), (10, 15, false)] {
            assert_eq!(seen(new_flows, packets).shows_success(), expected, "{new_flows} of {packets}");
        }
    }
}
