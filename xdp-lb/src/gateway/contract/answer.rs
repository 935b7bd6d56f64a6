//! Checks answers.

use http::{StatusCode, response};

use super::Operation;
use super::dialect::Direction;
use super::media::{Check, Media};
use super::operation::Answer;
use super::request::{check_content, check_parameter, in_headers, summary};
use super::violations::Violations;
use crate::config::gateway::{ContractMode, ContractUse};
use crate::gateway::collect::{Collected, collect};
use crate::gateway::json::{is_encoded, media_type};
use crate::gateway::{Body, Reason, Refusal, Violation};

/// Why an answer was not compared with the API's description, or its body was not: that is no violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unchecked {
    /// The description does not have its request, which was let pass.
    UnknownRequest,
    /// Its type is described and not read: only JSON and forms are.
    NotJson,
    /// It has a content coding, though none was asked for.
    Encoded,
    /// It is a part.
    Partial,
    /// It is larger than `most_bytes`.
    TooLarge,
}

impl Unchecked {
    /// All there are.
    pub const ALL: [Self; 5] =
        [Self::UnknownRequest, Self::NotJson, Self::Encoded, Self::Partial, Self::TooLarge];

    /// Its name in logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::UnknownRequest => "unknown_request",
            Self::NotJson => "not_json",
            Self::Encoded => "encoded",
            Self::Partial => "partial",
            Self::TooLarge => "too_large",
        }
    }
}

/// An answer that goes on to the client.
#[derive(Debug)]
pub struct CheckedAnswer {
    /// Its body, unharmed.
    pub body: Body,
    /// What is wrong with it, where that is only reported.
    pub violations: Vec<Violation>,
    /// Why its body was not checked, where one is described.
    pub unchecked: Option<Unchecked>,
}

pub(super) async fn check(
    used: &ContractUse,
    operation: &Operation,
    head: &response::Parts,
    body: Body,
) -> Result<CheckedAnswer, Refusal> {
    let mut violations = Violations::default();
    // What was switched to is no HTTP any more, and 304 stands for an answer that the client has.
    let exempt = head.status.is_informational() || head.status == StatusCode::NOT_MODIFIED;
    if used.responses == ContractMode::Off || exempt {
        return Ok(CheckedAnswer { body, violations: Vec::new(), unchecked: None });
    }
    let (mut body, mut unchecked) = (body, None);
    match operation.described.answer(head.status) {
        None => violations.push("status", head.status.as_str(), "is not in the API's description"),
        Some(answer) => {
            for header in &answer.headers {
                check_parameter(
                    header,
                    in_headers(header, &head.headers),
                    Direction::Answer,
                    &mut violations,
                );
            }
            let bare = operation.head || head.status == StatusCode::NO_CONTENT || answer.content.is_empty();
            if !bare {
                (body, unchecked) = check_body(used, answer, head, body, &mut violations).await?;
            }
        }
    }
    if used.responses == ContractMode::Enforce && !violations.is_empty() {
        let cause = format!("{}: {}", operation.name(), summary(&violations.into_list()));
        let detail = "the server's answer is not what the API's description says";
        return Err(Refusal::new(Reason::AnswerRefused, detail).because(cause));
    }
    Ok(CheckedAnswer { body, violations: violations.into_list(), unchecked })
}

async fn check_body(
    used: &ContractUse,
    answer: &Answer,
    head: &response::Parts,
    body: Body,
    violations: &mut Violations,
) -> Result<(Body, Option<Unchecked>), Refusal> {
    let Some(media_type) = media_type(&head.headers) else {
        violations.push("header", "content-type", "is missing, or is not one media type");
        return Ok((body, None));
    };
    let Some(media) = Media::find(&answer.content, &media_type) else {
        violations.push("header", "content-type", format!("is not one of: {}", Media::list(&answer.content)));
        return Ok((body, None));
    };
    match media.check {
        Check::Nothing => return Ok((body, None)),
        Check::Unread => return Ok((body, Some(Unchecked::NotJson))),
        Check::Json(_) | Check::Form(..) => {}
    }
    if is_encoded(&head.headers) {
        return Ok((body, Some(Unchecked::Encoded)));
    }
    if head.status == StatusCode::PARTIAL_CONTENT {
        return Ok((body, Some(Unchecked::Partial)));
    }
    match collect(body, used.most_bytes.into()).await {
        Ok(Collected::Larger(body)) => Ok((body, Some(Unchecked::TooLarge))),
        Ok(Collected::Whole(whole)) => {
            check_content(&media.check, &whole, Direction::Answer, violations);
            Ok((whole.into_body(), None))
        }
        Err(error) => {
            let reason =
                if error.reason == Reason::BodyCutShort { Reason::AnswerCutShort } else { error.reason };
            Err(Refusal::new(reason, "the answer did not come whole").because(error.cause))
        }
    }
}
