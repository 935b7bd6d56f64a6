//! Which of the two ways to an eBPF toolchain this machine has, and what the other lacks.

use std::fmt;
use std::path::PathBuf;

use crate::machine::Machine;

/// Overrides the choice: `rustup` or `debian`.
const OVERRIDE: &str = "XDP_LB_EBPF_TOOLCHAIN";

/// Oldest rustc, 1.x, that builds the workspace (`rust-version` in Cargo.toml).
const OLDEST_MINOR: u32 = 95;

/// How `core` is had for the eBPF target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// rustup's nightly builds `core` from the `rust-src` component.
    Rustup,
    /// Debian's `rustc-web` finds `core` prebuilt in `libstd-rust-web-dev-bpf`.
    Debian,
}

impl Way {
    /// In the order of preference where both are complete. There is one bpf-linker for both, and it reads bitcode of
    /// its own LLVM and of older ones only: one that was built with Debian's LLVM may not read what a nightly of today
    /// writes, while one that was built with nightly's reads what Debian's compiler writes.
    pub const ALL: [Self; 2] = [Self::Debian, Self::Rustup];

    /// As `XDP_LB_EBPF_TOOLCHAIN` spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rustup => "rustup",
            Self::Debian => "debian",
        }
    }

    /// What `XDP_LB_EBPF_TOOLCHAIN` says; `None` where it is not set.
    pub fn wanted() -> anyhow::Result<Option<Self>> {
        let Some(name) = std::env::var_os(OVERRIDE) else { return Ok(None) };
        let way = Self::ALL.into_iter().find(|way| name == way.name());
        match way {
            Some(way) => Ok(Some(way)),
            None => anyhow::bail!("{OVERRIDE}={}: must be `rustup` or `debian`, or not set", name.display()),
        }
    }
}

/// A compiler and a linker that make eBPF objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// How `core` is had.
    pub way: Way,
    /// `rustup`, or Debian's `rustc`.
    pub program: PathBuf,
    /// The compiler's version: "1.97.0-nightly".
    pub version: String,
    /// `bpf-linker`.
    pub linker: PathBuf,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.way {
            Way::Rustup => write!(f, "rustc {} of rustup", self.version),
            Way::Debian => write!(f, "rustc {} of Debian", self.version),
        }
    }
}

/// One thing that a way needs and does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// No `rustup`.
    Rustup,
    /// No toolchain named `nightly`.
    Nightly,
    /// The nightly toolchain lacks the standard library's source.
    RustSrc,
    /// No `/usr/bin/rustc`.
    Rustc,
    /// No `core` for the eBPF target beside it.
    Core,
    /// The compiler is older than the workspace needs; its version.
    TooOld(String),
    /// No `bpf-linker`.
    Linker,
    /// There is one, and it does not start: usually the LLVM it was linked to is gone.
    BrokenLinker(PathBuf),
}

impl Missing {
    /// Debian package that brings it, where one does.
    pub const fn package(&self) -> Option<&'static str> {
        match self {
            Self::Rustc => Some("rustc-web"),
            Self::Core => Some("libstd-rust-web-dev-bpf"),
            _ => None,
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rustup => write!(f, "rustup"),
            Self::Nightly => write!(f, "the nightly toolchain"),
            Self::RustSrc => write!(f, "the rust-src component of nightly"),
            Self::Rustc => write!(f, "/usr/bin/rustc (package rustc-web)"),
            Self::Core => write!(f, "core for bpfel-unknown-none (package libstd-rust-web-dev-bpf)"),
            Self::TooOld(version) => write!(f, "rustc 1.{OLDEST_MINOR} or newer (this one is {version})"),
            Self::Linker => write!(f, "bpf-linker"),
            Self::BrokenLinker(path) => write!(f, "a bpf-linker that starts ({} does not)", path.display()),
        }
    }
}

/// What both ways have or lack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// With rustup's nightly.
    pub rustup: Result<Toolchain, Vec<Missing>>,
    /// With Debian's compiler.
    pub debian: Result<Toolchain, Vec<Missing>>,
}

impl Survey {
    /// What one way has or lacks.
    pub const fn of(&self, way: Way) -> &Result<Toolchain, Vec<Missing>> {
        match way {
            Way::Rustup => &self.rustup,
            Way::Debian => &self.debian,
        }
    }

    /// The first complete way, or only `wanted`.
    pub fn choose(self, wanted: Option<Way>) -> Result<Toolchain, NoToolchain> {
        let ways = Way::ALL.into_iter().filter(|way| wanted.is_none_or(|wanted| wanted == *way));
        let found = ways.filter_map(|way| self.of(way).as_ref().ok()).next().cloned();
        found.ok_or_else(|| NoToolchain { survey: Box::new(self), wanted })
    }
}

/// Neither way is complete, or not the wanted one. Displays as the one line that helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoToolchain {
    /// What is missing.
    pub survey: Box<Survey>,
    /// What `XDP_LB_EBPF_TOOLCHAIN` asked for.
    pub wanted: Option<Way>,
}

impl fmt::Display for NoToolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no toolchain to build the eBPF programs: run `cargo xtask setup`")?;
        for way in Way::ALL.into_iter().filter(|way| self.wanted.is_none_or(|wanted| wanted == *way)) {
            if let Err(missing) = self.survey.of(way) {
                let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
                write!(f, "; the {} way lacks {}", way.name(), missing.join(" and "))?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for NoToolchain {}

/// The toolchain to build with: the wanted one, else the first that is complete.
pub fn detect(machine: &dyn Machine, wanted: Option<Way>) -> Result<Toolchain, NoToolchain> {
    survey(machine).choose(wanted)
}

/// Looks at both ways.
pub fn survey(machine: &dyn Machine) -> Survey {
    let linker = linker(machine);
    let join = |way, compiler: Result<(PathBuf, String), Missing>| match (compiler, &linker) {
        (Ok((program, version)), Ok(linker)) => {
            Ok(Toolchain { way, program, version, linker: linker.clone() })
        }
        (compiler, linker) => Err(compiler.err().into_iter().chain(linker.clone().err()).collect()),
    };
    Survey { rustup: join(Way::Rustup, rustup(machine)), debian: join(Way::Debian, debian(machine)) }
}

fn rustup(machine: &dyn Machine) -> Result<(PathBuf, String), Missing> {
    let program = machine.find("rustup").ok_or(Missing::Rustup)?;
    let ask = |question| machine.output(&program, &["run", "nightly", "rustc", "--print", question]);
    let version = machine.output(&program, &["run", "nightly", "rustc", "--version"]);
    let version = new_enough(&version.ok_or(Missing::Nightly)?)?;
    let sysroot = ask("sysroot").ok_or(Missing::Nightly)?;
    let source = PathBuf::from(sysroot.trim()).join("lib/rustlib/src/rust/library/core/Cargo.toml");
    if machine.exists(&source) { Ok((program, version)) } else { Err(Missing::RustSrc) }
}

fn debian(machine: &dyn Machine) -> Result<(PathBuf, String), Missing> {
    // By its path: `rustc` in PATH is rustup's, more often than not.
    let program = PathBuf::from("/usr/bin/rustc");
    let version = machine.output(&program, &["--version"]).ok_or(Missing::Rustc)?;
    let version = new_enough(&version)?;
    let sysroot = machine.output(&program, &["--print", "sysroot"]).ok_or(Missing::Rustc)?;
    let libraries = PathBuf::from(sysroot.trim()).join("lib/rustlib/bpfel-unknown-none/lib");
    let is_core = |name: &String| name.starts_with("libcore-") && name.ends_with(".rlib");
    if machine.entries(&libraries).iter().any(is_core) { Ok((program, version)) } else { Err(Missing::Core) }
}

fn linker(machine: &dyn Machine) -> Result<PathBuf, Missing> {
    let linker = machine.find("bpf-linker").ok_or(Missing::Linker)?;
    match machine.output(&linker, &["--version"]) {
        Some(_) => Ok(linker),
        None => Err(Missing::BrokenLinker(linker)),
    }
}

/// The version in the answer to `rustc --version`, such as "rustc 1.96.0 (ac68faa20 2026-05-25)".
fn new_enough(answer: &str) -> Result<String, Missing> {
    let version = answer.split_whitespace().nth(1).unwrap_or(answer).to_owned();
    let mut numbers = version.split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(1)), Some(Ok(minor))) if minor < OLDEST_MINOR => Err(Missing::TooOld(version)),
        _ => Ok(version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::fake::Fake;

    const NIGHTLY: [(&str, &str); 2] = [
        ("/u/.cargo/bin/rustup run nightly rustc --version", "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)\n"),
        ("/u/.cargo/bin/rustup run nightly rustc --print sysroot", "/u/nightly\n"),
    ];
    const DEBIAN: [(&str, &str); 2] = [
        ("/usr/bin/rustc --version", "rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)\n"),
        ("/usr/bin/rustc --print sysroot", "/usr\n"),
    ];
    const OLD_DEBIAN: [(&str, &str); 2] =
        [("/usr/bin/rustc --version", "rustc 1.63.0\n"), ("/usr/bin/rustc --print sysroot", "/usr\n")];
    const LINKER: [(&str, &str); 1] = [("/u/.cargo/bin/bpf-linker --version", "bpf-linker 0.13.0\n")];
    const SOURCE: &str = "/u/nightly/lib/rustlib/src/rust/library/core/Cargo.toml";
    const CORE: &str = "/usr/lib/rustlib/bpfel-unknown-none/lib/libcore-28aa.rlib";
    const RUSTUP: &str = "/u/.cargo/bin/rustup";
    const BPF_LINKER: &str = "/u/.cargo/bin/bpf-linker";

    fn machine(
        programs: &[&'static str],
        outputs: &[&[(&'static str, &'static str)]],
        files: &[&'static str],
    ) -> Fake {
        Fake { programs: programs.to_vec(), outputs: outputs.concat(), files: files.to_vec() }
    }

    #[test]
    fn each_way_says_precisely_what_it_lacks() {
        let rows: [(&str, Fake, Vec<Missing>, Vec<Missing>); 8] = [
            (
                "bare",
                Fake::default(),
                vec![Missing::Rustup, Missing::Linker],
                vec![Missing::Rustc, Missing::Linker],
            ),
            (
                "only stable rustup",
                machine(&[RUSTUP], &[], &[]),
                vec![Missing::Nightly, Missing::Linker],
                vec![Missing::Rustc, Missing::Linker],
            ),
            (
                "nightly without rust-src",
                machine(&[RUSTUP, BPF_LINKER], &[&NIGHTLY, &LINKER], &[]),
                vec![Missing::RustSrc],
                vec![Missing::Rustc],
            ),
            (
                "nightly without the linker",
                machine(&[RUSTUP], &[&NIGHTLY], &[SOURCE]),
                vec![Missing::Linker],
                vec![Missing::Rustc, Missing::Linker],
            ),
            (
                "all of rustup",
                machine(&[RUSTUP, BPF_LINKER], &[&NIGHTLY, &LINKER], &[SOURCE]),
                vec![],
                vec![Missing::Rustc],
            ),
            (
                "Debian's compiler without core",
                machine(&[BPF_LINKER], &[&DEBIAN, &LINKER], &[]),
                vec![Missing::Rustup],
                vec![Missing::Core],
            ),
            (
                "all of Debian",
                machine(&[BPF_LINKER], &[&DEBIAN, &LINKER], &[CORE]),
                vec![Missing::Rustup],
                vec![],
            ),
            (
                "an old Debian compiler, and a linker without its LLVM",
                machine(&[BPF_LINKER], &[&OLD_DEBIAN], &[CORE]),
                vec![Missing::Rustup, Missing::BrokenLinker(BPF_LINKER.into())],
                vec![Missing::TooOld("1.63.0".into()), Missing::BrokenLinker(BPF_LINKER.into())],
            ),
        ];
        for (description, machine, rustup, debian) in rows {
            let found = survey(&machine);
            assert_eq!(found.rustup.err().unwrap_or_default(), rustup, "rustup way: {description}");
            assert_eq!(found.debian.err().unwrap_or_default(), debian, "Debian way: {description}");
        }
    }

    #[test]
    fn the_first_complete_way_is_taken_unless_another_is_wanted() {
        let both = machine(&[RUSTUP, BPF_LINKER], &[&NIGHTLY, &DEBIAN, &LINKER], &[SOURCE, CORE]);
        let way = |machine: &Fake, wanted| detect(machine, wanted).map(|toolchain| toolchain.way).ok();
        assert_eq!(way(&both, None), Some(Way::Debian));
        assert_eq!(way(&both, Some(Way::Rustup)), Some(Way::Rustup));
        let rustup = machine(&[RUSTUP, BPF_LINKER], &[&NIGHTLY, &DEBIAN, &LINKER], &[SOURCE]);
        assert_eq!(way(&rustup, None), Some(Way::Rustup));
        assert_eq!(way(&rustup, Some(Way::Debian)), None);
    }

    #[test]
    fn what_is_missing_is_said_in_one_line() {
        let bare = machine(&[RUSTUP, BPF_LINKER], &[&NIGHTLY, &LINKER], &[]);
        let error = detect(&bare, None).unwrap_err().to_string();
        assert_eq!(
            error,
            "no toolchain to build the eBPF programs: run `cargo xtask setup`; the debian way lacks \
             /usr/bin/rustc (package rustc-web); the rustup way lacks the rust-src component of nightly"
        );
        let error = detect(&bare, Some(Way::Rustup)).unwrap_err().to_string();
        assert!(!error.contains("debian"), "only the wanted way is spoken of: {error}");
    }

    #[test]
    fn a_toolchain_says_who_it_is() {
        let debian = machine(&[BPF_LINKER], &[&DEBIAN, &LINKER], &[CORE]);
        assert_eq!(detect(&debian, None).unwrap().to_string(), "rustc 1.96.0 of Debian");
    }
}
