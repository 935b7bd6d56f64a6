//! The gateway between programs that are not ours: nginx behind it, curl before it, HAProxy on either side.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::time::Duration;

use xdp_lb_tests::curl::curl;
use xdp_lb_tests::gateway::{BEGINNING, Gateway, PUBLIC};
use xdp_lb_tests::netns::Netns;
use xdp_lb_tests::nginx::Nginx;
use xdp_lb_tests::proxyhop::ProxyHop;
use xdp_lb_tests::service::Service;
use xdp_lb_tests::steady::Steady;
use xdp_lb_tests::wait::wait_until;
use xdp_lb_tests::{body, require_root};

const SOON: Duration = Duration::from_secs(10);

const FILES: &str = r#"
[[pool]]
name = "files"
server = [{ name = "nginx", address = "127.0.0.1:80" }]
[[route]]
name = "files"
pool = "files"
"#;

#[test]
fn what_nginx_serves_arrives_as_it_was_sent() {
    require_root!();
    let netns = Netns::new("peers").unwrap();
    let nginx = Nginx::start(&netns, "nginx").unwrap();
    let large = body::pseudo_random(7, 3 << 20);
    nginx.serve("large", &large).unwrap();
    let text = "all work and no play\n".repeat(5000);
    nginx.serve("text.txt", text.as_bytes()).unwrap();
    let mut gateway = Gateway::new(&netns).unwrap();
    // One thread, as each has connections of its own.
    gateway.start(&format!("{BEGINNING}{FILES}").replace("threads = 2", "threads = 1")).unwrap();
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let url = |file: &str| format!("http://{PUBLIC}/files/{file}");
        let get = |arguments: &[&str], file: &str| {
            let url = url(file);
            let mut all = vec![version];
            all.extend(arguments);
            all.push(&url);
            curl(&netns, &all).unwrap()
        };
        let whole = get(&[], "large");
        assert_eq!((whole.status, body::digest(&whole.body)), (200, body::digest(&large)), "{version}");
        let etag = whole.header("etag").unwrap();
        assert_eq!(whole.version, if version == "--http1.1" { "HTTP/1.1" } else { "HTTP/2" });

        let head = get(&["--head"], "large");
        assert_eq!((head.status, head.header("content-length")), (200, Some("3145728")), "{version}");
        assert!(head.body.is_empty());
        // nginx closes a connection whose answer it did not frame as asked; this one goes on.
        assert_eq!(head.header("x-connection"), whole.header("x-connection"), "{version}: it is used again");

        let part = get(&["--range", "100-199"], "large");
        assert_eq!((part.status, &part.body[..]), (206, &large[100..200]), "{version}");
        assert_eq!(part.header("content-range"), Some("bytes 100-199/3145728"));
        let parts = get(&["--range", "0-9,20-29"], "large");
        assert!(
            parts.status == 206 && parts.header("content-type").unwrap().starts_with("multipart/byteranges")
        );
        let none = get(&["--range", "9999999-"], "large");
        assert_eq!((none.status, none.header("content-range")), (416, Some("bytes */3145728")), "{version}");

        let same = get(&["--header", &format!("If-None-Match: {etag}")], "large");
        assert_eq!((same.status, same.header("etag"), same.body.len()), (304, Some(etag), 0), "{version}");
        let other = get(&["--header", "If-Match: \"other\""], "large");
        assert_eq!(other.status, 412, "{version}");

        let packed = get(&["--header", "Accept-Encoding: gzip"], "text.txt");
        assert_eq!((packed.status, packed.header("content-encoding")), (200, Some("gzip")), "{version}");
        assert!(packed.body.len() < text.len() / 10, "{version}: {} bytes", packed.body.len());
        let unpacked = get(&["--compressed"], "text.txt");
        assert_eq!(unpacked.text(), text, "{version}");

        let missing = get(&[], "missing");
        assert_eq!((missing.status, missing.header("x-backend")), (404, Some("nginx")), "{version}");

        let file = format!("up-{}", version.len());
        let upload = gateway.write("upload", &large).unwrap();
        let upload = upload.display().to_string();
        for (arguments, status) in [
            (vec!["--upload-file", &*upload], 201),
            (vec!["-T", &*upload, "-H", "Transfer-Encoding: chunked"], 204),
        ] {
            let put = get(&arguments, &file);
            assert_eq!(put.status, status, "{version} {arguments:?}: {}", put.text());
            assert_eq!(nginx.digest_of(&file).unwrap(), body::digest(&large), "{version} {arguments:?}");
        }
    }
}

#[test]
fn nginx_may_be_killed_and_come_back_under_load() {
    require_root!();
    let netns = Netns::new("peers").unwrap();
    let mut nginx = Nginx::start(&netns, "nginx").unwrap();
    let _other = Service::start(netns.handle(), "other", 9001, Duration::ZERO).unwrap();
    let mut gateway = Gateway::new(&netns).unwrap();
    let both = FILES.replace(
        "\"127.0.0.1:80\" }",
        "\"127.0.0.1:80\" }, { name = \"other\", address = \"127.0.0.1:9001\" }",
    );
    let config = format!("{BEGINNING}{both}").replace(
        "name = \"files\"\nserver",
        "name = \"files\"\nbalance = { warmup = \"0s\", eject_least = \"300ms\" }\nserver",
    );
    gateway.start(&config).unwrap();
    let load = Steady::start(netns.handle(), PUBLIC.parse().unwrap(), "/", 6);
    let more = || {
        let before = load.seen().answers();
        wait_until(SOON, "answers come", || (load.seen().answers() > before + 500).then_some(())).unwrap();
    };
    // nginx says no X-Server.
    let from_nginx = || load.seen().answers() - load.seen().servers.values().sum::<u64>();
    for round in 0..4 {
        more();
        nginx.stop().unwrap();
        more();
        nginx.start_again().unwrap();
        let before = from_nginx();
        wait_until(SOON, "nginx serves again", || (from_nginx() > before + 50).then_some(()))
            .unwrap_or_else(|error| panic_with(round, &error, &gateway));
    }
    let seen = load.stop();
    assert_eq!(seen.failures, Vec::<String>::new());
    assert_eq!(seen.statuses.keys().copied().collect::<Vec<_>>(), [200], "{seen:?}");
}

fn panic_with(round: usize, error: &anyhow::Error, gateway: &Gateway<'_>) {
    assert!(round > 1000, "round {round}: {error:#}\n{:#}", gateway.status().unwrap());
}

const ECHO: &str = r#"
[[pool]]
name = "echo"
server = [{ name = "a", address = "127.0.0.1:9001" }]
[[route]]
name = "echo"
pool = "echo"
"#;

#[test]
fn haproxy_tells_who_the_client_is() {
    require_root!();
    let netns = Netns::new("peers").unwrap();
    let _service = Service::start(netns.handle(), "a", 9001, Duration::ZERO).unwrap();
    let mut gateway = Gateway::new(&netns).unwrap();
    let config = format!("{BEGINNING}proxy_protocol = true\n{ECHO}");
    gateway.start(&config).unwrap();
    let _hop = ProxyHop::telling(&netns, 8000, PUBLIC).unwrap();
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let from = ["--interface", "127.0.0.9", version, "http://127.0.0.1:8000/who"];
        let answer = curl(&netns, &from).unwrap();
        assert_eq!(answer.json()["headers"]["x-forwarded-for"], "127.0.0.9", "{version}: {}", answer.text());
    }
    let line = gateway.logged(|line| line.contains("/who")).unwrap();
    assert!(line.contains("\"client\":\"127.0.0.9\""), "{line}");
    // Without the header a connection is closed, and nothing is answered.
    let error = curl(&netns, &[&format!("http://{PUBLIC}/without")]).unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains("Empty reply") || error.contains("reset"), "{error}");
}

#[test]
fn haproxy_is_told_who_the_client_is() {
    require_root!();
    let netns = Netns::new("peers").unwrap();
    let _service = Service::start(netns.handle(), "a", 9001, Duration::ZERO).unwrap();
    let _hop = ProxyHop::told(&netns, 9100, "127.0.0.1:9001").unwrap();
    let mut gateway = Gateway::new(&netns).unwrap();
    let config = format!("{BEGINNING}{}", ECHO.replace("server =", "proxy_protocol = true\nserver ="));
    gateway.start(&config.replace("9001", "9100")).unwrap();
    let url = format!("http://{PUBLIC}/");
    // More than one each: a connection that was made for one client is never another's.
    for client in ["127.0.0.7", "127.0.0.8", "127.0.0.7", "127.0.0.9", "127.0.0.8", "127.0.0.7"] {
        let answer = curl(&netns, &["--interface", client, &url]).unwrap();
        assert_eq!(answer.json()["headers"]["x-told"], client, "{}", answer.text());
    }
}
