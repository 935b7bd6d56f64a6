//! What makes weights live is accepted: every default, every spelling, every bound.

use std::time::Duration;

use super::super::*;
use super::In;
use std::path::Path;

fn config(text: &str) -> Config {
    Config::from_toml(text, Path::new("lb.toml")).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

fn vip(place: In, text: &str) -> Vip {
    config(&place.around(text)).vips.remove(0)
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn the_designs_sample() {
    let text = r#"
[agent]
interfaces = ["eth0"]
xdp_mode = "auto"                       # native, generic, auto (says which it got)
state_dir = "/var/lib/xdp-lb"
control_socket = "/run/xdp-lb/control.sock"
[admin]
listen = "127.0.0.1:9400"               # metrics, API, dashboard

[[vip]]
name = "web"
address = "203.0.113.10"
port = 80                               # 0 = any port
protocol = "tcp"                        # tcp, udp
forward = "ipip"
scheduler = "maglev"                    # maglev, p2c
[vip.health]
kind = "http"                           # http, https, tcp, icmp, none
path = "/healthz"
interval = "2s"
[vip.utilization]
kind = "agent-check"                    # agent-check (HAProxy's protocol), orca-http, orca-grpc, none
port = 9707
percent = "idle"
[vip.warmup]
window = "90s"
[[vip.backend]]
name = "web-1"
address = "10.0.0.11"
weight = 100
"#;
    let config = config(text);
    assert_eq!(config.notes(), [""; 0]);
    let vip = &config.vips[0];
    assert_eq!(vip.scheduler, Scheduler::Maglev);
    let percent = Percent::Idle;
    let kind = UtilizationKind::AgentCheck { port: 9707, send: String::new(), percent };
    assert_eq!(vip.utilization, Utilization { kind, ..Utilization::DEFAULT });
    assert_eq!(vip.warmup, Warmup::DEFAULT);
    assert_eq!(vip.weights, Weights::DEFAULT);
    assert_eq!(vip.backends.len(), 1);
}

#[test]
fn empty_tables_are_the_defaults() {
    let vip = vip(In::Vip, "[vip.utilization]\n[vip.warmup]\n[vip.weights]");
    assert_eq!(vip.utilization, Utilization::DEFAULT);
    assert_eq!(vip.warmup, Warmup::DEFAULT);
    assert_eq!(vip.weights, Weights::DEFAULT);
}

/// The reference's figures, of which the others are proof only beside these.
#[test]
fn the_defaults_are_those_of_the_reference() {
    let share = Ratio::thousandths;
    let expected = Utilization {
        kind: UtilizationKind::None,
        interval: seconds(1),
        timeout: Duration::from_millis(500),
        stale_after: seconds(10),
        fade: seconds(180),
        smoothing: seconds(5),
        least: share(250),
        most: share(4_000),
        brake_from: share(800),
        brake_floor: share(300),
        brake_off: share(850),
    };
    assert_eq!(Utilization::DEFAULT, expected);
    assert_eq!(Warmup::DEFAULT, Warmup { window: seconds(90), floor: share(100), step: seconds(10) });
    let expected = Weights {
        failure_window: seconds(10),
        failure_fade: seconds(30),
        failure_floor: share(50),
        publish_interval: seconds(1),
        publish_limit: share(100),
        minute_limit: share(1000),
        steps_per_doubling: 6,
        hysteresis: share(750),
        derated_most: share(333),
        panic_below: share(500),
        quiet: seconds(10),
    };
    assert_eq!(Weights::DEFAULT, expected);
}

#[test]
fn schedulers() {
    let p2c = |margin| Scheduler::P2c { margin: Ratio::thousandths(margin) };
    for (place, text, expected) in [
        (In::Vip, "", Scheduler::Maglev),
        (In::Vip, "scheduler = \"maglev\"", Scheduler::Maglev),
        (In::Vip, "scheduler = \"p2c\"", p2c(250)),
        (In::Vip, "scheduler = \"p2c\"\np2c_margin = 0", p2c(0)),
        (In::Vip, "scheduler = \"p2c\"\np2c_margin = 4", p2c(4_000)),
        (In::Udp, "scheduler = \"p2c\"\naffinity = \"flow\"", p2c(250)),
    ] {
        assert_eq!(vip(place, text).scheduler, expected, "{text}");
    }
}

#[test]
fn numbers_in_each_spelling() {
    for (text, thousandths) in [
        ("0", 0),
        ("1", 1_000),
        ("+1", 1_000),
        ("0.0", 0),
        ("0.8", 800),
        ("0.001", 1),
        ("0.333", 333),
        ("0.3330", 333),
        ("1.005", 1_005),
        ("3.999", 3_999),
        ("25e-2", 250),
        ("1_0e-1", 1_000),
    ] {
        let scheduler = vip(In::Vip, &format!("scheduler = \"p2c\"\np2c_margin = {text}")).scheduler;
        assert_eq!(scheduler, Scheduler::P2c { margin: Ratio::thousandths(thousandths) }, "{text}");
    }
}

/// Floating point must not make a number of three decimals one of more.
#[test]
fn every_number_of_three_decimals_is_read_as_written() {
    for thousandths in 0..=4_000 {
        let text =
            format!("scheduler = \"p2c\"\np2c_margin = {}.{:03}", thousandths / 1_000, thousandths % 1_000);
        let expected = Scheduler::P2c { margin: Ratio::thousandths(thousandths) };
        assert_eq!(vip(In::Vip, &text).scheduler, expected, "{text}");
    }
}

#[test]
fn who_is_asked() {
    let agent = |port, send: &str, percent| UtilizationKind::AgentCheck { port, send: send.into(), percent };
    let http = |port, path: &str, host: &str| UtilizationKind::OrcaHttp {
        port,
        path: path.into(),
        host: host.into(),
    };
    let longest = "é".repeat(256);
    for (place, text, expected) in [
        (In::Utilization, "kind = \"none\"", UtilizationKind::None),
        (In::AgentCheck, "", agent(9707, "", Percent::Weight)),
        (In::AgentCheck, "port = 1\npercent = \"idle\"", agent(1, "", Percent::Idle)),
        (In::AgentCheck, "percent = \"weight\"\nsend = \"\"", agent(9707, "", Percent::Weight)),
        (In::AgentCheck, "send = \"load web\\n\"", agent(9707, "load web\n", Percent::Weight)),
        (In::AgentCheck, &format!("send = \"{longest}\""), agent(9707, &longest, Percent::Weight)),
        (In::OrcaHttp, "", http(9708, "/", "203.0.113.10")),
        (In::OrcaHttp, "port = 65535\npath = \"/a?b\"\nhost = \"a:1\"", http(65_535, "/a?b", "a:1")),
        (
            In::Vip,
            "port = 8080\n[vip.utilization]\nkind = \"orca-http\"",
            http(9708, "/", "203.0.113.10:8080"),
        ),
        (In::Utilization, "kind = \"orca-grpc\"", UtilizationKind::OrcaGrpc { port: 9709 }),
        (In::Utilization, "kind = \"orca-grpc\"\nport = 443", UtilizationKind::OrcaGrpc { port: 443 }),
        // Unlike a health check, a report needs no port of the VIP's own.
        (In::Udp, "[vip.utilization]\nkind = \"orca-grpc\"", UtilizationKind::OrcaGrpc { port: 9709 }),
    ] {
        assert_eq!(vip(place, text).utilization.kind, expected, "{text}");
    }
}

#[test]
fn when_it_is_asked_by_default() {
    // Interval; timeout and staleness in milliseconds.
    for (interval, timeout, stale_after) in
        [("100ms", 100, 10_000), ("1s", 500, 10_000), ("5s", 500, 10_000), ("1m", 500, 120_000)]
    {
        let utilization = vip(In::AgentCheck, &format!("interval = \"{interval}\"")).utilization;
        assert_eq!(utilization.timeout, Duration::from_millis(timeout), "{interval}");
        assert_eq!(utilization.stale_after, Duration::from_millis(stale_after), "{interval}");
    }
}

#[test]
fn defaults_beside_what_is_set() {
    assert_eq!(vip(In::Warmup, "window = \"5s\"").warmup.step, seconds(5));
    assert_eq!(vip(In::Warmup, "window = \"0s\"").warmup.window, Duration::ZERO);
    assert_eq!(vip(In::Weights, "failure_window = \"1m\"").weights.failure_fade, seconds(60));
}

#[test]
fn bounds_are_included() {
    for text in [
        "interval = \"100ms\"\ntimeout = \"100ms\"\nstale_after = \"200ms\"\nfade = \"1s\"\nsmoothing = \"1s\"",
        "interval = \"1m\"\ntimeout = \"1m\"\nstale_after = \"2m\"\nsmoothing = \"10m\"",
        "timeout = \"10ms\"\nstale_after = \"1h\"",
        "least = 0.01\nmost = 1\nbrake_from = 0\nbrake_floor = 0.01\nbrake_off = 0",
        "least = 1\nmost = 4.0\nbrake_from = 0.999\nbrake_floor = 1\nbrake_off = 1",
    ] {
        vip(In::AgentCheck, text);
    }
    for text in ["window = \"1h\"\nstep = \"1h\"\nfloor = 1", "window = \"1s\"\nstep = \"1s\"\nfloor = 0.01"]
    {
        vip(In::Warmup, text);
    }
    for text in [
        "failure_window = \"1s\"\nfailure_fade = \"1s\"\nfailure_floor = 0.01\nquiet = \"0s\"",
        "failure_window = \"1h\"\nfailure_fade = \"1h\"\nfailure_floor = 1\nquiet = \"10m\"",
        "publish_interval = \"1s\"\npublish_limit = 0.001\nminute_limit = 0.001\nsteps_per_doubling = 1",
        "publish_interval = \"10m\"\npublish_limit = 1\nminute_limit = 1\nsteps_per_doubling = 64",
        "hysteresis = 0.5\nderated_most = 0\npanic_below = 0",
        "hysteresis = 4\nderated_most = 1\npanic_below = 1",
    ] {
        vip(In::Weights, text);
    }
}

#[test]
fn each_key_is_read_into_its_own_place() {
    let share = Ratio::thousandths;
    let text = "interval = \"2s\"\ntimeout = \"1s\"\nstale_after = \"7s\"\nfade = \"8s\"\nsmoothing = \"9s\"\nleast = 0.5\n\
                most = 2.5\nbrake_from = 0.7\nbrake_floor = 0.2\nbrake_off = 0.95";
    let expected = Utilization {
        kind: UtilizationKind::AgentCheck { port: 9707, send: String::new(), percent: Percent::Weight },
        interval: seconds(2),
        timeout: seconds(1),
        stale_after: seconds(7),
        fade: seconds(8),
        smoothing: seconds(9),
        least: share(500),
        most: share(2_500),
        brake_from: share(700),
        brake_floor: share(200),
        brake_off: share(950),
    };
    assert_eq!(vip(In::AgentCheck, text).utilization, expected);
    let warmup = vip(In::Warmup, "window = \"2m\"\nfloor = 0.2\nstep = \"15s\"").warmup;
    assert_eq!(warmup, Warmup { window: seconds(120), floor: share(200), step: seconds(15) });
    let text = "failure_window = \"20s\"\nfailure_fade = \"40s\"\nfailure_floor = 0.1\npublish_interval = \"4s\"\n\
                publish_limit = 0.03\nminute_limit = 0.2\nsteps_per_doubling = 8\nhysteresis = 1.5\n\
                derated_most = 0.25\npanic_below = 0.4\nquiet = \"15s\"";
    let expected = Weights {
        failure_window: seconds(20),
        failure_fade: seconds(40),
        failure_floor: share(100),
        publish_interval: seconds(4),
        publish_limit: share(30),
        minute_limit: share(200),
        steps_per_doubling: 8,
        hysteresis: share(1_500),
        derated_most: share(250),
        panic_below: share(400),
        quiet: seconds(15),
    };
    assert_eq!(vip(In::Weights, text).weights, expected);
}

#[test]
fn notes_name_what_is_perhaps_not_meant() {
    for (text, expected) in [
        ("[vip.health]\ninterval = \"10s\"", vec![]),
        (
            "[vip.health]\ninterval = \"11s\"",
            vec![
                "vip \"web\": each check is judged alone, as health.interval = 11s is longer than \
                 weights.failure_window = 10s: one failure lowers a weight by more than half, raise \
                 weights.failure_window to several intervals",
            ],
        ),
        ("[vip.health]\ninterval = \"11s\"\n[vip.weights]\nfailure_window = \"1m\"", vec![]),
        ("[vip.utilization]\nkind = \"agent-check\"\npercent = \"idle\"", vec![]),
        ("[vip.utilization]\nkind = \"agent-check\"\nport = 7777\nsend = \"web\\n\"", vec![]),
        (
            "[vip.utilization]\nkind = \"agent-check\"",
            vec![
                "vip \"web\": utilization.port = 9707 is that of `xdp-lb report`, which says how much of a server is \
                 idle, and here it is taken for a share of the weight: set utilization.percent = \"idle\" unless \
                 another agent answers there",
            ],
        ),
        (
            "[vip.utilization]\nkind = \"agent-check\"\nport = 7777\nsend = \"web\"",
            vec![
                "vip \"web\": utilization.send does not end with \"\\n\": an agent that waits for the end of the line \
                 never answers",
            ],
        ),
    ] {
        assert_eq!(config(&In::Backend.around(text)).notes(), expected, "{text}");
    }
}
