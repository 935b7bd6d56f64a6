//! All verifiers together, in the order in which the gate asks them.

mod external;
mod keys;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::jwt::signing::Signer;
use super::*;
use crate::config::gateway::{
    Access, ClaimTest, External, Jwt, JwtAlgorithm, JwtKeys, Pass, Verifier, VerifierKind,
};
use crate::gateway::{Body, ClientCertificate, Exchange, Peer, Reason, Refusal, RequestId, Scheme, TlsPeer};

const NOW: u64 = 1_700_000_000;
const X_USER: HeaderName = HeaderName::from_static("x-user");
const X_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A request from 192.0.2.1 for `/a?b=c` of `api.example.com`, at the time of this call and at `NOW` by the calendar.
pub(in crate::gateway) fn exchange() -> Exchange {
    Exchange {
        peer: peer(None),
        id: RequestId(HeaderValue::from_static("1")),
        started: now(),
        wall: SystemTime::UNIX_EPOCH + Duration::from_secs(NOW),
        client: [192, 0, 2, 1].into(),
        scheme: Scheme::Https,
        method: Method::POST,
        path: "/a".into(),
        status: 0,
        ..crate::gateway::exchange::tests::exchange()
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn peer(certificate: Option<Vec<u8>>) -> Arc<Peer> {
    let address = SocketAddr::from(([192, 0, 2, 1], 1000));
    let certificate = certificate.map(|der| ClientCertificate { der, until: None, names: OnceLock::new() });
    let tls = Some(TlsPeer { version: "TLSv1.3", server_name: None, certificate });
    Arc::new(Peer { listener: "test".into(), remote: address, local: address, tls })
}

fn head(headers: &[(HeaderName, &str)]) -> Parts {
    let mut request = Request::post("/a?b=c").body(()).unwrap();
    for (name, value) in headers {
        request.headers_mut().append(name.clone(), HeaderValue::try_from(*value).unwrap());
    }
    request.into_parts().0
}

/// Answers as it is told, and keeps what it was asked. The last answer is given again.
#[derive(Default)]
struct Scripted {
    answers: Mutex<VecDeque<Result<Response<String>, Reason>>>,
    asked: Mutex<Vec<Parts>>,
    /// How long each answer takes.
    takes: Duration,
    under_way: AtomicU32,
}

impl Scripted {
    fn new(answers: impl IntoIterator<Item = Result<Response<String>, Reason>>) -> Self {
        Self { answers: Mutex::new(answers.into_iter().collect()), ..Self::default() }
    }

    fn then(&self, answer: Result<Response<String>, Reason>) {
        let mut answers = self.answers.lock().unwrap();
        answers.clear();
        answers.push_back(answer);
    }

    fn times(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Ask for Scripted {
    fn ask(&self, pool: usize, request: Request<Body>, _: Duration) -> Answering<'_> {
        assert_eq!(pool, 3);
        Box::pin(async move {
            self.asked.lock().unwrap().push(request.into_parts().0);
            assert_eq!(self.under_way.fetch_add(1, Ordering::SeqCst), 0, "two fetches at once");
            tokio::time::sleep(self.takes).await;
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            let mut answers = self.answers.lock().unwrap();
            let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
            match answer.expect("an answer in the script") {
                Ok(answer) => Ok(answer.map(Body::full)),
                Err(reason) => Err(Refusal::new(reason, "in the script")),
            }
        })
    }
}

fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Result<Response<String>, Reason> {
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    Ok(answer.body(body.to_owned()).unwrap())
}

fn jwks(keys: &[Value]) -> Result<Response<String>, Reason> {
    answer(200, &[], &json!({"keys": keys}).to_string())
}

fn verifier(name: &str, kind: VerifierKind) -> Verifier {
    Verifier { name: name.to_owned(), kind, pass: vec![(X_USER, Pass::Subject)] }
}

fn jwt(name: &str, keys: JwtKeys, issuer: &str) -> Verifier {
    let kind = VerifierKind::Jwt(Jwt {
        keys,
        algorithms: vec![JwtAlgorithm::Es256, JwtAlgorithm::Hs256],
        issuer: Some(issuer.to_owned()),
        audience: Vec::new(),
        claims: Vec::new(),
        leeway: Duration::from_secs(10),
        header: AUTHORIZATION,
    });
    verifier(name, kind)
}

fn fetched(refresh: Duration, least: Duration) -> JwtKeys {
    let (path, host) = ("/jwks?a=b".to_owned(), "issuer.example".to_owned());
    JwtKeys::Fetched { pool: 3, path, host, refresh, least }
}

/// A file with these contents, for as long as it is kept.
fn file(contents: &str) -> (tempfile::NamedTempFile, PathBuf) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), contents).unwrap();
    let path = file.path().to_owned();
    (file, path)
}

fn token(key: &Signer, id: &str, issuer: &str, subject: &str) -> String {
    let algorithm = if matches!(key, Signer::Secret(_)) { "HS256" } else { "ES256" };
    let claims = json!({"iss": issuer, "sub": subject, "exp": NOW + 60, "scope": "read", "level": 3});
    format!("Bearer {}", key.sign(&json!({"alg": algorithm, "kid": id}), &claims))
}

fn any_of(any_of: &[usize]) -> Access {
    Access { any_of: any_of.to_vec(), ..Access::default() }
}

/// What comes of a request with these headers: who asks, or why not.
async fn admit(
    gate: &Gate,
    access: &Access,
    headers: &[(HeaderName, &str)],
    ask: &dyn Ask,
) -> Result<String, Reason> {
    let (mut exchange, mut head) = (exchange(), head(headers));
    gate.strip(&mut head.headers);
    // It is awaited on a runtime whose tasks may move.
    let admitted: Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send + '_>> =
        Box::pin(gate.admit(access, &mut exchange, &mut head, ask));
    let result = admitted.await;
    result.map_err(|refusal| refusal.reason)?;
    let told = head.headers.get(X_USER).map(|user| user.to_str().unwrap().to_owned());
    Ok(told.unwrap_or_default())
}

/// All kinds that need no service, and what they read.
struct All {
    gate: Gate,
    secret: Signer,
    _files: Vec<tempfile::NamedTempFile>,
}

fn all() -> All {
    let secret = Signer::Secret(vec![1; 32]);
    let (keys, keys_path) = file(&format!("{}\n", hash_key("billing", b"0123456789abcdef").unwrap()));
    let (users, users_path) = file(&basic::tests::cheap_line("zoë", "secret"));
    let (set, set_path) = file(&json!({"keys": [secret.jwk("k")]}).to_string());
    let (other, other_path) = file(&json!({"keys": [Signer::p256().jwk("o")]}).to_string());
    let gate = Gate::build(
        &[
            jwt("other", JwtKeys::File(other_path), "https://other.example"),
            jwt("tokens", JwtKeys::File(set_path), "https://issuer.example"),
            verifier("keys", VerifierKind::ApiKey { header: X_KEY, path: keys_path }),
            verifier("users", VerifierKind::Basic { realm: "the \"API\"".to_owned(), path: users_path }),
            verifier("mtls", VerifierKind::Certificate { subjects: Vec::new() }),
        ],
        None,
    );
    All { gate: gate.unwrap(), secret, _files: vec![keys, users, set, other] }
}

#[tokio::test]
async fn one_of_several_verifiers_knows_the_client() {
    let All { gate, secret, _files } = all();
    let ask = Scripted::default();
    let good = token(&secret, "k", "https://issuer.example", "alice");
    let bad = token(&Signer::Secret(vec![2; 32]), "k", "https://issuer.example", "alice");
    let (basic, wrong) = ("Basic em/DqzpzZWNyZXQ=", "Basic em/DqzpzZWNyZXQy");
    let key = (X_KEY, "0123456789abcdef");
    let bad_key = (X_KEY, "0123456789abcdeF");
    let auth = |value| (AUTHORIZATION, value);
    for (allowed, headers, told) in [
        (&[][..], vec![], Ok("")),
        (&[0, 1, 2, 3], vec![auth(&*good)], Ok("alice")),
        (&[0, 1, 2, 3], vec![key.clone()], Ok("billing")),
        (&[0, 1, 2, 3], vec![auth(basic)], Ok("zo%C3%AB")),
        (&[0, 1, 2, 3], vec![auth(basic)], Ok("zo%C3%AB")),
        (&[0, 1, 2, 3], vec![auth(wrong)], Err(Reason::Unverified)),
        (&[0, 1, 2, 3], vec![auth("Basic bm9ib2R5OnNlY3JldA==")], Err(Reason::Unverified)),
        (&[0, 1, 2, 3], vec![auth(&*bad)], Err(Reason::Unverified)),
        (&[0, 1, 2, 3], vec![], Err(Reason::Unverified)),
        // Others' bad credentials do no harm, and what may not be used here does no good.
        (&[0, 1, 2, 3], vec![auth(&*bad), key.clone()], Ok("billing")),
        (&[2, 1], vec![auth(&*good), bad_key.clone()], Ok("alice")),
        (&[2], vec![auth(&*good), bad_key], Err(Reason::Unverified)),
        (&[1], vec![key.clone()], Err(Reason::Unverified)),
        (&[1], vec![auth(&*good), auth(&*good)], Err(Reason::Unverified)),
        (&[4], vec![auth(&*good)], Err(Reason::Forbidden)),
        (&[9], vec![auth(&*good)], Err(Reason::Internal)),
        // Nobody is who he says he is.
        (&[], vec![(X_USER, "root")], Ok("")),
        (&[], vec![(HeaderName::from_static("x_user"), "root")], Ok("")),
        (&[2], vec![(X_USER, "root")], Err(Reason::Unverified)),
        (&[2], vec![(X_USER, "root"), key, (X_USER, "admin")], Ok("billing")),
    ] {
        let seen = admit(&gate, &any_of(allowed), &headers, &ask).await;
        assert_eq!(seen.as_deref(), told.as_ref().map(|told| *told), "{allowed:?} {headers:?}");
    }
    assert_eq!(ask.times(), 0);
}

#[tokio::test]
async fn a_refusal_names_what_would_do() {
    let All { gate, .. } = all();
    let refusal = |headers: Vec<(HeaderName, &'static str)>, access: Access| {
        let gate = &gate;
        async move {
            let (mut exchange, mut head) = (exchange(), head(&headers));
            gate.admit(&access, &mut exchange, &mut head, &Scripted::default()).await.unwrap_err()
        }
    };
    let challenges = |refusal: &Refusal| -> Vec<String> {
        let own = refusal.headers.iter().filter(|(name, _)| name == WWW_AUTHENTICATE);
        own.map(|(_, value)| value.to_str().unwrap().to_owned()).collect()
    };
    let none = refusal(vec![], any_of(&[0, 1, 2, 3, 4])).await;
    let basic = r#"Basic realm="the \"API\"", charset="UTF-8""#;
    assert_eq!(challenges(&none), ["Bearer", r#"ApiKey header="x-api-key""#, basic]);
    let bad = refusal(vec![(AUTHORIZATION, "Bearer hush.hush.hush")], any_of(&[1])).await;
    assert_eq!(challenges(&bad), [r#"Bearer error="invalid_token""#]);
    assert!(bad.cause.clone().unwrap().starts_with("tokens: "), "{bad:?}");
    for told in [format!("{bad:?}"), format!("{gate:?}")] {
        assert!(!told.contains("hush"), "{told}");
    }
    let bad = refusal(vec![(X_KEY, "hush")], any_of(&[2])).await;
    assert!(!format!("{bad:?}").contains("hush"));
}

#[tokio::test]
async fn the_route_demands_claims_and_addresses() {
    let All { gate, secret, _files } = all();
    let good = token(&secret, "k", "https://issuer.example", "alice");
    let one_of = |name: &str, value: &str| vec![(name.to_owned(), ClaimTest::OneOf(vec![value.to_owned()]))];
    let nets = |net: &str| vec![net.parse().unwrap()];
    for (access, told) in [
        (Access { claims: one_of("scope", "read"), ..any_of(&[1]) }, Ok("alice")),
        (Access { claims: one_of("scope", "write"), ..any_of(&[1]) }, Err(Reason::Forbidden)),
        (Access { claims: one_of("level", "3"), ..any_of(&[1]) }, Ok("alice")),
        (Access { claims: one_of("scope", "read"), ..any_of(&[]) }, Err(Reason::Forbidden)),
        (Access { deny: nets("192.0.2.0/24"), ..any_of(&[1]) }, Err(Reason::AddressRefused)),
        (Access { allow: nets("192.0.2.0/24"), ..any_of(&[1]) }, Ok("alice")),
        (Access { external: Some(1), ..any_of(&[]) }, Err(Reason::Internal)),
    ] {
        let seen = admit(&gate, &access, &[(AUTHORIZATION, &good)], &Scripted::default()).await;
        assert_eq!(seen.as_deref(), told.as_ref().map(|told| *told), "{access:?}");
    }
    let access = Access { claims: one_of("scope", "write"), ..any_of(&[1]) };
    let (mut exchange, mut head) = (exchange(), head(&[(AUTHORIZATION, &good)]));
    let refusal = gate.admit(&access, &mut exchange, &mut head, &Scripted::default()).await.unwrap_err();
    assert_eq!(refusal.headers[0].1, r#"Bearer error="insufficient_scope""#);
    assert_eq!(&*exchange.identity.unwrap().subject, "alice", "the log knows who was refused");
}

#[tokio::test]
async fn a_certificate_tells_who_asks() {
    let All { gate, .. } = all();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "robot");
    let der = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
    let (mut exchange, mut head) = (exchange(), head(&[]));
    exchange.peer = peer(Some(der));
    gate.admit(&any_of(&[2, 4]), &mut exchange, &mut head, &Scripted::default()).await.unwrap();
    assert_eq!(head.headers[X_USER], "robot");
    let identity = exchange.identity.unwrap();
    assert_eq!((identity.verifier, &*identity.verifier_name, &*identity.claims), (4, "mtls", &Value::Null));
}

#[test]
fn headers_that_cannot_hold_an_identity_are_refused() {
    let (_file, path) = file("# nobody");
    let kind = VerifierKind::ApiKey { header: X_KEY, path: path.clone() };
    for (pass, says) in [
        ("x-api-key", "\"keys\" reads its credentials from it"),
        ("content-length", "HTTP's own"),
        ("connection", "HTTP's own"),
    ] {
        let mut verifier = verifier("keys", kind.clone());
        verifier.pass = vec![(HeaderName::try_from(pass).unwrap(), Pass::Subject)];
        let error = Gate::build(&[verifier], None).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let missing =
        verifier("keys", VerifierKind::ApiKey { header: X_KEY, path: path.with_extension("missing") });
    let error = Gate::build(&[missing], None).unwrap_err().to_string();
    assert!(error.contains(".missing") && error.contains("cannot be read"), "{error}");
    let mut wrong = jwt("tokens", fetched(Duration::ZERO, Duration::ZERO), "i");
    if let VerifierKind::Jwt(Jwt { keys: JwtKeys::Fetched { path, .. }, .. }) = &mut wrong.kind {
        *path = "jwks with blanks".to_owned();
    }
    let error = Gate::build(&[wrong], None).unwrap_err().to_string();
    assert!(error.contains("path = \"jwks with blanks\""), "{error}");
}

#[tokio::test]
async fn files_are_read_again_when_they_change() {
    let (_keys, path) = file(&hash_key("old", b"0123456789abcdef").unwrap());
    let (_users, users) = file(&basic::tests::cheap_line("ann", "secret"));
    let verifiers = [
        verifier("keys", VerifierKind::ApiKey { header: X_KEY, path: path.clone() }),
        verifier("users", VerifierKind::Basic { realm: "r".to_owned(), path: users.clone() }),
    ];
    let gate = Gate::build(&verifiers, None).unwrap();
    let ask = Scripted::default();
    let key = async |key: &str| admit(&gate, &any_of(&[0]), &[(X_KEY, key)], &ask).await;
    let user = async |user: &str| admit(&gate, &any_of(&[1]), &[(AUTHORIZATION, user)], &ask).await;
    assert_eq!(key("0123456789abcdef").await.as_deref(), Ok("old"));
    assert_eq!(user("Basic YW5uOnNlY3JldA==").await.as_deref(), Ok("ann"));
    assert_eq!(gate.refresh_files(), []);

    std::fs::write(&path, format!("# new\n{}\n", hash_key("new", b"fedcba9876543210").unwrap())).unwrap();
    std::fs::write(&users, format!("{}\n", basic::tests::cheap_line("ann", "another"))).unwrap();
    assert_eq!(gate.refresh_files(), []);
    assert_eq!(key("0123456789abcdef").await, Err(Reason::Unverified));
    assert_eq!(key("fedcba9876543210").await.as_deref(), Ok("new"));
    assert_eq!(
        user("Basic YW5uOnNlY3JldA==").await,
        Err(Reason::Unverified),
        "it was remembered for another hash"
    );
    assert_eq!(user("Basic YW5uOmFub3RoZXI=").await.as_deref(), Ok("ann"));

    std::fs::write(&path, "new\n").unwrap();
    let errors = gate.refresh_files();
    assert_eq!((errors.len(), errors[0].line, &errors[0].path), (1, Some(1), &path));
    assert_eq!(gate.refresh_files(), [], "told once");
    assert_eq!(key("fedcba9876543210").await.as_deref(), Ok("new"), "the old set stays");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(gate.refresh_files().len(), 1);
    assert_eq!(gate.refresh_files(), [], "told once");
    assert_eq!(key("fedcba9876543210").await.as_deref(), Ok("new"));
    std::fs::write(&path, "# nobody\n").unwrap();
    assert_eq!(gate.refresh_files(), []);
    assert_eq!(key("fedcba9876543210").await, Err(Reason::Unverified));
}

#[tokio::test]
async fn a_password_is_worked_out_once_a_minute_and_over_a_reload() {
    // So dear that the difference is seen: about half a second without optimisation.
    let line = hash_password("ann", b"secret").unwrap();
    let (_users, path) = file(&line);
    let verifiers = [verifier("users", VerifierKind::Basic { realm: "r".to_owned(), path })];
    let gate = Gate::build(&verifiers, None).unwrap();
    let reloaded = Gate::build(&verifiers, Some(&gate)).unwrap();
    let fresh = Gate::build(&verifiers, None).unwrap();
    let headers = [(AUTHORIZATION, "Basic YW5uOnNlY3JldA==")];
    // Those that need no work are done when they are first asked.
    let at_once = async |gate: &Gate, later: u64| {
        let (mut exchange, mut head) = (exchange(), head(&headers));
        exchange.started += Duration::from_secs(later);
        let access = any_of(&[0]);
        let mut admitted = Box::pin(gate.admit(&access, &mut exchange, &mut head, &NEVER));
        match futures_util::FutureExt::now_or_never(admitted.as_mut()) {
            Some(result) => {
                result.unwrap();
                true
            }
            None => {
                admitted.await.unwrap();
                false
            }
        }
    };
    assert!(!at_once(&gate, 0).await);
    assert!(at_once(&gate, 1).await);
    assert!(at_once(&reloaded, 1).await);
    assert!(!at_once(&fresh, 1).await);
    assert!(!at_once(&gate, 70).await);
}

struct Never;
static NEVER: Never = Never;

impl Ask for Never {
    fn ask(&self, _: usize, _: Request<Body>, _: Duration) -> Answering<'_> {
        panic!("nothing is asked here")
    }
}

/// The whole of what a request with a known token costs here, printed: see [`jwt`] for tokens alone.
#[tokio::test]
async fn what_admitting_costs() {
    let All { gate, secret, _files } = all();
    let good = token(&secret, "k", "https://issuer.example", "alice");
    for (what, headers) in [("a token", (AUTHORIZATION, &*good)), ("a key", (X_KEY, "0123456789abcdef"))] {
        let (mut exchange, mut head) = (exchange(), head(&[headers]));
        let access = any_of(&[1, 2]);
        let (runs, begin) = (20_000, tokio::time::Instant::now());
        for _ in 0..runs {
            gate.strip(&mut head.headers);
            gate.admit(&access, &mut exchange, &mut head, &NEVER).await.unwrap();
        }
        let each = begin.elapsed() / runs;
        println!("{what}: {each:?}");
        assert!(each < Duration::from_micros(200), "{each:?}");
    }
}
