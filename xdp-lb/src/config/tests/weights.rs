//! `[vip.weights]`: what is wrong and what is said of it.

use super::{In, Row, refuse};

#[test]
fn each_wrong_value_has_its_message() {
    refuse(ROWS);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("no failure window", In::Weights, r#"failure_window = "0s""#, &[
        r#"lb.toml:9: vip[0] "web": weights.failure_window = "0s": expected a duration from 1s to 1h"#,
    ]),
    ("a failure window past all memory", In::Weights, r#"failure_window = "61m""#, &[
        r#"lb.toml:9: vip[0] "web": weights.failure_window = "61m": expected a duration from 1s to 1h"#,
    ]),
    ("failures forgotten at once", In::Weights, r#"failure_fade = "0s""#, &[
        r#"lb.toml:9: vip[0] "web": weights.failure_fade = "0s": expected a duration from 1s to 1h"#,
    ]),
    ("failures never forgotten", In::Weights, r#"failure_fade = "1day""#, &[
        r#"lb.toml:9: vip[0] "web": weights.failure_fade = "1day": expected a duration from 1s to 1h"#,
    ]),
    ("failures forgotten within their window", In::Weights, r#"failure_fade = "20s"
failure_window = "30s""#, &[
        r#"lb.toml:9: vip[0] "web": weights.failure_fade = "20s": is shorter than failure_window, which is 30s (line 10): failures would be forgotten that still count; raise failure_fade or lower failure_window"#,
    ]),
    ("the same, by default", In::Weights, r#"failure_fade = "9s""#, &[
        r#"lb.toml:9: vip[0] "web": weights.failure_fade = "9s": is shorter than failure_window, which is 10s by default (line 8): failures would be forgotten that still count; raise failure_fade or lower failure_window"#,
    ]),
    ("a failure floor of nothing", In::Weights, "failure_floor = 0", &[
        r#"lb.toml:9: vip[0] "web": weights.failure_floor = 0: expected a number from 0.01 to 1"#,
    ]),
    ("a failure floor above 1", In::Weights, "failure_floor = 2", &[
        r#"lb.toml:9: vip[0] "web": weights.failure_floor = 2: expected a number from 0.01 to 1"#,
    ]),
    ("published all the time", In::Weights, r#"publish_interval = "999ms""#, &[
        r#"lb.toml:9: vip[0] "web": weights.publish_interval = "999ms": expected a duration from 1s to 10m"#,
    ]),
    ("published hardly ever", In::Weights, r#"publish_interval = "11m""#, &[
        r#"lb.toml:9: vip[0] "web": weights.publish_interval = "11m": expected a duration from 1s to 10m"#,
    ]),
    ("a publishing that moves nothing", In::Weights, "publish_limit = 0", &[
        r#"lb.toml:9: vip[0] "web": weights.publish_limit = 0: expected a number from 0.001 to 1"#,
    ]),
    ("a publishing that moves everything twice", In::Weights, "publish_limit = 2", &[
        r#"lb.toml:9: vip[0] "web": weights.publish_limit = 2: expected a number from 0.001 to 1"#,
    ]),
    ("a minute that moves nothing", In::Weights, "minute_limit = 0.0", &[
        r#"lb.toml:9: vip[0] "web": weights.minute_limit = 0.0: expected a number from 0.001 to 1"#,
    ]),
    ("a minute that moves everything and more", In::Weights, "minute_limit = 1.001", &[
        r#"lb.toml:9: vip[0] "web": weights.minute_limit = 1.001: expected a number from 0.001 to 1"#,
    ]),
    ("a minute that moves less than a publishing", In::Weights, "publish_limit = 0.3
minute_limit = 0.2", &[
        r#"lb.toml:10: vip[0] "web": weights.minute_limit = 0.2: is less than publish_limit, which is 0.3 (line 9): a minute has at least one publishing; raise minute_limit or lower publish_limit"#,
    ]),
    ("the same, by default", In::Weights, "minute_limit = 0.099", &[
        r#"lb.toml:9: vip[0] "web": weights.minute_limit = 0.099: is less than publish_limit, which is 0.1 by default (line 8): a minute has at least one publishing; raise minute_limit or lower publish_limit"#,
    ]),
    ("no steps", In::Weights, "steps_per_doubling = 0", &[
        r#"lb.toml:9: vip[0] "web": weights.steps_per_doubling = 0: expected an integer from 1 to 64"#,
    ]),
    ("steps without end", In::Weights, "steps_per_doubling = 65", &[
        r#"lb.toml:9: vip[0] "web": weights.steps_per_doubling = 65: expected an integer from 1 to 64"#,
    ]),
    ("half a step", In::Weights, "steps_per_doubling = 0.5", &[
        r#"lb.toml:9: vip[0] "web": weights.steps_per_doubling = 0.5: expected an integer from 1 to 64"#,
    ]),
    ("no hysteresis", In::Weights, "hysteresis = 0.499", &[
        r#"lb.toml:9: vip[0] "web": weights.hysteresis = 0.499: expected a number from 0.5 to 4"#,
    ]),
    ("hysteresis past all steps", In::Weights, "hysteresis = 4.001", &[
        r#"lb.toml:9: vip[0] "web": weights.hysteresis = 4.001: expected a number from 0.5 to 4"#,
    ]),
    ("more than all derated", In::Weights, "derated_most = 1.1", &[
        r#"lb.toml:9: vip[0] "web": weights.derated_most = 1.1: expected a number from 0 to 1"#,
    ]),
    ("a third", In::Weights, "derated_most = 0.33333333", &[
        r#"lb.toml:9: vip[0] "web": weights.derated_most = 0.33333333: expected a number from 0 to 1: three decimals at most, write 0.333"#,
    ]),
    ("panic always", In::Weights, "panic_below = 1.1", &[
        r#"lb.toml:9: vip[0] "web": weights.panic_below = 1.1: expected a number from 0 to 1"#,
    ]),
    ("panic below nothing", In::Weights, "panic_below = -0.5", &[
        r#"lb.toml:9: vip[0] "web": weights.panic_below = -0.5: expected a number from 0 to 1"#,
    ]),
    ("quiet for good", In::Weights, r#"quiet = "1h""#, &[
        r#"lb.toml:9: vip[0] "web": weights.quiet = "1h": expected a duration from 0s to 10m"#,
    ]),
    ("a number of backends that panic", In::Weights, r#"panic_below = "half""#, &[
        r#"lb.toml:9: vip[0] "web": weights.panic_below = "half": expected a number from 0 to 1"#,
    ]),
    ("a number for a table", In::Vip, "weights = 3", &[
        r#"lb.toml:8: vip[0] "web": weights = 3: expected a table, written [vip.weights]"#,
    ]),
    ("a backend's weight", In::Weights, "weight = 3", &[
        r#"lb.toml:9: vip[0] "web": weights.weight = 3: a backend's weight is a key of its own table, [[vip.backend]]: set it there"#,
    ]),
    ("a key of the VIP under its weights", In::Weights, r#"scheduler = "p2c""#, &[
        r#"lb.toml:9: vip[0] "web": weights.scheduler = "p2c": belongs to [[vip]]: move it above [vip.weights]"#,
    ]),
    ("a slip in a key", In::Weights, "histeresis = 1", &[
        r#"lb.toml:9: vip[0] "web": weights.histeresis = 1: unknown key: did you mean `hysteresis`?"#,
    ]),
];
