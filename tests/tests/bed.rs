//! The test bed itself, without a balancer: what the other tests stand on.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::time::Duration;

use xdp_lb_tests::load::{Load, by_server, failures};
use xdp_lb_tests::nginx::{Nginx, PORT};
use xdp_lb_tests::topology::{Options, Topology};
use xdp_lb_tests::{body, client, require_root};

const TIMEOUT: Duration = Duration::from_secs(5);

#[test]
fn client_and_servers_reach_each_other_in_every_layout() {
    require_root!();
    for routed in [false, true] {
        let topology = Topology::new(Options { backends: 2, routed, ..Options::default() }).unwrap();
        let bytes = body::pseudo_random(1, body::LARGE);
        for (index, netns) in topology.backends.iter().enumerate() {
            let name = format!("web-{index}");
            let nginx = Nginx::start(netns, &name).unwrap();
            nginx.serve("body", &bytes).unwrap();
            let (v4, v6) = topology.backend_address(index);
            for server in [(v4, PORT).into(), (v6, PORT).into()] {
                let (down, up) = topology
                    .client
                    .run_in(|| {
                        assert_eq!(client::name_of(server, TIMEOUT)?, name);
                        Ok((
                            client::get(server, "/files/body", TIMEOUT)?,
                            client::put(server, "/files/up", &bytes, TIMEOUT)?,
                        ))
                    })
                    .unwrap();
                assert_eq!(down.digest(), body::digest(&bytes), "download from {server}, routed: {routed}");
                assert_eq!((up.status, up.backend.as_deref()), (201, Some(name.as_str())));
                assert_eq!(nginx.digest_of("up").unwrap(), body::digest(&bytes), "upload to {server}");
                std::fs::remove_file(nginx.folder().join("up")).unwrap();
            }
        }
    }
}

#[test]
fn a_stopped_server_is_noticed_and_answers_again_once_started() {
    require_root!();
    let topology = Topology::new(Options { backends: 1, ..Options::default() }).unwrap();
    let mut nginx = Nginx::start(&topology.backends[0], "web").unwrap();
    let server = (topology.backend_address(0).0, PORT).into();
    let load = Load::start(topology.client.handle(), server, 2, Duration::from_millis(2));
    load.wait_more(20).unwrap();
    assert_eq!(failures(&load.answers_since(0)), Vec::<&str>::new());
    nginx.stop().unwrap();
    let first = load.count();
    load.wait_more(20).unwrap();
    assert!(!failures(&load.answers_since(first)).is_empty());
    nginx.start_again().unwrap();
    let first = load.count() + 2;
    load.wait_more(20).unwrap();
    let answers = load.stop().split_off(first);
    assert_eq!(failures(&answers), Vec::<&str>::new());
    assert_eq!(by_server(&answers).into_keys().collect::<Vec<_>>(), ["web"]);
}
