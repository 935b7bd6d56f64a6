//! WebSockets over HTTP/2, to a server that is not ours and speaks HTTP/1.1.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::time::Duration;

use serde_json::Value;
use xdp_lb_tests::gateway::{BEGINNING, Gateway, PUBLIC, metric};
use xdp_lb_tests::netns::Netns;
use xdp_lb_tests::require_root;
use xdp_lb_tests::wait::wait_until_ok;
use xdp_lb_tests::websocket::{EchoServer, OverHttp2};

const SOON: Duration = Duration::from_secs(10);

const REST: &str = r#"
[[pool]]
name = "chat"
timeouts = { idle = "2s" }
[[pool.server]]
name = "a"
address = "127.0.0.1:9001"

[[verifier]]
name = "people"
[verifier.basic]
file = "{folder}/users"

[[route]]
name = "closed"
path = "/closed"
pool = "chat"
access = { any_of = ["people"] }

[[route]]
name = "words"
path = "/words"
respond = { status = 200, body = "words" }

[[route]]
name = "chat"
path = "/chat"
methods = ["GET"]
pool = "chat"
"#;

fn run<T: Send>(netns: &Netns, work: impl Future<Output = anyhow::Result<T>> + Send) -> T {
    netns
        .run_in(|| tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
        .unwrap()
}

fn bed(netns: &Netns) -> (Gateway<'_>, EchoServer) {
    let mut gateway = Gateway::new(netns).unwrap();
    let server = EchoServer::start(netns, 9001, gateway.folder()).unwrap();
    gateway.write("users", "# nobody\n").unwrap();
    gateway.start(&format!("{BEGINNING}{REST}")).unwrap();
    (gateway, server)
}

#[test]
fn a_websocket_over_http_2_is_a_request_like_others_until_it_is_open() {
    require_root!();
    let netns = Netns::new("gateway").unwrap();
    let (mut gateway, _server) = bed(&netns);
    let address = PUBLIC.parse().unwrap();
    for (path, protocol, status) in [
        ("/closed", Some("websocket"), 401),
        ("/words", Some("websocket"), 502),
        ("/none", Some("websocket"), 404),
        ("/chat", Some("connect-udp"), 501),
        ("/chat", None, 501),
    ] {
        let answer = run(&netns, OverHttp2::open(address, path, protocol));
        assert_eq!(answer.unwrap_err().as_u16(), status, "{path} {protocol:?}");
    }
    run(&netns, async {
        let mut socket = OverHttp2::open(address, "/chat", Some("websocket")).await?.unwrap();
        for size in [0, 1, 125, 126, 65_535, 65_536, 1_000_000] {
            let text = "x".repeat(size);
            assert!(socket.say(&text).await? == text, "{size} bytes");
        }
        assert_eq!(socket.say("who").await?, "127.0.0.1");
        let status = netns.run_in(|| gateway.status())?;
        assert_eq!(status["pools"][0]["in_flight"], 1, "{status:#}");
        socket.close().await
    });
    let line = gateway.logged(|line| line.contains("/chat") && line.contains("\"status\":200")).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["method"], &line["route"]), (&"GET".into(), &"chat".into()), "{line}");
    wait_until_ok(SOON, "nothing is in flight any more", || {
        let status = gateway.status()?;
        anyhow::ensure!(status["pools"][0]["in_flight"] == 0, "{status:#}");
        Ok(())
    })
    .unwrap();
    let page = gateway.metrics().unwrap();
    assert_eq!(metric(&page, "xdp_lb_gateway_refused_total{reason=\"not_upgraded\"}").unwrap(), 1.0);
    assert!(gateway.stop().unwrap().success());
}

#[test]
fn a_silent_websocket_over_http_2_is_ended_and_one_that_speaks_is_drained() {
    require_root!();
    let netns = Netns::new("gateway").unwrap();
    let (mut gateway, _server) = bed(&netns);
    let address = PUBLIC.parse().unwrap();
    run(&netns, async {
        let mut socket = OverHttp2::open(address, "/chat", Some("websocket")).await?.unwrap();
        assert_eq!(socket.say("a").await?, "a");
        tokio::time::sleep(Duration::from_secs(4)).await;
        let end = socket.say("b").await;
        assert!(end.is_err(), "it is silent for twice as long as it may be, and answers {end:?}");
        let mut socket = OverHttp2::open(address, "/chat", Some("websocket")).await?.unwrap();
        gateway.signal(rustix::process::Signal::TERM)?;
        for _ in 0..20 {
            assert_eq!(socket.say("still there").await?, "still there");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        socket.close().await
    });
    assert!(gateway.wait_ended().unwrap().success());
}
