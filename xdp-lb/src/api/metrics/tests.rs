//! The page, read back by a small parser of the format.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::control::{
    FactorStatus, InterfaceStatus, ReasonStatus, RefusedStatus, ReportsStatus, TrafficStatus,
};

const NASTY: &str = "we\"b\\1\n{a=\"b\"} 7";

fn status() -> Status {
    let traffic =
        TrafficStatus { packets: 10, bytes: u64::MAX, new_flows: 3, closes: 2, ..TrafficStatus::default() };
    let backend = |name: &str, address: &str, state: &str| BackendStatus {
        name: name.into(),
        address: address.parse().unwrap(),
        state: state.into(),
        reason: "last check: status 503".into(),
        weight: 100,
        effective_weight: 44.5,
        factors: vec![FactorStatus { name: "age".into(), value: 0.445, reason: "warming up".into() }],
        reports: Some(ReportsStatus {
            source: "agent-check".into(),
            utilization: Some(0.25),
            age_seconds: Some(1.5),
            accepted: 9,
            refused: vec![RefusedStatus { reason: "garbage".into(), reports: 2 }],
            problem: String::new(),
        }),
        share: 1.0 / 3.0,
        next_hop: "resolved".into(),
        flows: 4,
        traffic,
    };
    let vip = |name: &str| VipStatus {
        name: name.into(),
        address: "fd00::1".parse().unwrap(),
        port: 80,
        protocol: "tcp".into(),
        forward: "ipip".into(),
        slots: 65537,
        moved_slots: 12,
        tracked_slots: 13,
        traffic,
        backends: vec![backend(NASTY, "10.0.0.1", "up"), backend(NASTY, "10.0.0.2", "down")],
    };
    Status {
        vips: vec![vip(NASTY), vip("dns")],
        interfaces: vec![InterfaceStatus { name: "eth0".into(), mode: "native".into() }],
        reasons: vec![ReasonStatus {
            name: "truncated_ipv4".into(),
            outcome: "drop".into(),
            description: "IPv4 header cut off".into(),
            packets: 5,
        }],
        flows: 8,
        flow_capacity: 64,
    }
}

type Labels = BTreeMap<String, String>;

/// Name, labels and value of a sample line; panics where the line is not in the format.
fn parse(line: &str) -> (String, Labels, f64) {
    let mut rest = line.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let name = line[..line.len() - rest.len()].to_owned();
    assert!(!name.is_empty(), "no name: {line}");
    let mut labels = Labels::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap();
            let mut text = String::new();
            let mut letters = after.char_indices();
            let end = loop {
                match letters.next().unwrap() {
                    (at, '"') => break at,
                    (_, '\\') => text.push(match letters.next().unwrap().1 {
                        'n' => '\n',
                        same @ ('\\' | '"') => same,
                        other => panic!("escape {other:?} in {line}"),
                    }),
                    (_, letter) => text.push(letter),
                }
            };
            assert_eq!(labels.insert(label.to_owned(), text), None, "label twice: {line}");
            match after[end + 1..].split_at(1) {
                (",", more) => rest = more,
                ("}", more) => {
                    rest = more;
                    break;
                }
                other => panic!("{other:?} in {line}"),
            }
        }
    }
    (name, labels, rest.strip_prefix(' ').unwrap().parse().unwrap())
}

fn samples(page: &str) -> BTreeMap<(String, Labels), f64> {
    let mut samples = BTreeMap::new();
    let mut family = String::new();
    let mut families = BTreeSet::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split(' ').next().unwrap().to_owned();
            assert!(families.insert(family.clone()), "{family} twice");
            let kind = lines.next().unwrap().strip_prefix(&format!("# TYPE {family} ")).unwrap();
            assert_eq!(kind == "counter", family.ends_with("_total"), "{family} is a {kind}");
            continue;
        }
        let (name, labels, value) = parse(line);
        assert_eq!(name, family, "sample outside its family");
        assert_eq!(samples.insert((name, labels), value), None, "sample twice: {line}");
    }
    samples
}

#[test]
fn the_page_is_well_formed_and_says_everything() {
    let page = render(&status());
    assert!(page.ends_with('\n'));
    let samples = samples(&page);
    let value = |name: &str, labels: &[(&str, &str)]| {
        let labels = labels.iter().map(|(label, text)| ((*label).to_owned(), (*text).to_owned())).collect();
        samples.get(&(format!("xdp_lb_{name}"), labels)).copied()
    };
    let first = [("vip", NASTY), ("backend", NASTY), ("address", "10.0.0.1")];
    let second = [("vip", NASTY), ("backend", NASTY), ("address", "10.0.0.2")];
    let [vip, name, address] = first;
    let (factor, refused) =
        ([vip, name, address, ("factor", "age")], [vip, name, address, ("reason", "garbage")]);
    for (name, labels, expected) in [
        ("flows", &[][..], 8.0),
        ("flow_capacity", &[], 64.0),
        ("build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0),
        ("interface_info", &[("interface", "eth0"), ("mode", "native")], 1.0),
        ("packets_total", &[("outcome", "drop"), ("reason", "truncated_ipv4")], 5.0),
        ("vip_moved_slots", &[("vip", NASTY)], 12.0),
        ("vip_tracked_slots", &[("vip", "dns")], 13.0),
        ("vip_bytes_total", &[("vip", "dns")], u64::MAX as f64),
        ("backend_up", &first, 1.0),
        ("backend_up", &second, 0.0),
        ("backend_share", &first, 1.0 / 3.0),
        ("backend_weight", &first, 100.0),
        ("backend_effective_weight", &first, 44.5),
        ("backend_weight_factor", &factor, 0.445),
        ("backend_utilization", &first, 0.25),
        ("backend_report_age_seconds", &second, 1.5),
        ("backend_reports_total", &first, 9.0),
        ("backend_reports_refused_total", &refused, 2.0),
        ("backend_packets_total", &second, 10.0),
        ("backend_new_flows_total", &second, 3.0),
        ("backend_closes_total", &second, 2.0),
    ] {
        assert_eq!(value(name, labels), Some(expected), "{name} {labels:?}");
    }
}
