//! What people see.

use super::*;
use crate::control::{FactorStatus, InterfaceStatus, ReasonStatus, ReportsStatus, TrafficStatus};

fn status() -> Status {
    let backend =
        |name: &str, last: u8, state: &str, reason: &str, share: f64, next_hop: &str| BackendStatus {
            name: name.into(),
            address: [10, 0, 0, last].into(),
            state: state.into(),
            reason: reason.into(),
            weight: 100,
            effective_weight: 100.0,
            factors: Vec::new(),
            reports: None,
            share,
            next_hop: next_hop.into(),
            flows: 12,
            traffic: TrafficStatus {
                packet_rate: 1234.0,
                byte_rate: 5_600_000.0,
                new_flow_rate: 0.4,
                ..Default::default()
            },
        };
    Status {
        vips: vec![VipStatus {
            name: "web".into(),
            address: [203, 0, 113, 10].into(),
            port: 80,
            protocol: "tcp".into(),
            forward: "ipip".into(),
            slots: 65537,
            moved_slots: 12,
            tracked_slots: 40,
            traffic: TrafficStatus { packet_rate: 999_999.0, ..Default::default() },
            backends: vec![
                backend("web-1", 11, "up", "", 2.0 / 3.0, "resolved"),
                backend("web-long-name", 2, "down", "connection refused", 0.0, "no route to 10.0.0.2"),
            ],
        }],
        interfaces: vec![InterfaceStatus { name: "eth0".into(), mode: "native".into() }],
        reasons: vec![ReasonStatus {
            name: "no_backend".into(),
            outcome: "drop".into(),
            description: "the VIP has no backend".into(),
            packets: 7,
        }],
        flows: 24,
        flow_capacity: 1024,
    }
}

#[test]
fn columns_are_aligned() {
    let expected = "\
web  203.0.113.10:80/tcp by ipip  0 new/s  1M packets/s  0 bytes/s  12 of 65537 slots moved, 40 tracked
  BACKEND        ADDRESS    STATE  WEIGHT  EFFECTIVE  SHARE  FLOWS  NEW/S  PKTS/S  BYTES/S  NEXT HOP              REASON
  web-1          10.0.0.11  up        100        100  66.7%     12    0.4    1.2k     5.6M  resolved
  web-long-name  10.0.0.2   down      100        100   0.0%     12    0.4    1.2k     5.6M  no route to 10.0.0.2  connection refused

  PACKETS  OUTCOME  REASON      MEANING
        7  drop     no_backend  the VIP has no backend

Attached to eth0 (native). Recorded flows: 24 of 1024.
";
    assert_eq!(render(&status(), Paint::new(false)), expected);
}

#[test]
fn colours_change_nothing_but_colours() {
    let painted = render(&status(), Paint::new(true));
    assert!(painted.contains("\x1b[32mup\x1b[0m") && painted.contains("\x1b[31mdown\x1b[0m"));
    let mut plain = painted;
    for code in ["0", "1", "2", "31", "32", "33"] {
        plain = plain.replace(&format!("\x1b[{code}m"), "");
    }
    assert_eq!(plain, render(&status(), Paint::new(false)));
}

#[test]
fn factors_that_move_the_weight_are_named() {
    let mut status = status();
    let backend = &mut status.vips[0].backends[0];
    let factor =
        |name: &str, value, reason: &str| FactorStatus { name: name.into(), value, reason: reason.into() };
    backend.factors =
        vec![factor("health", 1.0, "no failures"), factor("age", 0.444, "warming up: 40 s of 90")];
    backend.effective_weight = 44.54;
    backend.reason = "last check passed".into();
    backend.reports = Some(ReportsStatus { problem: "timed out".into(), ..ReportsStatus::default() });
    let text = render(&status, Paint::new(false));
    let said = "last check passed; age 0.44: warming up: 40 s of 90; last report not counted: timed out\n";
    assert!(text.contains(said) && text.contains("100      44.54  66.7%"), "{text}");
    for (weight, expected) in [(0.0, "0"), (100.0, "100"), (0.5, "0.50"), (12.345, "12.35"), (300.4, "300")] {
        assert_eq!(effective(weight), expected);
    }
}

#[test]
fn nothing_to_show_is_said() {
    let empty = Status { vips: vec![], interfaces: vec![], reasons: vec![], flows: 0, flow_capacity: 8 };
    let expected = "No VIP is configured.\nNo packets yet.\n\nAttached to nowhere. Recorded flows: 0 of 8.\n";
    assert_eq!(render(&empty, Paint::new(false)), expected);
    let mut status = status();
    status.vips[0].backends.clear();
    assert!(render(&status, Paint::new(false)).contains("\n  no backends\n"));
}

#[test]
fn text_from_outside_cannot_move_the_cursor() {
    let mut status = status();
    status.vips[0].backends[0].reason = "status \x1b[2J200\n".into();
    let text = render(&status, Paint::new(false));
    assert!(text.contains("status ?[2J200?\n") && !text.contains('\x1b'), "{text}");
}

#[test]
fn rates_are_short() {
    for (rate, expected) in [
        (0.0, "0"),
        (-1.0, "0"),
        (f64::NAN, "0"),
        (0.04, "0"),
        (0.35, "0.4"),
        (1.0, "1"),
        (9.94, "9.9"),
        (9.96, "10"),
        (12.4, "12"),
        (999.4, "999"),
        (999.9, "1k"),
        (1234.0, "1.2k"),
        (12_345.0, "12k"),
        (999_900.0, "1M"),
        (5.6e9, "5.6G"),
        (7e15, "7P"),
    ] {
        assert_eq!(short(rate), expected, "{rate}");
    }
}
