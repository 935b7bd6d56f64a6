//! What is valid, and perhaps not meant.

use std::time::Duration;

use super::model::{Config, HealthKind, Vip};
use super::rules::shown;

impl Config {
    /// What somebody should look at once, in words: `check` prints it and `run` logs it.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.vips.is_empty() {
            notes.push("no [[vip]]: nothing is balanced".to_owned());
        }
        for vip in &self.vips {
            let note = |text: &str| format!("vip \"{}\": {text}", vip.name);
            if vip.backends.is_empty() {
                notes.push(note("no [[vip.backend]]: its packets are dropped and counted"));
            } else if takers(vip) == 0 {
                notes.push(note("every backend has weight 0 or drains: it takes no new connections"));
            } else if vip.health.kind == HealthKind::None {
                notes.push(note("backends are not checked: a dead one keeps its share"));
            }
            if let Some(text) = slow_to_notice(vip) {
                notes.push(note(&text));
            }
            let slots = self.agent.table_size.slots() as usize;
            if takers(vip) * SLOTS_PER_BACKEND > slots {
                notes.push(note(&format!(
                    "{} backends share {slots} slots: their shares may be off by more than a hundredth of each, \
                     a larger agent.table_size mends that",
                    takers(vip)
                )));
            }
        }
        let backends: usize = self.vips.iter().map(|vip| vip.backends.len()).sum();
        let room = self.agent.max_backends as usize;
        if backends * 10 > room * 9 {
            notes.push(format!(
                "{backends} backends in room for {room}: a removed backend keeps its place until its connections \
                 have ended, so leave more in agent.max_backends"
            ));
        }
        notes
    }
}

/// From this many on, a slot more or less is within a hundredth of a share.
const SLOTS_PER_BACKEND: usize = 100;

/// A backend that falls silent, as a machine without power does, takes connections until it is known as down.
fn slow_to_notice(vip: &Vip) -> Option<String> {
    let health = &vip.health;
    let slow = health.kind != HealthKind::None && health.silent_time() > health.interval;
    slow.then(|| {
        format!(
            "a backend that falls silent is noticed after up to {}, as fall = {} checks take {} of health.interval = \
             {}: lower health.timeout, health.fast_interval or health.fall to notice sooner",
            rounded(health.longest_unnoticed()),
            health.fall,
            rounded(health.silent_time()),
            shown(health.interval)
        )
    })
}

fn rounded(duration: Duration) -> String {
    shown(Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
}

fn takers(vip: &Vip) -> usize {
    vip.backends.iter().filter(|backend| backend.weight.get() > 0 && !backend.drain).count()
}
