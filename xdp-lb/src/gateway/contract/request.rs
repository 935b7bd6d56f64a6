//! Checks requests.

use std::fmt::Write as _;

use http::header::{ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, COOKIE};
use http::{HeaderMap, HeaderValue, request};
use serde_json::Value;

use super::Operation;
use super::dialect::Direction;
use super::media::{Check, Media};
use super::operation::{Contract, Described, RequestBody};
use super::parameter::{Parameter, Place, Style};
use super::shape::Types;
use super::values::{self, Found, Pair};
use super::violations::Violations;
use crate::config::gateway::{ContractMode, ContractUse};
use crate::gateway::collect::{Collected, Whole, collect};
use crate::gateway::json::{self, is_encoded, media_type};
use crate::gateway::{Body, Reason, Refusal, Violation};

pub(super) async fn check(
    contract: &Contract,
    used: &ContractUse,
    head: &request::Parts,
    path: &str,
    body: Body,
) -> Result<(Body, Option<Operation>, Vec<Violation>), Refusal> {
    let enforced = used.requests == ContractMode::Enforce;
    let pass = |body, detail: &str| {
        let mut violations = Violations::default();
        if used.requests == ContractMode::Report {
            violations.push("path", "", detail);
        }
        Ok((body, None, violations.into_list()))
    };
    let below = path.strip_prefix(&*used.base_path).map(|below| if below.is_empty() { "/" } else { below });
    let Some((item, segments)) = below.and_then(|below| contract.find(below)) else {
        let detail = "the API's description has no such path";
        return if enforced { Err(Refusal::new(Reason::NoRoute, detail)) } else { pass(body, detail) };
    };
    let Some(described) = item.operation(&head.method) else {
        let detail = "the API's description does not have this method for the path";
        if enforced {
            return Err(Refusal::new(Reason::WrongMethod, detail).with(ALLOW, item.allow.clone()));
        }
        return pass(body, detail);
    };
    let operation = Operation { described: described.clone(), head: head.method == http::Method::HEAD };
    if used.requests == ContractMode::Off {
        return Ok((body, Some(operation), Vec::new()));
    }
    let mut violations = Violations::default();
    parameters(described, head, segments.iter().map(|(_, value)| value), &mut violations);
    let (body, reason) = check_body(used, described, &head.headers, body, &mut violations).await?;
    let Some(reason) =
        reason.or((!violations.is_empty()).then_some(Reason::ContractBroken)).filter(|_| enforced)
    else {
        return Ok((body, Some(operation), violations.into_list()));
    };
    let mut refusal = Refusal::new(reason, "the request is not what the API's description says");
    refusal.violations = violations.into_list();
    refusal.cause = Some(summary(&refusal.violations));
    if reason == Reason::WrongContentType
        && let Some(accept) =
            described.body.as_ref().and_then(|body| HeaderValue::from_str(&body.accept).ok())
    {
        refusal = refusal.with(ACCEPT, accept);
        if is_encoded(&head.headers) {
            refusal = refusal.with(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
    }
    Err(refusal)
}

/// The first violations in words, for the log.
pub(super) fn summary(violations: &[Violation]) -> String {
    let mut text = String::new();
    for Violation { place, pointer, detail } in violations.iter().take(5) {
        let separator = if text.is_empty() { "" } else { "; " };
        _ = write!(text, "{separator}{place} {pointer}: {detail}");
    }
    if violations.len() > 5 {
        _ = write!(text, "; and {} more", violations.len() - 5);
    }
    text
}

fn parameters<'p>(
    described: &Described,
    head: &request::Parts,
    mut segments: impl Iterator<Item = &'p str>,
    violations: &mut Violations,
) {
    let query = if described.has_query { head.uri.query().unwrap_or_default() } else { "" };
    let query = values::pairs(query).unwrap_or_else(|detail| {
        violations.push("query", "", detail);
        Vec::new()
    });
    // A line is read though another's cookie in it is no text: a server would read it, too.
    let cookies: Vec<_> =
        head.headers.get_all(COOKIE).iter().map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    let cookies: Vec<Pair<'_>> = if described.has_cookies {
        cookies.iter().flat_map(|line| values::cookies(line)).collect()
    } else {
        Vec::new()
    };
    for parameter in &described.parameters {
        let found = match parameter.place {
            Place::Path => segments.next().map_or(Found::Missing, |segment| parameter.one(segment, false)),
            Place::Query => parameter.in_pairs(&query),
            Place::Cookie => parameter.in_pairs(&cookies),
            Place::Header => in_headers(parameter, &head.headers),
        };
        check_parameter(parameter, found, Direction::Request, violations);
    }
}

/// A header's value: its lines, where it is a list.
pub(super) fn in_headers(parameter: &Parameter, headers: &HeaderMap) -> Found {
    let mut lines = headers.get_all(parameter.name.as_str()).iter();
    let Some(first) = lines.next() else {
        return Found::Missing;
    };
    let mut text = match first.to_str() {
        Ok(text) => std::borrow::Cow::Borrowed(text),
        Err(_) => return Found::Bad("is not visible ASCII".to_owned()),
    };
    for line in lines {
        if !parameter.shape.is_array() && !parameter.shape.is_object() && parameter.style != Style::Opaque {
            return Found::Bad("is there more than once".to_owned());
        }
        match line.to_str() {
            Ok(line) => text.to_mut().extend([",", line]),
            Err(_) => return Found::Bad("is not visible ASCII".to_owned()),
        }
    }
    if text.is_empty() { Found::Empty } else { parameter.one(&text, false) }
}

pub(super) fn check_parameter(
    parameter: &Parameter,
    found: Found,
    direction: Direction,
    violations: &mut Violations,
) {
    let (place, name) = (parameter.place.word(), parameter.name.as_str());
    let value = match found {
        Found::Missing if parameter.required => return violations.push(place, name, "is missing"),
        Found::Missing => return,
        Found::Empty if parameter.may_be_empty => return,
        Found::Empty if parameter.shape.types.has(Types::NULL) => Value::Null,
        Found::Empty if parameter.shape.is_array() => Value::Array(Vec::new()),
        Found::Empty => parameter.shape.scalar(""),
        Found::Bad(detail) => return violations.push(place, name, detail),
        Found::Value(value) => value,
    };
    let Some(validator) = &parameter.validator else {
        return;
    };
    // `5` may be a number or, where both are allowed, a text.
    if let Value::Number(number) = &value
        && parameter.shape.types.has(Types::STRING)
        && validator.is_valid(&Value::String(number.to_string()))
    {
        return;
    }
    violations.check(validator, &value, 1, place, name, direction);
}

/// Checks the body. Gives it back, and the reason to refuse it for if that is not just a violation.
async fn check_body(
    used: &ContractUse,
    described: &Described,
    headers: &HeaderMap,
    body: Body,
    violations: &mut Violations,
) -> Result<(Body, Option<Reason>), Refusal> {
    let Some(wanted) = &described.body else {
        if !body.is_empty() {
            violations.push("body", "", "is there, and the API's description has none for this request");
        }
        return Ok((body, None));
    };
    if body.is_empty() {
        missing(wanted, violations);
        return Ok((body, None));
    }
    let wrong = |violations: &mut Violations, pointer: &str, detail: String| {
        violations.push("header", pointer, detail);
        Some(Reason::WrongContentType)
    };
    let Some(media_type) = media_type(headers) else {
        let detail = if headers.contains_key(CONTENT_TYPE) { "is not one media type" } else { "is missing" };
        return Ok((body, wrong(violations, "content-type", detail.to_owned())));
    };
    let Some(media) = Media::find(&wanted.content, &media_type) else {
        let detail = format!("is not one of: {}", wanted.accept);
        return Ok((body, wrong(violations, "content-type", detail)));
    };
    if matches!(media.check, Check::Nothing | Check::Unread) {
        return Ok((body, None));
    }
    if is_encoded(headers) {
        let detail = "a body with a content coding cannot be checked; send it without one".to_owned();
        return Ok((body, wrong(violations, "content-encoding", detail)));
    }
    if json::is_other_charset(headers) {
        let detail = "has another charset than UTF-8, which cannot be checked".to_owned();
        return Ok((body, wrong(violations, "content-type", detail)));
    }
    let whole = match collect(body, used.most_bytes.into()).await {
        Ok(Collected::Whole(whole)) => whole,
        Ok(Collected::Larger(_)) if used.requests == ContractMode::Enforce => {
            let detail = format!("the body may have {} bytes at most", used.most_bytes);
            return Err(Refusal::new(Reason::BodyTooLarge, detail).closing());
        }
        Ok(Collected::Larger(body)) => {
            violations.push(
                "body",
                "",
                format!("was not checked: it has more than {} bytes", used.most_bytes),
            );
            return Ok((body, None));
        }
        Err(error) => {
            return Err(Refusal::new(error.reason, "the body did not come whole")
                .because(error.cause)
                .closing());
        }
    };
    if whole.data.is_empty() {
        missing(wanted, violations);
    } else {
        check_content(&media.check, &whole, Direction::Request, violations);
    }
    Ok((whole.into_body(), None))
}

fn missing(wanted: &RequestBody, violations: &mut Violations) {
    if wanted.required {
        violations.push("body", "", "is missing");
    }
}

/// Checks the bytes of a body.
pub(super) fn check_content(check: &Check, whole: &Whole, direction: Direction, violations: &mut Violations) {
    match check {
        Check::Nothing | Check::Unread => {}
        Check::Json(validator) => match json::parse(&whole.data) {
            Err(error) => violations.push("body", "", error.to_string()),
            Ok(parsed) => {
                for pointer in parsed.twice {
                    violations.push("body", pointer, "is there more than once");
                }
                violations.check(validator, &parsed.value, parsed.values, "body", "", direction);
            }
        },
        Check::Form(fields, validator) => {
            let text = std::str::from_utf8(&whole.data).map_err(|_| "is not UTF-8".to_owned());
            let pairs = match text.and_then(values::pairs) {
                Ok(pairs) => pairs,
                Err(detail) => return violations.push("body", "", detail),
            };
            match values::form(fields, &pairs) {
                Err((pointer, detail)) => violations.push("body", pointer, detail),
                Ok(value) => violations.check(validator, &value, pairs.len(), "body", "", direction),
            }
        }
    }
}
