//! The rules of the source tree, as a command and as a test. Reads; never changes a file.

mod code;
mod layout;
mod manifest;
mod tree;
mod words;

use std::fmt;
use std::path::Path;

use tree::Tree;

/// A place where a rule is broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Below the workspace root.
    pub path: String,
    /// From 1.
    pub line: usize,
    /// Which rule.
    pub rule: &'static str,
    /// What to do instead.
    pub mend: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.mend)
    }
}

/// Everything in the tree at `root` that breaks a rule, in order of place.
pub fn check(root: &Path) -> std::io::Result<Vec<Finding>> {
    Ok(check_tree(&Tree::read(root)?))
}

fn check_tree(tree: &Tree) -> Vec<Finding> {
    let mut findings = [words::check(tree), layout::check(tree), manifest::check(tree)].concat();
    findings.sort();
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_is_tidy() {
        let findings = check(&crate::workspace_root()).expect("the source tree is readable");
        let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "{} findings:\n{}", lines.len(), lines.join("\n"));
    }

    #[test]
    fn a_finding_names_place_rule_and_mend() {
        let finding = Finding { path: "a/b.rs".into(), line: 3, rule: "a rule", mend: "do otherwise".into() };
        assert_eq!(finding.to_string(), "a/b.rs:3: a rule: do otherwise");
    }
}
