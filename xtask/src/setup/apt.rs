//! Debian's packages. The package lists are fetched at most once, and only when something is missing.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use xtask::machine::{Machine as _, ThisMachine, is_root};

/// The whole of Debian's way to an eBPF toolchain.
pub(super) const TOOLCHAIN: [&str; 8] = [
    "rustc-web",
    "libstd-rust-web-dev-bpf",
    "g++",
    "llvm-22-dev",
    "libpolly-22-dev",
    "libzstd-dev",
    "zlib1g-dev",
    "libxml2-dev",
];

/// Installs packages without starting the services in them: nginx and HAProxy are here for tests, not as servers of
/// the machine's. `policy-rc.d` is Debian's own switch for that. An administrator's stays as it is; ours is removed at the
/// end in any case, and means nothing any more should it outlive this script. A new machine's own upgrades may hold
/// apt's locks for minutes: they are waited for. `$1` says whether lists are fetched; the rest are packages.
const SCRIPT: &str = r#"
set -eu
lists=$1; shift
policy=/usr/sbin/policy-rc.d
new=; for service in nginx haproxy; do if [ ! -e "/usr/sbin/$service" ]; then new="$new $service"; fi; done
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' HUP INT TERM
    printf '#!/bin/sh\n# Made by cargo xtask setup; void once it ended.\n[ ! -d /proc/%s ] || exit 101\n' "$$" >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
if [ "$lists" = fetch ]; then apt-get -qq -o DPkg::Lock::Timeout=300 update; fi
apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 --no-install-recommends install "$@"
for service in $new; do
    if [ -e "/usr/sbin/$service" ] && [ -d /run/systemd/system ]; then
        systemctl --quiet disable "$service.service"
        echo "setup: $service.service is installed but neither started nor enabled; the tests start one of their own"
    fi
done
"#;

static LISTS_FETCHED: AtomicBool = AtomicBool::new(false);

/// Installs `packages`; does nothing where there are none.
pub(super) fn install(packages: &[&str], purpose: &str) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    if ThisMachine.find("apt-get").is_none() {
        bail!("no apt-get on this machine; {purpose} is in the Debian packages {}", packages.join(" "));
    }
    println!("setup: installing {purpose}: {}", packages.join(" "));
    let mut command = root_shell().with_context(|| format!("to install {}", packages.join(" ")))?;
    let lists = if LISTS_FETCHED.load(Ordering::Relaxed) { "keep" } else { "fetch" };
    let status = command.args(["-c", SCRIPT, "setup", lists]).args(packages).status().context("start sh")?;
    ensure!(status.success(), "apt-get could not install {} ({status})", packages.join(" "));
    LISTS_FETCHED.store(true, Ordering::Relaxed);
    Ok(())
}

fn root_shell() -> Result<Command> {
    if is_root() {
        return Ok(Command::new("sh"));
    }
    let Some(sudo) = ThisMachine.find("sudo") else {
        bail!("root is needed and there is no sudo: run as root")
    };
    let mut command = Command::new(sudo);
    command.arg("sh");
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_one_that_sh_reads() {
        let status = Command::new("sh").args(["-n", "-c", SCRIPT]).status().expect("a machine has a shell");
        assert!(status.success());
    }

    #[test]
    fn nothing_to_install_starts_nothing() {
        install(&[], "nothing").expect("there is nothing to do");
    }
}
