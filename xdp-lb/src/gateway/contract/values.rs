//! Reads parameters' values out of paths, queries, headers and cookies.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::parameter::{Parameter, Place, Style};
use crate::gateway::json;

/// What is there of a parameter.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// Nothing.
    Missing,
    /// Its name, without a value.
    Empty,
    /// A value.
    Value(Value),
    /// A text that cannot be read, and what is wrong with it.
    Bad(String),
}

/// A name and its value as it was sent, of a query, a form or a cookie.
pub(super) struct Pair<'a> {
    name: Cow<'a, str>,
    raw: &'a str,
}

/// The pairs of a query or a form; the error tells which part cannot be read.
pub(super) fn pairs(text: &str) -> Result<Vec<Pair<'_>>, String> {
    let parts = text.split('&').filter(|part| !part.is_empty()).enumerate();
    parts
        .map(|(index, part)| {
            let (name, raw) = part.split_once('=').unwrap_or((part, ""));
            let name =
                decoded(name, true).ok_or_else(|| format!("the name of pair {} is not UTF-8", index + 1))?;
            Ok(Pair { name, raw })
        })
        .collect()
}

/// The pairs of a `Cookie` header.
pub(super) fn cookies(text: &str) -> impl Iterator<Item = Pair<'_>> {
    text.split(';').filter_map(|part| {
        let (name, raw) = part.split_once('=')?;
        // Servers take blanks off, on both sides.
        let (name, raw) = (name.trim_ascii(), raw.trim_ascii());
        let quoted = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'));
        Some(Pair { name: name.into(), raw: quoted.unwrap_or(raw) })
    })
}

impl Parameter {
    /// Reads it out of the pairs of a query, a form or cookies.
    pub(super) fn in_pairs(&self, pairs: &[Pair<'_>]) -> Found {
        let plus = self.place == Place::Query;
        if self.style == Style::Deep {
            return self.deep(pairs);
        }
        if self.style == Style::Exploded && self.shape.is_object() && !self.shape.properties.is_empty() {
            return self.spread(pairs, plus);
        }
        let mut own = pairs.iter().filter(|pair| pair.name == *self.name).map(|pair| pair.raw);
        let Some(first) = own.next() else {
            return Found::Missing;
        };
        if self.style == Style::Exploded && self.shape.is_array() {
            let elements = std::iter::once(first).chain(own);
            let elements: Option<Vec<_>> =
                elements.map(|raw| Some(self.shape.element(&decoded(raw, plus)?))).collect();
            return elements.map_or_else(not_text, |elements| Found::Value(elements.into()));
        }
        if own.next().is_some() {
            return Found::Bad("is there more than once".to_owned());
        }
        if first.is_empty() {
            return Found::Empty;
        }
        self.one(first, plus)
    }

    /// Reads it out of a segment of the path, or of a header's value.
    pub(super) fn one(&self, raw: &str, plus: bool) -> Found {
        let decode = |raw: &str| match self.place {
            Place::Header => Some(raw.trim_ascii().to_owned()),
            // What is no encoding stands for itself: nobody agrees on how cookies are encoded.
            Place::Cookie => Some(decoded(raw, false).map_or_else(|| raw.to_owned(), Cow::into_owned)),
            Place::Path | Place::Query => decoded(raw, plus).map(Cow::into_owned),
        };
        let parts: Vec<&str> = match self.style {
            Style::Json => {
                let parsed = decode(raw).map(|text| json::parse(text.as_bytes()));
                return match parsed {
                    None => not_text(),
                    Some(Err(error)) => Found::Bad(error.to_string()),
                    Some(Ok(parsed)) if !parsed.twice.is_empty() => {
                        Found::Bad(format!("has a name twice, at `{}`", parsed.twice[0]))
                    }
                    Some(Ok(parsed)) => Found::Value(parsed.value),
                };
            }
            Style::Opaque => return decode(raw).map_or_else(not_text, |text| Found::Value(text.into())),
            _ if !self.shape.is_array() && !self.shape.is_object() => {
                return decode(raw).map_or_else(not_text, |text| Found::Value(self.shape.scalar(&text)));
            }
            Style::Spaces => raw.split('+').flat_map(|part| part.split("%20")).collect(),
            Style::Pipes => {
                raw.split('|').flat_map(|part| part.split("%7C")).flat_map(|part| part.split("%7c")).collect()
            }
            _ => raw.split(',').collect(),
        };
        let Some(parts) = parts.into_iter().map(decode).collect::<Option<Vec<_>>>() else {
            return not_text();
        };
        if self.shape.is_array() {
            return Found::Value(
                parts.iter().map(|part| self.shape.element(part)).collect::<Vec<_>>().into(),
            );
        }
        let mut map = Map::new();
        let fields: Option<Vec<(&str, &str)>> = if self.style == Style::Pairs {
            parts.iter().map(|part| part.split_once('=')).collect()
        } else {
            let (fields, odd) = parts.as_chunks::<2>();
            odd.is_empty().then(|| fields.iter().map(|[name, value]| (&**name, &**value)).collect())
        };
        for (name, value) in fields.into_iter().flatten() {
            if map.insert(name.to_owned(), self.shape.property(name, value)).is_some() {
                return Found::Bad(format!("has `{name}` more than once"));
            }
        }
        if map.is_empty() {
            Found::Bad("is no list of names with values".to_owned())
        } else {
            Found::Value(map.into())
        }
    }

    /// `name[k]=v`.
    fn deep(&self, pairs: &[Pair<'_>]) -> Found {
        let mut map = Map::new();
        for pair in pairs {
            let Some(rest) = pair.name.strip_prefix(self.name.as_str()) else {
                continue;
            };
            let Some(field) = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
                continue;
            };
            if field.contains(['[', ']']) {
                return Found::Bad("is nested deeper than OpenAPI has it".to_owned());
            }
            let Some(text) = decoded(pair.raw, true) else {
                return not_text();
            };
            if let Some(found) = self.field(&mut map, field, &text) {
                return found;
            }
        }
        if map.is_empty() { Found::Missing } else { Found::Value(map.into()) }
    }

    /// `k=v&k=v`: each property as a pair of its own.
    fn spread(&self, pairs: &[Pair<'_>], plus: bool) -> Found {
        let mut map = Map::new();
        for pair in pairs.iter().filter(|pair| self.shape.properties.contains_key(&*pair.name)) {
            let Some(text) = decoded(pair.raw, plus) else {
                return not_text();
            };
            if let Some(found) = self.field(&mut map, &pair.name, &text) {
                return found;
            }
        }
        if map.is_empty() { Found::Missing } else { Found::Value(map.into()) }
    }

    /// Adds a property; one that is an array may be there several times.
    fn field(&self, map: &mut Map<String, Value>, name: &str, text: &str) -> Option<Found> {
        if let Some(shape) = self.shape.properties.get(name).filter(|shape| shape.is_array()) {
            let list = map.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            if let Some(list) = list.as_array_mut() {
                list.push(shape.element(text));
            }
            return None;
        }
        let twice = map.insert(name.to_owned(), self.shape.property(name, text)).is_some();
        twice.then(|| Found::Bad(format!("has `{name}` more than once")))
    }
}

/// The properties of a form that are described, as one object: each as OpenAPI's "Encoding Object" has it.
pub(super) fn form(fields: &[Parameter], pairs: &[Pair<'_>]) -> Result<Value, (String, String)> {
    let mut map = Map::new();
    for field in fields {
        match field.in_pairs(pairs) {
            Found::Missing => {}
            Found::Empty => _ = map.insert(field.name.clone(), field.shape.scalar("")),
            Found::Value(value) => _ = map.insert(field.name.clone(), value),
            Found::Bad(detail) => return Err((format!("/{}", json::escaped(&field.name)), detail)),
        }
    }
    for pair in pairs {
        let is_known = |field: &Parameter| {
            pair.name == *field.name
                || field.style == Style::Deep && pair.name.starts_with(&format!("{}[", field.name))
                || field.style == Style::Exploded && field.shape.properties.contains_key(&*pair.name)
        };
        if !fields.iter().any(is_known) {
            let text = decoded(pair.raw, true).unwrap_or_default();
            map.insert(pair.name.to_string(), Value::String(text.into_owned()));
        }
    }
    Ok(map.into())
}

fn not_text() -> Found {
    Found::Bad("is not UTF-8, or has a % that begins no encoded byte".to_owned())
}

/// Percent-encoding undone, and `+` where that is a blank; `None` for what is no text.
fn decoded(raw: &str, plus: bool) -> Option<Cow<'_, str>> {
    if !raw.contains(['%', '+']) {
        return Some(raw.into());
    }
    let mut rest = raw.as_bytes();
    while let Some(at) = memchr::memchr(b'%', rest) {
        rest = &rest[at + 1..];
        if rest.len() < 2 || !rest[..2].iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
    }
    let raw = if plus && raw.contains('+') { Cow::Owned(raw.replace('+', " ")) } else { raw.into() };
    match raw {
        Cow::Borrowed(raw) => percent_decode_str(raw).decode_utf8().ok(),
        Cow::Owned(raw) => percent_decode_str(&raw).decode_utf8().ok().map(|text| text.into_owned().into()),
    }
}
