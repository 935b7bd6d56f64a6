//! Any `Authorization`, and any claims under a good signature: nobody gets in whose token is not signed with one of the keys
//! and good for now.

use std::cell::RefCell;
use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::Request;
use hyper::header::{AUTHORIZATION, HeaderValue};
use ring::{hmac, signature};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use xdp_lb::config::gateway::GatewayConfig;
use xdp_lb::gateway::verify::{Answering, Ask, Gate};
use xdp_lb::gateway::{Body, Exchange, Reason, Refusal};

use super::scene::{WALL, built, configuration, exchange, runtime};

/// Keys of RFC 7515 (A.1 and A.3) and RFC 8037 (A.2); the tokens signed with them there were good until 2011, as it is here.
const SECRET: &str = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const ED25519: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

thread_local! {
    static SCENE: RefCell<(Runtime, Scene)> = RefCell::new((runtime(), Scene::new()));
}

struct Scene {
    config: GatewayConfig,
    gate: Gate,
}

pub(super) fn check(input: &[u8]) {
    SCENE.with_borrow(|(runtime, scene)| {
        if let Ok(value) = HeaderValue::from_bytes(input)
            && runtime.block_on(scene.admit(value)).is_some()
        {
            let token = input.rsplit(|byte| *byte == b' ').next().unwrap();
            assert!(is_signed(token), "let in: {}", input.escape_ascii());
            good(token);
        }
        let (header, claims) = match input.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&input[..end], &input[end + 1..]),
            None => (&b"{\"alg\":\"HS256\"}"[..], input),
        };
        let token = signed(header, claims);
        if let Some(exchange) = runtime.block_on(scene.admit(format!("Bearer {token}").parse().unwrap())) {
            good(token.as_bytes());
            let header: Value = serde_json::from_slice(header).unwrap();
            assert_eq!(header["alg"], "HS256", "{header}");
            let identity = exchange.identity.unwrap();
            assert_eq!(
                identity.claims.get("sub").and_then(Value::as_str).unwrap_or_default(),
                &*identity.subject
            );
        }
    });
}

impl Scene {
    fn new() -> Self {
        let keys = json!({"keys": [
            {"kty": "oct", "alg": "HS256", "k": SECRET},
            {"kty": "EC", "crv": "P-256", "x": X, "y": Y},
            {"kty": "OKP", "crv": "Ed25519", "x": ED25519},
        ]});
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(keys.to_string().as_bytes()).unwrap();
        let path = file.path().display();
        let config = configuration(&format!(
            "[[verifier]]\nname = \"tokens\"\npass = {{ x-user = \"subject\", x-org = \"claim:org\" }}\n\
             jwt = {{ file = \"{path}\", algorithms = [\"HS256\", \"ES256\", \"EdDSA\"], issuer = \"joe\", leeway = \"0s\" }}\n\
             [[route]]\nname = \"all\"\nprefix = \"/\"\npool = \"app\"\naccess = {{ any_of = [\"tokens\"] }}\n"
        ));
        let gate = built(Gate::build(&config.verifiers, None));
        Self { config, gate }
    }

    /// The request with who asks, if it may go on.
    async fn admit(&self, authorization: HeaderValue) -> Option<Exchange> {
        let mut head = Request::new(()).into_parts().0;
        head.headers.insert(AUTHORIZATION, authorization);
        let mut exchange = exchange(&head, "a.example");
        let access = &self.config.routes[0].access;
        match self.gate.admit(access, &mut exchange, &mut head, &Nobody).await {
            Ok(()) => Some(exchange),
            Err(refusal) => {
                assert_eq!(refusal.reason, Reason::Unverified, "{:?}", refusal.cause);
                None
            }
        }
    }
}

/// Keys of a file are not asked for.
struct Nobody;

impl Ask for Nobody {
    fn ask(&self, _: usize, _: Request<Body>, _: Duration) -> Answering<'_> {
        Box::pin(async { Err(Refusal::new(Reason::Internal, "nobody is to be asked")) })
    }
}

fn decoded(text: &[u8]) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn key() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &decoded(SECRET.as_bytes()))
}

fn signed(header: &[u8], claims: &[u8]) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = hmac::sign(&key(), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// By one of the keys, whatever the header says.
fn is_signed(token: &[u8]) -> bool {
    let dot = token.iter().rposition(|byte| *byte == b'.').unwrap();
    let (message, signed) = (&token[..dot], decoded(&token[dot + 1..]));
    let point = [vec![4], decoded(X.as_bytes()), decoded(Y.as_bytes())].concat();
    let p256 = signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point);
    let ed25519 = signature::UnparsedPublicKey::new(&signature::ED25519, decoded(ED25519.as_bytes()));
    hmac::verify(&key(), message, &signed).is_ok()
        || p256.verify(message, &signed).is_ok()
        || ed25519.verify(message, &signed).is_ok()
}

/// Of the right issuer, and neither expired nor from the future.
fn good(token: &[u8]) {
    let claims = token.split(|byte| *byte == b'.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&decoded(claims)).unwrap();
    let now = WALL.as_secs_f64();
    assert_eq!(claims["iss"], "joe", "{claims}");
    assert!(claims["exp"].as_f64().is_some_and(|end| end > now), "{claims}");
    assert!(
        claims
            .get("nbf")
            .is_none_or(|begin| begin.is_null() || begin.as_f64().is_some_and(|begin| begin <= now))
    );
}
