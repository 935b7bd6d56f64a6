//! What is wrong with a request or an answer, up to a limit: nobody mends a thousand things at once.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::dialect::{Direction, nothing};
use crate::gateway::Violation;

/// Violations told; one more says that there are others.
const MOST: usize = 100;

/// Values in a body above which only the first violation is looked for: each costs memory.
const MOST_VALUES: usize = 10_000;

/// Violations as they are found.
#[derive(Debug, Default)]
pub(super) struct Violations {
    list: Vec<Violation>,
    more: bool,
}

impl Violations {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn push(
        &mut self,
        place: &'static str,
        pointer: impl Into<String>,
        detail: impl Into<String>,
    ) {
        if self.list.len() < MOST {
            self.list.push(Violation { place, pointer: pointer.into(), detail: detail.into() });
        } else {
            self.more = true;
        }
    }

    /// Notes all that is wrong with a value of so many inner ones; `prefix` goes before the pointers.
    pub(super) fn check(
        &mut self,
        validator: &Validator,
        value: &Value,
        values: usize,
        place: &'static str,
        prefix: &str,
        direction: Direction,
    ) {
        // Nearly all are valid, and finding that out is cheap.
        if validator.is_valid(value) {
            return;
        }
        let mut tell = |error: ValidationError<'_>| {
            self.push(place, format!("{prefix}{}", error.instance_path()), detail(&error, direction));
        };
        if values <= MOST_VALUES {
            return validator.iter_errors(value).for_each(tell);
        }
        if let Err(error) = validator.validate(value) {
            tell(error);
        }
        self.more = true;
    }

    pub(super) fn into_list(mut self) -> Vec<Violation> {
        if self.more {
            let detail = "there may be more that is wrong".to_owned();
            self.list.push(Violation { place: "body", pointer: String::new(), detail });
        }
        self.list
    }
}

/// What is wrong in words, without the value: that may be secret.
fn detail(error: &ValidationError<'_>, direction: Direction) -> String {
    const MOST: usize = 300;
    let mut detail = match (error.kind(), direction) {
        (ValidationErrorKind::Not { schema }, Direction::Request) if *schema == nothing()["not"] => {
            "is read-only: it may not be sent".to_owned()
        }
        (ValidationErrorKind::Not { schema }, Direction::Answer) if *schema == nothing()["not"] => {
            "is write-only: it may not be answered".to_owned()
        }
        (ValidationErrorKind::PropertyNames { error }, _) => format!("has a wrong name: {}", error.masked()),
        (ValidationErrorKind::FalseSchema, _) => "is not allowed here".to_owned(),
        _ => error.masked().to_string(),
    };
    if detail.len() > MOST {
        let cut = (0..=MOST).rev().find(|&at| detail.is_char_boundary(at)).unwrap_or(0);
        detail.truncate(cut);
        detail.push('…');
    }
    detail
}
