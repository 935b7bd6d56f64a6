//! Control from outside: events in, commands out.

mod adoption;
mod answers;
mod batches;
mod budgets;
mod fail_open;
mod first_fill;
mod flapping;
mod leaving;
mod live;
mod marks;
mod reports;
mod restart;
mod settling;
mod ways;

use std::time::Duration;

use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::maps::Traffic;
use xdp_lb_common::slot::Slot;

use super::fixtures::{DRAIN, address, at, backend, config, health, unchecked, vip};
use super::*;
use crate::config::{Affinity, Backend, Forward, Protocol, Ratio, TableSize, Vip, Weight};

const SLOTS: u32 = 251;
const VIP: VipId = VipId::new(0);

fn id(index: u16) -> BackendId {
    BackendId::new(index).expect("from 1")
}

fn start_with(backends: Vec<Backend>) -> (Control, Vec<Command>) {
    Control::new(config(vec![vip(unchecked(), backends)]), None, None, 1, at(0))
}

fn reload(control: &mut Control, backends: Vec<Backend>, second: u64) -> Vec<Command> {
    let config = config(vec![vip(unchecked(), backends)]);
    control.handle(Event::Configured(Box::new(config)), at(second))
}

/// So many connections of each backend, from the first on, could not be recorded so far.
fn count(control: &mut Control, unrecorded: &[u64], second: u64) -> Vec<Command> {
    let traffic = |unrecorded: &u64| Traffic { unrecorded: *unrecorded, ..Traffic::default() };
    let backends = std::iter::once(&0).chain(unrecorded).map(traffic).collect();
    let vips = vec![traffic(&unrecorded.iter().sum())];
    control.handle(Event::Counted(Counters { vips, backends, reasons: vec![] }), at(second))
}

fn sweep(control: &mut Control, flows: &[(u16, u64)], live: &[u32], began: u64) -> Vec<Command> {
    let flows = flows.iter().map(|&(backend, flows)| (id(backend), flows)).collect();
    let live_slots = live.iter().map(|&slot| (VIP, slot)).collect();
    control.handle(Event::Swept(Sweep { began: Some(at(began)), live_slots, flows }), at(began + 1))
}

/// Lets the checks of one backend end so until nothing more is due up to `second`; the others pass.
fn run_checks(control: &mut Control, failing: Option<u16>, from: Instant, second: u64) -> Vec<Command> {
    let mut out = Vec::new();
    let mut now = from;
    while let Some(deadline) = control.next_deadline().filter(|deadline| *deadline <= at(second)) {
        now = now.max(deadline);
        for command in control.handle(Event::Tick, now) {
            let Command::Probe { backend, .. } = command else { panic!("{command:?} by a tick") };
            let outcome =
                if Some(backend.raw()) == failing { Err("connection refused".into()) } else { Ok(()) };
            out.extend(control.handle(Event::Probed { backend, outcome }, now));
        }
    }
    out
}

/// The commands as words without their contents.
fn names(commands: &[Command]) -> Vec<String> {
    let name = |command: &Command| match command {
        Command::WriteDirectory(vips) => format!("directory {}", vips.len()),
        Command::WriteBackend(record) if record.down => format!("down {}", record.backend.raw()),
        Command::WriteBackend(record) => format!("backend {}", record.backend.raw()),
        Command::ClearBackend(id) => format!("clear {}", id.raw()),
        Command::PurgeFlows(id) => format!("purge {}", id.raw()),
        Command::WriteSlots { vip, .. } => format!("slots of {}", vip.raw()),
        Command::Probe { backend, .. } => format!("probe {}", backend.raw()),
        Command::WatchNextHop(address) => format!("watch {address}"),
        Command::UnwatchNextHop(address) => format!("unwatch {address}"),
        Command::WatchReports { backend, .. } => format!("reports of {}", backend.raw()),
        Command::UnwatchReports(id) => format!("no reports of {}", id.raw()),
        Command::WriteLoads(loads) => format!("{} loads", loads.len()),
        Command::Announce(said) => said.what.clone(),
    };
    commands.iter().map(name).collect()
}

fn slots(commands: &[Command]) -> Vec<(u32, Slot)> {
    let changes = commands.iter().filter_map(|command| match command {
        Command::WriteSlots { changes, .. } => Some(changes.clone()),
        _ => None,
    });
    changes.flatten().collect()
}

fn status(control: &Control) -> VipStatus {
    control.status(at(0)).vips.remove(0)
}

#[test]
fn a_vip_is_announced_to_the_kernel_when_its_table_is_ready() {
    let (_, commands) = start_with(vec![backend(1, 1), backend(2, 2)]);
    let expected = [
        "watch 10.0.0.1",
        "backend 1",
        "watch 10.0.0.2",
        "backend 2",
        "slots of 0",
        "takes new connections",
        "directory 1",
    ];
    assert_eq!(names(&commands), expected);
    let slots = slots(&commands);
    assert_eq!(slots.len(), SLOTS as usize);
    let second = slots.iter().filter(|(_, slot)| *slot == Slot::stable(id(2))).count();
    assert!((164..=171).contains(&second), "two thirds, to within a fiftieth: {second}");
}

#[test]
fn a_checked_backend_takes_traffic_after_its_first_success() {
    let config = config(vec![vip(health(), vec![backend(1, 1), backend(2, 1)])]);
    let (mut control, commands) = Control::new(config, None, None, 1, at(0));
    let expected = ["watch 10.0.0.1", "down 1", "watch 10.0.0.2", "down 2", "directory 1"];
    assert_eq!(names(&commands), expected, "empty slots are not written");
    assert_eq!(status(&control).backends[0].state, "checking");
    let commands = run_checks(&mut control, Some(2), at(0), 1);
    assert_eq!(names(&commands), ["up", "backend 1", "slots of 0", "takes new connections"]);
    assert!(slots(&commands).iter().all(|(_, slot)| *slot == Slot::stable(id(1))));
    let commands = run_checks(&mut control, Some(2), at(1), 2);
    assert_eq!(names(&commands), ["down: connection refused (3 checks failed)"]);
}

#[test]
fn a_backend_that_fails_leaves_at_once_and_returns_by_moves() {
    let config = config(vec![vip(health(), vec![backend(1, 1), backend(2, 1)])]);
    let (mut control, _) = Control::new(config, None, None, 1, at(0));
    run_checks(&mut control, None, at(0), 10);
    let commands = run_checks(&mut control, Some(2), at(10), 13);
    assert_eq!(names(&commands), ["down: connection refused (3 checks failed)", "down 2", "slots of 0"]);
    let changes = slots(&commands);
    assert!(changes.len() >= 125 && changes.iter().all(|(_, slot)| *slot == Slot::stable(id(1))));
    let state = &status(&control).backends[1];
    assert_eq!((state.state.as_str(), state.share), ("down", 0.0));
    assert_eq!(state.reason, "last check: connection refused");

    let commands = run_checks(&mut control, None, at(13), 20);
    assert_eq!(names(&commands), ["up", "purge 2", "backend 2", "slots of 0"]);
    assert!(slots(&commands).iter().all(|(_, slot)| *slot == Slot::tracked(id(1), id(2))));
}

#[test]
fn identity_is_the_address() {
    let (mut control, _) = start_with(vec![backend(1, 1), backend(2, 1)]);
    let renamed = Backend { name: "other".into(), ..backend(2, 1) };
    assert_eq!(
        reload(&mut control, vec![renamed, backend(1, 1)], 1),
        [],
        "name and order are not the kernel's"
    );
    assert_eq!(status(&control).backends[0].name, "other");
    reload(&mut control, vec![backend(1, 1)], 2);
    let commands = reload(&mut control, vec![backend(1, 1), backend(2, 1)], 3);
    assert_eq!(names(&commands), ["added again", "slots of 0"]);
    assert!(slots(&commands).iter().all(|(_, slot)| *slot == Slot::tracked(id(2), id(2))), "moved back");
}

#[test]
fn start_settings_are_refused_by_name() {
    let (mut control, _) = start_with(vec![backend(1, 1)]);
    let mut other = config(vec![vip(unchecked(), vec![backend(1, 1)])]);
    other.agent.table_size = TableSize::new(257).expect("a prime");
    other.agent.flow_entries *= 2;
    // The agent moves its server by itself.
    other.admin = Some(crate::config::Admin { listen: ([127, 0, 0, 1], 9400).into() });
    let expected = ["table_size", "flow_entries"]
        .map(|key| format!("agent.{key} changed: ignored until xdp-lb is restarted"));
    assert_eq!(names(&control.handle(Event::Configured(Box::new(other)), at(1))), expected);
    assert_eq!(status(&control).slots, SLOTS);
}

#[test]
fn a_port_that_changes_hands_is_warned_of() {
    let any = || Vip { port: 0, name: "any".into(), ..vip(unchecked(), vec![backend(1, 1)]) };
    let web = || vip(unchecked(), vec![backend(2, 1)]);
    let udp = || Vip { protocol: Protocol::Udp, name: "udp".into(), ..web() };
    let takes = "takes port 80 from any: open connections to that port are not kept";
    let gives = "gives port 80 to any: open connections to that port are not kept";
    // Description, VIPs before and after, what is warned of.
    let rows = [
        ("one port beside any", vec![any()], vec![any(), web()], Some(takes)),
        ("and back", vec![any(), web()], vec![any()], Some(gives)),
        ("any port instead of one", vec![web()], vec![any()], Some(gives)),
        ("one port instead of any", vec![any()], vec![web()], Some(takes)),
        ("any port beside one", vec![web()], vec![any(), web()], None),
        ("any port goes", vec![any(), web()], vec![web()], None),
        ("both are new", vec![], vec![any(), web()], None),
        ("both go", vec![any(), web()], vec![], None),
        ("another protocol", vec![any()], vec![any(), udp()], None),
    ];
    for (what, before, after, expected) in rows {
        let (mut control, commands) = Control::new(config(before), None, None, 1, at(0));
        let warnings = |commands: &[Command]| {
            let said = commands.iter().filter_map(|command| match command {
                Command::Announce(said) if said.warning => Some((said.vip.clone(), said.what.clone())),
                _ => None,
            });
            said.collect::<Vec<_>>()
        };
        assert_eq!(warnings(&commands), [], "{what}: at the start nobody is connected");
        let commands = control.handle(Event::Configured(Box::new(config(after))), at(1));
        let expected: Vec<_> = expected.map(|said| ("web".into(), said.into())).into_iter().collect();
        assert_eq!(warnings(&commands), expected, "{what}");
    }
}

#[test]
fn entries_are_written_again_when_something_in_them_changed() {
    let (mut control, _) = start_with(vec![backend(1, 1)]);
    let hop =
        NextHop { egress: 2, source_mac: [2; 6], destination_mac: [4; 6], mtu: 1500, via_gateway: false };
    let told =
        |control: &mut Control, hop| control.handle(Event::NextHop { address: address(1), hop }, at(1));
    let commands = told(&mut control, Ok(hop));
    let [Command::WriteBackend(record)] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!((record.next_hop, record.down), (Some(hop), false));
    assert_eq!(told(&mut control, Ok(hop)), [], "no news");
    assert_eq!(status(&control).backends[0].next_hop, "resolved");
    let lost = told(&mut control, Err("no route".into()));
    assert_eq!(names(&lost), ["next hop: no route", "backend 1"]);
    assert_eq!(status(&control).backends[0].next_hop, "no route");
    assert_eq!(names(&told(&mut control, Ok(hop))), ["next hop: resolved", "backend 1"]);

    let l2 = Vip { forward: Forward::L2, ..vip(unchecked(), vec![backend(1, 1)]) };
    let commands = control.handle(Event::Configured(Box::new(config(vec![l2]))), at(2));
    let [Command::WriteBackend(record)] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!((record.forward, record.next_hop), (Forward::L2, Some(hop)));
}

#[test]
fn udp_without_affinity_follows_the_table() {
    let udp = |backends| Vip { protocol: Protocol::Udp, ..vip(unchecked(), backends) };
    let (mut control, _) =
        Control::new(config(vec![udp(vec![backend(1, 1), backend(2, 1)])]), None, None, 1, at(0));
    let change = Event::Configured(Box::new(config(vec![udp(vec![backend(1, 1)])])));
    assert!(slots(&control.handle(change, at(1))).iter().all(|(_, slot)| *slot == Slot::stable(id(1))));
    let affine = Vip { affinity: Affinity::Flow, ..udp(vec![backend(1, 1), backend(2, 1)]) };
    let commands = control.handle(Event::Configured(Box::new(config(vec![affine]))), at(2));
    assert!(slots(&commands).iter().all(|(_, slot)| *slot == Slot::tracked(id(1), id(2))));
    assert!(names(&commands).contains(&"directory 1".into()));
}

#[test]
fn weights_are_told_and_followed() {
    let (mut control, _) = start_with(vec![backend(1, 100), backend(2, 100)]);
    let commands = reload(&mut control, vec![backend(1, 100), backend(2, 300)], 1);
    assert_eq!(names(&commands), ["weight 100 → 300", "slots of 0"]);
    let share = status(&control).backends[1].share;
    assert!((share - 0.75).abs() < 0.005, "{share}");
    let commands =
        reload(&mut control, vec![backend(1, 100), Backend { weight: Weight::from(0), ..backend(2, 1) }], 2);
    assert_eq!(names(&commands)[0], "weight 300 → 0: takes no new connections, old ones finish");
}

#[test]
fn deadlines_are_those_of_the_checks() {
    let (control, _) = start_with(vec![backend(1, 1)]);
    assert_eq!(control.next_deadline(), None);
    let (control, _) = Control::new(config(vec![vip(health(), vec![backend(1, 1)])]), None, None, 1, at(0));
    assert!(control.next_deadline().is_some_and(|deadline| deadline <= at(0) + Duration::from_millis(500)));
}
