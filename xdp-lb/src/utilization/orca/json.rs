//! The `JSON` form: protobuf's mapping to JSON, of which both spellings of names (`cpuUtilization`, `cpu_utilization`)
//! and both of numbers (`0.5`, `"0.5"`, `"NaN"`) are read. Names that ORCA does not have yet are passed over.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{MAPS, Metrics};
use crate::control::{NoReport, NoReportKind};
use crate::utilization::refuse::{no, number, shown};

pub(super) fn read(text: &[u8]) -> Result<Metrics, NoReport> {
    let garbage = |error: serde_json::Error| {
        no(NoReportKind::Garbage, format!("{} is not ORCA's JSON: {error}", shown(text)))
    };
    let Object(members) = serde_json::from_slice(text).map_err(garbage)?;
    let mut metrics = Metrics::default();
    let mut seen = Vec::new();
    for (name, value) in members {
        let name = snake(&name);
        match value {
            Value::Map(Object(entries)) if MAPS.contains(&name.as_str()) => {
                if seen.contains(&name) {
                    return Err(super::twice(&name));
                }
                for (key, value) in entries {
                    let value = value.number(&shown(format!("{name}.{key}").as_bytes()))?;
                    metrics.entry(&name, &key, value)?;
                }
                seen.push(name);
            }
            // In protobuf's JSON, null is as if it were not there.
            Value::Null => {}
            value if super::FIELDS.contains(&name.as_str()) => {
                metrics.field(&name, value.number(&name)?)?;
            }
            _ if MAPS.contains(&name.as_str()) => {
                return Err(no(NoReportKind::Garbage, format!("{name}: expected an object")));
            }
            _ => {}
        }
    }
    Ok(metrics)
}

/// Members in their order, so that one that comes twice is seen twice.
struct Object(Vec<(String, Value)>);

enum Value {
    Null,
    Number(f64),
    Text(String),
    Map(Object),
    Other,
}

impl Value {
    fn number(self, name: &str) -> Result<f64, NoReport> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Text(text) => number(name, text.as_bytes()),
            Self::Null | Self::Map(_) | Self::Other => {
                Err(no(NoReportKind::NotANumber, format!("{name}: expected a number")))
            }
        }
    }
}

/// `cpuUtilization` as `cpu_utilization`.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 2);
    for sign in name.chars() {
        if sign.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(sign.to_ascii_lowercase());
    }
    snake
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Object(members))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        Ok(Value::Map(ObjectVisitor.visit_map(map)?))
    }
}
