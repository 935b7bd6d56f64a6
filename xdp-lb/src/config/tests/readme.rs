//! README.md says what the code says: the reference, the reasons, and examples that are valid.

use std::path::Path;

use xdp_lb_common::reason::Reason;

use super::super::gateway::GatewayConfig;
use super::super::{Config, DecapConfig};

const README: &str = include_str!("../../../../README.md");
const REFERENCE: &str = include_str!("../reference.md");

#[test]
fn the_reference_in_the_readme_is_the_one_beside_the_code() {
    let (_, from) = README.split_once("<!-- reference:begin -->\n").unwrap();
    let (copy, _) = from.split_once("<!-- reference:end -->").unwrap();
    for (line, (ours, theirs)) in (1..).zip(REFERENCE.lines().zip(copy.lines())) {
        assert_eq!(theirs, ours, "line {line}: copy xdp-lb/src/config/reference.md between the markers");
    }
    assert_eq!(copy, REFERENCE, "copy xdp-lb/src/config/reference.md between the markers");
}

#[test]
fn every_reason_has_its_row() {
    for reason in Reason::ALL {
        let (name, outcome) = (reason.name(), reason.outcome().name());
        let row = format!("\n| `{name}` | {outcome} | {} |\n", reason.description());
        assert!(README.contains(&row), "README.md lacks this row:{row}");
    }
    let rows = README.lines().filter(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        cells.len() == 5 && ["forward", "pass", "reply", "drop"].contains(&cells[2])
    });
    assert_eq!(rows.count(), Reason::COUNT, "README.md has a row for a reason that is gone");
}

#[test]
fn every_example_is_valid() {
    let examples = README.split("```toml\n").skip(1).filter_map(|from| from.split_once("```"));
    let mut count = 0;
    for (text, _) in examples {
        count += 1;
        if text.contains("[decap]") {
            DecapConfig::from_toml(text, Path::new("decap.toml")).unwrap_or_else(|errors| panic!("{errors}"));
        } else if text.contains("[[listener]]") {
            let config = GatewayConfig::from_toml(text, Path::new("gateway.toml"))
                .unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!(config.notes(), [""; 0]);
        } else {
            let config =
                Config::from_toml(text, Path::new("lb.toml")).unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!(config.notes(), [""; 0]);
        }
    }
    assert!(count >= 5, "quick start and reference each show both files, the reference the gateway's too");
}
