//! The agent asks real reporters by each protocol; what is no report is counted by its reason and changes nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use xdp_lb::control::{BackendStatus, Status};
use xdp_lb_tests::agent::{Agent, binary};
use xdp_lb_tests::lbconfig::LbConfig;
use xdp_lb_tests::netns::Netns;
use xdp_lb_tests::process::Process;
use xdp_lb_tests::scratch::Scratch;
use xdp_lb_tests::scriptedagent::ScriptedAgent;
use xdp_lb_tests::topology::{Options, Topology, VIPS_V4};
use xdp_lb_tests::wait::wait_until_ok;
use xdp_lb_tests::{clock, require_root, scene};

const PATIENCE: Duration = Duration::from_secs(30);

const PORT: u16 = 80;

/// VIPs are called as they ask.
const SOURCES: [&str; 3] = ["agent-check", "orca-http", "orca-grpc"];

/// How much a reporter's group uses of its one processor.
const USED: f64 = 0.4;

/// What is no report, by agent-check where a percentage is what is idle.
const BAD: [(&str, &str); 8] = [
    ("hello\n", "garbage"),
    ("nan%\n", "not_a_number"),
    ("inf%\n", "infinite"),
    ("-5%\n", "negative"),
    ("150%\n", "above_one"),
    ("50% 60%\n", "duplicated"),
    ("", "missing"),
    (ENDLESS, "too_long"),
];

const ENDLESS: &str = match std::str::from_utf8(&[b'x'; 8192]) {
    Ok(text) => text,
    Err(_) => "",
};

/// `xdp-lb report` beside a server, with a control group of files.
fn reporter(netns: &Netns, folder: &Path, log: &str) -> Process {
    let mut command = netns.command(binary().unwrap());
    command.arg("report").arg("--cgroup").arg(folder);
    Process::spawn("xdp-lb report", command, &folder.join(log)).unwrap()
}

fn config(topology: &Topology) -> LbConfig {
    let vips = SOURCES.iter().zip(VIPS_V4).map(|(source, address)| {
        let percent = if *source == "agent-check" { "percent = \"idle\"\n" } else { "" };
        let tables = format!(
            "kind = \"tcp\"\ninterval = \"400ms\"\n[vip.utilization]\nkind = \"{source}\"\n{percent}interval = \"500ms\"\n\
             stale_after = \"2s\"\n[vip.warmup]\nwindow = \"0s\""
        );
        let mut vip = scene::vip(topology, (address, PORT).into(), "l2", &[1, 1, 1]).health(&tables);
        vip.name = (*source).to_owned();
        vip
    });
    LbConfig::new(vips.collect())
}

fn backend<'a>(status: &'a Status, vip: &str, index: usize) -> Result<&'a BackendStatus> {
    let vip = status.vips.iter().find(|found| found.name == vip).context("no such VIP")?;
    xdp_lb_tests::agent::backend(vip, &scene::name(index))
}

fn refused(backend: &BackendStatus, reason: &str) -> u64 {
    let refused = backend.reports.iter().flat_map(|reports| &reports.refused);
    refused.filter(|refused| refused.reason == reason).map(|refused| refused.reports).sum()
}

/// What reports may change: of each backend its state, its weight and its share.
fn outcome(status: &Status) -> Vec<(String, String, f64, f64)> {
    let backends = status.vips.iter().flat_map(|vip| &vip.backends);
    backends.map(|b| (b.name.clone(), b.state.clone(), b.effective_weight, b.share)).collect()
}

fn check_reported(status: &Status, vip: &str, index: usize) -> Result<()> {
    let backend = backend(status, vip, index)?;
    let reports = backend.reports.as_ref().context("it is not asked")?;
    let used = reports.utilization.context("no utilization")?;
    ensure!(reports.source == vip && reports.accepted >= 3, "{reports:?}");
    ensure!((used - USED).abs() < 0.2, "it uses {used}");
    ensure!(reports.age_seconds.is_some_and(|age| age < 2.0) && reports.problem.is_empty(), "{reports:?}");
    let factors: Vec<&str> = backend.factors.iter().map(|factor| factor.name.as_str()).collect();
    ensure!(factors == ["health", "utilization", "probation", "age"], "{factors:?}");
    let words = &backend.factors[1].reason;
    ensure!(words.starts_with("utilization 0."), "{words}");
    ensure!((backend.share - 1.0 / 3.0).abs() < 0.02, "its share is {}", backend.share);
    Ok(())
}

#[test]
fn reports_are_shown_and_what_is_none_changes_nothing() {
    require_root!();
    let topology = Topology::new(Options::default()).unwrap();
    let _servers = scene::line_servers(&topology, PORT).unwrap();
    let scratch = Scratch::new("reports").unwrap();
    let group = scratch.path();
    fs::write(group.join("cpu.max"), "100000 100000\n").unwrap();
    let begin = clock::now();
    work(group, begin);
    let reporters: Vec<_> =
        (0..2).map(|index| reporter(&topology.backends[index], group, &format!("log-{index}"))).collect();
    let bad = ScriptedAgent::start_in(topology.backends[2].handle(), 9707, "\n").unwrap();
    let agent = Agent::start(&topology.balancer, &config(&topology)).unwrap();
    let wait = |what: &str, check: &dyn Fn(&Status) -> Result<()>| {
        let seen = wait_until_ok(PATIENCE, what, || {
            work(group, begin);
            check(&agent.status()?)
        });
        assert!(seen.is_ok(), "{seen:?}\n{}", agent.tail());
    };

    for source in SOURCES {
        for index in 0..2 {
            let what = format!("{} reports by {source}", scene::name(index));
            wait(&what, &move |status| check_reported(status, source, index));
        }
        let what = format!("{source}: who does not report is at its weight all the same");
        wait(&what, &|status| {
            let backend = backend(status, source, 2)?;
            ensure!((backend.share - 1.0 / 3.0).abs() < 0.02, "its share is {}", backend.share);
            let reason = if source == "agent-check" { "missing" } else { "unreachable" };
            ensure!(refused(backend, reason) > 0, "{:?}", backend.reports);
            Ok(())
        });
    }

    let before = outcome(&agent.status().unwrap());
    for (line, reason) in BAD {
        let counted = refused(backend(&agent.status().unwrap(), "agent-check", 2).unwrap(), reason);
        bad.say(line);
        let what = format!("{reason} is counted");
        wait(&what, &|status| {
            let backend = backend(status, "agent-check", 2)?;
            let reports = backend.reports.as_ref().context("it is not asked")?;
            ensure!(refused(backend, reason) > counted && !reports.problem.is_empty(), "{reports:?}");
            ensure!(reports.accepted == 0 && reports.utilization.is_none(), "{reports:?}");
            Ok(())
        });
        assert_eq!(outcome(&agent.status().unwrap()), before, "{reason}");
    }

    // A reporter that stands still: its port is open, and nothing comes.
    reporters[1].signal(Signal::STOP).unwrap();
    for source in SOURCES {
        let what = format!("{source}: late reports, and in the end a stale one, are counted");
        wait(&what, &|status| {
            let backend = backend(status, source, 1)?;
            ensure!(refused(backend, "late") > 0 && refused(backend, "stale") > 0, "{:?}", backend.reports);
            let words = &backend.factors[1].reason;
            ensure!(words.starts_with("no report for "), "{words}");
            Ok(())
        });
    }
    assert_eq!(outcome(&agent.status().unwrap()), before, "stale");
    reporters[1].signal(Signal::CONT).unwrap();
    for source in SOURCES {
        wait("it reports again", &move |status| check_reported(status, source, 1));
    }
}

/// The group has worked for its share of the time since `begin`.
fn work(group: &Path, begin: Instant) {
    let usage = format!("usage_usec {:.0}\n", begin.elapsed().as_secs_f64() * USED * 1e6);
    // Renamed into place: a reader sees the old file or the new one.
    fs::write(group.join("new"), usage).unwrap();
    fs::rename(group.join("new"), group.join("cpu.stat")).unwrap();
}
