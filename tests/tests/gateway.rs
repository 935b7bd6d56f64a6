//! The gateway as its users run it: a process of its own without privileges, real servers, real clients.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use xdp_lb_tests::gateway::{Gateway, metric};
use xdp_lb_tests::netns::Netns;
use xdp_lb_tests::require_root;
use xdp_lb_tests::service::{Mood, Service};
use xdp_lb_tests::steady::Steady;
use xdp_lb_tests::wait::{wait_until, wait_until_ok};
use xdp_lb_tests::websocket;

const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
const SOON: Duration = Duration::from_secs(10);

/// One listener, one pool of two servers, one route.
const CONFIG: &str = r#"
[gateway]
threads = 2
drain = "10s"
handover_socket = "{folder}/handover.sock"
[gateway.limits]
body_bytes = 100000
header_timeout = "1s"
body_timeout = "1s"
connections = 12000
[admin]
listen = "127.0.0.1:9401"
[log]
path = "{folder}/access.log"

[[listener]]
name = "public"
address = "127.0.0.1:8080"

[[pool]]
name = "web"
balance = { warmup = "0s" }
[[pool.server]]
name = "a"
address = "127.0.0.1:9001"
[[pool.server]]
name = "b"
address = "127.0.0.1:9002"

[[route]]
name = "all"
prefix = "/"
pool = "web"
"#;

struct Bed<'a> {
    gateway: Gateway<'a>,
    servers: Vec<Service>,
    netns: &'a Netns,
}

fn bed<'a>(netns: &'a Netns, config: &str) -> Bed<'a> {
    let server = |(name, port)| Service::start(netns.handle(), name, port, Duration::ZERO).unwrap();
    let servers = [("a", 9001), ("b", 9002)].into_iter().map(server).collect();
    let mut gateway = Gateway::new(netns).unwrap();
    gateway.start(config).unwrap();
    Bed { gateway, servers, netns }
}

impl Bed<'_> {
    /// Sends these bytes and reads until the connection is closed.
    fn say(&self, bytes: &[u8]) -> String {
        self.netns.run_in(|| Ok(say(bytes))).unwrap()
    }

    /// The lines of the access log of which `is` is true, once there is one.
    fn log(&self, is: impl Fn(&Value) -> bool) -> Vec<Value> {
        let path = self.gateway.folder().join("access.log");
        wait_until(SOON, "the line is in the access log", || {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            let found: Vec<Value> = lines.filter(|line| is(line)).collect();
            (!found.is_empty()).then_some(found)
        })
        .unwrap()
    }
}

fn say(bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(ADDRESS).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    // A request that is refused early may not be taken whole.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(ended.is_ok(), "the connection was not closed in good order after {answer:?}: {ended:?}");
    answer
}

fn body_of(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn a_request_goes_through_and_is_told_of() {
    require_root!();
    let netns = Netns::new("gateway").unwrap();
    let bed = bed(&netns, CONFIG);
    let answer = bed.say(
        b"GET /x/y?key=hidden HTTP/1.1\r\nHost: API.example.com\r\nX-Forwarded-For: 1.2.3.4\r\nConnection: close, x-hop\r\n\
          X-Hop: 1\r\nCookie: hidden\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let seen = body_of(&answer);
    assert_eq!(seen["path"], "/x/y?key=hidden");
    let headers = &seen["headers"];
    assert_eq!(headers["x-forwarded-for"], "127.0.0.1", "what a client says of itself is not believed");
    assert_eq!(headers["x-forwarded-proto"], "http");
    assert!(headers.get("x-hop").is_none(), "{headers}");
    let id = headers["x-request-id"].as_str().unwrap();
    assert!(answer.to_lowercase().contains(&format!("x-request-id: {id}\r\n")), "{answer}");
    let line = &bed.log(|line| line["request_id"] == id)[0];
    assert_eq!((&line["status"], &line["route"], &line["pool"]), (&200.into(), &"all".into(), &"web".into()));
    assert_eq!(line["path"], "/x/y");
    assert!(!line.to_string().contains("hidden"), "{line}");
    let page = bed.gateway.metrics().unwrap();
    assert_eq!(metric(&page, "xdp_lb_gateway_requests_total{route=\"all\",class=\"2xx\"}").unwrap(), 1.0);
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/status", 200), ("/other", 404)] {
        assert_eq!(bed.gateway.ask(path).unwrap().status, status, "{path}");
    }
}

#[test]
fn a_wrong_configuration_is_told_whole_and_changes_nothing() {
    require_root!();
    let netns = Netns::new("gateway").unwrap();
    let mut bed = bed(&netns, CONFIG);
    let wrong = CONFIG
        .replace("name = \"b\"\naddress = \"127.0.0.1:9002\"", "name = \"b\"\naddress = \"nowhere\"")
        .replace("drain = \"10s\"", "drain = \"soon\"");
    bed.gateway.reload(&wrong).unwrap();
    assert_eq!(bed.gateway.reloads().unwrap(), (0.0, 1.0));
    let log = bed.gateway.tail();
    assert!(log.contains("nowhere") && log.contains("soon") && log.contains("stays as it was"), "{log}");
    assert!(bed.say(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 200"));
    let missing =
        CONFIG.replace("[[route]]", "[[openapi]]\nname = \"api\"\npath = \"/nonexistent.yaml\"\n[[route]]");
    bed.gateway.reload(&missing).unwrap();
    assert_eq!(bed.gateway.reloads().unwrap(), (0.0, 2.0));
    assert!(bed.gateway.tail().contains("/nonexistent.yaml"), "{}", bed.gateway.tail());
    bed.gateway.reload(CONFIG).unwrap();
    assert_eq!(bed.gateway.reloads().unwrap(), (1.0, 2.0));
    let output = bed.gateway.run_refused(&wrong).unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("nowhere") && text.contains("soon") && text.contains("gateway.toml:"), "{text}");
}

#[test]
fn reloads_and_restarts_under_load_fail_no_request() {
    require_root!();
    let netns = Netns::new("gateway").unwrap();
    let mut bed = bed(&netns, CONFIG);
    let load = Steady::start(netns.handle(), ADDRESS, "/", 8);
    let more = |load: &Steady| {
        let before = load.seen().answers();
        wait_until(SOON, "answers come", || (load.seen().answers() > before + 200).then_some(())).unwrap();
    };
    more(&load);
    for round in 0..5 {
        let changed =
            CONFIG.replace("pool = \"web\"", &format!("pool = \"web\"\ntimeout = \"{}s\"", round + 1));
        bed.gateway.reload(&changed).unwrap();
        more(&load);
    }
    for _ in 0..3 {
        let ended = bed.gateway.replace().unwrap();
        assert!(ended.success(), "the predecessor ended: {ended}\n{}", bed.gateway.tail());
        more(&load);
    }
    let seen = load.stop();
    assert_eq!(seen.failures, Vec::<String>::new());
    assert_eq!(seen.statuses.keys().copied().collect::<Vec<_>>(), [200]);
    assert!(bed.gateway.stop().unwrap().success());
}

#[test]
fn a_request_under_way_ends_before_the_process_does() {
    require_root!();
    let netns = Netns::new("gateway").unwrap();
    let mut bed = bed(&netns, CONFIG);
    bed.servers.iter().for_each(|server| server.set_delay(Duration::from_millis(700)));
    std::thread::scope(|scope| {
        let answer =
            scope.spawn(|| bed.netns.run_in(|| Ok(say(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"))).unwrap());
        let busy = || bed.servers.iter().any(|server| server.in_flight() > 0).then_some(());
        wait_until(SOON, "a server has the request", busy).unwrap();
        bed.gateway.signal(Signal::TERM).unwrap();
        let answer = answer.join().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    });
    assert!(bed.gateway.stop().unwrap().success());
}

#[test]
fn a_client_that_does_not_wait_is_told_of_once() {
    require_root!();
    let netns = Netns::new("gateway").unwrap();
    let bed = bed(&netns, CONFIG);
    bed.servers.iter().for_each(|server| server.set_delay(Duration::from_secs(5)));
    let busy = || bed.servers.iter().any(|server| server.in_flight() > 0);
    netns
        .run_in(|| {
            let mut stream = TcpStream::connect(ADDRESS)?;
            stream.write_all(b"GET /gone HTTP/1.1\r\nHost: a\r\n\r\n")?;
            wait_until(SOON, "a server has the request", || busy().then_some(()))
        })
        .unwrap();
    let lines = bed.log(|line| line["path"] == "/gone");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((&lines[0]["status"], &lines[0]["reason"]), (&499.into(), &"client_gone".into()));
    let page = bed.gateway.metrics().unwrap();
    assert_eq!(metric(&page, "xdp_lb_gateway_refused_total{reason=\"client_gone\"}").unwrap(), 1.0);
    assert_eq!(metric(&page, "xdp_lb_gateway_in_flight").unwrap(), 0.0);
}

#[test]
fn a_server_that_cuts_its_answer_is_told_of_and_hangs_nobody() {
    require_root!();
    let netns = Netns::new("gateway").unwrap();
    let bed = bed(&netns, CONFIG);
    bed.servers.iter().for_each(|server| server.set_mood(Mood::Cutting));
    let answer = netns
        .run_in(|| {
            let mut stream = TcpStream::connect(ADDRESS)?;
            stream.set_read_timeout(Some(SOON))?;
            stream.write_all(b"GET /cut HTTP/1.1\r\nHost: a\r\n\r\n")?;
            let mut answer = Vec::new();
            // Its end is an error or not; that it comes is what counts.
            let _ = stream.read_to_end(&mut answer);
            Ok(String::from_utf8_lossy(&answer).into_owned())
        })
        .unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length: usize =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    assert!(body.len() < length, "the client can tell: {answer}");
    let line = &bed.log(|line| line["path"] == "/cut")[0];
    assert_eq!(line["reason"], "answer_cut_short", "{line}");
    bed.servers.iter().for_each(|server| server.set_mood(Mood::Well));
    let whole = bed.say(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(whole.starts_with("HTTP/1.1 200"), "{whole}");
}

#[test]
fn what_servers_send_that_is_no_http_is_a_502_with_its_reason_in_the_log() {
    require_root!();
    let netns = Netns::new("gateway").unwrap();
    let mut gateway = Gateway::new(&netns).unwrap();
    gateway.start(CONFIG).unwrap();
    let bed = Bed { gateway, servers: Vec::new(), netns: &netns };
    let refused = bed.say(b"GET /refused HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 502"), "{refused}");
    assert_eq!(body_of(&refused)["reason"], "connect_failed");
    let line = &bed.log(|line| line["path"] == "/refused")[0];
    assert_eq!((&line["status"], &line["reason"]), (&502.into(), &"connect_failed".into()), "{line}");
    assert!(line["cause"].as_str().is_some_and(|cause| !cause.is_empty()), "{line}");
}

#[test]
fn what_is_too_large_or_too_slow_is_refused_and_the_connection_closed_properly() {
    require_root!();
    let netns = Netns::new("gateway").unwrap();
    let bed = bed(&netns, CONFIG);
    let large = "x".repeat(300_000);
    for (request, status, reason) in [
        (
            format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{large}", large.len()),
            413,
            "body_too_large",
        ),
        (
            format!(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
                large.len()
            ),
            413,
            "body_too_large",
        ),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {large}\r\n\r\n"), 431, "head_too_large"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX-Slow".to_owned(), 408, "slow_head"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab".to_owned(), 408, "slow_body"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_owned(),
            400,
            "bad_chunk",
        ),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400, "bad_host"),
    ] {
        let answer = bed.say(request.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{reason}: {answer}");
        assert_eq!(body_of(&answer)["reason"], reason);
    }
    let page = bed.gateway.metrics().unwrap();
    assert_eq!(metric(&page, "xdp_lb_gateway_refused_total{reason=\"body_too_large\"}").unwrap(), 2.0);
    let served: u64 = bed.servers.iter().map(Service::served).sum();
    assert_eq!(served, 0, "a request that is refused has reached a server");
    assert!(bed.servers.iter().all(|server| server.in_flight() == 0));
}

#[test]
fn websockets_pass_and_outlive_a_reload() {
    require_root!();
    let netns = Netns::new("gateway").unwrap();
    let mut gateway = Gateway::new(&netns).unwrap();
    let server = websocket::EchoServer::start(&netns, 9001, gateway.folder()).unwrap();
    let config = CONFIG.replace("[[pool.server]]\nname = \"b\"\naddress = \"127.0.0.1:9002\"\n", "");
    gateway.start(&config).unwrap();
    std::thread::scope(|scope| {
        let url = format!("ws://{ADDRESS}/chat");
        let netns = &netns;
        let client = scope.spawn(move || websocket::talk(netns, &url, Duration::from_secs(2)));
        wait_until(SOON, "the WebSocket is open", || {
            let page = gateway.metrics().unwrap();
            (metric(&page, "xdp_lb_gateway_requests_total{route=\"all\",class=\"1xx\"}").unwrap() > 0.0)
                .then_some(())
        })
        .unwrap();
        gateway.reload(&config.replace("drain = \"10s\"", "drain = \"9s\"")).unwrap();
        assert_eq!(client.join().unwrap().unwrap(), "127.0.0.1", "{}{}", server.tail(), gateway.tail());
    });
    assert!(gateway.stop().unwrap().success());
}

#[test]
fn ten_thousand_connections_are_served_and_cost_little_while_idle() {
    const CONNECTIONS: usize = 10_000;
    require_root!();
    let netns = Netns::new("gateway").unwrap();
    let bed = bed(&netns, CONFIG);
    netns
        .run_in(|| {
            let mut open = Vec::with_capacity(CONNECTIONS);
            for _ in 0..CONNECTIONS {
                let mut stream = TcpStream::connect(ADDRESS)?;
                stream.set_read_timeout(Some(SOON))?;
                once(&mut stream);
                open.push(stream);
            }
            wait_until_ok(SOON, "all are parked", || {
                let page = bed.gateway.metrics()?;
                let parked = metric(&page, "xdp_lb_gateway_connections_parked")?;
                anyhow::ensure!(parked as usize == CONNECTIONS, "{parked} are");
                Ok(())
            })?;
            open.iter_mut().step_by(10).for_each(once);
            Ok(())
        })
        .unwrap();
}

/// One request and its answer.
fn once(stream: &mut TcpStream) {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = vec![0; 4096];
    let mut length = 0;
    while !answer[..length].ends_with(b"}") {
        let read = stream.read(&mut answer[length..]).unwrap();
        assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&answer[..length]));
        length += read;
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

#[test]
fn pieces_of_cookies_are_one_to_the_server() {
    require_root!();
    let netns = Netns::new("gateway").unwrap();
    let bed = bed(&netns, CONFIG);
    let mut head = b"\x82\x86\x84\x41\x01a".to_vec();
    for piece in ["a=1", "b=2"] {
        head.extend(b"\0\x06cookie\x03");
        head.extend(piece.as_bytes());
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0".to_vec();
    bytes.extend([u8::try_from(head.len()).unwrap(), 1, 5, 0, 0, 0, 1]);
    bytes.extend(head);
    let answer = netns.run_in(|| {
        let mut stream = TcpStream::connect(ADDRESS)?;
        stream.set_read_timeout(Some(SOON))?;
        stream.write_all(&bytes)?;
        let mut answer = Vec::new();
        while !String::from_utf8_lossy(&answer).contains("for the inside only") {
            let mut piece = [0; 4096];
            let count = stream.read(&mut piece)?;
            anyhow::ensure!(count > 0, "closed after {:?}", String::from_utf8_lossy(&answer));
            answer.extend(&piece[..count]);
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    });
    let answer = answer.unwrap();
    assert!(answer.contains(r#""cookie":"a=1; b=2""#), "{answer}");
    drop(bed);
}

/// Asks for the sockets as a successor does, and gives them up again: what is left is the conversation.
fn successor(gateway: &Gateway<'_>) -> BufReader<UnixStream> {
    let stream = UnixStream::connect(gateway.folder().join("handover.sock")).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    while !line.ends_with("{\"sockets\":0}\n") {
        assert!(lines.read_line(&mut line).unwrap() > 0, "ended after {line}");
    }
    lines
}

#[test]
fn a_reload_amid_a_handover_forgets_nothing() {
    require_root!();
    let netns = Netns::new("gateway").unwrap();
    let mut bed = bed(&netns, CONFIG);
    let mut successor = successor(&bed.gateway);
    bed.gateway.reload(CONFIG).unwrap();
    successor.get_mut().write_all(b"{\"ready\":true}\n").unwrap();
    let mut word = String::new();
    successor.read_line(&mut word).unwrap();
    assert!(word.contains("leaving"), "{word}");
    assert!(bed.gateway.wait_ended().unwrap().success());
}

#[test]
fn a_handover_that_hangs_keeps_nobody_from_ending() {
    require_root!();
    let netns = Netns::new("gateway").unwrap();
    let mut bed = bed(&netns, CONFIG);
    let _silent = successor(&bed.gateway);
    assert!(bed.gateway.stop().unwrap().success());
}

#[test]
fn a_successor_without_admin_pages_serves_all_the_same() {
    require_root!();
    let netns = Netns::new("gateway").unwrap();
    let mut bed = bed(&netns, CONFIG);
    let taken = netns.run_in(|| Ok(std::net::TcpListener::bind("127.0.0.1:9402")?)).unwrap();
    let moved = CONFIG
        .replace("127.0.0.1:9401", "127.0.0.1:9402")
        .replace("{folder}", &bed.gateway.folder().display().to_string());
    bed.gateway.write("gateway.toml", moved).unwrap();
    assert!(bed.gateway.succeed().unwrap().success());
    wait_until(SOON, "it says that it has no admin pages", || {
        bed.gateway.tail().contains("9402").then_some(())
    })
    .unwrap();
    let answer = bed.say(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    drop(taken);
}
