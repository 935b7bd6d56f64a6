//! What must be true of the machine: kernel, capabilities, a BPF file system.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::statfs;
use rustix::mount::{MountFlags, mount};

/// Why the machine cannot run a data path.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// Too old.
    #[error("kernel {found} is too old: xdp-lb needs Linux {}.{} or newer", MIN_KERNEL.0, MIN_KERNEL.1)]
    Kernel {
        /// As `uname -r` tells.
        found: String,
    },
    /// Missing capabilities.
    #[error(
        "missing {missing}; run as root, or grant them: `setcap cap_bpf,cap_net_admin,cap_perfmon+ep /path/to/xdp-lb`"
    )]
    Capability {
        /// Their names.
        missing: String,
    },
    /// The pins have no place.
    #[error("{path}: not in a BPF file system; mount one: `mount -t bpf bpf /sys/fs/bpf`")]
    NoBpfFs {
        /// The configured folder.
        path: PathBuf,
    },
    /// Something could not be read or made.
    #[error("{path}: {source}")]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// First kernel that has all that is used: XDP links (5.9), compare-and-exchange in BPF (5.12); 5.15 is the first
/// long-term one after them.
pub const MIN_KERNEL: (u32, u32) = (5, 15);

/// Checks kernel and capabilities.
pub fn check() -> Result<(), SystemError> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    if kernel_version(&release).is_none_or(|version| version < MIN_KERNEL) {
        return Err(SystemError::Kernel { found: release });
    }
    let status = read(Path::new("/proc/self/status"))?;
    let missing = missing_capabilities(&status);
    if missing.is_empty() { Ok(()) } else { Err(SystemError::Capability { missing: missing.join(", ") }) }
}

fn read(path: &Path) -> Result<String, SystemError> {
    fs::read_to_string(path).map_err(|source| SystemError::Io { path: path.into(), source })
}

/// Major and minor number of `uname -r`.
fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Names of the capabilities that /proc/self/status does not show as effective.
fn missing_capabilities(status: &str) -> Vec<&'static str> {
    const NET_ADMIN: u32 = 12;
    const SYS_ADMIN: u32 = 21;
    const PERFMON: u32 = 38;
    const BPF: u32 = 39;
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok())
        .unwrap_or(0);
    let has = |bit: u32| effective & 1 << bit != 0;
    [("CAP_NET_ADMIN", NET_ADMIN), ("CAP_BPF", BPF), ("CAP_PERFMON", PERFMON)]
        .into_iter()
        .filter(|&(_, bit)| !has(bit) && (bit == NET_ADMIN || !has(SYS_ADMIN)))
        .map(|(name, _)| name)
        .collect()
}

/// Makes `folder` in a BPF file system, mounting one on /sys/fs/bpf if the folder lies there and none is.
pub fn prepare_pins(folder: &Path) -> Result<(), SystemError> {
    let standard = Path::new("/sys/fs/bpf");
    if folder.starts_with(standard) && !is_bpf_fs(standard) {
        mount("bpf", standard, "bpf", MountFlags::empty(), None)
            .map_err(|_| SystemError::NoBpfFs { path: folder.into() })?;
    }
    let existing = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    if !is_bpf_fs(existing) {
        return Err(SystemError::NoBpfFs { path: folder.into() });
    }
    fs::create_dir_all(folder).map_err(|source| SystemError::Io { path: folder.into(), source })
}

fn is_bpf_fs(path: &Path) -> bool {
    const BPF_FS_MAGIC: rustix::fs::FsWord = 0xcafe_4a11;
    statfs(path).is_ok_and(|info| info.f_type == BPF_FS_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_told_apart() {
        for (release, expected) in [
            ("6.18.44-generic", Some((6, 18))),
            ("5.15.0", Some((5, 15))),
            ("4.19-rc1+", Some((4, 19))),
            ("next", None),
        ] {
            assert_eq!(kernel_version(release), expected, "{release}");
        }
    }

    #[test]
    fn capabilities_are_named() {
        for (effective, missing) in [
            ("000001ffffffffff", vec![]),
            ("0000000000000000", vec!["CAP_NET_ADMIN", "CAP_BPF", "CAP_PERFMON"]),
            ("0000000000201000", vec![]),
            ("0000008000001000", vec!["CAP_PERFMON"]),
        ] {
            assert_eq!(missing_capabilities(&format!("Name:\tx\nCapEff:\t{effective}\n")), missing);
        }
    }

    #[test]
    fn pins_need_a_bpf_file_system() {
        let folder = tempfile::tempdir().unwrap();
        let error = prepare_pins(&folder.path().join("pins")).unwrap_err();
        assert!(error.to_string().contains("mount -t bpf"), "{error}");
    }
}
