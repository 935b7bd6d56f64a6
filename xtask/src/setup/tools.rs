//! Programs that the test bed and the demo start.

use std::path::Path;

use anyhow::Result;
use xtask::machine::Machine;

use super::apt;

/// Program, or file by its whole path; Debian package; what for.
type Tool = (&'static str, &'static str, &'static str);

const TOOLS: [Tool; 9] = [
    ("ip", "iproute2", "network namespaces and links"),
    ("tc", "iproute2", "traffic shaping on links"),
    ("ethtool", "ethtool", "offloads that veth pairs need off"),
    ("nginx", "nginx-light", "a web server as backend"),
    ("haproxy", "haproxy", "what it makes of an agent's answers"),
    ("ping", "iputils-ping", "echo requests to a VIP"),
    ("sysctl", "procps", "forwarding in router namespaces"),
    ("h2load", "nghttp2-client", "load on the gateway, in HTTP/1 and HTTP/2"),
    (WEBSOCKETS, "python3-websockets", "a WebSocket server that is not ours"),
];

const WEBSOCKETS: &str = "/usr/lib/python3/dist-packages/websockets/__init__.py";

/// Tools that are not there.
pub(super) fn missing(machine: &dyn Machine) -> Vec<Tool> {
    let is_there = |program: &str| match Path::new(program) {
        path if path.is_absolute() => machine.exists(path),
        _ => machine.find(program).is_some(),
    };
    TOOLS.into_iter().filter(|(program, ..)| !is_there(program)).collect()
}

/// Installs the packages of those.
pub(super) fn install(machine: &dyn Machine) -> Result<()> {
    let mut packages: Vec<_> = missing(machine).into_iter().map(|(_, package, _)| package).collect();
    packages.dedup();
    apt::install(&packages, "tools for the test bed")
}

/// One line on them.
pub(super) fn summary(missing: &[Tool]) -> String {
    let names = |tools: &[Tool]| tools.iter().map(|(program, ..)| *program).collect::<Vec<_>>().join(", ");
    let line = |(program, package, purpose): &Tool| format!("no {program} (package {package}): {purpose}");
    match missing {
        [] => format!("{} are there", names(&TOOLS)),
        _ => missing.iter().map(line).collect::<Vec<_>>().join("; "),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    struct Only(&'static [&'static str]);

    impl Machine for Only {
        fn find(&self, name: &str) -> Option<PathBuf> {
            self.0.contains(&name).then(|| Path::new("/bin").join(name))
        }
        fn output(&self, _: &Path, _: &[&str]) -> Option<String> {
            None
        }
        fn exists(&self, path: &Path) -> bool {
            path.to_str().is_some_and(|path| self.0.contains(&path))
        }
        fn entries(&self, _: &Path) -> Vec<String> {
            Vec::new()
        }
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let missing_of = |programs| missing(&Only(programs));
        let programs: Vec<_> = missing_of(&["ethtool", "nginx", "haproxy", "sysctl", "h2load", WEBSOCKETS])
            .iter()
            .map(|(program, ..)| *program)
            .collect();
        assert_eq!(programs, ["ip", "tc", "ping"]);
        assert_eq!(
            summary(&missing_of(&[
                "ip", "tc", "ethtool", "nginx", "haproxy", "sysctl", "h2load", WEBSOCKETS
            ])),
            "no ping (package iputils-ping): echo requests to a VIP"
        );
        let all = Only(&["ip", "tc", "ethtool", "nginx", "haproxy", "ping", "sysctl", "h2load", WEBSOCKETS]);
        assert!(missing(&all).is_empty());
    }
}
