//! The way through a document: which of its objects are schemas, and which is data that looks like them.

use serde_json::{Map, Value};

use crate::gateway::json::escaped;

/// What an object of a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A schema.
    Schema,
    /// An object of OpenAPI.
    Other,
    /// A map from names to objects of OpenAPI.
    Named,
}

/// What is called for each object, with its pointer.
type Visit<'a> = dyn FnMut(&mut Map<String, Value>, &str, Kind) + 'a;

/// Visits each object of OpenAPI and each schema, with its pointer, from the outside in; examples, defaults and extensions are
/// passed over.
pub(super) fn walk(root: &mut Value, visit: &mut Visit<'_>) {
    step(root, &mut String::new(), Kind::Other, visit);
}

fn step(value: &mut Value, at: &mut String, kind: Kind, visit: &mut Visit<'_>) {
    match value {
        Value::Array(values) => {
            for (index, value) in values.iter_mut().enumerate() {
                down(value, &index.to_string(), at, kind, visit);
            }
        }
        Value::Object(map) => {
            if kind != Kind::Named {
                visit(map, at, kind);
            }
            for (name, value) in map {
                let next = match kind {
                    Kind::Named => Some(Next::One(Kind::Other)),
                    Kind::Other => in_openapi(name, at),
                    Kind::Schema => in_schema(name),
                };
                match next {
                    None => {}
                    Some(Next::One(kind)) => down(value, &escaped(name), at, kind, visit),
                    Some(Next::SchemasByName) => {
                        let length = at.len();
                        at.push('/');
                        at.push_str(&escaped(name));
                        for (name, value) in value.as_object_mut().into_iter().flatten() {
                            down(value, &escaped(name), at, Kind::Schema, visit);
                        }
                        at.truncate(length);
                    }
                }
            }
        }
        _ => {}
    }
}

fn down(value: &mut Value, segment: &str, at: &mut String, kind: Kind, visit: &mut Visit<'_>) {
    let length = at.len();
    at.push('/');
    at.push_str(segment);
    step(value, at, kind, visit);
    at.truncate(length);
}

enum Next {
    One(Kind),
    SchemasByName,
}

fn in_openapi(name: &str, at: &str) -> Option<Next> {
    match name {
        "example" | "examples" | "default" | "enum" if at != "/paths" => None,
        "schemas" if at == "/components" => Some(Next::SchemasByName),
        "schema" => Some(Next::One(Kind::Schema)),
        "headers" | "encoding" | "callbacks" | "responses" | "content" => Some(Next::One(Kind::Named)),
        _ if at == "/components" => Some(Next::One(Kind::Named)),
        _ if name.starts_with("x-") => None,
        _ => Some(Next::One(Kind::Other)),
    }
}

fn in_schema(name: &str) -> Option<Next> {
    match name {
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
            Some(Next::SchemasByName)
        }
        "items"
        | "prefixItems"
        | "additionalItems"
        | "additionalProperties"
        | "contains"
        | "propertyNames"
        | "unevaluatedItems"
        | "unevaluatedProperties"
        | "not"
        | "if"
        | "then"
        | "else"
        | "allOf"
        | "anyOf"
        | "oneOf" => Some(Next::One(Kind::Schema)),
        _ => None,
    }
}
