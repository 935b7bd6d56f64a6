//! Who may, how often, and by which rules: the gateway with real issuers of tokens, files that change, certificates, and
//! a service that decides.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

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
use xdp_lb_tests::gateway::Gateway;
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
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
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

const TOKENS: &str = r#"
[[verifier]]
name = "tokens"
pass = { x-user = "subject", x-org = "claim:org" }
[verifier.jwt]
pool = "login"
host = "login.test"
refresh_least = "1s"
refresh = "1h"
algorithms = ["ES256"]
issuer = "https://login.test"
audience = ["api"]
leeway = "0s"
[[route]]
name = "open"
prefix = "/"
pool = "api"
[[route]]
name = "closed"
prefix = "/closed"
pool = "api"
access = { any_of = ["tokens"] }
[[route]]
name = "written"
prefix = "/written"
pool = "api"
access = { any_of = ["tokens"], claims = { scope = "write" } }
[[route]]
name = "streams"
prefix = "/streams"
pool = "api2"
access = { any_of = ["tokens"] }
"#;

fn claims() -> Value {
    json!({"iss": "https://login.test", "aud": "api", "sub": "ann", "org": "o1", "scope": "read",
        "exp": seconds_from_now(600)})
}

fn with(claim: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[claim] = value;
    claims
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// An issuer whose keys a test changes.
fn issuer(netns: &Netns, keys: &Arc<Mutex<String>>) -> Answering {
    let keys = Arc::clone(keys);
    Answering::start(netns.handle(), 9002, move |_| Response::new(keys.lock().unwrap().clone())).unwrap()
}

#[test]
fn tokens_are_verified_by_keys_that_change_while_it_runs() {
    require_root!();
    let netns = Netns::new("access").unwrap();
    let server = api(&netns);
    let (one, two) = (Signer::new("one").unwrap(), Signer::new("two").unwrap());
    let keys = Arc::new(Mutex::new(one.jwks()));
    let config = format!("{COMMON}{TOKENS}");
    let mut gateway = Gateway::new(&netns).unwrap();
    // Without an issuer nobody can be let in, and nobody is told to come never again.
    gateway.start(&config).unwrap();
    let first = bearer(&one.sign(&claims()).unwrap());
    let down = get(&netns, "/closed", &[&first]);
    assert_eq!((down.status, down.reason()), (503, "verifier_down"), "{down:?}");
    assert!(!down.header("retry-after").is_empty());
    assert_eq!(get(&netns, "/", &[]).status, 200, "other routes need no issuer");

    let login = issuer(&netns, &keys);
    let seen = until(&netns, "/closed", &[&first, "X-User: root", "X_User: root", "x-org: o2"], 200);
    let headers = &seen.body["headers"];
    assert_eq!((&headers["x-user"], &headers["x-org"]), (&json!("ann"), &json!("o1")), "{seen:?}");
    assert!(headers.get("x_user").is_none(), "{seen:?}");
    assert_eq!(login.take_asked().pop().unwrap().header("host"), "login.test");
    let open = get(&netns, "/", &["X-User: root", "X_User: root", "Connection: x-user"]);
    let names = open.body["headers"].as_object().unwrap();
    assert!(!names.contains_key("x-user") && !names.contains_key("x_user"), "{open:?}");

    let refused = |head: &[&str], what: &str| {
        let seen = get(&netns, "/closed", head);
        assert_eq!((seen.status, seen.reason()), (401, "unverified"), "{what}: {seen:?}");
        assert!(seen.header("www-authenticate").starts_with("Bearer"), "{what}: {seen:?}");
    };
    server.take_asked();
    refused(&[], "no token");
    refused(&[&first, &first], "two tokens");
    for (what, claims) in [
        ("expired", with("exp", seconds_from_now(-1).into())),
        ("no end", with("exp", Value::Null)),
        ("not yet", with("nbf", seconds_from_now(60).into())),
        ("another issuer", with("iss", json!("https://evil.test"))),
        ("another audience", with("aud", json!(["web"]))),
        ("no subject of text", with("sub", json!({"a": 1}))),
    ] {
        refused(&[&bearer(&one.sign(&claims).unwrap())], what);
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let point = one.jwk();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, point["x"].as_str().unwrap().as_bytes());
    for (what, header) in [
        ("none", json!({"alg": "none"})),
        ("None", json!({"alg": "None", "kid": "one"})),
        ("a public key as a secret", json!({"alg": "HS256", "kid": "one"})),
        ("its own key", json!({"alg": "ES256", "jwk": two.jwk()})),
        ("a key from elsewhere", json!({"alg": "ES256", "kid": "one", "jku": "http://127.0.0.1:9001/"})),
        ("a path as the key's name", json!({"alg": "ES256", "kid": "../../../dev/null"})),
    ] {
        let signed = format!("{}.{}", part(&header), part(&claims()));
        let tag = ring::hmac::sign(&key, signed.as_bytes());
        refused(&[&bearer(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag)))], what);
        refused(&[&bearer(&format!("{signed}."))], what);
    }
    let written = get(&netns, "/written", &[&first]);
    assert_eq!((written.status, written.reason()), (403, "forbidden"), "{written:?}");
    assert_eq!(server.take_asked().len(), 0, "what is refused reaches no server");

    // The issuer changes its key: tokens of the new one come to be known, and those of the old one are no longer.
    *keys.lock().unwrap() = two.jwks();
    let second = bearer(&two.sign(&claims()).unwrap());
    until(&netns, "/closed", &[&second], 200);
    refused(&[&first], "a key that was taken back");
    // What is in use outlives its issuer and a reload.
    drop(login);
    gateway.reload(&config.replace("drain = \"1s\"", "drain = \"2s\"")).unwrap();
    assert_eq!(get(&netns, "/closed", &[&second]).status, 200);
    let other = bearer(&two.sign(&with("sub", json!("bob"))).unwrap());
    let bob = get(&netns, "/closed", &[&other]);
    assert_eq!((bob.status, &bob.body["headers"]["x-user"]), (200, &json!("bob")));
    let short = bearer(&two.sign(&with("exp", seconds_from_now(3).into())).unwrap());
    assert_eq!(get(&netns, "/closed", &[&short]).status, 200);
    until(&netns, "/closed", &[&short], 401);
}

/// One POST over HTTP/2 with these trailers: the answer's status, or nothing where the stream was reset.
fn post_h2(netns: &Netns, path: &str, headers: &[(&str, &str)], trailers: &[(&str, &str)]) -> Option<u16> {
    let map = |pairs: &[(&str, &str)]| {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect::<HeaderMap>()
    };
    let trailers = map(trailers);
    let mut request = Request::post(format!("http://api.test{path}")).body(()).unwrap();
    *request.headers_mut() = map(headers);
    let request = request.map(|()| {
        Full::new(Bytes::from_static(b"body")).with_trailers(std::future::ready(Some(Ok(trailers))))
    });
    netns
        .run_in(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let stream = TokioIo::new(tokio::net::TcpStream::connect(ADDRESS).await?);
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
                tokio::spawn(connection);
                let answer = tokio::time::timeout(SOON, sender.send_request(request)).await?;
                Ok(answer.ok().map(|answer| answer.status().as_u16()))
            })
        })
        .unwrap()
}

#[test]
fn trailers_say_nothing_of_who_asks() {
    require_root!();
    let netns = Netns::new("access").unwrap();
    let server = api(&netns);
    let one = Signer::new("one").unwrap();
    let keys = Arc::new(Mutex::new(one.jwks()));
    let _login = issuer(&netns, &keys);
    let mut gateway = Gateway::new(&netns).unwrap();
    gateway.start(&format!("{COMMON}{TOKENS}")).unwrap();
    let token = format!("Bearer {}", one.sign(&claims()).unwrap());
    until(&netns, "/closed", &[&format!("Authorization: {token}")], 200);
    server.take_asked();
    let headers = [("authorization", &*token), ("te", "trailers"), ("trailer", "x-user, x_user, x-sum")];
    let own = [("x-user", "root"), ("x_user", "root"), ("x-sum", "7")];
    assert_eq!(post_h2(&netns, "/streams", &headers, &own), Some(200));
    let body = "4\r\nbody\r\n0\r\nX-User: root\r\nx_user: root\r\nX-Sum: 7\r\n\r\n";
    for path in ["/streams", "/closed"] {
        let line = format!("POST {path} HTTP/1.1");
        let authorization = format!("Authorization: {token}");
        let head = [
            &*line,
            &*authorization,
            "Transfer-Encoding: chunked",
            "TE: trailers",
            "Trailer: x-user, x_user, x-sum",
        ];
        assert_eq!(ask(&netns, &head, body).status, 200);
    }
    let asked = server.take_asked();
    assert_eq!(asked.len(), 3);
    for asked in asked {
        assert_eq!((asked.header("x-user"), &asked.body[..]), ("ann", &b"body"[..]));
        assert_eq!(asked.trailers.get("x-sum").map(HeaderValue::as_bytes), Some(&b"7"[..]), "{asked:?}");
        assert_eq!(asked.trailers.len(), 1, "{asked:?}");
    }
    // What frames, routes or says who asks is no trailer, in HTTP/2 either.
    for name in ["authorization", "x-forwarded-for", "x_forwarded_for", "host", "content-length"] {
        let told = post_h2(&netns, "/streams", &headers, &[(name, "1")]);
        assert_ne!(told, Some(200), "{name}");
    }
    assert_eq!(server.take_asked().len(), 0);
}

fn key_line(name: &str, key: &str) -> String {
    let digest: String = Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{name} {digest}\n")
}

#[test]
fn keys_and_passwords_change_while_it_runs() {
    require_root!();
    let netns = Netns::new("access").unwrap();
    let server = api(&netns);
    let mut gateway = Gateway::new(&netns).unwrap();
    let (old, new) = ("0123456789abcdef-old", "0123456789abcdef-new");
    gateway.write("keys", key_line("billing", old)).unwrap();
    let hash = |user: &str, password: &str| {
        let mut child = std::process::Command::new(xdp_lb_tests::agent::binary().unwrap())
            .args(["hash-secret", "--kind", "password", user])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    };
    gateway.write("users", hash("alice", "first one")).unwrap();
    let config = format!(
        "{COMMON}{}",
        r#"
[[verifier]]
name = "keys"
pass = { x-user = "subject", x-by = "verifier" }
api_key = { file = "{folder}/keys" }
[[verifier]]
name = "staff"
pass = { x-user = "subject", x-by = "verifier" }
basic = { realm = "staff", file = "{folder}/users" }
[[route]]
name = "either"
pool = "api"
access = { any_of = ["keys", "staff"] }
"#
    );
    gateway.start(&config).unwrap();
    let key = |key: &str| format!("X-API-Key: {key}");
    let basic = |user: &str, password: &str| {
        format!("Authorization: Basic {}", STANDARD.encode(format!("{user}:{password}")))
    };
    let nobody = get(&netns, "/", &[]);
    assert_eq!(nobody.status, 401);
    let text = format!("{:?}", nobody.headers);
    assert!(text.contains("Basic realm") || text.contains("ApiKey"), "{text}");
    for (head, user, by) in [(key(old), "billing", "keys"), (basic("alice", "first one"), "alice", "staff")] {
        let seen = get(&netns, "/", &[&head, "X-User: root"]);
        assert_eq!(seen.status, 200, "{seen:?}");
        assert_eq!(
            (&seen.body["headers"]["x-user"], &seen.body["headers"]["x-by"]),
            (&user.into(), &by.into())
        );
    }
    server.take_asked();
    for head in [
        key(new),
        key(&format!("{old} ")),
        basic("alice", "first"),
        basic("alice", ""),
        basic("bob", "first one"),
        "Authorization: Basic !!!".to_owned(),
        "X_API_Key: 0123456789abcdef-old".to_owned(),
    ] {
        let seen = get(&netns, "/", &[&head]);
        // Blanks around a value are not part of it.
        let known = head.ends_with(' ');
        assert_eq!(seen.status, if known { 200 } else { 401 }, "{head}: {seen:?}");
    }
    server.take_asked();

    gateway.write("keys", key_line("billing", new)).unwrap();
    gateway.write("users", hash("alice", "second one")).unwrap();
    until(&netns, "/", &[&key(new)], 200);
    assert_eq!(get(&netns, "/", &[&key(old)]).status, 401, "a key that was taken back");
    until(&netns, "/", &[&basic("alice", "second one")], 200);
    assert_eq!(get(&netns, "/", &[&basic("alice", "first one")]).status, 401, "remembered past its end");
    // A file that cannot be used changes nothing, and is told of.
    gateway.write("keys", "billing nonsense\n").unwrap();
    wait_until(SOON, "the log tells", || gateway.tail().contains("keys:1").then_some(())).unwrap();
    assert_eq!(get(&netns, "/", &[&key(new)]).status, 200);
    let before = gateway.reloads().unwrap();
    gateway.reload(&config).unwrap();
    assert_eq!(gateway.reloads().unwrap(), (before.0, before.1 + 1.0), "a reload would lose the keys");
    assert_eq!(get(&netns, "/", &[&key(new)]).status, 200);
    let log = std::fs::read_to_string(gateway.folder().join("access.log")).unwrap() + &gateway.tail();
    for secret in [old, new, "first one", &STANDARD.encode("alice:first one")] {
        assert!(!log.contains(secret), "{secret} is in a log");
    }
}

#[test]
fn clients_are_known_by_their_certificates() {
    require_root!();
    let netns = Netns::new("access").unwrap();
    let _server = api(&netns);
    let mut gateway = Gateway::new(&netns).unwrap();
    let (ours, theirs) = (Authority::new("ours").unwrap(), Authority::new("theirs").unwrap());
    let site = ours.issue(&["api.test"], Valid::Now).unwrap();
    gateway.write("ca.pem", ours.pem()).unwrap();
    for (name, issued) in [
        ("site", site),
        ("billing", ours.issue(&["billing.jobs.test"], Valid::Now).unwrap()),
        ("other", ours.issue(&["other.test"], Valid::Now).unwrap()),
        ("former", ours.issue(&["billing.jobs.test"], Valid::Formerly).unwrap()),
        ("forged", theirs.issue(&["billing.jobs.test"], Valid::Now).unwrap()),
    ] {
        gateway.write(&format!("{name}.pem"), issued.certificate).unwrap();
        gateway.write(&format!("{name}.key"), issued.key).unwrap();
    }
    let config = format!(
        "{COMMON}{}",
        r#"
[[listener]]
name = "tls"
address = "127.0.0.1:8443"
[listener.tls]
certificates = [{ certificate = "{folder}/site.pem", key = "{folder}/site.key" }]
client_auth = "optional"
client_ca = "{folder}/ca.pem"
[[verifier]]
name = "machines"
pass = { x-user = "subject" }
certificate = { subjects = ["*.jobs.test"] }
[[route]]
name = "machines"
prefix = "/machines"
pool = "api"
access = { any_of = ["machines"] }
[[route]]
name = "open"
pool = "api"
"#
    );
    gateway.start(&config).unwrap();
    let folder = gateway.folder().to_owned();
    let curl = |certificate: Option<&str>, path: &str| {
        let mut command = netns.command("curl");
        command.args(["--silent", "--show-error", "--max-time", "10", "--write-out", "\n%{http_code}"]);
        command.args(["--resolve", "api.test:8443:127.0.0.1", "--header", "X-User: root"]);
        command.arg("--cacert").arg(folder.join("ca.pem"));
        if let Some(name) = certificate {
            command.arg("--cert").arg(folder.join(format!("{name}.pem")));
            command.arg("--key").arg(folder.join(format!("{name}.key")));
        }
        let output = command.arg(format!("https://api.test:8443{path}")).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.to_owned(), serde_json::from_str(body).unwrap_or(Value::Null))
    };
    let (status, body) = curl(Some("billing"), "/machines");
    assert_eq!((&*status, &body["headers"]["x-user"]), ("200", &json!("billing.jobs.test")), "{body}");
    for (certificate, path, status) in [
        (None, "/machines", "403"),
        (Some("other"), "/machines", "403"),
        (None, "/", "200"),
        // What is not valid is not taken for none.
        (Some("former"), "/", "000"),
        (Some("forged"), "/", "000"),
        (Some("forged"), "/machines", "000"),
    ] {
        let (seen, body) = curl(certificate, path);
        assert_eq!(seen, status, "{certificate:?} {path} {body}");
        assert!(body["headers"].get("x-user").is_none(), "{body}");
    }
    let plain = get(&netns, "/machines", &[]);
    assert_eq!(plain.status, 403, "there is no certificate without TLS");
}

#[test]
fn a_service_decides_while_it_is_there() {
    require_root!();
    let netns = Netns::new("access").unwrap();
    let server = api(&netns);
    let mut gateway = Gateway::new(&netns).unwrap();
    let config = format!(
        "{COMMON}{}",
        r#"
[[verifier]]
name = "strict"
[verifier.external]
pool = "login"
prefix = "/check"
request_headers = ["cookie"]
response_headers = ["x-roles"]
timeout = "1s"
[[verifier]]
name = "lenient"
external = { pool = "login", response_headers = ["x-roles"], fail_open = true }
[[route]]
name = "strict"
prefix = "/strict"
pool = "api"
access = { external = "strict" }
[[route]]
name = "lenient"
prefix = "/lenient"
pool = "api"
access = { external = "lenient" }
[[route]]
name = "open"
pool = "api"
"#
    );
    gateway.start(&config).unwrap();
    let decide = |asked: &Asked| {
        let answer = Response::builder();
        match asked.header("cookie") {
            "user=ann" => answer.header("x-roles", "reader").header("x-other", "1").body(String::new()),
            "user=down" => answer.status(500).body(String::new()),
            "" => answer.status(401).header("www-authenticate", "Login").body("no".to_owned()),
            _ => answer.status(302).header("location", "https://login.test/").body(String::new()),
        }
        .unwrap()
    };
    let login = Answering::start(netns.handle(), 9002, decide).unwrap();
    let seen = get(&netns, "/strict/a?b=c", &["Cookie: user=ann", "X-Roles: admin", "X_Roles: admin"]);
    let headers = &seen.body["headers"];
    assert_eq!((seen.status, &headers["x-roles"]), (200, &json!("reader")), "{seen:?}");
    assert!(headers.get("x_roles").is_none() && headers.get("x-other").is_none(), "{seen:?}");
    let asked = login.take_asked().pop().unwrap();
    assert_eq!(asked.target.to_string(), "/check/strict/a?b=c");
    assert_eq!(asked.header("x-forwarded-uri"), "/strict/a?b=c");
    assert_eq!(asked.header("x-forwarded-for"), "127.0.0.1");
    assert_eq!(asked.header("x-roles"), "");
    let open = get(&netns, "/", &["X-Roles: admin", "X_Roles: admin"]);
    let names = open.body["headers"].as_object().unwrap();
    assert!(!names.contains_key("x-roles") && !names.contains_key("x_roles"), "{open:?}");

    server.take_asked();
    let refused = get(&netns, "/strict", &[]);
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Login"), "{refused:?}");
    let sent_on = get(&netns, "/strict", &["Cookie: user=eve"]);
    assert_eq!((sent_on.status, sent_on.header("location")), (403, "https://login.test/"), "{sent_on:?}");
    let undecided = get(&netns, "/strict", &["Cookie: user=down"]);
    assert_eq!((undecided.status, undecided.reason()), (503, "verifier_down"), "{undecided:?}");
    drop(login);
    let down = get(&netns, "/strict", &["Cookie: user=ann"]);
    assert_eq!((down.status, down.reason()), (503, "verifier_down"), "{down:?}");
    assert_eq!(server.take_asked().len(), 0, "what is refused reaches no server");
    let lenient = get(&netns, "/lenient", &["X-Roles: admin"]);
    assert_eq!(lenient.status, 200);
    assert!(lenient.body["headers"].get("x-roles").is_none(), "{lenient:?}");
    let _login = Answering::start(netns.handle(), 9002, decide).unwrap();
    until(&netns, "/strict", &["Cookie: user=ann"], 200);
}

#[test]
fn addresses_and_rates_are_limited() {
    require_root!();
    let netns = Netns::new("access").unwrap();
    let _server = api(&netns);
    let mut gateway = Gateway::new(&netns).unwrap();
    let config = format!(
        "{COMMON}{}",
        r#"
[[rate_limit]]
name = "by-address"
key = "address"
rate = "3/h"
[[rate_limit]]
name = "by-header"
key = "header:x-tenant"
rate = "2/h"
[[route]]
name = "near"
prefix = "/near"
pool = "api"
access = { allow = ["192.0.2.0/24", "2001:db8::/32"], deny = ["192.0.2.66/32"] }
[[route]]
name = "limited"
prefix = "/limited"
pool = "api"
rate_limits = ["by-address"]
[[route]]
name = "tenants"
prefix = "/tenants"
pool = "api"
rate_limits = ["by-header"]
"#
    );
    gateway.start(&config).unwrap();
    for (client, status) in [
        ("192.0.2.1", 200),
        ("192.0.2.66", 403),
        ("198.51.100.1", 403),
        ("2001:db8::1", 200),
        ("::ffff:192.0.2.66", 403),
        // The address that the proxy adds counts, not those that its client made up.
        ("192.0.2.1, 198.51.100.1", 403),
        ("nonsense", 403),
    ] {
        let seen = get(&netns, "/near", &[&format!("X-Forwarded-For: {client}")]);
        assert_eq!(seen.status, status, "{client} {seen:?}");
    }
    let from = |client: &str| get(&netns, "/limited", &[&format!("X-Forwarded-For: {client}")]);
    // All addresses of a /64 are one client's.
    for (place, remaining) in [(1, "2"), (2, "1"), (3, "0")] {
        let seen = from(&format!("2001:db8:0:1::{place}"));
        assert_eq!((seen.status, seen.header("ratelimit-remaining")), (200, remaining), "{seen:?}");
        assert_eq!(
            (seen.header("ratelimit-limit"), seen.header("ratelimit-policy")),
            ("3", "3;w=3600;burst=3")
        );
    }
    let refused = from("2001:db8:0:1:ffff::1");
    assert_eq!((refused.status, refused.reason()), (429, "rate_limited"), "{refused:?}");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=1200).contains(&wait) && refused.header("ratelimit-remaining") == "0", "{refused:?}");
    assert_eq!(from("2001:db8:0:2::1").status, 200);
    // A reload forgets nothing.
    gateway.reload(&config.replace("drain = \"1s\"", "drain = \"2s\"")).unwrap();
    assert_eq!(from("2001:db8:0:1::1").status, 429);
    for (tenant, status) in [("a", 200), ("a", 200), ("a", 429), ("b", 200), ("A", 200)] {
        assert_eq!(get(&netns, "/tenants", &[&format!("X-TENANT: {tenant}")]).status, status, "{tenant}");
    }
}

const DOCUMENT: &str = r#"
openapi: 3.1.0
info: { title: Orders, version: "1" }
paths:
  /orders/{id}:
    put:
      parameters:
        - { name: id, in: path, required: true, schema: { type: integer } }
        - { name: dry, in: query, schema: { type: boolean } }
        - { name: session, in: cookie, schema: { type: string, format: uuid } }
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              required: [item, count]
              additionalProperties: false
              properties: { item: { type: string, minLength: 1 }, count: { type: integer, minimum: 1 } }
      responses:
        "200":
          description: done
          content:
            application/json: { schema: { type: object, required: [total], properties: { total: { type: integer } } } }
"#;

#[test]
fn requests_and_answers_keep_to_the_description() {
    require_root!();
    let netns = Netns::new("access").unwrap();
    let answer = |asked: &Asked| {
        let answer = Response::builder().header("content-type", "application/json");
        let text = if asked.target.path().ends_with("/7") { r#"{"total":"x"}"# } else { r#"{"total":1}"# };
        answer.body(text.to_owned()).unwrap()
    };
    let server = Answering::start(netns.handle(), 9001, answer).unwrap();
    let mut gateway = Gateway::new(&netns).unwrap();
    gateway.write("orders.yaml", DOCUMENT).unwrap();
    let config = format!(
        "{COMMON}{}",
        r#"
[[openapi]]
name = "orders"
path = "{folder}/orders.yaml"
[[route]]
name = "reported"
prefix = "/v1"
pool = "api"
openapi = { document = "orders", base_path = "/v1" }
[[route]]
name = "enforced"
prefix = "/v2"
pool = "api"
openapi = { document = "orders", base_path = "/v2", responses = "enforce" }
"#
    );
    gateway.start(&config).unwrap();
    let json = "Content-Type: application/json";
    let put = |path: &str, headers: &[&str], body: &str| {
        let line = format!("PUT {path} HTTP/1.1");
        ask(&netns, &[&[&*line], headers].concat(), body)
    };
    let good = r#"{"item":"a","count":2}"#;
    assert_eq!(put("/v1/orders/1", &[json], good).status, 200);
    assert_eq!(put("/v2/orders/1", &[json], good).status, 200);
    assert_eq!(server.take_asked().len(), 2);
    let refused = put(
        "/v1/orders/x?dry=maybe",
        &[json, "Cookie: other=\u{fc}; session = 1"],
        r#"{"item":"","count":0,"more":1}"#,
    );
    assert_eq!((refused.status, refused.reason()), (400, "contract_broken"), "{refused:?}");
    assert_eq!(refused.header("content-type"), "application/problem+json");
    let mut told: Vec<_> = refused.body["violations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {}", one["in"].as_str().unwrap(), one["pointer"].as_str().unwrap()))
        .collect();
    told.sort();
    assert_eq!(
        told,
        ["body ", "body /count", "body /item", "cookie session", "path id", "query dry"],
        "{refused:?}"
    );
    for (headers, body, status) in [
        (&["Content-Type: text/plain"][..], good, 415),
        (&[], good, 415),
        (&[json, "Content-Type: text/plain"], good, 415),
        (&["Content-Type: application/json, text/plain"], good, 415),
        (&["Content-Type: application/json; charset=utf-16"], good, 415),
        (&[json, "Content-Encoding: gzip"], good, 415),
        (&[json], "\u{feff}{\"item\":\"a\",\"count\":2}", 400),
        (&[json], r#"{"item":"a","count":2,"count":-1}"#, 400),
        (&[json], r#"{"item":"a","count":2,"c\u006funt":-1}"#, 400),
        (&[json], r#"{"item":"a","count":1e999}"#, 400),
        (&[json], r#"{"item":"a","count":2} {}"#, 400),
        (&[json], "", 400),
    ] {
        let seen = put("/v1/orders/1", headers, body);
        assert_eq!(seen.status, status, "{headers:?} {body}: {seen:?}");
    }
    let deep = format!(r#"{{"item":{}"a"{},"count":2}}"#, "[".repeat(5000), "]".repeat(5000));
    assert_eq!(put("/v1/orders/1", &[json], &deep).status, 400);
    let pieces: String = good.chars().map(|one| format!("1\r\n{one}\r\n")).collect();
    let chunked = put("/v1/orders/1", &[json, "Transfer-Encoding: chunked"], &format!("{pieces}0\r\n\r\n"));
    assert_eq!(chunked.status, 200);
    let bad: String = good.replace('2', "0").chars().map(|one| format!("1\r\n{one}\r\n")).collect();
    let chunked = put("/v1/orders/1", &[json, "Transfer-Encoding: chunked"], &format!("{bad}0\r\n\r\n"));
    assert_eq!(chunked.status, 400);
    let wrong = get(&netns, "/v1/orders/1", &[]);
    assert_eq!((wrong.status, wrong.header("allow")), (405, "PUT"), "{wrong:?}");
    assert_eq!(put("/v1/orders/1/", &[json], good).status, 404);
    assert_eq!(server.take_asked().len(), 1, "what is refused reaches no server");

    let reported = put("/v1/orders/7", &[json], good);
    assert_eq!((reported.status, &reported.body["total"]), (200, &json!("x")), "{reported:?}");
    let enforced = put("/v2/orders/7", &[json], good);
    assert_eq!((enforced.status, enforced.reason()), (502, "answer_refused"), "{enforced:?}");
    assert!(!enforced.body.to_string().contains("total"), "what is inside stays inside: {enforced:?}");
}

#[test]
fn no_way_of_writing_a_request_leads_around_its_route() {
    require_root!();
    let netns = Netns::new("access").unwrap();
    let server = api(&netns);
    let mut gateway = Gateway::new(&netns).unwrap();
    gateway.write("keys", key_line("ops", "0123456789abcdef")).unwrap();
    let config = format!(
        "{COMMON}{}",
        r#"
[[verifier]]
name = "keys"
api_key = { file = "{folder}/keys" }
[[route]]
name = "admin"
prefix = "/admin"
pool = "api"
access = { any_of = ["keys"] }
cors = { origins = ["https://www.test"] }
[[route]]
name = "files"
path = "/files/{*all}"
pool = "api"
access = { any_of = ["keys"] }
[[route]]
name = "inner"
hosts = ["inner.test"]
pool = "api"
access = { any_of = ["keys"] }
[[route]]
name = "open"
pool = "api"
"#
    );
    gateway.start(&config).unwrap();
    let guarded = |head: &[&str]| {
        let seen = ask(&netns, head, "");
        assert!((400..500).contains(&seen.status), "{head:?} {seen:?}");
        let asked = server.take_asked();
        assert!(asked.is_empty(), "{head:?} reached the server: {asked:?}");
    };
    for path in [
        "/admin",
        "/admin/",
        "/admin/x",
        "/admin/%78",
        "/%61dmin/x",
        "/./admin/x",
        "/x/../admin/x",
        "//admin/x",
        "/x/..;/admin/x",
        "/x/%2e%2e/admin/x",
        "/admin;v=1/x",
        "/admin%3Bv/x",
        "/admin;/x",
        "/;/admin/x",
        "/x/..%3b/admin",
        "/files%2fx",
        "/admin%2fx",
        "/admin%5cx",
        "/x\\..\\admin",
        "/files/x%ff",
        "/files/a;b/%C3%28",
        "http://open.test/admin/x",
        "HTTP://open.test/admin",
        "/admin?x=/../",
        "/admin#x",
    ] {
        for method in ["GET", "HEAD", "POST", "OPTIONS", "PROPFIND"] {
            guarded(&[&format!("{method} {path} HTTP/1.1"), "Host: open.test"]);
        }
    }
    for host in ["inner.test", "INNER.test", "inner.test.", "inner.test:8080", "Inner.Test.:1"] {
        guarded(&["GET / HTTP/1.1", &format!("Host: {host}")]);
        guarded(&[&format!("GET http://{host}/ HTTP/1.1"), &format!("Host: {host}")]);
    }
    guarded(&["GET http://inner.test/ HTTP/1.1", "Host: open.test"]);
    guarded(&["GET http://open.test@inner.test/ HTTP/1.1", "Host: open.test@inner.test"]);
    // An upgrade and a preflight are requests like others.
    guarded(&["GET /admin HTTP/1.1", "Host: open.test", "Upgrade: websocket", "Connection: upgrade"]);
    let preflight = ["Origin: https://www.test", "Access-Control-Request-Method: GET"];
    let answered = ask(&netns, &[&["OPTIONS /admin HTTP/1.1"], &preflight[..]].concat(), "");
    assert_eq!((answered.status, answered.header("access-control-allow-methods")), (204, "GET, HEAD, POST"));
    guarded(&[&["OPTIONS /files/x HTTP/1.1"], &preflight[..]].concat());
    assert!(server.take_asked().is_empty(), "a preflight is answered by the gateway");
    let key = "X-API-Key: 0123456789abcdef";
    assert_eq!(get(&netns, "/admin/x;v=1", &[key]).status, 200);
    assert_eq!(get(&netns, "/files/x%ff", &[key]).body["path"], "/files/x%ff");
    // Nor do headers of other proxies, whatever they are written like.
    let told = get(
        &netns,
        "/admin",
        &[key, "X_Forwarded_For: 1.1.1.1", "X-Original-URL: /x", "X_Real_IP: 1.1.1.1", "X-Rewrite_URL: /x"],
    );
    let names: Vec<_> = told.body["headers"].as_object().unwrap().keys().map(String::as_str).collect();
    let sent =
        ["host", "x-api-key", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id"];
    assert_eq!(names, sent, "{told:?}");
}

#[test]
fn a_configuration_with_every_key_runs() {
    require_root!();
    let netns = Netns::new("access").unwrap();
    let mut gateway = Gateway::new(&netns).unwrap();
    let text = include_str!("../../xdp-lb/src/config/tests/gateway/every_key.toml");
    let config = ["/etc/xdp-lb/", "/var/log/xdp-lb/", "/run/xdp-lb-gateway/", "/run/xdp-lb/"]
        .iter()
        .fold(text.to_owned(), |text, folder| text.replace(folder, "{folder}/"))
        .replace("XDP_LB_CA", "{folder}/clients.pem")
        .replace("127.0.0.1:9402", "127.0.0.1:9401");
    let authority = Authority::new("ours").unwrap();
    let issued = authority.issue(&["www.example.com"], Valid::Now).unwrap();
    gateway.write("clients.pem", authority.pem()).unwrap();
    gateway.write("internal.pem", authority.pem()).unwrap();
    for name in ["www", "api", "gateway"] {
        gateway.write(&format!("{name}.pem"), &issued.certificate).unwrap();
        gateway.write(&format!("{name}.key"), &issued.key).unwrap();
    }
    let secret = json!({"kty": "oct", "kid": "a", "k": URL_SAFE_NO_PAD.encode([7; 32])});
    gateway.write("jwks.json", json!({"keys": [secret]}).to_string()).unwrap();
    gateway.write("keys", key_line("a", "0123456789abcdef")).unwrap();
    gateway.write("users", "").unwrap();
    gateway.write("movies.yaml", DOCUMENT).unwrap();
    gateway.write("login.json", r#"[{"address": "127.0.0.1:9002"}]"#).unwrap();
    gateway.start(&config).unwrap();
    gateway
        .reload(
            &config
                .replace("threads = 4", "threads = 4\nmax_in_flight = 7")
                .replace("\nmax_in_flight = 20000", ""),
        )
        .unwrap();
    assert_eq!(gateway.reloads().unwrap(), (1.0, 0.0), "{}", gateway.tail());
    assert!(gateway.stop().unwrap().success());
}
