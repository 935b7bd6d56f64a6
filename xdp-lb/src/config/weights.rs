//! `[vip.weights]`: read and checked.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::cross::conflict;
use super::live::Weights;
use super::rules::{decimal, duration, integer, ratio, shown};
use super::section::{Schema, Section};
use super::vip::VIP;

pub(super) const WEIGHTS: Schema = Schema {
    header: "[vip.weights]",
    keys: &[
        "failure_window",
        "failure_fade",
        "failure_floor",
        "publish_interval",
        "publish_limit",
        "minute_limit",
        "steps_per_doubling",
        "hysteresis",
        "derated_most",
        "panic_below",
        "quiet",
    ],
    refused: &[("weight", "a backend's weight is a key of its own table, [[vip.backend]]: set it there")],
    outer: Some(&VIP),
};

/// How a VIP's weights are moved; `None` when that is wrong.
pub(super) fn weights(vip: &Section<'_>) -> Option<Weights> {
    let section = vip.table("weights", &WEIGHTS);
    let default = Weights::DEFAULT;
    let failure_window = section.or("failure_window", duration(FAILURE_WINDOW), default.failure_window);
    let failure_fade = section.or(
        "failure_fade",
        duration(FAILURE_FADE),
        default.failure_fade.max(failure_window.value.unwrap_or_default()),
    );
    if failure_fade.value < failure_window.value {
        let mend = "failures would be forgotten that still count; raise failure_fade or lower failure_window";
        let window = ("failure_window", &failure_window);
        conflict(section.source(), &failure_fade, "shorter than", window, shown, mend);
    }
    let publish_limit = section.or("publish_limit", ratio(1..=1000), default.publish_limit);
    let minute_limit = section.or("minute_limit", ratio(1..=1000), default.minute_limit);
    if minute_limit.value < publish_limit.value {
        let mend = "a minute has at least one publishing; raise minute_limit or lower publish_limit";
        let limit = ("publish_limit", &publish_limit);
        conflict(section.source(), &minute_limit, "less than", limit, decimal, mend);
    }
    let failure_floor = section.or("failure_floor", ratio(10..=1000), default.failure_floor);
    let publish_interval =
        section.or("publish_interval", duration(PUBLISH_INTERVAL), default.publish_interval);
    let steps_per_doubling =
        section.or("steps_per_doubling", integer(1..=64, ""), default.steps_per_doubling);
    let hysteresis = section.or("hysteresis", ratio(500..=4000), default.hysteresis);
    let derated_most = section.or("derated_most", ratio(0..=1000), default.derated_most);
    let panic_below = section.or("panic_below", ratio(0..=1000), default.panic_below);
    let quiet = section.or("quiet", duration(QUIET), default.quiet);
    Some(Weights {
        failure_window: failure_window.value?,
        failure_fade: failure_fade.value?,
        failure_floor: failure_floor.value?,
        publish_interval: publish_interval.value?,
        publish_limit: publish_limit.value?,
        minute_limit: minute_limit.value?,
        steps_per_doubling: steps_per_doubling.value?,
        hysteresis: hysteresis.value?,
        derated_most: derated_most.value?,
        panic_below: panic_below.value?,
        quiet: quiet.value?,
    })
}

const FAILURE_WINDOW: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);
const FAILURE_FADE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);
const PUBLISH_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);
const QUIET: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(600);
