//! A parameter as it is described.

use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;

use super::dialect::Direction;
use super::error::Problems;
use super::media::is_json_range;
use super::schemas::Schemas;
use super::shape::Shape;
use crate::gateway::json::escaped;

/// A parameter of an operation, or a header of an answer.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) required: bool,
    /// Whether it may be there without a value.
    pub(super) may_be_empty: bool,
    pub(super) style: Style,
    pub(super) shape: Shape,
    pub(super) validator: Option<Arc<Validator>>,
}

/// Where a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
    Cookie,
}

impl Place {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
        }
    }
}

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `a,b`; objects `k,v,k,v`.
    Commas,
    /// `a,b`; objects `k=v,k=v`.
    Pairs,
    /// `name=a&name=b`; objects `k=v&k=v`.
    Exploded,
    /// `a b`, the blank encoded.
    Spaces,
    /// `a|b`.
    Pipes,
    /// `name[k]=v`.
    Deep,
    /// One text of JSON.
    Json,
    /// Whatever it is.
    Opaque,
}

impl Parameter {
    /// Reads a parameter object; `None` for one that does not count or is wrong.
    pub(super) fn read(
        schemas: &mut Schemas<'_>,
        value: &Value,
        pointer: &str,
        problems: &mut Problems,
    ) -> Option<Self> {
        let (value, pointer) = schemas.source.resolve(value, pointer);
        let Some(name) = value.get("name").and_then(Value::as_str) else {
            problems.push(&format!("{pointer}/name"), "", "is missing; give the parameter's name");
            return None;
        };
        let place = match value.get("in").and_then(Value::as_str) {
            Some("path") => Place::Path,
            Some("query") => Place::Query,
            Some("header") => Place::Header,
            Some("cookie") => Place::Cookie,
            other => {
                let mend = "has to be \"path\", \"query\", \"header\" or \"cookie\"";
                problems.push(&format!("{pointer}/in"), other.unwrap_or_default(), mend);
                return None;
            }
        };
        let ignored = ["accept", "content-type", "authorization"];
        if place == Place::Header && ignored.iter().any(|its| name.eq_ignore_ascii_case(its)) {
            // OpenAPI, "Parameter Object", `name`.
            return None;
        }
        Self::describe(schemas, value, &pointer, name.to_owned(), place, Direction::Request, problems)
    }

    /// Reads what parameters and headers have in common.
    pub(super) fn describe(
        schemas: &mut Schemas<'_>,
        value: &Value,
        pointer: &str,
        name: String,
        place: Place,
        direction: Direction,
        problems: &mut Problems,
    ) -> Option<Self> {
        let flag = |key: &str| value.get(key).and_then(Value::as_bool).unwrap_or(false);
        let mut new = Self {
            name,
            place,
            required: flag("required"),
            may_be_empty: flag("allowEmptyValue"),
            style: Style::Opaque,
            shape: Shape::default(),
            validator: None,
        };
        if place == Place::Header && http::HeaderName::from_bytes(new.name.as_bytes()).is_err() {
            problems.push(pointer, &new.name, "is no name of a header; name one");
            return None;
        }
        if place == Place::Path && direction == Direction::Request && !new.required {
            let mend = "has to be true: a path without it is another path";
            problems.push(&format!("{pointer}/required"), "", mend);
        }
        match (value.get("schema"), value.get("content").and_then(Value::as_object)) {
            (Some(schema), None) => {
                new.shape = Shape::of(schemas.source, schema);
                new.style = style(value, place, &new.shape, pointer, problems)?;
                new.validator = schemas.compile(&format!("{pointer}/schema"), direction, problems);
            }
            (None, Some(content)) if content.len() == 1 => {
                for (media_type, media) in content {
                    if is_json_range(media_type) && media.get("schema").is_some() {
                        let pointer = format!("{pointer}/content/{}/schema", escaped(media_type));
                        new.style = Style::Json;
                        new.validator = schemas.compile(&pointer, direction, problems);
                    }
                }
            }
            _ => problems.push(pointer, "", "has to have either `schema` or `content` with one media type"),
        }
        Some(new)
    }
}

/// OpenAPI, "Style Values".
fn style(
    value: &Value,
    place: Place,
    shape: &Shape,
    pointer: &str,
    problems: &mut Problems,
) -> Option<Style> {
    let default = if matches!(place, Place::Query | Place::Cookie) { "form" } else { "simple" };
    let told = value.get("style").and_then(Value::as_str).unwrap_or(default);
    let explode = value.get("explode").and_then(Value::as_bool).unwrap_or(told == "form");
    let style = match (place, told) {
        (Place::Path | Place::Header, "simple") if explode => Style::Pairs,
        (Place::Path | Place::Header, "simple") => Style::Commas,
        // A cookie cannot be given twice in a way that all servers understand.
        (Place::Query | Place::Cookie, "form") if explode => Style::Exploded,
        (Place::Query | Place::Cookie, "form") => Style::Commas,
        (Place::Query, "spaceDelimited" | "pipeDelimited") if explode => Style::Exploded,
        (Place::Query, "spaceDelimited") if !shape.is_object() => Style::Spaces,
        (Place::Query, "pipeDelimited") if !shape.is_object() => Style::Pipes,
        (Place::Query, "deepObject") => Style::Deep,
        _ => {
            let mend = "is not supported here; use simple in paths and headers, form in queries and cookies, or in queries \
                        spaceDelimited and pipeDelimited for arrays and deepObject for objects";
            problems.push(&format!("{pointer}/style"), told, mend);
            return None;
        }
    };
    Some(style)
}
