//! Whole documents against whole requests and answers.

mod answers;
mod cost;
mod documents;
mod random;
mod requests;

use std::io::Write as _;
use std::path::PathBuf;

use http::{Request, request};
use http_body_util::BodyExt as _;

use super::*;
use crate::config::gateway::ContractMode;
use crate::gateway::{Reason, Violation};

const PETS: &str = include_str!("tests/pets.yaml");
const ORDERS: &str = include_str!("tests/orders.json");

fn built(text: &str) -> Result<Contracts, BuildError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let document = Document { name: "test".to_owned(), path: file.path().to_owned() };
    Contracts::build(&[document])
}

fn contract(text: &str) -> Contracts {
    built(text).unwrap_or_else(|error| panic!("{error}"))
}

fn used(mode: ContractMode) -> ContractUse {
    ContractUse {
        document: 0,
        base_path: "/api".to_owned(),
        requests: mode,
        responses: mode,
        most_bytes: 50_000,
    }
}

/// `GET /path`, lines of headers, and a body.
fn asked(line: &str, headers: &[&str]) -> (request::Parts, String) {
    let (method, target) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(format!("/api{target}"));
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    let head = request.body(()).unwrap().into_parts().0;
    let path = head.uri.path().to_owned();
    (head, path)
}

/// Each violation as `place pointer: detail`.
fn told(violations: &[Violation]) -> Vec<String> {
    violations
        .iter()
        .map(|Violation { place, pointer, detail }| format!("{place} {pointer}: {detail}"))
        .collect()
}

async fn checked(
    contracts: &Contracts,
    mode: ContractMode,
    line: &str,
    headers: &[&str],
    body: &str,
) -> Result<(String, Option<Operation>, Vec<Violation>), Refusal> {
    let (head, path) = asked(line, headers);
    let done = contracts.check_request(&used(mode), &head, &path, Body::full(body.to_owned())).await?;
    let body = done.0.collect().await.unwrap().to_bytes();
    Ok((String::from_utf8(body.into()).unwrap(), done.1, done.2))
}

#[test]
fn checks_may_move_between_threads() {
    fn is_send(_: impl Send) {}
    let (contracts, used) = (contract(ORDERS), used(ContractMode::Off));
    let (head, path) = asked("GET /", &[]);
    is_send(contracts.check_request(&used, &head, &path, Body::empty()));
}
