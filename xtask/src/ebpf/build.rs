//! One run of cargo for the eBPF target, in a target directory of its own.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

use super::environment::clean;
use super::toolchain::{Toolchain, Way, detect};
use crate::machine::ThisMachine;

const PACKAGE: &str = "xdp-lb-ebpf";
const TARGET: &str = "bpfel-unknown-none";

/// Builds every binary of `xdp-lb-ebpf` for the workspace at `root` and gives the folder that holds exactly these
/// objects and no older ones, each named as its `[[bin]]`. Says nothing where nothing had changed, one line where it
/// had; an error holds the compiler's whole output.
pub fn build(root: &Path) -> Result<PathBuf> {
    Ok(locked_build(root)?.folder)
}

/// The same, and copies each object into `folder`, with `.o` added to its name. For build scripts: what another
/// build does meanwhile does not touch the copies.
pub fn build_into(root: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let built = locked_build(root)?;
    let copy = |object: PathBuf| {
        let name = object.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let copy = folder.join(format!("{name}.o"));
        fs::copy(&object, &copy)
            .with_context(|| format!("copy {} to {}", object.display(), copy.display()))?;
        Ok(copy)
    };
    objects(&built.folder)?.into_iter().map(copy).collect()
}

/// A folder of objects, and the lock without which another build might replace them.
struct Built {
    folder: PathBuf,
    _lock: File,
}

fn locked_build(root: &Path) -> Result<Built> {
    ensure!(cfg!(target_endian = "little"), "xdp-lb supports little-endian machines only");
    let toolchain = detect(&ThisMachine, Way::wanted()?)?;
    let target_dir = target_dir(root);
    fs::create_dir_all(&target_dir).with_context(|| format!("create {}", target_dir.display()))?;
    let lock_path = target_dir.join(".xtask-lock");
    let lock = File::create(&lock_path).with_context(|| format!("create {}", lock_path.display()))?;
    lock.lock().with_context(|| format!("lock {}", lock_path.display()))?;

    let folder = target_dir.join(TARGET).join("release");
    // Cargo leaves the last good object where a build fails and puts an unchanged one back where it does not.
    for stale in objects(&folder)? {
        fs::remove_file(&stale).with_context(|| format!("remove {}", stale.display()))?;
    }
    run(&mut command(&toolchain, root, &target_dir), &toolchain)?;
    ensure!(
        !objects(&folder)?.is_empty(),
        "{PACKAGE} has no [[bin]]: nothing was built in {}",
        folder.display()
    );
    Ok(Built { folder, _lock: lock })
}

/// Not the outer build's directory, whose lock a build script would wait for forever. One per checkout: cargo takes
/// a crate that another checkout compiled into the same directory for its own when the sources are older.
fn target_dir(root: &Path) -> PathBuf {
    let shared = crate::target_dir(root);
    if shared.starts_with(root) {
        return shared.join("ebpf");
    }
    let fnv = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    let checkout = root.as_os_str().as_encoded_bytes().iter().fold(0x811c_9dc5, fnv);
    shared.join(format!("ebpf-{checkout:08x}"))
}

/// Files without extension: cargo's own begin with a dot or end in `.d`.
fn objects(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let files = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let is_object = |name: &str| !name.contains('.');
    let mut objects: Vec<_> = files
        .filter(|entry| entry.file_name().to_str().is_some_and(is_object))
        .map(|entry| entry.path())
        .collect();
    objects.sort();
    Ok(objects)
}

fn command(toolchain: &Toolchain, root: &Path, target_dir: &Path) -> Command {
    let mut command = match toolchain.way {
        Way::Rustup => Command::new(&toolchain.program),
        // Before the environment is cleaned: an outer cargo names itself, and rustup's stand-in would choose again.
        Way::Debian => Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())),
    };
    clean(&mut command);
    match toolchain.way {
        Way::Rustup => command.args(["run", "nightly", "cargo", "build", "-Zbuild-std=core"]),
        Way::Debian => command.arg("build").env("RUSTC", &toolchain.program).env("RUSTC_BOOTSTRAP", "1"),
    };
    command.args(["--release", "--bins", "--package", PACKAGE, "--target", TARGET]).current_dir(root);
    command.env("CARGO_TARGET_DIR", target_dir).env("CARGO_ENCODED_RUSTFLAGS", flags(toolchain).join("\x1f"));
    if std::io::stderr().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    command
}

fn flags(toolchain: &Toolchain) -> Vec<String> {
    // A build script may be building for another machine than its own.
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_else(|_| std::env::consts::ARCH.to_owned());
    vec![
        format!("-Clinker={}", toolchain.linker.display()),
        "-Cdebuginfo=2".to_owned(), // BTF and the verifier's log with source lines
        "-Clink-arg=--btf".to_owned(),
        // Cold functions stay in the section of all others: aya 0.14 knows functions it links by their offset alone,
        // and takes one for another that has the same offset in another section.
        "-Clink-arg=--llvm-args=-profile-guided-section-prefix=false".to_owned(),
        format!("--cfg=bpf_target_arch=\"{arch}\""),
        "-Ctarget-cpu=v3".to_owned(), // compare-and-exchange, 32-bit arithmetic and jumps
    ]
}

fn run(command: &mut Command, toolchain: &Toolchain) -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "tells the user how long the build took")]
    let began = Instant::now();
    let program = command.get_program().to_owned();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("start {}", program.display()))?;
    let (mut output, mut announced) = (String::new(), false);
    let lines = child.stderr.take().map(|stderr| BufReader::new(stderr).split(b'\n')).into_iter().flatten();
    for line in lines {
        let line = String::from_utf8_lossy(&line?).into_owned();
        if !announced && line.contains("Compiling") {
            announced = true;
            eprint!("eBPF programs: building with {toolchain} … ");
            std::io::stderr().flush()?;
        }
        output.push_str(&line);
        output.push('\n');
    }
    let status = child.wait()?;
    if announced {
        let seconds = began.elapsed().as_secs_f32();
        eprintln!("{} in {seconds:.1} s", if status.success() { "done" } else { "failed" });
    }
    if !status.success() {
        bail!("building the eBPF programs with {toolchain} failed ({status}):\n{output}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toolchain(way: Way) -> Toolchain {
        let program = PathBuf::from(if way == Way::Rustup { "/a/rustup" } else { "/usr/bin/rustc" });
        Toolchain { way, program, version: "1.96.0".into(), linker: "/a/bpf-linker".into() }
    }

    fn line(command: &Command) -> String {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    fn variable(command: &Command, name: &str) -> Option<String> {
        let (_, value) = command.get_envs().find(|(key, _)| *key == name)?;
        value.map(|value| value.to_string_lossy().into_owned())
    }

    #[test]
    fn rustup_builds_core_itself() {
        let command = command(&toolchain(Way::Rustup), Path::new("/r"), Path::new("/t/ebpf"));
        assert_eq!(
            line(&command),
            "/a/rustup run nightly cargo build -Zbuild-std=core --release --bins --package xdp-lb-ebpf \
             --target bpfel-unknown-none"
        );
        assert_eq!(variable(&command, "CARGO_TARGET_DIR").as_deref(), Some("/t/ebpf"));
        assert_eq!(variable(&command, "RUSTC"), None);
        assert_eq!(variable(&command, "RUSTUP_TOOLCHAIN"), None);
    }

    #[test]
    fn debian_has_core_prebuilt() {
        let command = command(&toolchain(Way::Debian), Path::new("/r"), Path::new("/t/ebpf"));
        assert!(
            line(&command)
                .ends_with("build --release --bins --package xdp-lb-ebpf --target bpfel-unknown-none")
        );
        assert_eq!(variable(&command, "RUSTC").as_deref(), Some("/usr/bin/rustc"));
        let flags = variable(&command, "CARGO_ENCODED_RUSTFLAGS").unwrap();
        assert!(flags.starts_with("-Clinker=/a/bpf-linker\x1f"), "{flags:?}");
    }

    #[test]
    fn a_failing_build_tells_all_the_compiler_said() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'error: first' >&2; echo 'error: last' >&2; exit 7"]);
        let error = run(&mut command, &toolchain(Way::Debian)).unwrap_err().to_string();
        assert!(error.contains("error: first\nerror: last\n") && error.contains("exit status: 7"), "{error}");
    }
}
