//! The dependency table, and what README.md owes to the commands.

use super::Finding;
use super::tree::Tree;

const WORKSPACE: &str = "Cargo.toml";
const README: &str = "README.md";

/// Looks at the workspace's dependencies, at the crates that use them, and at README.md.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    [dependencies(tree), own_versions(tree), readme(tree)].concat()
}

/// Every dependency of the workspace table has a reason beside it and a crate that uses it.
fn dependencies(tree: &Tree) -> Vec<Finding> {
    let Some(workspace) = tree.get(WORKSPACE) else { return Vec::new() };
    let finding = |line, rule, mend| Finding { path: WORKSPACE.to_owned(), line, rule, mend };
    let mut findings = Vec::new();
    for (line, name, value) in section(&workspace.text, "[workspace.dependencies]") {
        if !value.contains("path =") && !has_comment(value) {
            let mend = format!("say in a comment on the line why `{name}` is here");
            findings.push(finding(line, "a dependency says why it is here", mend));
        }
        let uses = [format!("{name}.workspace"), format!("{name} = {{ workspace")];
        let is_used = members(tree).any(|(_, text)| {
            text.lines().any(|line| uses.iter().any(|start| line.trim_start().starts_with(start.as_str())))
        });
        if !is_used {
            findings.push(finding(
                line,
                "a dependency is used",
                format!("no crate uses `{name}`: remove the line"),
            ));
        }
    }
    findings
}

/// Crates take dependencies from the workspace table only.
fn own_versions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in members(tree) {
        for header in ["[dependencies]", "[dev-dependencies]", "[build-dependencies]"] {
            for (line, name, value) in section(text, header) {
                if !name.ends_with(".workspace") && !value.contains("workspace = true") {
                    let mend = format!(
                        "write `{name}.workspace = true` and name it in {WORKSPACE}, with its reason"
                    );
                    findings.push(Finding {
                        path: path.to_owned(),
                        line,
                        rule: "a dependency is named once",
                        mend,
                    });
                }
            }
        }
    }
    findings
}

/// README.md, once there is one, shows every command.
fn readme(tree: &Tree) -> Vec<Finding> {
    let Some(readme) = tree.get(README) else { return Vec::new() };
    let commands = crate::COMMANDS.iter().map(|command| format!("cargo xtask {command}"));
    let missing = commands.filter(|command| !readme.text.contains(command.as_str()));
    let finding = |command| Finding {
        path: README.to_owned(),
        line: 1,
        rule: "README shows every command",
        mend: format!("say what `{command}` is for"),
    };
    missing.map(finding).collect()
}

/// Manifests of the crates: path and text.
fn members(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    let manifests = tree.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    manifests.map(|file| (file.path.as_str(), file.text.as_str()))
}

/// Line number, key and the rest of each `key = value` line of a manifest's section.
fn section<'a>(text: &'a str, header: &str) -> Vec<(usize, &'a str, &'a str)> {
    let mut inside = false;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('[') {
            inside = line.trim_end() == header;
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside && !line.starts_with('#')) {
            lines.push((index + 1, key.trim(), value));
        }
    }
    lines
}

/// Whether words follow a `#` that is not inside a string.
fn has_comment(value: &str) -> bool {
    let mut quoted = false;
    let start = value.find(|sign| {
        quoted ^= sign == '"';
        sign == '#' && !quoted
    });
    start.and_then(|at| value.get(at + 1..)).is_some_and(|comment| !comment.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(files: &[(&str, &str)]) -> Vec<(String, usize, &'static str)> {
        check(&Tree::of(files))
            .into_iter()
            .map(|finding| (finding.path, finding.line, finding.rule))
            .collect()
    }

    #[test]
    fn a_dependency_has_a_reason_and_a_user() {
        let workspace = "[workspace.dependencies]\nours = { path = \"ours\" }\nlibc = \"0.2\" # \"ioctl\"\nbytes = \"1\"\n\
            http = { version = \"1\", features = [\"a#b\"] }\n\n[profile.dev]\ndebug = 1\n";
        let member =
            "[dependencies]\nlibc.workspace = true\nours = { workspace = true }\nhttp.workspace = true\n";
        assert_eq!(
            rules(&[("Cargo.toml", workspace), ("a/Cargo.toml", member)]),
            [
                ("Cargo.toml".to_owned(), 4, "a dependency says why it is here"),
                ("Cargo.toml".to_owned(), 4, "a dependency is used"),
                ("Cargo.toml".to_owned(), 5, "a dependency says why it is here"),
            ]
        );
    }

    #[test]
    fn a_crate_has_no_version_of_its_own() {
        let member = "[package]\nname = \"a\"\n\n[dev-dependencies]\nlibc = \"0.2\"\n";
        assert_eq!(
            rules(&[("a/Cargo.toml", member)]),
            [("a/Cargo.toml".to_owned(), 5, "a dependency is named once")]
        );
    }

    #[test]
    fn readme_shows_every_command() {
        assert_eq!(rules(&[("README.md", "Run `cargo xtask demo`.")]).len(), crate::COMMANDS.len() - 1);
        let all: String = crate::COMMANDS.iter().map(|command| format!("cargo xtask {command}\n")).collect();
        assert_eq!(rules(&[("README.md", &all)]), []);
    }
}
