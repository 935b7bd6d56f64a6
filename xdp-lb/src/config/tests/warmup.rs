//! `[vip.warmup]`: what is wrong and what is said of it.

use super::{In, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("a window past all patience", In::Warmup, r#"window = "2h""#, &[
        r#"lb.toml:9: vip[0] "web": warmup.window = "2h": expected a duration from 0s to 1h"#,
    ]),
    ("a window without unit", In::Warmup, "window = 90", &[
        r#"lb.toml:9: vip[0] "web": warmup.window = 90: expected a duration from 0s to 1h: write the unit too, as "90s""#,
    ]),
    ("a floor of nothing", In::Warmup, "floor = 0", &[
        r#"lb.toml:9: vip[0] "web": warmup.floor = 0: expected a number from 0.01 to 1"#,
    ]),
    ("a floor above the ceiling", In::Warmup, "floor = 1.1", &[
        r#"lb.toml:9: vip[0] "web": warmup.floor = 1.1: expected a number from 0.01 to 1"#,
    ]),
    ("a floor too fine", In::Warmup, "floor = 0.0999", &[
        r#"lb.toml:9: vip[0] "web": warmup.floor = 0.0999: expected a number from 0.01 to 1: three decimals at most, write 0.1"#,
    ]),
    ("no step", In::Warmup, r#"step = "0s""#, &[
        r#"lb.toml:9: vip[0] "web": warmup.step = "0s": expected a duration from 1s to 1h"#,
    ]),
    ("a step past all windows", In::Warmup, r#"step = "61m""#, &[
        r#"lb.toml:9: vip[0] "web": warmup.step = "61m": expected a duration from 1s to 1h"#,
    ]),
    ("a step longer than the window", In::Warmup, r#"step = "1m"
window = "30s""#, &[
        r#"lb.toml:9: vip[0] "web": warmup.step = "1m": is longer than window, which is 30s (line 10): a server would take its whole share before the first step; lower step or raise window"#,
    ]),
    ("a step longer than the default window", In::Warmup, r#"step = "91s""#, &[
        r#"lb.toml:9: vip[0] "web": warmup.step = "91s": is longer than window, which is 1m 30s by default (line 8): a server would take its whole share before the first step; lower step or raise window"#,
    ]),
    ("keys beside no window", In::Warmup, r#"window = "0s"
step = "10s"
floor = 0.1"#, &[
        r#"lb.toml:10: vip[0] "web": warmup.step = "10s": has no effect with window = "0s", which is no warm-up: set a longer window, or remove this"#,
        r#"lb.toml:11: vip[0] "web": warmup.floor = 0.1: has no effect with window = "0s", which is no warm-up: set a longer window, or remove this"#,
    ]),
    ("a word for a table", In::Vip, r#"warmup = "90s""#, &[
        r#"lb.toml:8: vip[0] "web": warmup = "90s": expected a table, written [vip.warmup]"#,
    ]),
    ("a key of the VIP under its warm-up", In::Warmup, r#"drain = "5m""#, &[
        r#"lb.toml:9: vip[0] "web": warmup.drain = "5m": belongs to [[vip]]: move it above [vip.warmup]"#,
    ]),
    ("an unknown key", In::Warmup, r#"curve = "log""#, &[
        r#"lb.toml:9: vip[0] "web": warmup.curve = "log": unknown key: expected window, floor or step"#,
    ]),
];
