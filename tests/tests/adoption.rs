//! What of the maps an agent takes over, looked at through their pins.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::path::Path;

use aya::maps::{Array, Map, MapData};
use xdp_lb::config::{Config, Forward};
use xdp_lb::control::{BackendRecord, Command, NextHop};
use xdp_lb::datapath::encode::decode_hop;
use xdp_lb::datapath::{Datapath, Kernel};
use xdp_lb_common::ids::{BackendId, VipId};
use xdp_lb_common::maps::{Backend, names};
use xdp_lb_tests::require_root;
use xdp_lb_tests::scratch::Scratch;

const HOP: NextHop =
    NextHop { egress: 7, source_mac: [2; 6], destination_mac: [4; 6], mtu: 1500, via_gateway: false };

fn config() -> Config {
    let text = "[agent]\ninterfaces = [\"eth0\"]\nmax_vips = 2\nmax_backends = 8\nflow_entries = 1024\n";
    Config::from_toml(text, Path::new("lb.toml")).unwrap()
}

/// The backend at `index`, which counts from 1.
fn record(index: u16) -> BackendRecord {
    BackendRecord {
        backend: BackendId::new(index).unwrap(),
        vip: VipId::new(0),
        address: [10, 0, 0, 1].into(),
        forward: Forward::L2,
        down: false,
        next_hop: Some(HOP),
    }
}

#[test]
fn a_pinned_next_hop_stays_until_there_is_news_of_it() {
    require_root!();
    let scratch = Scratch::with_bpf_fs("adoption").unwrap();
    let pins = scratch.bpf();
    let hop = NextHop { egress: 8, ..HOP };
    type Change = fn(&mut BackendRecord);
    let same: Change = |_| {};
    let down: Change = |record| record.down = true;
    let ipip: Change = |record| record.forward = Forward::Ipip;
    let moved: Change = |record| record.address = [10, 0, 0, 2].into();
    let new_hop: Change = |record| record.next_hop = Some(NextHop { egress: 8, ..HOP });
    // What is written after a restart, in order, of a record without next hop; and the next hop that the kernel has then.
    let table: [(&str, &[Change], Option<NextHop>); 8] = [
        ("nothing", &[], Some(HOP)),
        ("another forward", &[ipip], Some(HOP)),
        ("down and up again", &[down, same], Some(HOP)),
        ("there is no way", &[same], None),
        ("another forward, then there is no way", &[ipip, ipip], None),
        ("a new way", &[ipip, new_hop], Some(hop)),
        ("a new way, then none, then down", &[new_hop, same, down], None),
        ("another backend", &[moved], None),
    ];
    let agent = config().agent;
    {
        let (mut kernel, _) = Kernel::load(&agent, Some(&pins)).unwrap();
        for index in 1..=table.len() as u16 {
            kernel.apply(&Command::WriteBackend(record(index))).unwrap();
        }
    }
    let (mut kernel, adopted) = Kernel::load(&agent, Some(&pins)).unwrap();
    assert_eq!(adopted.unwrap().backends.len(), table.len());
    let map = MapData::from_pin(pins.join(names::BACKENDS)).unwrap();
    let entries: Array<_, Backend> = Map::Array(map).try_into().unwrap();
    for (index, (what, changes, expected)) in (1..).zip(table) {
        for change in changes {
            let mut record = BackendRecord { next_hop: None, ..record(index) };
            change(&mut record);
            kernel.apply(&Command::WriteBackend(record)).unwrap();
        }
        assert_eq!(decode_hop(&entries.get(&index.into(), 0).unwrap()), expected, "{what}");
    }
}
