//! What is valid, and perhaps not meant.

use std::time::Duration;

use super::live::{Percent, UtilizationKind};
use super::model::{Config, HealthKind, Vip};
use super::rules::shown;
use super::utilization::AGENT_CHECK_PORT;

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
            let perhaps =
                [slow_to_notice(vip), judged_alone(vip), unended_question(vip), idle_as_weight(vip)];
            notes.extend(perhaps.into_iter().flatten().map(|text| note(&text)));
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

/// A share of failures means little where it is one of one.
fn judged_alone(vip: &Vip) -> Option<String> {
    let (interval, window) = (vip.health.interval, vip.weights.failure_window);
    (vip.health.kind != HealthKind::None && interval > window).then(|| {
        format!(
            "each check is judged alone, as health.interval = {} is longer than weights.failure_window = {}: one failure \
             lowers a weight by more than half, raise weights.failure_window to several intervals",
            shown(interval),
            shown(window)
        )
    })
}

/// Nothing is added to what is sent, as with HAProxy's `agent-send`, and agents commonly read a line.
fn unended_question(vip: &Vip) -> Option<String> {
    let UtilizationKind::AgentCheck { send, .. } = &vip.utilization.kind else { return None };
    (!send.is_empty() && !send.ends_with('\n')).then(|| {
        let told = "utilization.send does not end with \"\\n\": an agent that waits for the end of the line never answers";
        told.to_owned()
    })
}

/// Taken for a weight, what is idle makes shares swing: who has many connections asks for fewer, and is idle then.
fn idle_as_weight(vip: &Vip) -> Option<String> {
    let UtilizationKind::AgentCheck { port: AGENT_CHECK_PORT, percent: Percent::Weight, .. } =
        vip.utilization.kind
    else {
        return None;
    };
    let told = "utilization.port = 9707 is that of `xdp-lb report`, which says how much of a server is idle, and here \
                it is taken for a share of the weight: set utilization.percent = \"idle\" unless another agent answers there";
    Some(told.to_owned())
}

fn rounded(duration: Duration) -> String {
    shown(Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
}

fn takers(vip: &Vip) -> usize {
    vip.backends.iter().filter(|backend| backend.weight.get() > 0 && !backend.drain).count()
}
