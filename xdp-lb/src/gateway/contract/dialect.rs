//! Schemas of OpenAPI as schemas of JSON Schema, for one direction.
//!
//! - 3.0 has a dialect of its own: `nullable`, `exclusiveMinimum` as a boolean, and nothing counts beside `$ref`.
//!   `nullable: true` allows null whatever else the schema says (its `enum`, its `allOf`): that is what it is written for.
//! - Formats `int32` and `int64` are ranges: a server that reads such a number into such a type fails beyond them.
//! - A property that is `readOnly` may not be in a request and one that is `writeOnly` not in an answer, and there they are
//!   never required. The specification says "SHOULD NOT"; an enforcer that lets them pass leaves each service to find out that
//!   a client tries to set what it must not.

use serde_json::{Map, Value, json};

use super::document::{Source, Version};
use super::walk::{Kind, walk};

/// Which way a body goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    /// From client to server.
    Request,
    /// From server to client.
    Answer,
}

impl Direction {
    /// The keyword that keeps a property from going this way.
    fn hides(self) -> &'static str {
        match self {
            Self::Request => "readOnly",
            Self::Answer => "writeOnly",
        }
    }
}

/// The document with all its schemas as JSON Schema has them.
pub(super) fn translated(source: &Source, direction: Direction) -> Value {
    let mut root = source.root.clone();
    walk(&mut root, &mut |map, _, kind| {
        if kind != Kind::Schema {
            return;
        }
        hide(source, map, direction);
        if source.version == Version::V30 {
            translate_30(map);
        }
        limit(map);
    });
    root
}

/// A schema that nothing fits.
pub(super) fn nothing() -> Value {
    json!({ "not": {} })
}

fn hide(source: &Source, map: &mut Map<String, Value>, direction: Direction) {
    let mut names = Vec::new();
    hidden(source, map, direction, 0, &mut names);
    if names.is_empty() {
        return;
    }
    forget(map, &names);
    for part in map.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(part) = part.as_object_mut() {
            forget(part, &names);
        }
    }
}

/// Names of properties that do not go this way, in a schema and all that it is made of.
fn hidden(
    source: &Source,
    map: &Map<String, Value>,
    direction: Direction,
    depth: usize,
    names: &mut Vec<String>,
) {
    for (name, property) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let beside = property.get(direction.hides()).filter(|_| source.version == Version::V31);
        let own = source.resolve(property, "").0.get(direction.hides());
        if [beside, own].contains(&Some(&Value::Bool(true))) {
            names.push(name.clone());
        }
    }
    if depth < 8 {
        for part in map.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            if let Some(part) = source.resolve(part, "").0.as_object() {
                hidden(source, part, direction, depth + 1, names);
            }
        }
    }
}

/// Has none of these required, and none allowed.
fn forget(map: &mut Map<String, Value>, names: &[String]) {
    if let Some(required) = map.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| !names.iter().any(|hidden| name == hidden));
        // An empty list is not allowed by draft 4.
        if required.is_empty() {
            map.shift_remove("required");
        }
    }
    if let Some(properties) = map.get_mut("properties").and_then(Value::as_object_mut) {
        for name in names {
            if let Some(property) = properties.get_mut(name) {
                *property = nothing();
            }
        }
    }
}

fn translate_30(map: &mut Map<String, Value>) {
    if map.contains_key("$ref") {
        return map.retain(|name, _| name == "$ref");
    }
    for (exclusive, limit) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        match map.get(exclusive) {
            Some(Value::Bool(true)) => {
                map.shift_remove(exclusive);
                if let Some(limit) = map.shift_remove(limit) {
                    map.insert(exclusive.to_owned(), limit);
                }
            }
            Some(Value::Bool(false)) => _ = map.shift_remove(exclusive),
            _ => {}
        }
    }
    if map.shift_remove("nullable") == Some(Value::Bool(true)) {
        allow_null(map);
    }
}

fn allow_null(map: &mut Map<String, Value>) {
    if ["allOf", "anyOf", "oneOf", "not"].iter().any(|keyword| map.contains_key(*keyword)) {
        let rest = Value::Object(std::mem::take(map));
        map.insert("anyOf".to_owned(), json!([{ "type": "null" }, rest]));
        return;
    }
    if let Some(Value::String(name)) = map.get("type") {
        let types = json!([name, "null"]);
        map.insert("type".to_owned(), types);
    }
    if let Some(values) = map.get_mut("enum").and_then(Value::as_array_mut)
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}

fn limit(map: &mut Map<String, Value>) {
    let (least, most) = match map.get("format").and_then(Value::as_str) {
        Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
        Some("int64") => (i64::MIN, i64::MAX),
        _ => return,
    };
    for (keyword, exclusive, value) in
        [("minimum", "exclusiveMinimum", least), ("maximum", "exclusiveMaximum", most)]
    {
        if !map.contains_key(keyword) && !map.contains_key(exclusive) {
            map.insert(keyword.to_owned(), value.into());
        }
    }
}
