//! The demo, as its users run it: to the end, and left with Ctrl-C.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use rustix::process::Signal;
use xdp_lb_tests::process::Process;
use xdp_lb_tests::require_root;
use xdp_lb_tests::scratch::Scratch;
use xdp_lb_tests::wait::wait_until;

/// Some 15 s where nothing else runs.
const STORY: Duration = Duration::from_secs(90);

/// One demo at a time: it measures shares and failures.
static STAGE: Mutex<()> = Mutex::new(());

#[test]
fn everything_that_the_demo_claims_is_seen_and_nothing_is_left() {
    tells_the_truth("balancer");
}

#[test]
fn everything_that_the_demo_of_the_gateway_claims_is_seen_and_nothing_is_left() {
    tells_the_truth("gateway");
}

fn tells_the_truth(part: &str) {
    require_root!();
    let _stage = stage();
    let scratch = Scratch::new("demo").unwrap();
    let mut demo = start(&scratch, part);
    let status = ended(&mut demo);
    assert_eq!(status.code(), Some(0), "{}", demo.tail());
    assert_eq!(leftovers(demo.pid()), Vec::<String>::new());
}

#[test]
fn an_interrupted_demo_removes_all_it_made() {
    require_root!();
    let _stage = stage();
    let scratch = Scratch::new("demo").unwrap();
    let mut demo = start(&scratch, "balancer");
    wait_until(STORY, "everything is up", || demo.tail().contains("Everything is up").then_some(())).unwrap();
    assert!(leftovers(demo.pid()).len() > 3, "this test would not see what is left: {}", demo.tail());
    demo.signal(Signal::INT).unwrap();
    let status = ended(&mut demo);
    assert_eq!(status.code(), Some(130), "{}", demo.tail());
    assert_eq!(leftovers(demo.pid()), Vec::<String>::new(), "{}", demo.tail());
}

fn stage() -> MutexGuard<'static, ()> {
    STAGE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start(scratch: &Scratch, part: &str) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args([part, "--fast"]);
    Process::spawn("the demo", command, &scratch.path().join("log")).unwrap()
}

fn ended(demo: &mut Process) -> ExitStatus {
    wait_until(STORY, "the demo ends", || demo.ended()).with_context(|| demo.tail()).unwrap()
}

/// Namespaces, folders and processes of the demo that is or was process `pid`.
fn leftovers(pid: u32) -> Vec<String> {
    let prefix = format!("xlb-{pid}-");
    let named = |folder: &Path| -> Vec<String> {
        let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        paths.map(|path| path.display().to_string()).filter(|path| path.contains(&prefix)).collect()
    };
    let processes = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        // All that it starts has a folder of the demo's on its command line.
        line.contains(&prefix).then(|| format!("process {}: {line}", entry.file_name().display()))
    });
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let mounts = mounts.lines().filter(|line| line.contains(&prefix)).map(|line| format!("mount {line}"));
    let folders = named(&std::env::temp_dir());
    named(Path::new("/run/netns")).into_iter().chain(folders).chain(processes).chain(mounts).collect()
}
