//! What the test bed needs of the machine: root, and a few programs.

/// Returns from the test unless it runs as root and may make namespaces, saying so; in CI only the latter excuses.
#[macro_export]
macro_rules! require_root {
    () => {
        if !$crate::root::available() {
            return;
        }
    };
}

/// Programs the test bed calls, each with the Debian package that has it.
const PROGRAMS: [(&str, &str); 3] = [("ip", "iproute2"), ("ethtool", "ethtool"), ("nginx", "nginx-light")];

/// Set by `cargo xtask test --host-only`, which makes no namespaces as root either.
const HOST_ONLY: &str = "XDP_LB_HOST_ONLY";

/// Whether this process is root and may make namespaces. If not, prints that the test is skipped.
///
/// # Panics
///
/// In CI (`CI=true`) without root, where nothing may be skipped that was not left out on purpose.
pub fn available() -> bool {
    if std::env::var_os(HOST_ONLY).is_some() {
        eprintln!("skipped: --host-only");
        return false;
    }
    if is_root() {
        return true;
    }
    let ci = std::env::var("CI").is_ok_and(|value| value == "true" || value == "1");
    assert!(!ci, "needs root, and CI must not skip: run the tests as root");
    eprintln!("skipped: needs root");
    false
}

/// Whether this process is root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What is missing on this machine, one sentence for each program with the package that has it.
pub fn missing_programs() -> Vec<String> {
    let folders = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let found =
        |program: &str| folders.split(':').any(|folder| std::path::Path::new(folder).join(program).is_file());
    PROGRAMS
        .iter()
        .filter(|(program, _)| !found(program))
        .map(|(program, package)| {
            format!("`{program}` is not installed: run `cargo xtask setup`, or `apt-get install {package}`")
        })
        .collect()
}
