//! Finds what building and testing need, and installs what is missing. Says what it did; a complete machine is left
//! alone.

mod apt;
mod linker;
mod tools;

use anyhow::{Result, bail};
use xtask::ebpf::{self, Missing, NoToolchain, Survey, Toolchain, Way};
use xtask::machine::{Machine, ThisMachine};

/// `cargo xtask setup`.
pub(crate) fn run(check: bool) -> Result<()> {
    if check {
        return report(&ThisMachine);
    }
    everything()?;
    report(&ThisMachine)
}

/// What building needs. Silent where it is there.
pub(crate) fn toolchain() -> Result<Toolchain> {
    let wanted = Way::wanted()?;
    let error = match ebpf::detect(&ThisMachine, wanted) {
        Ok(toolchain) => return Ok(toolchain),
        Err(error) => error,
    };
    for attempt in plan(&error) {
        if let Err(error) = attempt.carry_out(&error.survey) {
            eprintln!("setup: the {} way did not work out: {error:#}", attempt.way.name());
            continue;
        }
        if let Ok(toolchain) = ebpf::detect(&ThisMachine, Some(attempt.way)) {
            return Ok(toolchain);
        }
    }
    bail!("{}", advice(&NoToolchain { survey: Box::new(ebpf::survey(&ThisMachine)), wanted }))
}

/// What building, the tests and the demo need. Silent where it is there.
pub(crate) fn everything() -> Result<()> {
    toolchain()?;
    tools::install(&ThisMachine)
}

/// What libFuzzer is compiled with, beside what building needs. Silent where it is there.
pub(crate) fn fuzzing() -> Result<()> {
    toolchain()?;
    let packages: &[_] = if ThisMachine.find("c++").is_some() { &[] } else { &["g++"] };
    apt::install(packages, "what libFuzzer is compiled with")
}

/// One way to complete, and whether a toolchain is downloaded for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attempt {
    way: Way,
    add_nightly: bool,
}

/// What to try, in order: the way that lacks less, a nightly that is there before Debian's packages, and those before
/// a nightly that is not there yet. Debian's goes first where it lacks the linker alone: whichever way brings that
/// completes Debian's too, which is then the one built with, and so the one to bring the linker for.
fn plan(error: &NoToolchain) -> Vec<Attempt> {
    let lacks = |missing| error.survey.rustup.as_ref().is_err_and(|all| all.contains(&missing));
    let count = |way| error.survey.of(way).as_ref().err().map_or(0, Vec::len);
    let only_linker = |way| {
        let is_linker = |missing: &Missing| matches!(missing, Missing::Linker | Missing::BrokenLinker(_));
        error.survey.of(way).as_ref().is_err_and(|all| all.iter().all(is_linker))
    };
    let rustup = |add_nightly| Attempt { way: Way::Rustup, add_nightly };
    let debian = Attempt { way: Way::Debian, add_nightly: false };
    let attempts = if lacks(Missing::Rustup) {
        vec![debian]
    } else if lacks(Missing::Nightly) {
        vec![debian, rustup(true)]
    } else if count(Way::Debian) < count(Way::Rustup) || only_linker(Way::Debian) {
        vec![debian, rustup(false)]
    } else {
        vec![rustup(false), debian]
    };
    attempts.into_iter().filter(|attempt| error.wanted.is_none_or(|way| way == attempt.way)).collect()
}

impl Attempt {
    fn carry_out(self, survey: &Survey) -> Result<()> {
        let missing = survey.of(self.way).as_ref().err().cloned().unwrap_or_default();
        match self.way {
            Way::Rustup => {
                if self.add_nightly {
                    linker::rustup(&[
                        "toolchain",
                        "install",
                        "nightly",
                        "--profile",
                        "minimal",
                        "--component",
                        "rust-src",
                    ])?;
                } else if missing.contains(&Missing::RustSrc) {
                    linker::rustup(&["component", "add", "rust-src", "--toolchain", "nightly"])?;
                }
                linker::install(&linker::nightly_llvm(&ThisMachine)?)
            }
            Way::Debian => {
                let packages: Vec<_> = missing.iter().filter_map(Missing::package).collect();
                apt::install(&packages, "the eBPF compiler")?;
                linker::install(linker::DEBIAN_LLVM)
            }
        }
    }
}

/// What is missing and the commands that bring it, for a machine where setup could not.
fn advice(error: &NoToolchain) -> String {
    let ways = [
        (
            Way::Rustup,
            "rustup toolchain install nightly --component rust-src\n    \
             cargo install cargo-binstall && cargo binstall bpf-linker"
                .to_owned(),
        ),
        (
            Way::Debian,
            format!(
                "apt-get install {}\n    {}",
                apt::TOOLCHAIN.join(" "),
                linker::command_line(linker::DEBIAN_LLVM)
            ),
        ),
    ];
    let ways = ways.into_iter().filter(|(way, _)| error.wanted.is_none_or(|wanted| wanted == *way));
    let commands = ways.map(|(way, commands)| format!("\n  the {} way:\n    {commands}", way.name()));
    format!("{error}\nThese commands complete it:{}", commands.collect::<String>())
}

/// Prints what is there and fails where something is missing.
fn report(machine: &dyn Machine) -> Result<()> {
    let found = ebpf::detect(machine, Way::wanted()?);
    match &found {
        Ok(toolchain) => println!("eBPF toolchain: {toolchain}, {}", toolchain.linker.display()),
        Err(error) => println!("eBPF toolchain: {}", advice(error)),
    }
    let missing = tools::missing(machine);
    println!("tools: {}", tools::summary(&missing));
    match (found, missing.is_empty()) {
        (Ok(_), true) => Ok(()),
        _ => bail!("something is missing: `cargo xtask setup` installs it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(rustup: &[Missing], debian: &[Missing], wanted: Option<Way>) -> NoToolchain {
        let survey = Survey { rustup: Err(rustup.to_vec()), debian: Err(debian.to_vec()) };
        NoToolchain { survey: Box::new(survey), wanted }
    }

    /// Way, and whether nightly is downloaded for it.
    type Plan = &'static [(Way, bool)];

    #[test]
    fn what_is_nearest_is_tried_first() {
        let rows: [(&str, NoToolchain, Plan); 7] = [
            ("no rustup", without(&[Missing::Rustup], &[Missing::Rustc], None), &[(Way::Debian, false)]),
            (
                "stable only",
                without(&[Missing::Nightly], &[Missing::Rustc], None),
                &[(Way::Debian, false), (Way::Rustup, true)],
            ),
            (
                "nightly without rust-src",
                without(&[Missing::RustSrc, Missing::Linker], &[Missing::Rustc, Missing::Linker], None),
                &[(Way::Rustup, false), (Way::Debian, false)],
            ),
            (
                "only the linker",
                without(&[Missing::Linker], &[Missing::Core, Missing::Linker], None),
                &[(Way::Rustup, false), (Way::Debian, false)],
            ),
            (
                "only the linker, of both",
                without(&[Missing::Linker], &[Missing::Linker], None),
                &[(Way::Debian, false), (Way::Rustup, false)],
            ),
            (
                "only the linker, of Debian's way",
                without(&[Missing::RustSrc, Missing::Linker], &[Missing::Linker], None),
                &[(Way::Debian, false), (Way::Rustup, false)],
            ),
            (
                "Debian wanted",
                without(&[Missing::RustSrc], &[Missing::Core], Some(Way::Debian)),
                &[(Way::Debian, false)],
            ),
        ];
        for (description, error, expected) in rows {
            let attempts: Vec<_> =
                plan(&error).into_iter().map(|attempt| (attempt.way, attempt.add_nightly)).collect();
            assert_eq!(attempts, expected, "{description}");
        }
    }

    #[test]
    fn advice_names_what_is_missing_and_the_commands() {
        let advice = advice(&without(&[Missing::RustSrc], &[Missing::Rustc, Missing::Linker], None));
        for words in [
            "the rustup way lacks the rust-src component of nightly",
            "the debian way lacks /usr/bin/rustc (package rustc-web) and bpf-linker",
            "rustup toolchain install nightly --component rust-src",
            "apt-get install rustc-web",
            "LLVM_PREFIX=/usr/lib/llvm-22 cargo install",
        ] {
            assert!(advice.contains(words), "{words:?} in:\n{advice}");
        }
    }
}
