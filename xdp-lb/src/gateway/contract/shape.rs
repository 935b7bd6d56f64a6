//! What kinds of values a schema takes: by that the text of a parameter becomes a value to check.

use std::collections::HashMap;

use serde_json::{Number, Value};

use super::document::{Source, Version};

/// Schemas within schemas are followed this deep.
const MOST_DEPTH: usize = 8;

/// Types of JSON, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    pub(super) const NULL: Self = Self(1);
    pub(super) const BOOLEAN: Self = Self(2);
    pub(super) const INTEGER: Self = Self(4);
    pub(super) const NUMBER: Self = Self(8);
    pub(super) const STRING: Self = Self(16);
    pub(super) const ARRAY: Self = Self(32);
    pub(super) const OBJECT: Self = Self(64);

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn named(name: &str) -> Self {
        match name {
            "null" => Self::NULL,
            "boolean" => Self::BOOLEAN,
            "integer" => Self::INTEGER,
            "number" => Self::NUMBER,
            "array" => Self::ARRAY,
            "object" => Self::OBJECT,
            _ => Self::STRING,
        }
    }

    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Number(number) if number.is_f64() => Self::NUMBER,
            Value::Number(_) => Self::INTEGER,
            Value::String(_) => Self::STRING,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
        }
    }

    fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// What a schema takes, as far as texts are concerned.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    /// Types it takes; none: anything.
    pub(super) types: Types,
    /// Of an array's elements.
    pub(super) items: Option<Box<Shape>>,
    /// Of an object's properties.
    pub(super) properties: HashMap<String, Shape>,
    /// Of an object's other properties.
    pub(super) others: Option<Box<Shape>>,
}

impl Shape {
    /// That of a schema.
    pub(super) fn of(source: &Source, schema: &Value) -> Self {
        let mut shape = Self::default();
        shape.learn(source, schema, 0);
        shape
    }

    fn learn(&mut self, source: &Source, schema: &Value, depth: usize) {
        let Some(map) = schema.as_object().filter(|_| depth < MOST_DEPTH) else {
            return;
        };
        if map.contains_key("$ref") {
            let target = source.resolve(schema, "").0;
            if target.get("$ref").is_none() {
                self.learn(source, target, depth + 1);
            }
            if source.version == Version::V30 {
                return;
            }
        }
        match map.get("type") {
            Some(Value::String(name)) => self.types.add(Types::named(name)),
            Some(Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).for_each(|name| self.types.add(Types::named(name)));
            }
            _ => {
                map.get("const").into_iter().for_each(|value| self.types.add(Types::of(value)));
                let values = map.get("enum").and_then(Value::as_array).into_iter().flatten();
                values.for_each(|value| self.types.add(Types::of(value)));
            }
        }
        if map.get("nullable") == Some(&Value::Bool(true)) {
            self.types.add(Types::NULL);
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            for part in map.get(keyword).and_then(Value::as_array).into_iter().flatten() {
                self.learn(source, part, depth + 1);
            }
        }
        if let Some(items) = map.get("items") {
            self.items.get_or_insert_default().learn(source, items, depth + 1);
        }
        for (name, property) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
            self.properties.entry(name.clone()).or_default().learn(source, property, depth + 1);
        }
        if let Some(others) = map.get("additionalProperties").filter(|others| others.is_object()) {
            self.others.get_or_insert_default().learn(source, others, depth + 1);
        }
    }

    pub(super) fn is_array(&self) -> bool {
        self.types.has(Types::ARRAY)
    }

    pub(super) fn is_object(&self) -> bool {
        self.types.has(Types::OBJECT)
    }

    /// An element of the array.
    pub(super) fn element(&self, text: &str) -> Value {
        self.items.as_ref().map_or_else(|| text.into(), |items| items.scalar(text))
    }

    /// A property of the object.
    pub(super) fn property(&self, name: &str, text: &str) -> Value {
        let shape = self.properties.get(name).or(self.others.as_deref());
        shape.map_or_else(|| text.into(), |shape| shape.scalar(text))
    }

    /// A text as the first of integer, number, boolean and null that it is and that may be; else a string.
    pub(super) fn scalar(&self, text: &str) -> Value {
        let types = self.types;
        if types.has(Types::INTEGER)
            && is_integer(text)
            && let Ok(number) = text.parse::<Number>()
        {
            return number.into();
        }
        if types.has(Types::NUMBER)
            && text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
            && text.ends_with(|last: char| last.is_ascii_digit())
            && let Ok(number) = text.parse::<Number>()
        {
            return number.into();
        }
        match text {
            "true" if types.has(Types::BOOLEAN) => true.into(),
            "false" if types.has(Types::BOOLEAN) => false.into(),
            "null" if types.has(Types::NULL) => Value::Null,
            "" if types.has(Types::NULL) && !types.has(Types::STRING) => Value::Null,
            _ => text.into(),
        }
    }
}

/// As JSON has them: no plus sign, no zeros before.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'))
}
