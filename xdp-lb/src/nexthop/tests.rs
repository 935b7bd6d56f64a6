//! The watcher against a real kernel, in two network namespaces joined by a veth pair. They have no name: a thread
//! holds each, and it is gone with its thread.

use std::net::IpAddr;
use std::process::Command;
use std::sync::mpsc as blocking;
use std::thread;
use std::time::Duration;

use rustix::thread::{UnshareFlags, gettid, unshare_unsafe};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::control::NextHop;

#[test]
fn mac_addresses_routes_and_links_are_followed() {
    // Set by `cargo xtask test --host-only`.
    if std::env::var_os("XDP_LB_HOST_ONLY").is_some() {
        eprintln!("skipped: --host-only");
        return;
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: namespaces need root");
        return;
    }
    let peer = Peer::start();
    let test = thread::spawn(move || {
        enter_new_namespace();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(follow(&peer));
    });
    test.join().unwrap();
}

async fn follow(peer: &Peer) {
    sh("ip link set lo up");
    sh(&format!("ip link add v0 address 02:00:00:00:00:01 type veth peer name v1 netns {}", peer.thread));
    sh("ip addr add 10.9.0.1/24 dev v0 && ip addr add fd09::1/64 dev v0 nodad && ip link set v0 up");
    peer.sh("ip link set v1 address 02:00:00:00:00:02");
    peer.sh("ip addr add 10.9.0.2/24 dev v1 && ip addr add fd09::2/64 dev v1 nodad && ip link set v1 up");

    let (events, mut received) = mpsc::channel(16);
    let watcher = Watcher::start(events);
    let egress = std::fs::read_to_string("/proc/thread-self/net/dev_mcast").unwrap();
    let egress = egress.lines().find(|line| line.contains("v0")).unwrap().split_whitespace().next().unwrap();
    let hop = |ours: u8, theirs: u8, mtu: u32| {
        let mac = |last| [2, 0, 0, 0, 0, last];
        Ok(NextHop {
            egress: egress.parse().unwrap(),
            source_mac: mac(ours),
            destination_mac: mac(theirs),
            mtu,
            via_gateway: false,
        })
    };

    // Nobody sent anything yet: the watcher has to ask.
    watcher.watch("10.9.0.2".parse().unwrap());
    expect(&mut received, "10.9.0.2", hop(1, 2, 1500)).await;
    watcher.watch("fd09::2".parse().unwrap());
    expect(&mut received, "fd09::2", hop(1, 2, 1500)).await;
    watcher.unwatch("fd09::2".parse().unwrap());

    watcher.watch("10.9.0.1".parse().unwrap());
    expect(&mut received, "10.9.0.1", Err("10.9.0.1 is this machine's own address".into())).await;
    watcher.watch("192.0.2.7".parse().unwrap());
    expect(&mut received, "192.0.2.7", Err("no route to 192.0.2.7".into())).await;

    // A route through a gateway, with an MTU of its own.
    sh("ip route add 192.0.2.0/24 via 10.9.0.2 mtu 1400");
    let through = hop(1, 2, 1400).map(|hop| NextHop { via_gateway: true, ..hop });
    expect(&mut received, "192.0.2.7", through).await;
    watcher.unwatch("192.0.2.7".parse().unwrap());

    // The neighbour's MAC address changes, then ours, then the MTU.
    sh("ip neigh replace 10.9.0.2 lladdr 02:00:00:00:00:03 dev v0 nud permanent");
    expect(&mut received, "10.9.0.2", hop(1, 3, 1500)).await;
    sh("ip neigh del 10.9.0.2 dev v0");
    expect(&mut received, "10.9.0.2", hop(1, 2, 1500)).await;
    sh("ip link set v0 address 02:00:00:00:00:04");
    expect(&mut received, "10.9.0.2", hop(4, 2, 1500)).await;
    sh("ip link set v0 mtu 1300");
    expect(&mut received, "10.9.0.2", hop(4, 2, 1300)).await;

    // A neighbour that does not answer, and an interface that goes down.
    watcher.watch("10.9.0.77".parse().unwrap());
    expect(&mut received, "10.9.0.77", Err("no answer to ARP for 10.9.0.77 on v0".into())).await;
    watcher.unwatch("10.9.0.77".parse().unwrap());
    sh("ip link set v0 down");
    expect(&mut received, "10.9.0.2", Err("interface v0 is down".into())).await;
    sh("ip link set v0 up");
    expect(&mut received, "10.9.0.2", hop(4, 2, 1300)).await;
}

/// Waits for `hop`; what is told of the address on the way there (a moment without carrier) does not matter.
async fn expect(received: &mut mpsc::Receiver<Event>, address: &str, hop: Result<NextHop, String>) {
    let expected: IpAddr = address.parse().unwrap();
    let mut told = vec![];
    let wait = async {
        while let Some(event) = received.recv().await {
            let Event::NextHop { address, hop: now } = event else { panic!("unexpected {event:?}") };
            if address == expected && now == hop {
                return;
            }
            told.push((address, now));
        }
    };
    if timeout(Duration::from_secs(15), wait).await.is_err() {
        panic!("{address}: expected {hop:?}, told {told:?}");
    }
}

/// The other end: a thread in a namespace of its own that runs commands.
struct Peer {
    thread: i32,
    commands: blocking::Sender<(String, blocking::Sender<()>)>,
}

impl Peer {
    fn start() -> Self {
        let (commands, received) = blocking::channel::<(String, blocking::Sender<()>)>();
        let (tell, thread) = blocking::channel();
        thread::spawn(move || {
            enter_new_namespace();
            tell.send(gettid().as_raw_nonzero().get()).unwrap();
            for (command, done) in received {
                sh(&command);
                let _ = done.send(());
            }
        });
        Self { thread: thread.recv().unwrap(), commands }
    }

    fn sh(&self, command: &str) {
        let (done, wait) = blocking::channel();
        self.commands.send((command.to_owned(), done)).unwrap();
        wait.recv().unwrap_or_else(|_| panic!("{command} failed in the peer"));
    }
}

fn enter_new_namespace() {
    // SAFETY: the thread was started for this and shares no file table or other resource that the flag unshares.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.expect("a new network namespace");
}

fn sh(command: &str) {
    let status = Command::new("sh").args(["-ec", command]).status().unwrap();
    assert!(status.success(), "{command}: {status}");
}
