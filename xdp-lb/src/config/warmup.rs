//! `[vip.warmup]`: read and checked.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::cross::conflict;
use super::model::Warmup;
use super::rules::{duration, ratio, shown};
use super::section::{Schema, Section};
use super::vip::VIP;

pub(super) const WARMUP: Schema =
    Schema { header: "[vip.warmup]", keys: &["window", "floor", "step"], refused: &[], outer: Some(&VIP) };

/// How a VIP's young servers get their share; `None` when that is wrong.
pub(super) fn warmup(vip: &Section<'_>) -> Option<Warmup> {
    let section = vip.table("warmup", &WARMUP);
    let default = Warmup::DEFAULT;
    let window = section.or("window", duration(WINDOW), default.window);
    let known = window.value.unwrap_or(default.window);
    let floor = section.or("floor", ratio(10..=1000), default.floor);
    let step = section.or("step", duration(STEP), default.step.min(known));
    if known.is_zero() {
        for key in ["floor", "step"] {
            section.useless(
                key,
                "has no effect with window = \"0s\", which is no warm-up: set a longer window, or remove this",
            );
        }
    } else if step.value > window.value {
        let mend = "a server would take its whole share before the first step; lower step or raise window";
        conflict(section.source(), &step, "longer than", ("window", &window), shown, mend);
    }
    Some(Warmup { window: window.value?, floor: floor.value?, step: step.value? })
}

const WINDOW: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3_600);
const STEP: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);
