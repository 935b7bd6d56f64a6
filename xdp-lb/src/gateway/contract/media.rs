//! What a body is, by its media type.

use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;

use super::dialect::Direction;
use super::error::Problems;
use super::parameter::{Parameter, Place, Style};
use super::schemas::Schemas;
use super::shape::Shape;
use crate::gateway::json::{escaped, is_json};

/// A media type that is described, or a range of them.
#[derive(Debug)]
pub(super) struct Media {
    range: Range,
    pub(super) check: Check,
}

#[derive(Debug)]
enum Range {
    /// `*/*`.
    Any,
    /// `text/*`, as `text`.
    Main(String),
    /// `text/plain`.
    Exact(String),
}

/// How a body is checked.
#[derive(Clone, Debug)]
pub(super) enum Check {
    /// Nothing is said of it.
    Nothing,
    /// It is described, and bodies of its type are not read.
    Unread,
    /// As JSON.
    Json(Arc<Validator>),
    /// As a form, with its fields.
    Form(Arc<[Parameter]>, Arc<Validator>),
}

impl Media {
    /// Reads a `content` map.
    pub(super) fn read_all(
        schemas: &mut Schemas<'_>,
        content: &Value,
        pointer: &str,
        direction: Direction,
        problems: &mut Problems,
    ) -> Vec<Self> {
        let Some(content) = content.as_object() else {
            problems.push(pointer, content, "has to be a map of media types");
            return Vec::new();
        };
        let mut all = Vec::new();
        for (name, media) in content {
            let pointer = format!("{pointer}/{}", escaped(name));
            let Some(range) = Range::parse(name) else {
                problems.push(
                    &pointer,
                    name,
                    "is no media type; write it as application/json, text/* or */*",
                );
                continue;
            };
            let check = check(schemas, &range, media, &pointer, direction, problems);
            all.push(Self { range, check });
        }
        all
    }

    /// The one that describes a media type best: itself, then its main type, then all.
    pub(super) fn find<'a>(all: &'a [Self], media_type: &str) -> Option<&'a Self> {
        all.iter().filter(|media| media.range.takes(media_type)).max_by_key(|media| match media.range {
            Range::Any => 0,
            Range::Main(_) => 1,
            Range::Exact(_) => 2,
        })
    }

    /// All of them, as an `Accept` header has it.
    pub(super) fn list(all: &[Self]) -> String {
        let names = all.iter().map(|media| match &media.range {
            Range::Any => "*/*".to_owned(),
            Range::Main(main) => format!("{main}/*"),
            Range::Exact(exact) => exact.clone(),
        });
        names.collect::<Vec<_>>().join(", ")
    }
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let text = text.split(';').next()?.trim_ascii().to_ascii_lowercase();
        let (main, sub) = text.split_once('/')?;
        let is_token = |text: &str| http::HeaderName::from_bytes(text.as_bytes()).is_ok();
        match (main, sub) {
            ("*", "*") => Some(Self::Any),
            (main, "*") if is_token(main) => Some(Self::Main(main.to_owned())),
            (main, sub) if is_token(main) && is_token(sub) => Some(Self::Exact(text)),
            _ => None,
        }
    }

    fn takes(&self, media_type: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Main(main) => media_type.split_once('/').is_some_and(|its| its.0 == main),
            Self::Exact(exact) => exact == media_type,
        }
    }
}

/// Whether a name in a `content` map is JSON.
pub(super) fn is_json_range(name: &str) -> bool {
    matches!(Range::parse(name), Some(Range::Exact(exact)) if is_json(&exact))
}

fn check(
    schemas: &mut Schemas<'_>,
    range: &Range,
    media: &Value,
    pointer: &str,
    direction: Direction,
    problems: &mut Problems,
) -> Check {
    let (Some(schema), Range::Exact(exact)) = (media.get("schema"), range) else {
        return if media.get("schema").is_some() { Check::Unread } else { Check::Nothing };
    };
    let is_form = exact == "application/x-www-form-urlencoded";
    if !is_form && !is_json(exact) {
        return Check::Unread;
    }
    let Some(validator) = schemas.compile(&format!("{pointer}/schema"), direction, problems) else {
        return Check::Nothing;
    };
    if !is_form {
        return Check::Json(validator);
    }
    let shape = Shape::of(schemas.source, schema);
    let fields = shape.properties.into_iter().map(|(name, shape)| field(name, shape, media)).collect();
    Check::Form(fields, validator)
}

/// A field of a form, by OpenAPI's "Encoding Object": objects are JSON unless a style is told.
fn field(name: String, shape: Shape, media: &Value) -> Parameter {
    let encoding = media.get("encoding").and_then(|encoding| encoding.get(&name));
    let told = |key: &str| encoding.and_then(|encoding| encoding.get(key));
    let explode = told("explode").and_then(Value::as_bool);
    let style = match told("style").and_then(Value::as_str) {
        Some("deepObject") => Style::Deep,
        Some("spaceDelimited") if explode != Some(true) => Style::Spaces,
        Some("pipeDelimited") if explode != Some(true) => Style::Pipes,
        None if shape.is_object() && explode.is_none() => Style::Json,
        _ if explode == Some(false) => Style::Commas,
        _ => Style::Exploded,
    };
    Parameter {
        name,
        place: Place::Query,
        required: false,
        may_be_empty: true,
        style,
        shape,
        validator: None,
    }
}
