//! No text whatever makes the reader panic, and what it refuses it refuses with a line of that text.

use std::path::Path;

use proptest::prelude::*;

use super::super::gateway::GatewayConfig;
use super::super::{Config, DecapConfig, Errors};

const REFERENCE: &str = include_str!("../reference.md");
const EVERY_KEY: &str = include_str!("gateway/every_key.toml");

fn try_all(text: &str) -> Result<(), TestCaseError> {
    check(text, Config::from_toml(text, Path::new("lb.toml")).map(drop))?;
    check(text, DecapConfig::from_toml(text, Path::new("decap.toml")).map(drop))?;
    check(text, GatewayConfig::from_toml(text, Path::new("gateway.toml")).map(drop))
}

fn check(text: &str, result: Result<(), Errors>) -> Result<(), TestCaseError> {
    let Err(errors) = result else { return Ok(()) };
    let lines = text.split('\n').count();
    prop_assert!(!errors.problems().is_empty(), "refused without a reason");
    prop_assert!(errors.problems().is_sorted_by_key(|problem| problem.line));
    for problem in errors.problems() {
        prop_assert!((1..=lines).contains(&problem.line), "{problem} in {lines} lines");
        prop_assert!(!problem.message.is_empty());
        prop_assert!(!problem.to_string().contains('\n'), "{problem}");
    }
    Ok(())
}

/// The reference's examples, in which one part was replaced.
fn mutated() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "",
        "\"",
        "'",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        ".",
        ",",
        "#",
        "\n",
        "\r",
        "\0",
        "\u{feff}",
        "\"\"\"",
        "-1",
        "0x",
        "1e400",
        "99999999999999999999",
        "true",
        "[vip]",
        "[[vip]]",
        "[agent]",
        "[vip.health]",
        "[vip.utilization]",
        "[vip.warmup]",
        "[vip.weights]",
        "scheduler = \"p2c\"\n",
        "kind = \"orca-http\"\n",
        "window = \"0s\"\n",
        "minute_limit = 0.001\n",
        "0.3333",
        "-nan",
        "vip.x = 1\n",
        "[[agent]]",
        "ü",
        "nan",
        "1979-05-27",
        "\\u0000",
        "name = 1\n",
        "address = \"::\"\n",
        "port = -0\n",
        "{{",
        "{path}",
        "{param:",
        "/*",
        "/{*a}",
        "~",
        "(?x)#",
        "hosts = []\n",
        "headers.set = { a = \"{b\" }\n",
        "[[route]]",
        "[[route.split]]",
        "[route.access]",
        "[verifier.basic]",
        "[pool.file]",
        "[[pool.server]]",
    ]);
    (0..4_usize, any::<prop::sample::Index>(), 0..40_usize, pieces, any::<prop::sample::Index>()).prop_map(
        |(example, at, removed, piece, from)| {
            let text = match example {
                3 => EVERY_KEY,
                example => super::reference::example(example),
            };
            let boundary = |mut at: usize| {
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                at
            };
            let start = boundary(at.index(text.len() + 1));
            let end = boundary((start + removed).min(text.len())).max(start);
            let copied = boundary(from.index(text.len() + 1));
            let copy = text[copied..].lines().next().unwrap_or_default();
            format!("{}{piece}{copy}\n{}", &text[..start], &text[end..])
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,200}") {
        try_all(&text)?;
    }

    #[test]
    fn anything_like_toml_is_read_or_refused(text in "([\\[\\]{}a-c.='\"#, \n0-9-]|vip|agent|route|pool|\\[\\[vip\\]\\]\n|decap){0,60}") {
        try_all(&text)?;
    }

    #[test]
    fn a_mutated_file_is_read_or_refused(text in mutated()) {
        try_all(&text)?;
    }
}

#[test]
fn deep_nesting_is_refused() {
    for open in ["[", "{a=", "[[", "a.", "[{a="] {
        let text = format!("a = {}", open.repeat(20_000));
        assert!(Config::from_toml(&text, Path::new("lb.toml")).is_err());
    }
    assert!(Config::from_toml(REFERENCE, Path::new("lb.toml")).is_err());
}
