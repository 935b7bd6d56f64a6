//! Who may, how often, and by which rules: the gateway with real issuers of tokens, files that change, certificates, and
//! a service that decides.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

#[path = "gateway_access/certificates.rs"]
mod certificates;
#[path = "gateway_access/contract.rs"]
mod contract;
#[path = "gateway_access/every_key.rs"]
mod every_key;
#[path = "gateway_access/external.rs"]
mod external;
#[path = "gateway_access/rates.rs"]
mod rates;
#[path = "gateway_access/secrets.rs"]
mod secrets;
#[path = "gateway_access/tokens.rs"]
mod tokens;
#[path = "gateway_access/trailers.rs"]
mod trailers;
#[path = "gateway_access/writing.rs"]
mod writing;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use xdp_lb_tests::answering::{Answer, Answering, Asked};
use xdp_lb_tests::certs::{Authority, Valid};
use xdp_lb_tests::gateway::{Gateway, metric};
use xdp_lb_tests::netns::Netns;
use xdp_lb_tests::require_root;
use xdp_lb_tests::token::{Signer, seconds_from_now};
use xdp_lb_tests::wait::{wait_until, wait_until_ok};

const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
const SOON: Duration = Duration::from_secs(15);

/// What all have in common: a server of HTTP/1.1 and the same by HTTP/2.
const COMMON: &str = r#"
[gateway]
threads = 2
drain = "1s"
trusted_proxies = ["127.0.0.1/32"]
[admin]
listen = "127.0.0.1:9401"
[log]
path = "{folder}/access.log"
[[listener]]
name = "public"
address = "127.0.0.1:8080"
[[pool]]
name = "api"
server = [{ address = "127.0.0.1:9001" }]
balance = { warmup = "0s", eject_after = 1000 }
[[pool]]
name = "api2"
protocol = "http2"
server = [{ address = "127.0.0.1:9001" }]
[[pool]]
name = "login"
server = [{ address = "127.0.0.1:9002" }]
balance = { warmup = "0s", eject_after = 1000 }
retry = { tries = 1 }
"#;

/// An answer, as far as tests look at it.
#[derive(Debug)]
struct Seen {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Value,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn reason(&self) -> &str {
        self.body["reason"].as_str().unwrap_or_default()
    }
}

/// Sends these lines as a head, and a body, and reads the answer to the end of the connection.
fn ask(netns: &Netns, head: &[&str], body: &str) -> Seen {
    let mut request = format!("{}\r\nConnection: close\r\n", head.join("\r\n"));
    if !head.iter().any(|line| line.starts_with("Host:")) {
        request += "Host: api.test\r\n";
    }
    if !body.is_empty() && !head.iter().any(|line| line.starts_with("Transfer-Encoding")) {
        request += &format!("Content-Length: {}\r\n", body.len());
    }
    request += &format!("\r\n{body}");
    let text = netns
        .run_in(|| {
            let mut stream = TcpStream::connect(ADDRESS)?;
            stream.set_read_timeout(Some(SOON))?;
            stream.write_all(request.as_bytes())?;
            let mut text = Vec::new();
            stream.read_to_end(&mut text)?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        })
        .unwrap();
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("no answer: {text:?}")).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    Seen { status, headers, body: serde_json::from_str(body).unwrap_or_else(|_| json!(body)) }
}

fn get(netns: &Netns, path: &str, headers: &[&str]) -> Seen {
    let line = format!("GET {path} HTTP/1.1");
    ask(netns, &[&[&*line], headers].concat(), "")
}

/// Answers whoever asks with what it was asked.
fn echo(asked: &Asked) -> Answer {
    let headers: BTreeMap<_, _> =
        asked.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or("?"))).collect();
    let told = json!({"path": asked.target.path(), "headers": headers});
    Response::builder().header("content-type", "application/json").body(told.to_string()).unwrap()
}

fn api(netns: &Netns) -> Answering {
    Answering::start(netns.handle(), 9001, echo).unwrap()
}

/// Waits until a request is answered with a status.
fn until(netns: &Netns, path: &str, headers: &[&str], status: u16) -> Seen {
    wait_until_ok(SOON, "the answer is another", || {
        let seen = get(netns, path, headers);
        anyhow::ensure!(seen.status == status, "{seen:?}");
        Ok(seen)
    })
    .unwrap()
}
