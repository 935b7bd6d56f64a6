//! HAProxy asks the same agents: what it makes of each line is what xdp-lb makes of it, but for what is listed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use xdp_lb::config::Percent;
use xdp_lb::control::{AdminState, Report};
use xdp_lb::utilization::agent_check::parse;
use xdp_lb_tests::agent::binary;
use xdp_lb_tests::clock;
use xdp_lb_tests::haproxy::{Admin, Haproxy, Opinion, WEIGHT};
use xdp_lb_tests::process::Process;
use xdp_lb_tests::require_root;
use xdp_lb_tests::scratch::Scratch;
use xdp_lb_tests::scriptedagent::ScriptedAgent;
use xdp_lb_tests::wait::{wait_until, wait_until_ok};

const PATIENCE: Duration = Duration::from_secs(30);

/// A line said before, the line, and HAProxy's opinion where it is not ours.
type Row = (&'static str, &'static str, Option<Opinion>);

const fn only_in_haproxy(running: bool, weight: u32) -> Option<Opinion> {
    Some(Opinion { running, admin: Admin::Ready, weight })
}

/// Every word of the grammar, alone and with others, and what is none. A line without an end is not among them: HAProxy
/// 2.6 says that it ignores one, and now and then reads on into what an earlier answer left in the same buffer.
const ROWS: &[Row] = &[
    ("up ready 100%\n", "75%\n", None),
    ("up ready 100%\n", "0%\n", None),
    ("up ready 10%\n", "100%\n", None),
    ("up ready 100%\n", "150%\n", None),
    ("up ready 100%\n", "400%\n", None),
    ("up ready 100%\n", "007%\n", None),
    ("up ready 100%\n", "drain\n", None),
    ("up ready 100%\n", "maint\n", None),
    ("up drain 100%\n", "ready\n", None),
    ("up maint 100%\n", "ready\n", None),
    ("up maint 100%\n", "drain\n", None),
    ("up drain 100%\n", "maint\n", None),
    ("up ready 100%\n", "down\n", None),
    ("up ready 100%\n", "fail\n", None),
    ("up ready 100%\n", "stopped\n", None),
    ("down ready 100%\n", "up\n", None),
    ("fail ready 100%\n", "up ready\n", None),
    ("stopped ready 100%\n", "UP 80%\r\n", None),
    ("up ready 100%\n", "down #disk is full\n", None),
    ("up ready 100%\n", "stopped, # by hand, 50% up\n", None),
    ("up ready 100%\n", "fail\t#\t disk\n", None),
    ("up ready 100%\n", "Drain 30%\n", None),
    ("up ready 100%\n", "\t30%,,drain ,up \n", None),
    ("down drain 30%\n", "maxconn:30\n", None),
    ("up ready 100%\n", "maxconn:30 40% drain down #all at once\n", None),
    ("down ready 30%\n", "up\nready 100%\n", None),
    ("up ready 100%\n", "40%\rdrain\n", None),
    // What a line does not mention stays as it was.
    ("down drain 30%\n", "60%\n", None),
    ("down drain 30%\n", "ready\n", None),
    ("down drain 30%\n", "up\n", None),
    // Words that mean nothing are passed over; lines of nothing else change nothing.
    ("up drain 30%\n", "60% hello\n", None),
    ("up drain 30%\n", "hello\n", None),
    ("down drain 30%\n", "upward readying 50\n", None),
    ("up drain 30%\n", "\n", None),
    ("up drain 30%\n", ", \t\n", None),
    ("up drain 30%\n", "# nothing but a reason\n", None),
    ("up drain 30%\n", "75.5%\n", None),
    ("up drain 30%\n", "-5%\n", None),
    ("up drain 30%\n", "nan%\n", None),
    ("up drain 30%\n", "inf%\n", None),
    ("up drain 30%\n", "%\n", None),
    ("up drain 30%\n", "5%5%\n", None),
    ("up drain 30%\n", "HTTP/1.1 200 OK\r\n\r\n", None),
    // Taken in addition.
    ("up ready 100%\n", "weight:75%\n", only_in_haproxy(true, 50)),
    ("up ready 100%\n", "failed\n", only_in_haproxy(true, 50)),
    ("up ready 100%\n", "down#disk\n", only_in_haproxy(true, 50)),
    // A server does not raise its own weight above four times what is configured; in HAProxy up to 256.
    ("up ready 100%\n", "500%\n", only_in_haproxy(true, 250)),
    ("up ready 100%\n", "99999%\n", only_in_haproxy(true, 256)),
    // HAProxy lets the last word win, and takes what remains of a line with a bad number.
    ("up ready 100%\n", "50% 60%\n", only_in_haproxy(true, 30)),
    ("up ready 100%\n", "up down\n", only_in_haproxy(false, 50)),
    ("down ready 100%\n", "down up 60%\n", only_in_haproxy(true, 30)),
    ("up drain 100%\n", "drain ready\n", only_in_haproxy(true, 50)),
    ("up ready 100%\n", "down 75.5%\n", only_in_haproxy(false, 50)),
    ("up ready 100%\n", "60% maxconn:x\n", only_in_haproxy(true, 30)),
];

/// What is known of a server of which nothing was heard yet.
const FRESH: Opinion = Opinion { running: true, admin: Admin::Ready, weight: WEIGHT };

/// Our parser's opinion after one more line.
fn ours(mut opinion: Opinion, line: &str) -> Opinion {
    let Ok(Report { weight, admin, operational, .. }) = parse(line.as_bytes(), Percent::Weight) else {
        return opinion;
    };
    if let Some(weight) = weight {
        opinion.weight = (weight * f64::from(WEIGHT)) as u32;
    }
    if let Some(admin) = admin {
        opinion.admin = match admin {
            AdminState::Ready => Admin::Ready,
            AdminState::Drain => Admin::Drain,
            AdminState::Maint => Admin::Maint,
        };
    }
    if let Some(operational) = operational {
        opinion.running = operational.is_ok();
    }
    opinion
}

/// HAProxy shows whatever is in maintenance as stopped.
fn as_shown(opinion: Opinion) -> Opinion {
    Opinion { running: opinion.running && opinion.admin != Admin::Maint, ..opinion }
}

/// Each agent has been asked twice: the first answer has been dealt with when the second question comes.
fn wait_heard(agents: &[ScriptedAgent], haproxy: &Haproxy) {
    let heard = wait_until(PATIENCE, "HAProxy has asked every agent twice", || {
        agents.iter().all(|agent| agent.said() >= 2).then_some(())
    });
    assert!(heard.is_ok(), "{heard:?}\n{}", haproxy.tail());
}

#[test]
fn haproxy_makes_the_same_of_every_line() {
    require_root!();
    let agents: Vec<_> = ROWS.iter().map(|(before, ..)| ScriptedAgent::start(before).unwrap()).collect();
    let ports: Vec<_> = agents.iter().map(ScriptedAgent::port).collect();
    let haproxy = Haproxy::start(&ports).unwrap();
    wait_heard(&agents, &haproxy);
    for ((before, ..), found) in ROWS.iter().zip(haproxy.opinions().unwrap()) {
        assert_eq!(found, as_shown(ours(FRESH, before)), "{before:?}");
    }
    for ((_, line, _), agent) in ROWS.iter().zip(&agents) {
        agent.say(line);
    }
    wait_heard(&agents, &haproxy);
    let mut reasons = Vec::new();
    for (index, ((before, line, differs), found)) in ROWS.iter().zip(haproxy.opinions().unwrap()).enumerate()
    {
        let ours = as_shown(ours(ours(FRESH, before), line));
        match differs {
            None => assert_eq!(found, ours, "{before:?}, then {line:?}"),
            Some(theirs) => {
                assert_eq!(found, *theirs, "{before:?}, then {line:?}");
                assert_ne!(found, ours, "{before:?}, then {line:?} makes no difference any more");
                continue;
            }
        }
        if let Ok(Report { operational: Some(Err(reason)), .. }) = parse(line.as_bytes(), Percent::Weight) {
            reasons.push((format!("s{index}"), reason));
        }
    }
    assert!(reasons.len() >= 5, "{reasons:?}");
    // The reason is the same as well; while an agent is being asked, HAProxy shows none.
    wait_until_ok(PATIENCE, "HAProxy gives the same reasons", || {
        let words = haproxy.last_words()?;
        for (server, reason) in &reasons {
            let theirs = match reason.split_once(": ") {
                Some((word, why)) => format!("via agent : {word} ({why})"),
                None => format!("via agent : {reason}"),
            };
            ensure!(words[server] == theirs, "{server}: {:?}, not {theirs:?}", words[server]);
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn haproxy_understands_the_reporter() {
    require_root!();
    let scratch = Scratch::new("report").unwrap();
    let (cgroup, state) = (scratch.path().join("group"), scratch.path().join("state"));
    fs::create_dir(&cgroup).unwrap();
    fs::write(cgroup.join("cpu.max"), "100000 100000\n").unwrap();
    let usage = |seconds: f64| {
        // Renamed into place: a reader sees the old file or the new one.
        let text = format!("usage_usec {:.0}\n", seconds * 1e6);
        fs::write(cgroup.join("new"), text).unwrap();
        fs::rename(cgroup.join("new"), cgroup.join("cpu.stat")).unwrap();
    };
    usage(0.0);
    let mut command = Command::new(binary().unwrap());
    command.args(["report", "--agent-check", "127.0.0.1:0", "--orca-http", "off", "--orca-grpc", "off"]);
    command.arg("--cgroup").arg(&cgroup).arg("--state-file").arg(&state);
    let mut reporter = Process::spawn("xdp-lb report", command, &scratch.path().join("log")).unwrap();
    let port = wait_until_ok(PATIENCE, "the reporter says where it listens", || {
        reporter.must_run()?;
        let log = reporter.tail();
        let port = log.split("agent-check at 127.0.0.1:").nth(1).context("not yet")?;
        Ok(port.lines().next().unwrap_or_default().trim().parse::<u16>()?)
    })
    .unwrap();
    let haproxy = Haproxy::start(&[port]).unwrap();
    let begin = clock::now();
    // A group that uses `share` of its one processor, seen by HAProxy as a weight.
    let expect = |share: f64, weights: std::ops::RangeInclusive<u32>, admin: Admin| {
        let what = format!("HAProxy sees a weight of {weights:?}, {admin:?}, at {share}");
        let seen = wait_until_ok(PATIENCE, &what, || {
            usage(begin.elapsed().as_secs_f64() * share);
            let found = haproxy.opinions()?[0];
            ensure!(weights.contains(&found.weight) && found.admin == admin, "it is {found:?}");
            Ok(())
        });
        assert!(seen.is_ok(), "{seen:?}\n{}\n{}", haproxy.tail(), reporter.tail());
    };
    expect(0.0, WEIGHT..=WEIGHT, Admin::Ready);
    fs::write(&state, "drain\n").unwrap();
    expect(0.0, WEIGHT..=WEIGHT, Admin::Drain);
    fs::write(&state, "maint\n").unwrap();
    expect(0.0, WEIGHT..=WEIGHT, Admin::Maint);
    fs::remove_file(&state).unwrap();
    expect(0.6, 15..=25, Admin::Ready);
    assert!(reporter.terminate().unwrap().success());
}
