//! gRPC through the gateway, tonic on both ends: every kind of call, errors in trailers, deadlines, calls called off.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::stream::unfold;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tonic::{Code, Request};
use xdp_lb_tests::certs::{Authority, Valid};
use xdp_lb_tests::gateway::{BEGINNING, Gateway, PUBLIC, metric};
use xdp_lb_tests::grpc::{Client, Text, UnderWay, serve};
use xdp_lb_tests::netns::Netns;
use xdp_lb_tests::require_root;

const SOON: Duration = Duration::from_secs(10);
const NAME: &str = "grpc.example.com";

const REST: &str = r#"
[[pool]]
name = "echo"
protocol = "http2"
server = [{ name = "a", address = "127.0.0.1:9001" }]
[[route]]
name = "echo"
prefix = "/xdp_lb.test.Echo"
pool = "echo"
timeout = "700ms"
"#;

/// Runs `client` inside the namespace, beside a service; then the service has no call under way any more.
fn with_service<F: Future<Output = ()>>(netns: &Netns, client: impl FnOnce(UnderWay) -> F + Send) {
    netns
        .run_in(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let calls = UnderWay::default();
                let listener = TcpListener::bind("127.0.0.1:9001").await.unwrap();
                tokio::spawn(serve(listener, calls.clone()));
                client(calls.clone()).await;
                until(&calls, 0).await;
            });
            Ok(())
        })
        .unwrap();
}

/// Waits until so many calls are under way at the service.
async fn until(calls: &UnderWay, count: u64) {
    let reached = async {
        while calls.load(Relaxed) != count {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, reached).await.unwrap_or_else(|_| panic_with(calls, count));
}

fn panic_with(calls: &UnderWay, count: u64) {
    assert_eq!(calls.load(Relaxed), count, "calls under way");
}

fn text(text: &str) -> Request<Text> {
    Request::new(Text { text: text.to_owned() })
}

/// Every kind of call over one connection.
async fn calls_of_every_kind(client: &mut Client) {
    let mut request = text("hello");
    request.set_timeout(Duration::from_secs(5));
    let bytes = tonic::metadata::MetadataValue::from_bytes(b"\0\xff");
    request.metadata_mut().insert_bin("x-caller-bin", bytes);
    let answer = client.say(request).await.unwrap();
    assert_eq!(answer.get_ref().text, "hello");
    let metadata = answer.metadata();
    assert_eq!(metadata.get("got-te").unwrap(), "trailers");
    assert_eq!(metadata.get("got-x-forwarded-for").unwrap(), "127.0.0.1");
    assert_eq!(metadata.get("got-grpc-timeout").unwrap(), "5000000u", "the deadline arrives");
    assert_eq!(metadata.get_bin("got-x-caller-bin").unwrap().to_bytes().unwrap(), &b"\0\xff"[..]);

    // A megabyte each way is more than any window.
    let large = "x".repeat(1 << 20);
    assert_eq!(client.say(text(&large)).await.unwrap().get_ref().text.len(), large.len());

    let error = client.say(text("fail")).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::FailedPrecondition, "that is all: 100 %"));

    let mut counted = client.count("3").await.unwrap();
    for expected in ["0", "1", "2"] {
        assert_eq!(counted.message().await.unwrap().unwrap().text, expected);
    }
    assert_eq!(counted.message().await.unwrap(), None);

    let mut counted = client.count("2!").await.unwrap();
    assert_eq!(counted.message().await.unwrap().unwrap().text, "0");
    assert_eq!(counted.message().await.unwrap().unwrap().text, "1");
    let error = counted.message().await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::DataLoss, "the rest is lost"));

    let (send, messages) = mpsc::channel::<Text>(1);
    let messages = unfold(messages, async |mut messages| Some((messages.recv().await?, messages)));
    let mut answers = client.chat(messages).await.unwrap();
    for word in ["one", "two", "three"] {
        // Each is sent only when the one before has come back: neither side is gathered anywhere.
        send.send(Text { text: word.to_owned() }).await.unwrap();
        let back = timeout(SOON, answers.message()).await.unwrap();
        assert_eq!(back.unwrap().unwrap().text, word);
    }
    drop(send);
    assert_eq!(answers.message().await.unwrap(), None);
}

#[test]
fn every_kind_of_call_passes() {
    require_root!();
    let netns = Netns::new("grpc").unwrap();
    let mut gateway = Gateway::new(&netns).unwrap();
    gateway.start(&format!("{BEGINNING}{REST}")).unwrap();
    let address: SocketAddr = PUBLIC.parse().unwrap();
    with_service(&netns, async |_| {
        calls_of_every_kind(&mut Client::connect(address, None).await.unwrap()).await;
    });
    let page = gateway.metrics().unwrap();
    assert_eq!(metric(&page, "xdp_lb_gateway_requests_total{route=\"echo\",class=\"2xx\"}").unwrap(), 6.0);
}

#[test]
fn every_kind_of_call_passes_over_tls() {
    require_root!();
    let netns = Netns::new("grpc").unwrap();
    let mut gateway = Gateway::new(&netns).unwrap();
    let authority = Authority::new("gRPC").unwrap();
    let issued = authority.issue(&[NAME], Valid::Now).unwrap();
    gateway.write("cert.pem", &issued.certificate).unwrap();
    gateway.write("key.pem", &issued.key).unwrap();
    let tls =
        "tls = { certificates = [{ certificate = \"{folder}/cert.pem\", key = \"{folder}/key.pem\" }] }";
    gateway.start(&format!("{BEGINNING}{tls}\n{REST}")).unwrap();
    let (address, authority): (SocketAddr, _) = (PUBLIC.parse().unwrap(), authority.pem());
    with_service(&netns, async |_| {
        let mut client = Client::connect(address, Some((&authority, NAME))).await.unwrap();
        calls_of_every_kind(&mut client).await;
    });
    let line = gateway.logged(|line| line.contains("/xdp_lb.test.Echo/Chat")).unwrap();
    assert!(line.contains("\"version\":\"HTTP/2.0\"") && line.contains("\"scheme\":\"https\""), "{line}");
}

#[test]
fn calls_that_end_early_end_at_the_server_too() {
    require_root!();
    let netns = Netns::new("grpc").unwrap();
    let mut gateway = Gateway::new(&netns).unwrap();
    gateway.start(&format!("{BEGINNING}{REST}")).unwrap();
    let address: SocketAddr = PUBLIC.parse().unwrap();
    with_service(&netns, async |calls| {
        let mut client = Client::connect(address, None).await.unwrap();
        // The route's time is over before the server answers.
        let error = client.say(text("stall")).await.unwrap_err();
        assert_eq!(
            (error.code(), error.message()),
            (Code::DeadlineExceeded, "the service did not answer in time")
        );
        until(&calls, 0).await;

        // The client calls it off, before the answer and in its midst.
        let mut other = Client::connect(address, None).await.unwrap();
        let stalled = tokio::spawn(async move { other.say(text("stall")).await.map(drop) });
        until(&calls, 1).await;
        stalled.abort();
        until(&calls, 0).await;
        let mut endless = client.count("for ever").await.unwrap();
        assert_eq!(endless.message().await.unwrap().unwrap().text, "0");
        until(&calls, 1).await;
        // Longer than the route's time, which ends with the answer's head.
        for _ in 0..200 {
            endless.message().await.unwrap().unwrap();
        }
        drop(endless);
        until(&calls, 0).await;

        // The connection still serves, and nothing is left in flight.
        assert_eq!(client.say(text("well")).await.unwrap().get_ref().text, "well");
        assert_eq!(client.count("0").await.unwrap().message().await.unwrap(), None);
    });
    gateway
        .wait_servers("nothing is in flight", |servers| {
            servers.iter().all(|server| server["in_flight"] == 0 && server["state"] == "up")
        })
        .unwrap();
}
