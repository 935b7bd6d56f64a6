//! The end of the process, as a balancer in front of it sees it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::time::Duration;

use rustix::process::Signal;
use xdp_lb_tests::curl::curl;
use xdp_lb_tests::gateway::{BEGINNING, Gateway, PUBLIC};
use xdp_lb_tests::netns::Netns;
use xdp_lb_tests::require_root;
use xdp_lb_tests::service::Service;
use xdp_lb_tests::wait::wait_until;

const SOON: Duration = Duration::from_secs(10);

const REST: &str = r#"
[[pool]]
name = "a"
server = [{ address = "127.0.0.1:9001" }]
[[route]]
name = "a"
pool = "a"
"#;

#[test]
fn it_says_that_it_will_end_before_it_refuses_anybody() {
    require_root!();
    let netns = Netns::new("end").unwrap();
    let service = Service::start(netns.handle(), "a", 9001, Duration::ZERO).unwrap();
    let mut gateway = Gateway::new(&netns).unwrap();
    let config = format!("{BEGINNING}{REST}").replace("drain =", "notice = \"1m\"\ndrain =");
    gateway.start(&config).unwrap();
    let url = format!("http://{PUBLIC}/");
    let get = || curl(&netns, &["--http1.1", &url]);
    assert_eq!(get().unwrap().header("connection"), None);

    gateway.signal(Signal::TERM).unwrap();
    let unready = || (gateway.ask("/readyz").unwrap().status == 503).then_some(());
    wait_until(SOON, "it is not ready any more", unready).unwrap();
    // New connections are taken, each for one request.
    let answer = get().unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert_eq!(gateway.ask("/healthz").unwrap().status, 200);

    service.set_delay(Duration::from_secs(2));
    std::thread::scope(|scope| {
        let last = scope.spawn(get);
        wait_until(SOON, "the server has the request", || (service.in_flight() > 0).then_some(())).unwrap();
        gateway.signal(Signal::TERM).unwrap();
        wait_until(SOON, "no connection is taken", || {
            netns.run_in(|| Ok(std::net::TcpStream::connect(PUBLIC)?)).err()
        })
        .unwrap();
        // Its figures can still be had.
        for (path, status) in [("/readyz", 503), ("/healthz", 200), ("/metrics", 200)] {
            assert_eq!(gateway.ask(path).unwrap().status, status, "{path}");
        }
        assert_eq!(last.join().unwrap().unwrap().status, 200);
    });
    assert!(gateway.stop().unwrap().success());
}

#[test]
fn another_may_start_while_it_drains() {
    require_root!();
    let netns = Netns::new("end").unwrap();
    let service = Service::start(netns.handle(), "a", 9001, Duration::ZERO).unwrap();
    let config =
        format!("{BEGINNING}{REST}").replace("drain =", "handover_socket = \"{folder}/h.sock\"\ndrain =");
    let mut gateway = Gateway::new(&netns).unwrap();
    gateway.start(&config).unwrap();
    service.set_delay(Duration::from_secs(3));
    let url = format!("http://{PUBLIC}/");
    std::thread::scope(|scope| {
        let last = scope.spawn(|| curl(&netns, &[&url]));
        wait_until(SOON, "the server has the request", || (service.in_flight() > 0).then_some(())).unwrap();
        gateway.signal(Signal::TERM).unwrap();
        let taken = || netns.run_in(|| Ok(std::net::TcpStream::connect(PUBLIC)?));
        wait_until(SOON, "no connection is taken", || taken().err()).unwrap();
        let before = gateway.start_beside().unwrap();
        wait_until(Duration::from_secs(2), "the other takes them", || taken().ok()).unwrap();
        assert_eq!(last.join().unwrap().unwrap().status, 200);
        let ended = gateway.wait_replaced(before).unwrap();
        assert!(ended.success(), "{ended}");
    });
    service.set_delay(Duration::ZERO);
    assert_eq!(curl(&netns, &[&url]).unwrap().status, 200);
    assert!(gateway.stop().unwrap().success());
}
