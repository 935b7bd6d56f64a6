//! The files that the rules look at, read once.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::code;

/// Folders that are not part of the repository.
const SKIPPED: [&str; 2] = [".git", "target"];

/// Every file below the workspace root.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) files: Vec<File>,
}

/// One file.
pub(super) struct File {
    /// Below the workspace root, with `/`.
    pub(super) path: String,
    /// What is in it; empty where it is not text.
    pub(super) text: String,
    /// Rust only: the text with comments and the insides of literals blanked out, line for line.
    pub(super) code: String,
    /// Rust only: for each line, whether it is compiled for tests alone.
    pub(super) test_lines: Vec<bool>,
    /// Whether it may be run.
    pub(super) executable: bool,
}

impl File {
    pub(super) fn new(path: &str, text: &str, executable: bool) -> Self {
        let code = if path.ends_with(".rs") { code::code_of(text) } else { String::new() };
        let test_lines = code::test_lines(&code);
        Self { path: path.to_owned(), text: text.to_owned(), code, test_lines, executable }
    }

    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The last part of the path.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

impl Tree {
    pub(super) fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        tree.mark_test_modules();
        Ok(tree)
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree =
            Self { files: files.iter().map(|(path, text)| File::new(path, text, false)).collect() };
        tree.mark_test_modules();
        tree
    }

    pub(super) fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let (path, kind) = (format!("{prefix}{name}"), entry.file_type()?);
            if prefix.is_empty() && SKIPPED.contains(&name.as_str()) {
                continue;
            }
            if kind.is_dir() {
                self.read_folder(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file() {
                let text = String::from_utf8(fs::read(entry.path())?).unwrap_or_default();
                let executable = entry.metadata()?.permissions().mode() & 0o111 != 0;
                self.files.push(File::new(&path, &text, executable));
            }
        }
        Ok(())
    }

    /// A module declared under `#[cfg(test)]` is test code as a whole.
    fn mark_test_modules(&mut self) {
        let modules: Vec<String> = self.files.iter().flat_map(test_modules).collect();
        for file in &mut self.files {
            let is_of = |module: &String| {
                file.path == format!("{module}.rs") || file.path.starts_with(&format!("{module}/"))
            };
            if modules.iter().any(is_of) {
                file.test_lines.fill(true);
            }
        }
    }
}

/// Paths, without extension, of the modules that a file declares for tests alone.
fn test_modules(file: &File) -> Vec<String> {
    let stem = file.path.strip_suffix(".rs").unwrap_or(&file.path);
    let folder = match file.name() {
        "mod.rs" | "lib.rs" | "main.rs" => stem.rsplit_once('/').map_or("", |(folder, _)| folder),
        _ => stem,
    };
    let lines = file.code.lines().zip(&file.test_lines).filter(|(_, test)| **test);
    let names = lines.filter_map(|(line, _)| {
        let (_, name) = line.trim().strip_suffix(';')?.rsplit_once("mod ")?;
        Some(format!("{folder}/{name}"))
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_declared_for_tests_are_test_code() {
        let tree = Tree::of(&[
            ("a/src/control/mod.rs", "//! x\nmod policy;\n#[cfg(test)]\nmod world;\nfn f() {}\n"),
            ("a/src/control/policy.rs", "fn f() {}\n"),
            ("a/src/control/world.rs", "fn f() {}\n"),
            ("a/src/control/world/clients.rs", "fn f() {}\n"),
        ]);
        let is_test = |path| tree.get(path).is_some_and(|file| file.test_lines.iter().all(|test| *test));
        assert!(!is_test("a/src/control/policy.rs"));
        assert!(is_test("a/src/control/world.rs"));
        assert!(is_test("a/src/control/world/clients.rs"));
        assert_eq!(tree.get("a/src/control/mod.rs").unwrap().test_lines, [false, false, true, true, false]);
    }
}
