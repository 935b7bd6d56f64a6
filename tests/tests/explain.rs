//! `xdp-lb explain` says beforehand and afterwards what the kernel does with a connection.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use xdp_lb_tests::agent::Agent;
use xdp_lb_tests::lbconfig::LbConfig;
use xdp_lb_tests::nginx::PORT;
use xdp_lb_tests::topology::{Options, Topology, VIPS_V4, VIPS_V6};
use xdp_lb_tests::{require_root, scene};

#[test]
fn what_is_explained_is_what_happens() {
    require_root!();
    let topology = Topology::new(Options::default()).unwrap();
    let _servers = scene::web_servers(&topology).unwrap();
    for vip in [(VIPS_V4[0], PORT).into(), (VIPS_V6[0], PORT).into()] {
        let config = LbConfig::new(vec![scene::vip(&topology, vip, "l2", &[1, 2, 5])]);
        let agent = Agent::start(&topology.balancer, &config).unwrap();
        for _ in 0..30 {
            let (client, server) = topology.client.run_in(|| Ok(ask(vip)?)).unwrap();
            let explanation = agent.explain(vip, client).unwrap();
            assert_eq!(explanation.current.as_deref(), Some(server.as_str()), "{explanation:?}");
            assert_eq!(explanation.base, explanation.current);
            assert_eq!((explanation.tracked, explanation.recorded), (false, None));
        }
    }
}

/// The client's end of a connection to `vip`, and the name that the server at the other end gives.
fn ask(vip: SocketAddr) -> std::io::Result<(SocketAddr, String)> {
    let limit = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&vip, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(b"GET /name HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let name = answer.lines().next_back().unwrap_or_default().trim().to_owned();
    Ok((stream.local_addr()?, name))
}
