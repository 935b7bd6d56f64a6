//! The reference in words is complete and its examples are valid.

use std::path::Path;

use super::super::gateway::{self, GatewayConfig};
use super::super::section::Schema;
use super::super::{Config, DecapConfig, agent, decap, health, load, utilization, vip, warmup, weights};

const REFERENCE: &str = include_str!("../reference.md");

/// The `index`th example.
pub(super) fn example(index: usize) -> &'static str {
    let (example, _) = REFERENCE.split("```toml\n").nth(index + 1).unwrap().split_once("```").unwrap();
    example
}

/// Where the part of a file begins.
fn part(file: &str) -> &'static str {
    let (_, from) = REFERENCE.split_once(&format!("\n## `{file}`\n")).unwrap_or_else(|| panic!("no {file}"));
    from
}

/// The section of a part under a table's header, which it may share with others.
fn section(part: &'static str, header: &str) -> &'static str {
    let mut sections = part.split("\n### ").skip(1);
    let of_table = sections.find(|section| {
        let (title, _) = section.split_once('\n').unwrap();
        title.split(" and ").any(|name| name == format!("`{header}`"))
    });
    let section = of_table.unwrap_or_else(|| panic!("no {header}"));
    section.split("\n## ").next().unwrap()
}

fn keys_in_table(part: &'static str, header: &str) -> Vec<&'static str> {
    let rows = section(part, header).lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split_once('`').unwrap().0).collect()
}

fn assert_complete(part: &'static str, schema: &Schema, tables_inside: &[&str]) {
    let mut read: Vec<&str> =
        schema.keys.iter().copied().filter(|key| !tables_inside.contains(key)).collect();
    let mut written = keys_in_table(part, schema.header);
    read.sort_unstable();
    written.sort_unstable();
    assert_eq!(written, read, "{}", schema.header);
}

#[test]
fn every_key_that_is_read_is_in_the_reference_and_no_other() {
    let tables: [(&Schema, &[&str]); 9] = [
        (&agent::AGENT, &[]),
        (&agent::ADMIN, &[]),
        (&vip::VIP, &["health", "utilization", "warmup", "weights", "backend"]),
        (&health::HEALTH, &[]),
        (&utilization::UTILIZATION, &[]),
        (&warmup::WARMUP, &[]),
        (&weights::WEIGHTS, &[]),
        (&vip::BACKEND, &[]),
        (&decap::DECAP, &[]),
    ];
    for (schema, tables_inside) in tables {
        assert_complete(part("lb.toml"), schema, tables_inside);
    }
    for (schema, tables_inside) in gateway::schemas() {
        assert_complete(part("gateway.toml"), schema, tables_inside);
    }
    for file in [&load::FILE, &decap::FILE, &gateway::FILE] {
        for key in file.keys {
            assert!(REFERENCE.contains(&format!("[{key}]")), "{key}");
        }
    }
}

#[test]
fn the_examples_are_valid() {
    let config =
        Config::from_toml(example(0), Path::new("lb.toml")).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.vips.iter().map(|vip| vip.backends.len()).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(config.notes(), [""; 0]);
    DecapConfig::from_toml(example(1), Path::new("decap.toml")).unwrap_or_else(|errors| panic!("{errors}"));
    let config = GatewayConfig::from_toml(example(2), Path::new("gateway.toml"))
        .unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.routes.len(), 2);
    assert_eq!(config.notes(), [""; 0]);
}
