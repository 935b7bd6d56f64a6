//! Any request and answer against two API descriptions, and any body through a change of JSON: what is reported is what
//! would be refused, bodies pass unharmed, and a change takes out what it is to take out.
//!
//! An input is a request in lines: `GET /pets?limit=5`, fields, an empty line, the body.

use std::cell::RefCell;
use std::str;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::http::request::Parts;
use hyper::{Request, Response};
use serde_json::Value;
use tokio::runtime::Runtime;
use xdp_lb::config::gateway::{BodyTransform, ContractUse, GatewayConfig};
use xdp_lb::gateway::contract::Contracts;
use xdp_lb::gateway::json::{self, transform_request_body};
use xdp_lb::gateway::{Body, Refusal};

use super::scene::{built, configuration, runtime};

/// Where the descriptions lie that the unit tests have, too.
const DOCUMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../xdp-lb/src/gateway/contract/tests/");

/// What changes bodies.
const CHANGES: &str = r#"
[route.request.body]
drop = ["/secret", "/items/*/secret", "/list/0"]
rename = { "/user/id" = "user_id", "/items/*/a~1b" = "ab" }
set = { "/by/whom" = "{client}", "/list/-" = [1, -2.5, true, "a", { b = {} }] }
most_bytes = 65536
"#;

thread_local! {
    static SCENE: RefCell<(Runtime, Scene)> = RefCell::new((runtime(), Scene::new()));
}

struct Scene {
    config: GatewayConfig,
    contracts: Contracts,
}

pub(super) fn check(input: &[u8]) {
    let (head, body) = match input.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (&input[..end], &input[end + 2..]),
        None => (input, &b""[..]),
    };
    SCENE.with_borrow(|(runtime, scene)| {
        parses_alike(body);
        runtime.block_on(scene.change(body));
        if let Some(head) = str::from_utf8(head).ok().and_then(parts) {
            for [enforced, reported] in scene.uses() {
                runtime.block_on(scene.hold(enforced, reported, &head, body));
            }
        }
    });
}

fn parts(head: &str) -> Option<Parts> {
    let mut lines = head.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        request = request.header(name, value.trim());
    }
    Some(request.body(()).ok()?.into_parts().0)
}

/// Our reader of JSON takes what serde's takes, as the same.
fn parses_alike(text: &[u8]) {
    let (ours, theirs) = (json::parse(text), serde_json::from_slice::<Value>(text));
    assert_eq!(ours.ok().map(|parsed| parsed.value), theirs.ok());
}

impl Scene {
    fn new() -> Self {
        let document = |name: &str, file: &str| {
            format!("[[openapi]]\nname = \"{name}\"\npath = \"{DOCUMENTS}{file}\"\n")
        };
        let route = |name: &str, mode: &str| {
            format!(
                "[[route]]\nname = \"{name}-{mode}\"\nprefix = \"/{name}-{mode}\"\npool = \"app\"\n\
                 openapi = {{ document = \"{name}\", requests = \"{mode}\", responses = \"{mode}\" }}\n"
            )
        };
        let mut text = document("pets", "pets.yaml") + &document("orders", "orders.json");
        for name in ["pets", "orders"] {
            text += &(route(name, "enforce") + &route(name, "report"));
        }
        let config = configuration(&(text + CHANGES));
        let contracts = built(Contracts::build(&config.documents));
        Self { config, contracts }
    }

    /// Of each document, enforced and reported.
    fn uses(&self) -> impl Iterator<Item = [&ContractUse; 2]> {
        let used = |route: usize| self.config.routes[route].contract.as_ref().unwrap();
        [0, 2].into_iter().map(move |first| [used(first), used(first + 1)])
    }

    fn changes(&self) -> &BodyTransform {
        self.config.routes[3].request.body.as_ref().unwrap()
    }

    async fn hold(&self, enforced: &ContractUse, reported: &ContractUse, head: &Parts, body: &[u8]) {
        let path = head.uri.path();
        let full = || Body::full(Bytes::copy_from_slice(body));
        let refusal = match self.contracts.check_request(enforced, head, path, full()).await {
            Ok((passed, _, violations)) => {
                assert!(violations.is_empty(), "{violations:?}");
                assert_eq!(whole(passed).await, body);
                None
            }
            Err(refusal) => Some(refusal),
        };
        let (passed, operation, violations) = self
            .contracts
            .check_request(reported, head, path, full())
            .await
            .unwrap_or_else(|refusal| panic!("refused in report: {refusal:?}"));
        assert_eq!(whole(passed).await, body);
        assert_eq!(refusal.is_some(), !violations.is_empty(), "{refusal:?} {violations:?}");
        told(refusal);

        let Some(operation) = operation else { return };
        for status in [200, 404] {
            let mut answer = Response::builder().status(status).body(()).unwrap().into_parts().0;
            answer.headers.clone_from(&head.headers);
            let refused = self.contracts.check_response(enforced, &operation, &answer, full()).await;
            let checked = self.contracts.check_response(reported, &operation, &answer, full()).await;
            let checked = checked.unwrap_or_else(|refusal| panic!("refused in report: {refusal:?}"));
            assert_eq!(refused.is_err(), !checked.violations.is_empty(), "{:?}", checked.violations);
            assert_eq!(whole(checked.body).await, body);
            told(refused.err());
        }
    }

    async fn change(&self, body: &[u8]) {
        let mut headers = hyper::HeaderMap::new();
        headers.insert("content-type", "application/json".parse().unwrap());
        let given = Body::full(Bytes::copy_from_slice(body));
        let changed =
            transform_request_body(self.changes(), &mut headers, given, &|_| "192.0.2.7".to_owned()).await;
        let before = serde_json::from_slice::<Value>(body);
        match changed {
            Err(refusal) => {
                assert!(before.is_err() || body.len() > 65536, "{refusal:?}");
                told(Some(refusal));
            }
            Ok(changed) if body.is_empty() => assert!(whole(changed).await.is_empty()),
            Ok(changed) => {
                let after: Value = serde_json::from_slice(&whole(changed).await).unwrap();
                assert!(after.get("secret").is_none(), "{after}");
                for item in after.get("items").and_then(Value::as_array).into_iter().flatten() {
                    assert!(item.get("secret").is_none() && item.get("a/b").is_none(), "{after}");
                }
                if before.unwrap().is_object() && after["by"].is_object() {
                    assert_eq!(after["by"]["whom"], "192.0.2.7");
                }
            }
        }
    }
}

async fn whole(body: Body) -> Bytes {
    body.collect().await.unwrap().to_bytes()
}

/// A refusal is a problem in JSON.
fn told(refusal: Option<Refusal>) {
    let Some(refusal) = refusal else { return };
    let response = refusal.into_response("id");
    assert!(response.status().as_u16() >= 400);
}
