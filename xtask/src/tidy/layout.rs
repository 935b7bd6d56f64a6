//! What lies where: the top level, a module's first line, the length of files, scripts that can be run.

use std::collections::BTreeSet;

use super::Finding;
use super::tree::{File, Tree};

/// What the top level holds, besides dotfiles.
const TOP_LEVEL: [&str; 14] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "clippy.toml",
    "deny.toml",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "tests",
    "xdp-lb",
    "xdp-lb-common",
    "xdp-lb-ebpf",
    "xtask",
];

/// Dotfiles that stay out: CI runs `.ci/run`, wherever it runs.
const UNWANTED: [&str; 2] = [".github", ".gitlab-ci.yml"];

/// Most lines of a Rust file.
const MOST_LINES: usize = 500;

/// Looks at every file's place and shape.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let names: BTreeSet<_> =
        tree.files.iter().map(|file| file.path.split('/').next().unwrap_or(&file.path)).collect();
    let strangers = names.into_iter().filter(|name| !belongs(name)).map(|name| Finding {
        path: name.to_owned(),
        line: 1,
        rule: "the top level stays as agreed",
        mend: "move it into one of the crates, or list it in xtask/src/tidy/layout.rs".to_owned(),
    });
    strangers.chain(tree.files.iter().flat_map(|file| check_file(tree, file))).collect()
}

fn belongs(name: &str) -> bool {
    TOP_LEVEL.contains(&name) || name.starts_with('.') && !UNWANTED.contains(&name)
}

fn check_file(tree: &Tree, file: &File) -> Vec<Finding> {
    let lines = file.text.lines().count();
    let shapes: [(bool, usize, &'static str, &str); 4] = [
        (
            is_entry(tree, file) && !file.text.starts_with("//!"),
            1,
            "a module says what it is",
            "begin the file with `//!`: what it decides, and what it never does",
        ),
        (
            file.is_rust() && lines > MOST_LINES,
            lines,
            "files are for one thing",
            "split it: 500 lines are the most, 150 are usual",
        ),
        (
            is_script(file) && !file.executable,
            1,
            "scripts can be run",
            "make it executable: chmod +x, or git update-index --chmod=+x",
        ),
        (
            file.path.ends_with(".sh") && !file.text.starts_with("#!/"),
            1,
            "scripts name their interpreter",
            "begin the file with `#!/usr/bin/env bash` or the like",
        ),
    ];
    let broken = shapes.into_iter().filter(|(is_broken, ..)| *is_broken);
    broken
        .map(|(_, line, rule, mend)| Finding { path: file.path.clone(), line, rule, mend: mend.to_owned() })
        .collect()
}

/// Whether the file is the first that a reader of a crate or of a module's folder opens.
fn is_entry(tree: &Tree, file: &File) -> bool {
    let folder = || format!("{}/", file.path.trim_end_matches(".rs"));
    let has_folder = || tree.files.iter().any(|other| other.path.starts_with(&folder()));
    file.is_rust() && (["mod.rs", "lib.rs", "main.rs", "build.rs"].contains(&file.name()) || has_folder())
}

fn is_script(file: &File) -> bool {
    file.path.ends_with(".sh") || file.text.starts_with("#!/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_wrong_is_found() {
        let long = format!("//! x\n{}", "fn f() {}\n".repeat(MOST_LINES));
        let rows: &[(&str, &str, &str, &[&str])] = &[
            ("a module", "xdp-lb/src/control/mod.rs", "//! Pure.\n", &[]),
            ("a stranger", "notes/plan.md", "", &["the top level stays as agreed"]),
            ("a dotfile", ".editorconfig", "", &[]),
            ("CI of one host", ".github/workflows/ci.yml", "", &["the top level stays as agreed"]),
            ("a mute module", "xdp-lb/src/control/mod.rs", "use std::fmt;\n", &["a module says what it is"]),
            ("a mute crate", "tests/src/lib.rs", "", &["a module says what it is"]),
            ("any other file", "xdp-lb/src/control/diff.rs", "use std::fmt;\n", &[]),
            ("a long file", "xdp-lb/src/agent.rs", &long, &["files are for one thing"]),
            ("a script that cannot be run", ".ci/run", "#!/usr/bin/env bash\n", &["scripts can be run"]),
            (
                "a script without interpreter",
                "tests/src/a.sh",
                "true\n",
                &["scripts can be run", "scripts name their interpreter"],
            ),
            ("Rust's inner attribute", "tests/src/a.rs", "#![no_std]\n", &[]),
        ];
        for (description, path, text, rules) in rows {
            let found: Vec<_> =
                check(&Tree::of(&[(path, text)])).iter().map(|finding| finding.rule).collect();
            assert_eq!(found, *rules, "{description}");
        }
    }

    #[test]
    fn a_file_beside_its_folder_is_an_entry() {
        let tree = Tree::of(&[("xdp-lb/src/agent.rs", "mod state;\n"), ("xdp-lb/src/agent/state.rs", "")]);
        let found: Vec<_> = check(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(found, ["xdp-lb/src/agent.rs"]);
    }
}
