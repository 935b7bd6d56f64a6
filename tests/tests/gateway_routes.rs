//! What routes do to requests and answers, through the real process, over both versions of HTTP.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::time::Duration;

use xdp_lb_tests::collector::Collector;
use xdp_lb_tests::curl::{Answer, curl};
use xdp_lb_tests::gateway::{BEGINNING, Gateway, PUBLIC};
use xdp_lb_tests::netns::Netns;
use xdp_lb_tests::require_root;
use xdp_lb_tests::service::Service;
use xdp_lb_tests::wait::{wait_until, wait_until_ok};

const SOON: Duration = Duration::from_secs(10);

const POOLS: &str = r#"
[[pool]]
name = "old"
server = [{ name = "old", address = "127.0.0.1:9001" }]
[[pool]]
name = "new"
server = [{ name = "new", address = "127.0.0.1:9002" }]
"#;

struct Bed<'a> {
    netns: &'a Netns,
    gateway: Gateway<'a>,
    /// The one called `old`, and the one called `new`.
    services: [Service; 2],
}

fn bed<'a>(netns: &'a Netns, config: &str) -> Bed<'a> {
    let services = [("old", 9001), ("new", 9002)]
        .map(|(name, port)| Service::start(netns.handle(), name, port, Duration::ZERO).unwrap());
    let mut gateway = Gateway::new(netns).unwrap();
    gateway.start(config).unwrap();
    Bed { netns, gateway, services }
}

impl Bed<'_> {
    fn get(&self, version: &str, path: &str, arguments: &[&str]) -> Answer {
        let url = format!("http://{PUBLIC}{path}");
        let mut all = vec![version];
        all.extend(arguments);
        all.push(&url);
        curl(self.netns, &all).unwrap()
    }
}

#[test]
fn requests_and_answers_are_changed_as_routes_say() {
    require_root!();
    let netns = Netns::new("routes").unwrap();
    let rest = r#"
[[route]]
name = "packed"
prefix = "/packed"
pool = "old"
compression = { least_bytes = 64 }
[[route]]
name = "cors"
prefix = "/cors"
pool = "old"
cors = { origins = ["https://*.example.com"], methods = ["GET", "PUT"], headers = ["x-key"], expose = ["x-server"], credentials = true }
[[route]]
name = "moved"
path = "/films/{id}"
redirect = { to = "/movies/{param:id}{query}", status = 308 }
[[route]]
name = "canary"
prefix = "/api"
pool = "new"
header = [{ name = "x-canary", equals = "yes" }]
[[route]]
name = "api"
prefix = "/api"
pool = "old"
[[route]]
name = "inner"
prefix = "/shop"
pool = "old"
request = { path = "/inner", host = "inner.internal", headers = { remove = ["x-secret"], set = { x-who = "{client} {header:x-name}" } }, query = { remove = ["debug"], set = { by = "gateway" } } }
response = { headers = { remove = ["x-server"], set = { x-status = "{status}" } }, body = { drop = ["/secret", "/headers"], rename = { "/server" = "by" } } }
[[route]]
name = "fixed"
path = "/fixed"
respond = { status = 418, body = "{method} {path}", content_type = "text/plain" }
"#;
    let bed = bed(&netns, &format!("{BEGINNING}{POOLS}{rest}"));
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        // What curl can unpack arrives as it was.
        for coding in ["gzip", "br", "zstd"] {
            let packed = bed.get(version, "/packed", &["--header", &format!("Accept-Encoding: {coding}")]);
            assert_eq!(packed.header("content-encoding"), Some(coding), "{version}");
            let vary = packed.header("vary").unwrap_or_default().to_ascii_lowercase();
            assert!(vary.contains("accept-encoding"), "{version} {vary:?}");
        }
        let unpacked = bed.get(version, "/packed", &["--compressed"]);
        assert_eq!(unpacked.json()["server"], "old", "{version}: {unpacked:?}");
        assert_eq!(bed.get(version, "/packed", &[]).header("content-encoding"), None);
        let head = bed.get(version, "/packed", &["--head", "--header", "Accept-Encoding: gzip"]);
        assert_eq!((head.status, head.body.len()), (200, 0), "{version}");
        // What GET would say: the length is not known before.
        assert_eq!((head.header("content-encoding"), head.header("content-length")), (Some("gzip"), None));

        let origin = ["--header", "Origin: https://www.example.com"];
        let answer = bed.get(version, "/cors", &origin);
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://www.example.com"));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(answer.header("access-control-expose-headers"), Some("x-server"));
        let preflight = ["--request", "OPTIONS", "--header", "Access-Control-Request-Method: PUT"];
        let asked =
            [&origin[..], &preflight[..], &["--header", "Access-Control-Request-Headers: x-key"]].concat();
        let answer = bed.get(version, "/cors", &asked);
        assert!(answer.status == 204 || answer.status == 200, "{answer:?}");
        assert!(answer.header("access-control-allow-methods").unwrap().contains("PUT"));
        let stranger = [&["--header", "Origin: https://example.org"][..], &preflight[..]].concat();
        let answer = bed.get(version, "/cors", &stranger);
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None));

        let moved = bed.get(version, "/films/7?x=1", &[]);
        assert_eq!((moved.status, moved.header("location")), (308, Some("/movies/7?x=1")), "{version}");

        for (value, server) in [("no", "old"), ("yes", "new"), ("yes, no", "old")] {
            let answer = bed.get(version, "/api/x", &["--header", &format!("X-Canary: {value}")]);
            assert_eq!(answer.header("x-server"), Some(server), "{version} {value}");
        }

        let headers = ["--header", "X-Secret: 1", "--header", "X-Name: Ann", "--header", "X-Who: root"];
        let inner = bed.get(version, "/shop/a%20b?debug=1&keep=2", &headers);
        let seen = inner.json();
        assert_eq!(
            (seen["by"].as_str(), seen["path"].as_str()),
            (Some("old"), Some("/inner/a%20b?keep=2&by=gateway"))
        );
        assert!(seen.get("secret").is_none() && seen.get("server").is_none(), "{seen}");
        assert_eq!((inner.header("x-server"), inner.header("x-status")), (None, Some("200")));
        let length: usize = inner.header("content-length").unwrap().parse().unwrap();
        assert_eq!(length, inner.body.len());

        let fixed = bed.get(version, "/fixed", &["--data", "x"]);
        assert_eq!((fixed.status, fixed.text().as_str()), (418, "POST /fixed"));
        let none = bed.get(version, "/nothing", &[]);
        assert_eq!((none.status, none.header("content-type")), (404, Some("application/problem+json")));
    }
}

#[test]
fn requests_are_split_by_weight_and_mirrored_without_a_trace() {
    require_root!();
    const REQUESTS: u64 = 400;
    let netns = Netns::new("routes").unwrap();
    let rest = r#"
[[route]]
name = "mirrored"
prefix = "/mirrored"
pool = "old"
mirror = { pool = "new" }
[[route]]
name = "split"
split = [{ pool = "old", weight = 3 }, { pool = "new", weight = 1 }]
"#;
    let bed = bed(&netns, &format!("{BEGINNING}{POOLS}{rest}"));
    let url = format!("http://{PUBLIC}/[1-{REQUESTS}]");
    let output = netns.command("curl").args(["--silent", "--show-error", &url]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let [old, new] = [&bed.services[0], &bed.services[1]].map(Service::served);
    assert_eq!(old + new, REQUESTS);
    // 100 expected, 8.7 the standard deviation.
    assert!((50..=150).contains(&new), "{old} {new}");

    bed.services[1].set_delay(Duration::from_secs(2));
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let before = bed.services[1].in_flight();
        let answer = bed.get(version, "/mirrored", &["--data", "{\"a\": 1}"]);
        assert_eq!((answer.header("x-server"), &answer.json()["body"]["a"]), (Some("old"), &1.into()));
        // The slow copy holds nothing up: it is still under way.
        wait_until(SOON, "the copy is there", || (bed.services[1].in_flight() > before).then_some(()))
            .unwrap();
    }
    let copies = || (bed.services[1].served() == new + 2).then_some(());
    wait_until(SOON, "the copies were answered", copies).unwrap();
}

#[test]
fn a_trace_goes_through_and_the_collector_hears_of_it() {
    require_root!();
    let netns = Netns::new("routes").unwrap();
    let collector = Collector::start(netns.handle(), 4318).unwrap();
    let rest = "[[route]]\nname = \"all\"\npool = \"old\"\n[trace]\nendpoint = \"http://127.0.0.1:4318\"\nsample = 0\n";
    let config =
        format!("{BEGINNING}{POOLS}{rest}").replace("access.log\"", "access.log\"\nformat = \"combined\"");
    let bed = bed(&netns, &config);
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let context = format!("traceparent: 00-{trace}-{parent}-01");
    let asked = [
        "--header",
        &context,
        "--header",
        "tracestate: a=b",
        "--user-agent",
        "me \"1\"",
        "--referer",
        "http://r/",
    ];
    let answer = bed.get("--http1.1", "/traced?secret=1", &asked);
    let seen = answer.json()["headers"].clone();
    let child = seen["traceparent"].as_str().unwrap();
    let parts: Vec<&str> = child.split('-').collect();
    assert!(parts.len() == 4 && parts[1] == trace && parts[2] != parent && parts[3] == "01", "{child}");
    assert_eq!(seen["tracestate"], "a=b");
    // Without a parent the share decides, and the server hears that it did.
    let other = bed.get("--http1.1", "/untraced", &[]);
    assert!(other.json()["headers"]["traceparent"].as_str().unwrap().ends_with("-00"));
    let spans = wait_until_ok(SOON, "a span came", || {
        let spans = collector.spans();
        anyhow::ensure!(!spans.is_empty(), "none came\n{}", bed.gateway.tail());
        Ok(spans)
    })
    .unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(spans.len(), 1);
    let span = &spans[0];
    assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (trace.to_owned(), parent.to_owned()));
    assert_eq!(hex(&span.span_id), parts[2], "the server's parent is the gateway's span");
    assert_eq!(span.name, "GET all");
    assert!(!format!("{span:?}").contains("secret"), "{span:?}");

    let line = bed.gateway.logged(|line| line.contains("/traced")).unwrap();
    let (before, after) = line.split_once(" [").unwrap();
    assert_eq!(before, "127.0.0.1 - -");
    let request = format!("] \"GET /traced HTTP/1.1\" 200 {} \"http://r/\" ", answer.body.len());
    assert!(after.contains(&request) && after.ends_with('"') && after.contains("me "), "{line}");
    // As Apache has it: no quote ends the field early.
    assert!(!after.contains("me \"1"), "{line}");
}
