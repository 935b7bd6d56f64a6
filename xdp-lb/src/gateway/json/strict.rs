//! JSON in which nothing can be read in two ways: a name that occurs twice in an object is told, as some parsers take the
//! first and others the last.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Value};

/// Names that occur twice are told up to this many.
const MOST_TOLD: usize = 100;

/// A text of JSON, read.
#[derive(Debug)]
pub struct Parsed {
    /// What it holds; of a name that occurs twice, the last.
    pub value: Value,
    /// Pointers of fields that occur more than once; the first hundred.
    pub twice: Vec<String>,
    /// How many values there are in it, the inner ones included.
    pub values: usize,
}

/// A text that is no JSON.
#[derive(Debug, thiserror::Error)]
#[error("is not JSON: {0}")]
pub struct NotJson(#[from] serde_json::Error);

/// Reads a text of JSON, nested at most 127 deep.
///
/// # Errors
///
/// Where it is no JSON, with line and column.
pub fn parse(text: &[u8]) -> Result<Parsed, NotJson> {
    let found = Found::default();
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Seed { at: None, found: &found }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(Parsed { value, twice: found.twice.into_inner(), values: found.values.get() })
}

#[derive(Default)]
struct Found {
    twice: RefCell<Vec<String>>,
    values: Cell<usize>,
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    at: Option<&'a Step<'a>>,
    found: &'a Found,
}

/// The way to a value, from the inside out.
struct Step<'a> {
    above: Option<&'a Step<'a>>,
    segment: Segment<'a>,
}

enum Segment<'a> {
    Name(&'a str),
    Index(usize),
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            above.fmt(f)?;
        }
        match self.segment {
            Segment::Name(name) => write!(f, "/{}", escaped(name)),
            Segment::Index(index) => write!(f, "/{index}"),
        }
    }
}

/// A name as a segment of a JSON pointer (RFC 6901).
pub fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.found.values.set(self.found.values.get() + 1);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        loop {
            let step = Step { above: self.at, segment: Segment::Index(values.len()) };
            match access.next_element_seed(Seed { at: Some(&step), found: self.found })? {
                Some(value) => values.push(value),
                None => return Ok(values.into()),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let step = Step { above: self.at, segment: Segment::Name(&name) };
            let value = access.next_value_seed(Seed { at: Some(&step), found: self.found })?;
            match map.entry(name) {
                Entry::Vacant(entry) => _ = entry.insert(value),
                Entry::Occupied(mut entry) => {
                    let mut twice = self.found.twice.borrow_mut();
                    if twice.len() < MOST_TOLD {
                        let segment = Segment::Name(entry.key());
                        twice.push(Step { above: self.at, segment }.to_string());
                    }
                    entry.insert(value);
                }
            }
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_occurs_twice_is_told_by_pointer() {
        for (text, twice, values) in [
            (r#"{"a":1,"b":[1,{"a":2}]}"#, vec![], 6),
            (r#"{"a":1,"a":2}"#, vec!["/a"], 3),
            (r#"{"a":1,"\u0061":2,"a":3}"#, vec!["/a", "/a"], 4),
            (r#"[0,{"x/y":{"~":1,"~":1}}]"#, vec!["/1/x~1y/~0"], 6),
        ] {
            let parsed = parse(text.as_bytes()).unwrap();
            assert_eq!(
                (parsed.twice, parsed.values),
                (twice.iter().map(|&p| p.to_owned()).collect(), values),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_json_is_told_by_line_and_column() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        for (text, told) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{\"a\":1,\n \"b\" 2}", "expected `:` at line 2 column 6"),
            ("{} {}", "trailing characters at line 1 column 4"),
            ("[1e999]", "number out of range"),
            ("NaN", "expected value"),
            ("\"\\ud800\"", "hex escape"),
            ("\"a\u{1}\"", "control character"),
            (&*deep, "recursion limit exceeded"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("is not JSON: ") && error.contains(told), "{text}: {error}");
        }
        assert!(parse(b"\"\xff\"").is_err());
    }

    proptest! {
        #[test]
        fn reads_as_serde_json_does(text in "[\\[\\]{}:,\"a01.e \\\\-]{0,24}") {
            let (ours, theirs) = (parse(text.as_bytes()), serde_json::from_str::<Value>(&text));
            prop_assert_eq!(ours.ok().map(|parsed| parsed.value), theirs.ok());
        }
    }
}
