//! The machine as detection sees it: which programs there are and what they answer. Never changes it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What detection asks of a machine. Tests ask made-up ones.
pub trait Machine {
    /// Where the program `name` lies.
    fn find(&self, name: &str) -> Option<PathBuf>;

    /// Standard output of a program, where it ends well.
    fn output(&self, program: &Path, arguments: &[&str]) -> Option<String>;

    /// Whether there is such a file.
    fn exists(&self, path: &Path) -> bool;

    /// Names of the entries of a folder; none where it cannot be read.
    fn entries(&self, folder: &Path) -> Vec<String>;
}

/// The machine this program runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThisMachine;

impl Machine for ThisMachine {
    fn find(&self, name: &str) -> Option<PathBuf> {
        search_path().into_iter().map(|folder| folder.join(name)).find(|path| is_program(path))
    }

    fn output(&self, program: &Path, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new(program);
        // Asking for a toolchain shall not download it.
        command.args(arguments).env("RUSTUP_AUTO_INSTALL", "0");
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn entries(&self, folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

/// `PATH`, then where cargo installs to and where only root's `PATH` leads.
fn search_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let home = env::var_os("HOME").map(PathBuf::from);
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from).or(home.map(|home| home.join(".cargo")));
    env::split_paths(&path)
        .chain(cargo_home.map(|home| home.join("bin")))
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .collect()
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Whether this process may do everything: network namespaces, BPF, packages.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|data| data.uid() == 0)
}

#[cfg(test)]
pub(crate) mod fake {
    use super::*;

    /// A machine made of what a test says is there.
    #[derive(Clone, Default)]
    pub(crate) struct Fake {
        /// Program files.
        pub(crate) programs: Vec<&'static str>,
        /// Command line and its output.
        pub(crate) outputs: Vec<(&'static str, &'static str)>,
        /// Other files.
        pub(crate) files: Vec<&'static str>,
    }

    impl Machine for Fake {
        fn find(&self, name: &str) -> Option<PathBuf> {
            let is_it = |path: &&&str| Path::new(path).file_name().is_some_and(|file| file == name);
            self.programs.iter().find(is_it).map(PathBuf::from)
        }

        fn output(&self, program: &Path, arguments: &[&str]) -> Option<String> {
            let line = format!("{} {}", program.display(), arguments.join(" "));
            self.outputs.iter().find(|(command, _)| *command == line).map(|(_, text)| (*text).to_owned())
        }

        fn exists(&self, path: &Path) -> bool {
            self.files.iter().chain(&self.programs).any(|file| Path::new(file) == path)
        }

        fn entries(&self, folder: &Path) -> Vec<String> {
            let names = self.files.iter().filter_map(|file| Path::new(file).strip_prefix(folder).ok());
            names.filter_map(|rest| Some(rest.iter().next()?.to_string_lossy().into_owned())).collect()
        }
    }

    #[test]
    fn this_machine_finds_programs_and_their_output() {
        let shell = ThisMachine.find("sh").expect("a machine has a shell");
        assert_eq!(ThisMachine.output(&shell, &["-c", "echo here"]).as_deref(), Some("here\n"));
        assert_eq!(ThisMachine.output(&shell, &["-c", "exit 3"]), None);
        assert_eq!(ThisMachine.find("no-program-has-this-name"), None);
        assert!(ThisMachine.exists(Path::new("/proc/self")));
        assert!(ThisMachine.entries(Path::new("/proc/self")).contains(&"status".to_owned()));
    }
}
