//! Tokens, with keys that change while the gateway runs.

use super::*;

pub(super) const TOKENS: &str = r#"
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

pub(super) fn claims() -> Value {
    json!({"iss": "https://login.test", "aud": "api", "sub": "ann", "org": "o1", "scope": "read",
        "exp": seconds_from_now(600)})
}

pub(super) fn with(claim: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[claim] = value;
    claims
}

pub(super) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// An issuer whose keys a test changes.
pub(super) fn issuer(netns: &Netns, keys: &Arc<Mutex<String>>) -> Answering {
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
