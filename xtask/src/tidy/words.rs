//! Which words may not stand where: the direction of imports, where `unsafe` lives, what never lands.

use super::Finding;
use super::code::is_word;
use super::tree::{File, Tree};

struct Rule {
    name: &'static str,
    /// Starts of the paths it holds for.
    within: &'static [&'static str],
    /// Starts of paths that are let off.
    except: &'static [&'static str],
    words: &'static [&'static str],
    place: Place,
    mend: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Rust code that ships: not comments, literals or tests.
    Shipped,
    /// Rust code, tests too.
    Code,
    /// Any text.
    Text,
}

const RULES: &[Rule] = &[
    Rule {
        name: "control is pure",
        within: &["xdp-lb/src/control/"],
        except: &[],
        words: &[
            "tokio",
            "aya",
            "hyper",
            "rtnetlink",
            "rustix",
            "libc",
            "rand",
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "UnixStream",
            "UnixListener",
            "Instant::now",
            "SystemTime",
            "std::fs",
            "fs::",
            "std::process",
            "std::thread",
            "std::env",
        ],
        place: Place::Shipped,
        mend: "take it as an argument or an Event, or return a Command for agent.rs to carry out",
    },
    Rule {
        name: "control and probes do not reach across",
        within: &[
            "xdp-lb/src/control/",
            "xdp-lb/src/probe/",
            "xdp-lb/src/nexthop/",
            "xdp-lb/src/utilization/",
        ],
        except: &[],
        words: &["crate::datapath", "crate::agent", "crate::api", "crate::cli", "crate::gateway"],
        place: Place::Shipped,
        mend: "data flows one way: hand out an Event or a Command, and let agent.rs pass it on",
    },
    Rule {
        name: "only the data path uses aya",
        within: &["xdp-lb/src/"],
        except: &["xdp-lb/src/datapath/"],
        words: &["aya", "aya_obj"],
        place: Place::Shipped,
        mend: "put it behind the Datapath trait in xdp-lb/src/datapath",
    },
    Rule {
        name: "the gateway knows no data path",
        within: &["xdp-lb/src/gateway/"],
        except: &[],
        words: &["datapath"],
        place: Place::Code,
        mend: "share policy through control; the gateway holds no capability",
    },
    Rule {
        name: "configuration touches nothing",
        within: &["xdp-lb/src/config/"],
        except: &[],
        words: &[
            "tokio",
            "aya",
            "rtnetlink",
            "rustix",
            "libc",
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "Instant::now",
            "crate::control",
            "crate::datapath",
            "crate::agent",
            "crate::cli",
        ],
        place: Place::Shipped,
        mend: "config turns a file into values; let the caller act on them",
    },
    Rule {
        name: "shared packet code needs neither std nor alloc",
        within: &["xdp-lb-common/src/", "xdp-lb-ebpf/src/"],
        except: &[],
        words: &["std::", "alloc::", "extern crate"],
        place: Place::Shipped,
        mend: "use core: the same code runs in the kernel",
    },
    Rule {
        name: "unsafe lives in the files that exist for it",
        within: &[""],
        except: UNSAFE_FILES,
        words: &["unsafe"],
        place: Place::Code,
        mend: "use a safe interface, or one of the files listed in xtask/src/tidy/words.rs",
    },
    Rule {
        name: "unfinished work does not land",
        within: &[""],
        except: &[],
        words: &[
            concat!("to", "do!"),
            concat!("unimple", "mented!"),
            concat!("FIX", "ME"),
            concat!("TO", "DO"),
            concat!("X", "XX"),
            concat!("#[ig", "nore"),
        ],
        place: Place::Text,
        mend: "finish it, or leave it out",
    },
    Rule {
        name: "no path of one machine",
        within: &[""],
        except: &[],
        words: &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")],
        place: Place::Text,
        mend: "write it relative to the workspace root, or take it from the environment",
    },
];

/// Files that may hold `unsafe`, each with its reason.
const UNSAFE_FILES: &[&str] = &[
    "xdp-lb-ebpf/src/",            // packet and map pointers
    "xdp-lb-common/src/packet.rs", // loads and stores whose bounds the caller has checked
    "xdp-lb-common/src/pod.rs",    // aya::Pod
    "xdp-lb/src/datapath/",        // mapped BPF arrays
    "xdp-lb/src/nexthop/tests.rs", // a thread in a network namespace of its own
    "tests/src/netns.rs",          // the same
];

/// Looks for every rule's words.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.files.iter().flat_map(|file| RULES.iter().flat_map(move |rule| rule.check(file))).collect()
}

impl Rule {
    fn check(&self, file: &File) -> Vec<Finding> {
        let starts = |folders: &[&str]| folders.iter().any(|folder| file.path.starts_with(folder));
        if !starts(self.within) || starts(self.except) || file.name() == "Cargo.lock" {
            return Vec::new();
        }
        let text = if self.place == Place::Text { &file.text } else { &file.code };
        let mut findings = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if self.place == Place::Shipped && file.test_lines.get(index) == Some(&true) {
                continue;
            }
            for word in self.words.iter().filter(|word| has_word(line, word)) {
                let mend = format!("`{word}` may not stand here: {}", self.mend);
                findings.push(Finding { path: file.path.clone(), line: index + 1, rule: self.name, mend });
            }
        }
        findings
    }
}

/// Whether `word` stands in `line` other than as a part of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default().chars().next_back();
        let after = line.get(at + word.len()..).unwrap_or_default().chars().next();
        let open = |inner: Option<char>, outer: Option<char>| {
            inner.is_some_and(is_word) && outer.is_some_and(is_word)
        };
        !open(word.chars().next(), before) && !open(word.chars().next_back(), after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_where_they_may_not_stand() {
        let unfinished = concat!("fn f() { to", "do!() }");
        let ignored = concat!("#[test]\n#[ig", "nore = \"slow\"]\nfn f() {}");
        let path = concat!("//! see /wo", "rk/shared/notes.md");
        let rows: &[(&str, &str, &str, &[&str])] = &[
            ("pure control", "xdp-lb/src/control/maglev.rs", "use std::time::Instant;", &[]),
            (
                "a clock in control",
                "xdp-lb/src/control/health.rs",
                "let now = Instant::now();",
                &["control is pure"],
            ),
            (
                "tokio in control",
                "xdp-lb/src/control/mod.rs",
                "use tokio::time::sleep;",
                &["control is pure"],
            ),
            (
                "a socket in control",
                "xdp-lb/src/control/mod.rs",
                "use std::net::TcpStream;",
                &["control is pure"],
            ),
            (
                "files in control",
                "xdp-lb/src/control/mod.rs",
                "use std::{fs::File, io};",
                &["control is pure"],
            ),
            (
                "a clock in a test of control",
                "xdp-lb/src/control/mod.rs",
                "#[cfg(test)]\nmod t {\n Instant::now();\n}",
                &[],
            ),
            ("tokio in a comment", "xdp-lb/src/control/mod.rs", "//! No tokio.\nlet a = \"tokio\";", &[]),
            ("a longer name", "xdp-lb/src/control/mod.rs", "let brand = random_papaya();", &[]),
            (
                "aya in control",
                "xdp-lb/src/control/mod.rs",
                "use aya::Ebpf;",
                &["control is pure", "only the data path uses aya"],
            ),
            ("aya in the data path", "xdp-lb/src/datapath/load.rs", "use aya::Ebpf;", &[]),
            ("aya in the agent", "xdp-lb/src/agent.rs", "use aya::Ebpf;", &["only the data path uses aya"]),
            (
                "the data path in a probe",
                "xdp-lb/src/probe/tcp.rs",
                "use crate::datapath::Datapath;",
                &["control and probes do not reach across"],
            ),
            (
                "the data path in the gateway",
                "xdp-lb/src/gateway/mod.rs",
                "use crate::datapath;",
                &["the gateway knows no data path"],
            ),
            (
                "tokio in config",
                "xdp-lb/src/config/file.rs",
                "tokio::fs::read(path)",
                &["configuration touches nothing"],
            ),
            (
                "std in shared code",
                "xdp-lb-common/src/parse.rs",
                "use std::net::IpAddr;",
                &["shared packet code needs neither std nor alloc"],
            ),
            (
                "std in a test of shared code",
                "xdp-lb-common/src/parse.rs",
                "#[cfg(test)]\nmod tests {\n use std::fmt;\n}",
                &[],
            ),
            ("no_std", "xdp-lb-common/src/lib.rs", "#![cfg_attr(not(test), no_std)]", &[]),
            (
                "unsafe in the agent",
                "xdp-lb/src/agent.rs",
                "unsafe { f() }",
                &["unsafe lives in the files that exist for it"],
            ),
            ("unsafe in the context", "xdp-lb-ebpf/src/ctx.rs", "unsafe { f() }", &[]),
            ("a lint's name", "xdp-lb/src/lib.rs", "#![deny(unsafe_op_in_unsafe_fn)]", &[]),
            ("unfinished", "xdp-lb/src/agent.rs", unfinished, &["unfinished work does not land"]),
            (
                "a test that does not run",
                "tests/tests/forward.rs",
                ignored,
                &["unfinished work does not land"],
            ),
            ("a path of one machine", "README.md", path, &["no path of one machine"]),
        ];
        for (description, path, text, rules) in rows {
            let found: Vec<_> =
                check(&Tree::of(&[(path, text)])).iter().map(|finding| finding.rule).collect();
            assert_eq!(found, *rules, "{description}");
        }
    }

    #[test]
    fn a_finding_has_the_line_and_the_word() {
        let tree = Tree::of(&[("xdp-lb/src/agent.rs", "//! The loop.\n\nuse aya::Ebpf;\n")]);
        let findings = check(&tree);
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].line, findings[0].mend.starts_with("`aya` may not stand here")), (3, true));
    }
}
